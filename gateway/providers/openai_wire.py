"""Providers that speak the OpenAI wire: answers are passed through."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

import orjson

from gateway.errors import ProviderUnavailable
from gateway.providers import failures, sse
from gateway.providers.translation import Wire, openai_body
from gateway.providers.transport import BROKEN, Transport, failure_of, read_on, require_ok
from gateway.types import ChatRequest

_DONE: Final = b"[DONE]"
_NOTHING: Final[dict[str, Any]] = {"choices": []}


class OpenAIWire:
    """Calls over a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def complete(self, wire: Wire, request: ChatRequest) -> dict[str, Any]:
        """The provider's `chat.completion`; a ProviderFailure otherwise."""
        body = openai_body(wire, request)
        return _completion(await self._transport.answer(wire.url, body, wire.headers))

    async def stream(
        self, wire: Wire, request: ChatRequest
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The provider's chunks.  A ProviderFailure before the first, StreamCut after it."""
        started, last = False, _NOTHING
        body = openai_body(wire, request)
        try:
            async with self._transport.post(wire.url, body, wire.headers) as response:
                await require_ok(response)
                async with aclosing(sse.event_data(response.content.iter_any())) as events:
                    async for data in events:
                        if data == _DONE:
                            await read_on(response)
                            return
                        chunk = _chunk(data)
                        yield chunk
                        started, last = True, chunk if chunk["choices"] else last
        except ProviderUnavailable as failure:
            raise failures.cut_off(failure) if started else failure from failure.__cause__
        except BROKEN as error:
            broken = failure_of(error)
            raise (failures.cut_off(broken) if started else broken) from error
        if not _finishes(last):  # and it did not say that it was done, either
            raise failures.cut_off(failures.rubbish()) if started else failures.rubbish()


def _completion(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise failures.rubbish() from error
    if not isinstance(body, dict) or not _are_choices(body.get("choices"), "message"):
        raise failures.rubbish()
    return body


def _chunk(data: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise failures.rubbish() from error
    if not isinstance(body, dict):
        raise failures.rubbish()
    if body.get("error"):
        raise failures.failure_of(500, data)
    body["choices"] = body.get("choices") or []  # some leave it out of what reports the usage
    if body["choices"] and not _are_choices(body["choices"], "delta"):
        raise failures.rubbish()
    return body


def _are_choices(choices: object, part: str) -> bool:
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(one, dict) and isinstance(one.get(part), dict) for one in choices)
    )


def _finishes(chunk: dict[str, Any]) -> bool:
    return any(choice.get("finish_reason") for choice in chunk["choices"])
