"""From a body's bytes to a checked `EmbeddingRequest`."""

from typing import Annotated, Any, Final, Literal

import msgspec

from gateway.api.parsing import Label, ModelName, decode
from gateway.errors import InvalidRequest
from gateway.sizing.text import text_of
from gateway.types import EmbeddingRequest

_MOST_TEXTS: Final = 2_048

_Token = Annotated[int, msgspec.Meta(ge=0)]
_Tokens = Annotated[list[_Token], msgspec.Meta(min_length=1)]


class EmbeddingsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/embeddings`.  `input`: a text, several, or tokens of cl100k_base."""

    model: ModelName
    input: str | Annotated[list[str | _Token | _Tokens], msgspec.Meta(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, msgspec.Meta(ge=1, le=65_536)] | None = None
    user: Label | None = None  # accepted for the clients that send it, and used for nothing


_decoder: Final = msgspec.json.Decoder(EmbeddingsBody)


def parse_embeddings(raw: bytes) -> tuple[EmbeddingRequest, EmbeddingsBody]:
    """The request in a body, with the body for its form; InvalidRequest naming the field."""
    body = decode(_decoder, raw)
    return EmbeddingRequest(body.model, _texts_in(body), body.dimensions), body


def _texts_in(body: EmbeddingsBody) -> tuple[str, ...]:
    """Tokens become the text that they stand for: content rules read texts, and so do providers
    whose tokens are others.
    """
    given: list[Any] = [body.input] if isinstance(body.input, str) else body.input
    if isinstance(given[0], int):
        given = [given]  # one text, in tokens
    if len(given) > _MOST_TEXTS:
        raise _wrong(f"{len(given):,} texts; at most {_MOST_TEXTS:,} are taken at once")
    if len({type(one) for one in given}) != 1:
        raise _wrong("texts and tokens, mixed")
    texts = tuple(one if isinstance(one, str) else _text_of(one) for one in given)
    if "" in texts:
        raise _wrong("an empty text")
    return texts


def _text_of(tokens: list[Any]) -> str:
    if not all(isinstance(one, int) for one in tokens):
        raise _wrong("texts and tokens, mixed")
    try:
        return text_of(tokens)
    except ValueError as error:
        raise _wrong(str(error)) from error


def _wrong(what: str) -> InvalidRequest:
    return InvalidRequest(f"The input is wrong: {what}.", param="input")
