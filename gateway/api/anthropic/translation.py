"""From Anthropic's body to the `ChatRequest` that the pipeline takes: OpenAI's messages and names.

What has no counterpart there is put into words, or dropped where nothing depends on it:

    thinking blocks             dropped: only the provider that wrote them could read them
    tool_result's `is_error`    the word "Error" before what the tool said
    images in a tool_result     behind it, in the user's message: tools say text only
    cache_control, top_k        dropped: no provider is asked for it
    thinking.budget_tokens      reasoning_effort, unless output_config.effort says one
"""

from typing import Any, Final

import orjson

from gateway.api import chat_terms
from gateway.api.anthropic.parsing import (
    AnyChoice,
    AssistantMessage,
    Base64Source,
    ImageBlock,
    MessagesBody,
    NoChoice,
    OneChoice,
    Prompt,
    SystemMessage,
    TextBlock,
    ThinkingEnabled,
    ToolResultBlock,
    ToolUseBlock,
    UserMessage,
    tools_of,
)
from gateway.api.parsing import require_sound
from gateway.errors import InvalidRequest
from gateway.types import ChatRequest

_BETWEEN_TEXTS: Final = "\n\n"
# The budgets that litellm, back again, makes of each effort, so that none grows on its way.
_EFFORTS: Final = ((4096, "high"), (2048, "medium"), (0, "low"))
_HIGHEST: Final = {"xhigh": "high", "max": "high"}  # as far as OpenAI's efforts go


def chat_request(body: Prompt) -> ChatRequest:
    """The request in OpenAI's terms; InvalidRequest where it contradicts itself."""
    messages = [] if body.system is None else [chat_terms.message("system", _text_of(body.system))]
    for message in body.messages:
        messages += _messages(message)
    parameters = _reading_parameters(body)
    if not isinstance(body, MessagesBody):
        return ChatRequest(body.model, tuple(messages), parameters=parameters)
    sampling = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "stop": body.stop_sequences or None,
    }
    stream = bool(body.stream)
    return ChatRequest(
        model=body.model,
        messages=tuple(messages),
        stream=stream,
        include_usage=stream,  # the last event has it
        max_tokens=body.max_tokens,
        parameters=chat_terms.present(sampling) | parameters or None,
    )


def _reading_parameters(body: Prompt) -> dict[str, Any]:
    """The tools, and how to answer."""
    tools = [
        chat_terms.function(one.name, one.description, one.input_schema, one.strict)
        for one in tools_of(body)
    ]
    parameters = chat_terms.present(
        {
            "tools": tools or None,
            "response_format": _response_format(body),
            "reasoning_effort": _effort(body),
        }
    )
    for name in ("tools", "response_format"):
        if name in parameters:
            require_sound(name, parameters[name])
    return parameters | _choice(body, has_tools=bool(tools))


def _response_format(body: Prompt) -> dict[str, Any] | None:
    if body.output_config is None or body.output_config.format is None:
        return None
    schema = body.output_config.format.schema
    named = {"name": "output", "schema": schema, "strict": True}
    return {"type": "json_schema", "json_schema": named}


def _choice(body: Prompt, *, has_tools: bool) -> dict[str, Any]:
    """Which tools may be called, and how many at once."""
    choice = body.tool_choice
    if choice is None:
        return {}
    if not has_tools:
        raise InvalidRequest("`tool_choice` is given without any `tools`.", param="tool_choice")
    if isinstance(choice, NoChoice):
        return {"tool_choice": "none"}
    single = {"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {}
    if isinstance(choice, OneChoice):
        return {"tool_choice": chat_terms.choice_of(choice.name)} | single
    return {"tool_choice": "required" if isinstance(choice, AnyChoice) else "auto"} | single


def _effort(body: Prompt) -> str | None:
    if body.output_config is not None and (effort := body.output_config.effort):
        return _HIGHEST.get(effort, effort)
    if isinstance(body.thinking, ThinkingEnabled):
        budget = body.thinking.budget_tokens
        return next(effort for least, effort in _EFFORTS if budget >= least)
    return None


def _messages(message: SystemMessage | UserMessage | AssistantMessage) -> list[dict[str, Any]]:
    """One message, which may become several: each tool's result is one of its own."""
    if isinstance(message, SystemMessage):
        return [chat_terms.message("system", _text_of(message.content))]
    if isinstance(message.content, str):
        role = "user" if isinstance(message, UserMessage) else "assistant"
        return [chat_terms.message(role, message.content)]
    if isinstance(message, AssistantMessage):
        return [_assistant(message.content)]
    return _user(message.content)


def _user(blocks: list[Any]) -> list[dict[str, Any]]:
    """The results first, as they follow the calls; then what the user says, and shows."""
    messages, said = [], list[TextBlock | ImageBlock]()
    for block in blocks:
        if isinstance(block, ToolResultBlock):
            messages.append(_result(block))
            said += _images_in(block)
        else:
            said.append(block)
    if said or not messages:
        messages.append(chat_terms.message("user", _parts_of(said)))
    return messages


def _result(block: ToolResultBlock) -> dict[str, Any]:
    text = "" if block.content is None else _text_of(block.content)
    if block.is_error:
        text = f"Error: {text}"
    return chat_terms.message("tool", text) | {"tool_call_id": block.tool_use_id}


def _images_in(block: ToolResultBlock) -> list[ImageBlock]:
    parts = block.content if isinstance(block.content, list) else []
    return [part for part in parts if isinstance(part, ImageBlock)]


def _assistant(blocks: list[Any]) -> dict[str, Any]:
    text = _text_of([block for block in blocks if isinstance(block, TextBlock)])
    calls = [_call(block) for block in blocks if isinstance(block, ToolUseBlock)]
    if not calls:
        return chat_terms.message("assistant", text)
    return chat_terms.message("assistant", text or None) | {"tool_calls": calls}


def _call(block: ToolUseBlock) -> dict[str, Any]:
    require_sound("messages", block.input)
    return chat_terms.call(block.id, block.name, orjson.dumps(block.input).decode())


def _parts_of(blocks: list[TextBlock | ImageBlock]) -> str | list[dict[str, Any]]:
    """Text alone as a string, which every provider takes."""
    if not any(isinstance(block, ImageBlock) for block in blocks):
        return _text_of(blocks)
    return [
        {"type": "text", "text": block.text}
        if isinstance(block, TextBlock)
        else {"type": "image_url", "image_url": {"url": _address_of(block)}}
        for block in blocks
    ]


def _address_of(image: ImageBlock) -> str:
    source = image.source
    if isinstance(source, Base64Source):
        return f"data:{source.media_type};base64,{source.data}"
    return source.url


def _text_of(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return _BETWEEN_TEXTS.join(block.text for block in content if isinstance(block, TextBlock))
