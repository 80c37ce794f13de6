"""From a body's bytes to a checked `ChatRequest`: only known fields, each of its type.

Never hand a client's fields on unseen: a caller's `api_base` would make us call any address.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import orjson

from gateway.errors import InvalidRequest
from gateway.types import ChatRequest

Count = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
_Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]
ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Label = Annotated[str, msgspec.Meta(max_length=512)]
_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what a provider can read
_LONGEST_COMPLAINT: Final = 300  # what is wrong may be quoted in it, and may be megabytes


class ImageUrl(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    url: str
    detail: Literal["auto", "low", "high"] | None = None


class Audio(msgspec.Struct, forbid_unknown_fields=True):
    data: str
    format: str


class TextPart(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    text: str


class ImagePart(msgspec.Struct, tag_field="type", tag="image_url", forbid_unknown_fields=True):
    image_url: ImageUrl


class AudioPart(msgspec.Struct, tag_field="type", tag="input_audio", forbid_unknown_fields=True):
    input_audio: Audio


class RefusalPart(msgspec.Struct, tag_field="type", tag="refusal", forbid_unknown_fields=True):
    refusal: str


_Content = str | list[TextPart | ImagePart | AudioPart | RefusalPart]


class CalledFunction(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: str


class ToolCall(msgspec.Struct):
    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class _Sent(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a provider gets of a message."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: _Content | None = None
    name: Label | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None  # long, where a provider signs its calls
    function_call: CalledFunction | None = None
    refusal: str | None = None


class ChatMessage(_Sent, forbid_unknown_fields=True, omit_defaults=True):
    """With what answers have besides, and agents send back as they got it: it is not handed on."""

    annotations: Any = None
    audio: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None


class ChatFunction(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatTool(msgspec.Struct):
    type: Literal["function"]
    function: ChatFunction


class NamedSchema(msgspec.Struct):
    name: str
    schema: dict[str, Any] | None = None


class ResponseFormat(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool = False
    include_obfuscation: bool = False


class _Parameters(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What a provider gets as it is.  None counts as absent, as SDKs send it so."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    stop: Label | Annotated[list[Label], msgspec.Meta(max_length=16)] | None = None
    seed: _Integer | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, Any]] | None = None
    function_call: str | dict[str, Any] | None = None
    reasoning_effort: str | None = None


class ChatBody(_Parameters, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/chat/completions`."""

    model: ModelName
    models: Annotated[list[ModelName], msgspec.Meta(max_length=8)] | None = None
    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1, max_length=2_000)]
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=16)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # Accepted for the clients that send them, and used for nothing.
    user: Label | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class FreeBody(ChatBody, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/free/completion`.  `user_id` and `session_id` are labels only."""

    model: ModelName = "scalix-free"
    user_id: Label | None = None
    session_id: Label | None = None
    visitor: str | None = None


_Body = TypeVar("_Body", bound=msgspec.Struct)
_chat_decoder: Final = msgspec.json.Decoder(ChatBody)
_free_decoder: Final = msgspec.json.Decoder(FreeBody)
_PARAMETER_FIELDS: Final = tuple(_Parameters.__struct_fields__)
_MESSAGE_FIELDS: Final = tuple(_Sent.__struct_fields__)
HANDED_ON: Final[dict[str, Any]] = {
    "tools": list[ChatTool],
    "functions": list[ChatFunction],
    "response_format": ResponseFormat,
}
"""Fields that are handed on with whatever a provider takes besides, once they have this shape."""


def parse_chat(raw: bytes) -> ChatRequest:
    """The request in a body; InvalidRequest naming the field otherwise."""
    return chat_request(decode(_chat_decoder, raw))


def parse_free(raw: bytes) -> tuple[ChatRequest, FreeBody]:
    """The same for the free API, with the body for its labels."""
    body = decode(_free_decoder, raw)
    return chat_request(body), body


def chat_request(body: ChatBody) -> ChatRequest:
    """The body as the request path takes it."""
    parameters = {
        name: value for name in _PARAMETER_FIELDS if (value := getattr(body, name)) is not None
    }
    for name, value in parameters.items():
        require_sound(name, value)
    return ChatRequest(
        model=body.model,
        messages=tuple(_sent(message) for message in body.messages),
        stream=bool(body.stream),
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        choices=body.n or 1,
        parameters=parameters or None,
        fallbacks=tuple(one for one in body.models or () if one != body.model),
    )


def _sent(message: ChatMessage) -> dict[str, Any]:
    whole = msgspec.to_builtins(message)
    return {"content": None} | {name: whole[name] for name in _MESSAGE_FIELDS if name in whole}


def require_sound(name: str, value: Any) -> None:
    """Refuses a wrong shape, and what can be read but not written again.

    That is 250 levels of nesting, and integers of 65 bits.
    """
    try:
        if name in HANDED_ON:
            msgspec.convert(value, HANDED_ON[name])
        orjson.dumps([[[[value]]]])  # it will lie that deep in what is sent to a provider
    except msgspec.ValidationError as error:
        raise invalid(error, name) from error
    except TypeError as error:
        raise InvalidRequest(f"{error} (in {name}).", param=name) from error


def decode(decoder: msgspec.json.Decoder[_Body], raw: bytes) -> _Body:
    """The body that these bytes are; InvalidRequest naming the field otherwise."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}", code="invalid_json") from error


def invalid(error: msgspec.ValidationError, inside: str = "") -> InvalidRequest:
    """The complaint as ours, which names the field; `inside`: where what was read lies."""
    said, _, path = str(error).partition(" - at ")
    within = path.strip("`").removeprefix("$")
    param = f"{inside}{within}".removeprefix(".") or _named_in(said)
    where = f" (in {_short(param)})" if param else ""
    return InvalidRequest(f"{_short(said)}{where}.", param=_short(param) or None)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_COMPLAINT else f"{text[:_LONGEST_COMPLAINT]}…"


def _named_in(said: str) -> str:
    """The field that msgspec names in its message, as in "unknown field `foo`"."""
    parts = said.split("`")
    return parts[-2] if "field" in said and len(parts) > 2 else ""
