"""What a model must be able to do for a request, beyond answering text with text."""

from enum import StrEnum
from typing import Final

from gateway.types import Asked, EmbeddingRequest


class Capability(StrEnum):
    """One of them; its value is how people are told of it."""

    TOOLS = "tools"
    IMAGES = "images"
    AUDIO = "audio"
    JSON_SCHEMA = "JSON schemas"
    CHOICES = "requests for several answers"


FIELD_OF: Final = {
    Capability.TOOLS: "tools",
    Capability.IMAGES: "messages",
    Capability.AUDIO: "messages",
    Capability.JSON_SCHEMA: "response_format",
    Capability.CHOICES: "n",
}
"""The request's field that asks for it."""

_BY_PART: Final = {"image_url": Capability.IMAGES, "input_audio": Capability.AUDIO}


def needs_of(request: Asked) -> frozenset[Capability]:
    """All that this request needs."""
    if isinstance(request, EmbeddingRequest):
        return frozenset()
    parameters = request.parameters or {}
    needs = {
        _BY_PART[part["type"]]
        for message in request.messages
        if isinstance(parts := message.get("content"), list)
        for part in parts
        if part["type"] in _BY_PART
    }
    if parameters.get("tools") or parameters.get("functions"):
        needs.add(Capability.TOOLS)
    if (parameters.get("response_format") or {}).get("type") == "json_schema":
        needs.add(Capability.JSON_SCHEMA)
    if request.choices > 1:
        needs.add(Capability.CHOICES)
    return frozenset(needs)
