"""What the tests send, and how they read what comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import httpx

from tests.upstream.double import UpstreamDouble
from tests.upstream.script import marker

COMPLETIONS: Final = "/v1/chat/completions"
FREE_COMPLETION: Final = "/api/v1/free/completion"

Json = dict[str, Any]
T = TypeVar("T")


def asking(text: str = "Say something", script: Json | None = None, **fields: Any) -> Json:
    """A request's body; `script` tells the upstream what to do with it."""
    content = f"{text} {marker(**script)}" if script else text
    body = {"model": "scalix-free", "messages": [{"role": "user", "content": content}]}
    return body | fields


def events_of(text: str) -> list[Any]:
    """The data of each server-sent event, parsed; `[DONE]` as it is."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line]
    return [one if one == "[DONE]" else json.loads(one) for one in data]


def text_of(chunks: list[Any]) -> str:
    """What the chunks of a stream say together."""
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        if chunk != "[DONE]"
        for choice in chunk.get("choices", ())
    )


def error_of(response: httpx.Response) -> Json:
    """The error object, once it is certain that it is whole and names its request."""
    assert response.headers["content-type"] == "application/json", response.text[:500]
    error: Json = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param", "metadata"}
    assert error["message"]
    assert error["metadata"]["request_id"] == response.headers["x-request-id"]
    assert response.headers["request-id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return error


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Runs something beside the test, as a task that is over when the `with` is."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def arrival(upstream: UpstreamDouble, call_id: str) -> None:
    """Returns once the upstream has heard of a call with this mark."""
    await asyncio.to_thread(upstream.await_arrival, call_id)
