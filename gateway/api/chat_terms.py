"""The terms of chat completions, for whoever asks in others."""

from typing import Any


def present(fields: dict[str, Any]) -> dict[str, Any]:
    """Those that say something: None counts as absent."""
    return {name: value for name, value in fields.items() if value is not None}


def message(role: str, content: str | list[dict[str, Any]] | None) -> dict[str, Any]:
    """One message."""
    return {"role": role, "content": content}


def call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """A function that was called, as an assistant's message has it."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def function(
    name: str, description: str | None, parameters: dict[str, Any] | None, strict: bool | None
) -> dict[str, Any]:
    """A function that may be called."""
    fields = {"name": name, "description": description, "parameters": parameters, "strict": strict}
    return {"type": "function", "function": present(fields)}


def choice_of(name: str) -> dict[str, Any]:
    """That this function is to be called."""
    return {"type": "function", "function": {"name": name}}
