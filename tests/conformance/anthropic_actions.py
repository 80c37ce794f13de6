"""What `sdk_child` can do with `anthropic`, and nothing that only one version of it has."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import anthropic

VERSION = anthropic.__version__
SENT: list[object] = []


def count(request: object) -> None:
    """Notes that the SDK is about to send a request."""
    SENT.append(request)


async def count_async(request: object) -> None:
    """The same for the asynchronous client."""
    count(request)


def client(order: dict[str, Any]) -> anthropic.Anthropic:
    """A client as a user would make it, but for the hook that counts its HTTP requests."""
    return _client(order["base_url"], order["token"])


@functools.cache  # as programs do: a client of its own for each call costs more than the call
def _client(base_url: str, token: str) -> anthropic.Anthropic:
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [count]})
    return anthropic.Anthropic(base_url=base_url, api_key=token, http_client=http)


def complete(order: dict[str, Any]) -> dict[str, Any]:
    """One whole message, with its headers."""
    raw = client(order).messages.with_raw_response.create(**order["request"])
    return {"message": raw.parse().model_dump(), "headers": dict(raw.headers)}


def stream(order: dict[str, Any]) -> dict[str, Any]:
    """One message by the SDK's stream helper: its events, its text, and what it makes of them."""
    events: list[dict[str, Any]] = []
    with client(order).messages.stream(**order["request"]) as arriving:
        try:
            events.extend(event.model_dump() for event in arriving)
        except Exception as error:  # noqa: BLE001 (whatever a user would see)
            return {"events": events, "broke": error}
        return {"events": events, "message": arriving.get_final_message().model_dump()}


def stream_async(order: dict[str, Any]) -> dict[str, Any]:
    """The same with the asynchronous client; its text alone."""

    async def run() -> dict[str, Any]:
        http = anthropic.DefaultAsyncHttpxClient(event_hooks={"request": [count_async]})
        asynchronous = anthropic.AsyncAnthropic(
            base_url=order["base_url"], api_key=order["token"], http_client=http
        )
        async with asynchronous, asynchronous.messages.stream(**order["request"]) as arriving:
            text = "".join([piece async for piece in arriving.text_stream])
            message = await arriving.get_final_message()
        return {"text": text, "message": message.model_dump()}

    return asyncio.run(run())


def use_tool(order: dict[str, Any]) -> dict[str, Any]:
    """A call of a tool, answered with `result`, and what is said to that."""
    request = order["request"]
    ours = client(order)
    called = ours.messages.create(**request)
    [call] = [block for block in called.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": order["result"]}
    messages = [
        *request["messages"],
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [result]},
    ]
    answered = ours.messages.create(**{**request, "messages": messages})
    return {"called": called.model_dump(), "answered": answered.model_dump()}


def count_tokens(order: dict[str, Any]) -> dict[str, Any]:
    """How many tokens a prompt has."""
    return {"input_tokens": client(order).messages.count_tokens(**order["request"]).input_tokens}


ACTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    action.__name__: action for action in (complete, stream, stream_async, use_tool, count_tokens)
}
