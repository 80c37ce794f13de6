"""What the tests of `/v1/messages` send, and how they read what comes back."""

import json
from typing import Any, Final

import httpx

from tests.api.asking import Json
from tests.api.asking import asking as asking_openai

MESSAGES: Final = "/v1/messages"
COUNT_TOKENS: Final = "/v1/messages/count_tokens"


def asking(text: str = "Say something", script: Json | None = None, **fields: Any) -> Json:
    """A request's body; `script` tells the upstream what to do with it."""
    return asking_openai(text, script, max_tokens=100) | fields


def events_of(text: str) -> list[Json]:
    """The data of each event, once it is certain that its name is its type."""
    found = []
    for event in text.removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def text_of(events: list[Json]) -> str:
    """What the text blocks of a stream say together."""
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    return "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")


def error_of(response: httpx.Response) -> Json:
    """The error object, once it is certain that it is whole and names its request."""
    assert response.headers["content-type"] == "application/json", response.text[:500]
    body: Json = response.json()
    assert set(body) == {"type", "error", "request_id"}
    assert body["type"] == "error"
    error: Json = body["error"]
    assert set(error) == {"type", "message", "code", "param", "metadata"}
    assert error["message"]
    assert body["request_id"] == error["metadata"]["request_id"] == response.headers["request-id"]
    assert response.headers["x-request-id"] == body["request_id"]
    return error
