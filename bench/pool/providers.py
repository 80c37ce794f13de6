"""Simulated providers: each enforces limits of its own, notes every call, and fails as it is told.

They speak the OpenAI wire over loopback.  A call is known by the mark in its last message, so that
what a provider did for a request can be told from what its caller got.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

_MARK: Final = re.compile(r"\[\[(\S+)\]\]")
_WORDS: Final = ("The ", "river ", "runs ", "to ", "the ", "sea ", "and ", "on.")
_SLOW_SECONDS: Final = 6.0
FAULTS: Final = ("down", "refusing connections", "slow", "rate-limiting", "rubbish", "cutting")


@dataclass(slots=True)
class Call:
    """One call that came in."""

    mark: str
    at: float  # time.monotonic
    is_stream: bool = False
    outcome: str = "open"


@dataclass
class SimulatedProvider:
    """One of them.  `fault` is one of FAULTS, or nothing."""

    name: str
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    latency: float = 0.2
    fault: str = ""
    calls: list[Call] = field(default_factory=list)
    _minute: deque[float] = field(default_factory=deque)
    _tokens: int = 0

    @property
    def refused(self) -> int:
        """Calls that it had to refuse, since there were more than it allows."""
        return sum(call.outcome == "429" for call in self.calls)

    def accepted_at(self) -> list[float]:
        """When it took the calls that it did not refuse."""
        return [call.at for call in self.calls if call.outcome != "429"]

    def has_room_at(self, moment: float) -> bool:
        """Whether it would have taken a call then, by its limit on requests a minute."""
        if self.requests_per_minute is None:
            return True
        recent = sum(moment - 60 < at <= moment for at in self.accepted_at())
        return recent < self.requests_per_minute

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        body = await request.json()
        now = time.monotonic()
        prompt = body["messages"][-1]["content"]
        found = _MARK.search(prompt)
        call = Call(found[1] if found else "", now, is_stream=bool(body.get("stream")))
        self.calls.append(call)
        if self._is_over_its_limit(now):
            call.outcome = "429"
            return _error(429, "Rate limit exceeded")
        self._minute.append(now)
        tokens = len(prompt) // 4 + len(_WORDS)
        self._tokens += tokens
        if failed := await self._fail(request, call):
            return failed
        await asyncio.sleep(self.latency)
        usage = {"prompt_tokens": tokens - len(_WORDS), "completion_tokens": len(_WORDS)}
        usage["total_tokens"] = tokens
        if body.get("stream"):
            return await self._stream(request, call, usage)
        message = {"role": "assistant", "content": "".join(_WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        call.outcome = "completed"
        return web.json_response(_body("chat.completion", [choice]) | {"usage": usage})

    def _is_over_its_limit(self, now: float) -> bool:
        while self._minute and self._minute[0] <= now - 60:
            self._minute.popleft()
        rpm, tpd = self.requests_per_minute, self.tokens_per_day
        return (rpm is not None and len(self._minute) >= rpm) or (
            tpd is not None and self._tokens >= tpd
        )

    async def _fail(self, request: web.Request, call: Call) -> web.StreamResponse | None:
        call.outcome = self.fault or call.outcome
        match self.fault:
            case "down":
                return _error(500, "Internal error")
            case "refusing connections":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case "slow":
                await asyncio.sleep(_SLOW_SECONDS)
            case "rate-limiting":
                return _error(429, "Try later")
            case "rubbish":
                return web.Response(body=b"<html>It works!</html>", content_type="text/html")
        return None

    async def _stream(
        self, request: web.Request, call: Call, usage: dict[str, int]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number, word in enumerate(_WORDS):
            if self.fault == "cutting" and number == len(_WORDS) // 2:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(_event([{"index": 0, "delta": {"content": word}}]))
            await asyncio.sleep(0.01)
        await response.write(_event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        await response.write(_event([], usage=usage) + b"data: [DONE]\n\n")
        call.outcome = "completed"
        return response


@asynccontextmanager
async def listening(
    providers: list[SimulatedProvider], port: int = 0
) -> AsyncIterator[dict[str, str]]:
    """The base URL of each by its name, while they listen."""
    application = web.Application()
    for provider in providers:
        application.router.add_post(f"/{provider.name}/v1/chat/completions", provider.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    host, port = runner.addresses[0][:2]
    try:
        yield {one.name: f"http://{host}:{port}/{one.name}/v1" for one in providers}
    finally:
        await runner.cleanup()


def _body(kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "sim", "object": kind, "created": 0, "model": "sim", "choices": choices}


def _event(choices: list[dict[str, Any]], **fields: Any) -> bytes:
    chunk = _body("chat.completion.chunk", choices) | fields
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)
