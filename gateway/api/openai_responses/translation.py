"""From a Responses body to the `ChatRequest` that the pipeline takes."""

from typing import Any

from gateway.api import chat_terms
from gateway.api.openai_responses.parsing import (
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    Item,
    Message,
    Reasoning,
    Refusal,
    ResponsesBody,
    TextFormat,
    ToolChoice,
    items_of,
    tools_of,
)
from gateway.api.parsing import require_sound
from gateway.errors import InvalidRequest
from gateway.types import ChatRequest


def chat_request(body: ResponsesBody) -> ChatRequest:
    """The request in the terms of chat completions; InvalidRequest where it contradicts itself."""
    messages = (
        [] if body.instructions is None else [chat_terms.message("system", body.instructions)]
    )
    for item in items_of(body):
        _add(messages, item)
    if not messages:
        raise InvalidRequest("`input` says nothing.", param="input")
    stream = bool(body.stream)
    return ChatRequest(
        model=body.model,
        messages=tuple(messages),
        stream=stream,
        include_usage=stream,  # the last event has it
        max_tokens=body.max_output_tokens,
        parameters=_parameters(body) or None,
        fallbacks=tuple(one for one in body.models or () if one != body.model),
    )


def _parameters(body: ResponsesBody) -> dict[str, Any]:
    tools = [
        chat_terms.function(one.name, one.description, one.parameters, one.strict)
        for one in tools_of(body)
    ]
    parameters: dict[str, Any] = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "tools": tools or None,
        "tool_choice": _choice(body.tool_choice),
        "parallel_tool_calls": body.parallel_tool_calls if tools else None,
        "response_format": _format(body.text.format) if body.text and body.text.format else None,
        "reasoning_effort": body.reasoning.effort if body.reasoning else None,
    }
    asked = chat_terms.present(parameters)
    for name in ("tools", "response_format"):
        if name in asked:
            require_sound(name, asked[name])
    return asked


def _add(messages: list[dict[str, Any]], item: Item) -> None:
    """Adds what an item comes to; calls that follow each other are one message's."""
    match item:
        case Message():
            messages.append(_message(item))
        case FunctionCall():
            made = chat_terms.call(item.call_id, item.name, item.arguments)
            last = messages[-1] if messages else {}
            if last.get("role") == "assistant":
                last.setdefault("tool_calls", []).append(made)
            else:
                messages.append(chat_terms.message("assistant", None) | {"tool_calls": [made]})
        case FunctionCallOutput():
            text, images = _output(item)
            messages.append(chat_terms.message("tool", text) | {"tool_call_id": item.call_id})
            if images:  # tools say text only: what they show is the user's to show
                messages.append(chat_terms.message("user", images))
        case Reasoning():
            pass


def _message(said: Message) -> dict[str, Any]:
    if isinstance(said.content, str):
        return chat_terms.message(said.role, said.content)
    if not any(isinstance(part, InputImage) for part in said.content):
        return chat_terms.message(said.role, "".join(_text_of(part) for part in said.content))
    return chat_terms.message(said.role, [_part(part) for part in said.content])


def _output(item: FunctionCallOutput) -> tuple[str, list[dict[str, Any]]]:
    if isinstance(item.output, str):
        return item.output, []
    images = [_part(part) for part in item.output if isinstance(part, InputImage)]
    return "".join(_text_of(part) for part in item.output), images


def _part(part: Any) -> dict[str, Any]:
    if not isinstance(part, InputImage):
        return {"type": "text", "text": _text_of(part)}
    detail = {"detail": part.detail} if part.detail else {}
    return {"type": "image_url", "image_url": {"url": part.image_url} | detail}


def _text_of(part: Any) -> str:
    if isinstance(part, InputImage):
        return ""
    return part.refusal if isinstance(part, Refusal) else str(part.text)


def _choice(choice: str | ToolChoice | None) -> str | dict[str, Any] | None:
    if isinstance(choice, ToolChoice):
        return chat_terms.choice_of(choice.name)
    return choice


def _format(wanted: TextFormat) -> dict[str, Any] | None:
    if wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "json_object"}
    if wanted.schema is None:
        raise InvalidRequest("A json_schema needs its `schema`.", param="text.format.schema")
    named = {"name": wanted.name or "output", "schema": wanted.schema}
    strict = {} if wanted.strict is None else {"strict": wanted.strict}
    return {"type": "json_schema", "json_schema": named | strict}
