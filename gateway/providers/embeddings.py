"""Embeddings: over OpenAI's wire, which most providers have for them, and Gemini's own.

Never by `litellm.embedding`: its way to Gemini takes a text that looks like a file's name for one,
and fetches that file with the operator's key.
"""

import asyncio
from typing import Any, Final

import orjson

from gateway.providers import failures
from gateway.providers.native import gemini
from gateway.providers.translation import Wire
from gateway.providers.transport import Transport, object_in
from gateway.types import EmbeddingRequest, Target

Vectors = list[list[float]]

_CHAT: Final = "/chat/completions"
_GEMINI_BATCH: Final = 100
"""Texts in one call.  Source: ai.google.dev, Embeddings."""


class Embeddings:
    """Asks for them over a transport.

    The answers are OpenAI's: `data`, in the texts' order, and `usage` where it is reported.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def over_openai_wire(
        self, wire: Wire, target: Target, request: EmbeddingRequest
    ) -> dict[str, Any]:
        """At the address beside that of chats; a ProviderFailure."""
        url = f"{wire.url.removesuffix(_CHAT)}/embeddings"
        body: dict[str, Any] = {"model": target.upstream_model, "input": list(request.texts)}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        raw = await self._transport.answer(url, orjson.dumps(body), wire.headers)
        answer = object_in(raw)
        try:
            data = sorted(answer["data"], key=lambda one: one["index"])
            vectors = [one["embedding"] for one in data]
        except (KeyError, TypeError) as error:
            raise failures.rubbish() from error
        return _list_of(vectors, request, answer.get("usage"))

    async def of_gemini(self, target: Target, request: EmbeddingRequest) -> dict[str, Any]:
        """By `batchEmbedContents`, a hundred texts a call, all or none; it reports no usage."""
        texts = request.texts
        batches = [texts[at : at + _GEMINI_BATCH] for at in range(0, len(texts), _GEMINI_BATCH)]
        answers = await asyncio.gather(*(self._batch(target, request, one) for one in batches))
        return _list_of([vector for vectors in answers for vector in vectors], request, None)

    async def _batch(
        self, target: Target, request: EmbeddingRequest, texts: tuple[str, ...]
    ) -> Vectors:
        model = f"models/{target.upstream_model}"
        same: dict[str, Any] = {"model": model}
        if request.dimensions is not None:
            same["outputDimensionality"] = request.dimensions
        body = {"requests": [same | {"content": {"parts": [{"text": text}]}} for text in texts]}
        url = f"{gemini.address_of(target)}/{model}:batchEmbedContents"
        raw = await self._transport.answer(url, orjson.dumps(body), gemini.headers_of(target))
        try:
            return [one["values"] for one in object_in(raw)["embeddings"]]
        except (KeyError, TypeError) as error:
            raise failures.rubbish() from error


def _list_of(vectors: Vectors, request: EmbeddingRequest, usage: Any) -> dict[str, Any]:
    """One vector for each text, all of one length, or it is no answer."""
    if len(vectors) != len(request.texts) or not all(map(_is_vector, vectors)):
        raise failures.rubbish()
    if len(set(map(len, vectors))) != 1:
        raise failures.rubbish()
    return {"data": [{"embedding": one} for one in vectors], "usage": usage}


def _is_vector(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, float | int) and not isinstance(one, bool) for one in value)
    )
