"""From an Anthropic body's bytes to a checked request, in the fields that Anthropic documents.

Unknown fields and blocks are refused with their name.  `translation.py` says what becomes of them.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from gateway.api.parsing import Count, Label, decode, invalid
from gateway.errors import InvalidRequest

_CUSTOM: Final = (None, "custom")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, tag_field="type"):
    """What has a `type`, and no field that it does not know."""


class Base64Source(_Strict, tag="base64"):
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class UrlSource(_Strict, tag="url"):
    url: str


class TextBlock(_Strict, tag="text"):
    text: str
    citations: Any = None
    cache_control: Any = None


class ImageBlock(_Strict, tag="image"):
    source: Base64Source | UrlSource
    cache_control: Any = None


class ToolUseBlock(_Strict, tag="tool_use"):
    id: str
    name: str
    input: dict[str, Any]
    caller: Any = None
    cache_control: Any = None


class ToolResultBlock(_Strict, tag="tool_result"):
    tool_use_id: str
    content: str | list[TextBlock | ImageBlock] | None = None
    is_error: bool | None = None
    cache_control: Any = None


class ThinkingBlock(_Strict, tag="thinking"):
    """Comes back as it was given, and is dropped: only its own provider could read it."""

    thinking: str
    signature: str | None = None
    cache_control: Any = None


class RedactedThinkingBlock(_Strict, tag="redacted_thinking"):
    data: str
    cache_control: Any = None


class _Spoken(msgspec.Struct, forbid_unknown_fields=True, tag_field="role"):
    """A message; what it may contain depends on its role."""


class SystemMessage(_Spoken, tag="system"):
    content: str | list[TextBlock]


class UserMessage(_Spoken, tag="user"):
    content: str | list[TextBlock | ImageBlock | ToolResultBlock]


class AssistantMessage(_Spoken, tag="assistant"):
    content: str | list[TextBlock | ToolUseBlock | ThinkingBlock | RedactedThinkingBlock]


class Tool(msgspec.Struct, forbid_unknown_fields=True):
    name: Label
    input_schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None
    type: Literal["custom"] | None = None
    # Of use to Anthropic's own servers only.
    cache_control: Any = None
    eager_input_streaming: bool | None = None
    input_examples: list[dict[str, Any]] | None = None


class AutoChoice(_Strict, tag="auto"):
    disable_parallel_tool_use: bool | None = None


class AnyChoice(_Strict, tag="any"):
    disable_parallel_tool_use: bool | None = None


class OneChoice(_Strict, tag="tool"):
    name: Label
    disable_parallel_tool_use: bool | None = None


class NoChoice(_Strict, tag="none"):
    pass


_Display = Literal["summarized", "omitted"]


class ThinkingEnabled(_Strict, tag="enabled"):
    budget_tokens: Annotated[int, msgspec.Meta(ge=1024, le=10_000_000)]
    display: _Display | None = None


class ThinkingAdaptive(_Strict, tag="adaptive"):
    display: _Display | None = None


class ThinkingDisabled(_Strict, tag="disabled"):
    pass


class JsonFormat(_Strict, tag="json_schema"):
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct, forbid_unknown_fields=True):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class MessageMetadata(msgspec.Struct, forbid_unknown_fields=True):
    user_id: Label | None = None


_Message = SystemMessage | UserMessage | AssistantMessage


class Prompt(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/messages/count_tokens`: what a model reads.  None counts as absent."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    messages: Annotated[list[_Message], msgspec.Meta(min_length=1, max_length=2_000)]
    system: str | list[TextBlock] | None = None
    tools: list[dict[str, Any]] | None = None  # of which `tools_of` makes what they are
    tool_choice: AutoChoice | AnyChoice | OneChoice | NoChoice | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | None = None
    output_config: OutputConfig | None = None
    cache_control: Any = None


class MessagesBody(Prompt, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/messages`."""

    max_tokens: Count
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    stop_sequences: Annotated[list[Label], msgspec.Meta(max_length=16)] | None = None
    stream: bool | None = None
    # Accepted for the clients that send them, and used for nothing.
    top_k: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | None = None
    metadata: MessageMetadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None


HANDED_ON: Final[dict[str, Any]] = {"tools": list[Tool]}
"""Fields that are read as whatever they are, and then held against a shape of their own."""

_messages_decoder: Final = msgspec.json.Decoder(MessagesBody)
_prompt_decoder: Final = msgspec.json.Decoder(Prompt)


def parse_messages(raw: bytes) -> MessagesBody:
    """The body that these bytes are; InvalidRequest naming the field otherwise."""
    return decode(_messages_decoder, raw)


def parse_prompt(raw: bytes) -> Prompt:
    """The same for `count_tokens`."""
    return decode(_prompt_decoder, raw)


def tools_of(body: Prompt) -> list[Tool]:
    """The body's tools; InvalidRequest names one that is Anthropic's own and not the client's."""
    return [_tool(sent, f"tools[{place}]") for place, sent in enumerate(body.tools or ())]


def _tool(sent: dict[str, Any], place: str) -> Tool:
    kind = sent.get("type")
    if isinstance(kind, str) and kind not in _CUSTOM:
        raise InvalidRequest(
            f"The tool {str(sent.get('name', kind))[:100]!r} ({kind[:100]}) is one of Anthropic's "
            "own. Only custom tools, which have an input_schema and run at the client, are taken "
            "here.",
            param=f"{place}.type",
        )
    try:
        return msgspec.convert(sent, Tool)
    except msgspec.ValidationError as error:
        raise invalid(error, place) from error
