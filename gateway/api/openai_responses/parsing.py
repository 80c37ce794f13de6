"""From a Responses body's bytes to a checked request, in the fields that OpenAI documents.

Unknown fields, items and tools are refused with their name, and so is all that would need us to
keep something between two requests.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from gateway.api.parsing import Count, Label, ModelName, decode, invalid, require_sound
from gateway.errors import InvalidRequest


class _Tagged(msgspec.Struct, forbid_unknown_fields=True, tag_field="type"):
    """What has a `type`, and no field that it does not know."""


class InputText(_Tagged, tag="input_text"):
    text: str
    prompt_cache_breakpoint: Any = None


class InputImage(_Tagged, tag="input_image"):
    image_url: str
    detail: Literal["auto", "low", "high"] | None = None


class OutputText(_Tagged, tag="output_text"):
    text: str
    annotations: Any = None
    logprobs: Any = None


class Refusal(_Tagged, tag="refusal"):
    refusal: str


class Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[InputText | InputImage | OutputText | Refusal]
    type: Literal["message"] = "message"
    id: str | None = None
    status: str | None = None
    phase: Any = None


class FunctionCall(msgspec.Struct, forbid_unknown_fields=True):
    call_id: Label
    name: Label
    arguments: str
    type: Literal["function_call"] = "function_call"
    id: str | None = None
    status: str | None = None


class FunctionCallOutput(msgspec.Struct, forbid_unknown_fields=True):
    call_id: Label
    output: str | list[InputText | InputImage]
    type: Literal["function_call_output"] = "function_call_output"
    id: str | None = None
    status: str | None = None


class Reasoning(msgspec.Struct, forbid_unknown_fields=True):
    """Comes back as it was given, and is dropped: only its own provider could read it."""

    type: Literal["reasoning"]
    summary: Any = None
    content: Any = None
    encrypted_content: Any = None
    id: str | None = None
    status: str | None = None


Item = Message | FunctionCall | FunctionCallOutput | Reasoning
_ITEMS: Final[dict[str, Any]] = {
    "message": Message,
    "function_call": FunctionCall,
    "function_call_output": FunctionCallOutput,
    "reasoning": Reasoning,
}


class FunctionTool(msgspec.Struct, forbid_unknown_fields=True):
    name: Label
    parameters: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None
    type: Literal["function"] = "function"


class ToolChoice(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    name: Label


class TextFormat(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text", "json_object", "json_schema"]
    name: Label | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class Text(msgspec.Struct, forbid_unknown_fields=True):
    format: TextFormat | None = None
    verbosity: str | None = None


class ReasoningOptions(msgspec.Struct, forbid_unknown_fields=True):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class ResponsesBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/responses`."""

    model: ModelName
    input: str | Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1, max_length=2_000)]
    instructions: str | None = None
    max_output_tokens: Count | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: ReasoningOptions | None = None
    stream: bool | None = None
    models: Annotated[list[ModelName], msgspec.Meta(max_length=8)] | None = None
    metadata: dict[str, Any] | None = None
    user: Label | None = None
    # Accepted for the clients that send them, and used for nothing.
    stream_options: dict[str, Any] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    service_tier: str | None = None
    include: list[str] | None = None
    truncation: Literal["disabled"] | None = None
    # Refused where they ask for anything: nothing is kept here between two requests.
    store: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Any = None
    prompt: Any = None


HANDED_ON: Final[dict[str, Any]] = {"tools": list[FunctionTool], "input": tuple(_ITEMS.values())}
"""Fields that are read as whatever they are, then held against a shape of their own; of several,
each item against one of them."""

_decoder: Final = msgspec.json.Decoder(ResponsesBody)
_NEEDS_MEMORY: Final = ("store", "background", "previous_response_id", "conversation", "prompt")


def parse_responses(raw: bytes) -> ResponsesBody:
    """The body; InvalidRequest naming the field otherwise."""
    body = decode(_decoder, raw)
    for name in _NEEDS_MEMORY:
        if getattr(body, name):
            raise InvalidRequest(
                f"Responses are not kept here, so `{name}` can't be honoured. Leave it out, and "
                "send what came before as items of `input`.",
                code="unsupported_parameter",
                param=name,
            )
    return body


def items_of(body: ResponsesBody) -> list[Item]:
    """The input's items, checked."""
    if isinstance(body.input, str):
        return [Message("user", body.input)]
    return [_item(value, f"input[{place}]") for place, value in enumerate(body.input)]


def tools_of(body: ResponsesBody) -> list[FunctionTool]:
    """The functions that may be called; InvalidRequest for tools that OpenAI runs itself."""
    tools = []
    for place, value in enumerate(body.tools or ()):
        where = f"tools[{place}]"
        kind = value.get("type")
        if kind != "function":
            raise InvalidRequest(
                f"The tool {kind!r} is run by OpenAI itself; only functions can be called here.",
                code="unsupported_parameter",
                param=f"{where}.type",
            )
        tools.append(_converted(value, FunctionTool, where))
    return tools


def _item(value: dict[str, Any], where: str) -> Item:
    kind = value.get("type", "message")
    wanted = _ITEMS.get(kind) if isinstance(kind, str) else None
    if wanted is None:
        raise InvalidRequest(
            f"There is no support for items of the type {kind!r} (in {where}.type).",
            code="unsupported_parameter",
            param=f"{where}.type",
        )
    item: Item = _converted(value, wanted, where)
    return item


def _converted(value: dict[str, Any], wanted: Any, where: str) -> Any:
    require_sound(where, value)
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise invalid(error, where) from error
