"""The two loads of the benchmark: unary requests back to back, and streams at a steady pace."""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.connection import LoadConnection, Reply, chat_request
from tests.upstream.script import marker

# What one client asks: an ordinary short prompt, an ordinary short answer.
PROMPT: Final = "Tell me about the river, in a few words. "
COMPLETION_TOKENS: Final = 20
LAST_EVENT: Final = b"data: [DONE]\n\n"


class LoadError(Exception):
    """A reply that the benchmark can't count: a refusal is cheap and would flatter the figures."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is put under load."""

    base_url: str
    model: str
    tokens: Sequence[str]
    """Credentials, dealt round to the connections so that no account's concurrency binds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one load saw."""

    requests: int
    seconds: float
    """From the first request's start to the last one's end."""
    latencies: Sequence[float]
    """Of each request, in seconds, sorted."""

    def latency_at(self, share: float) -> float:
        """The latency that this share of the requests didn't exceed, in seconds."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


def _request(target: Target, token: str, *, stream: bool, script: Mapping[str, object]) -> bytes:
    body: dict[str, Any] = {
        "model": target.model,
        "messages": [{"role": "user", "content": PROMPT + marker(**script)}],
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return chat_request(target.base_url, token, body)


def _outcome(replies: Sequence[Reply]) -> Outcome:
    return Outcome(
        requests=len(replies),
        seconds=max(reply.ended for reply in replies) - min(reply.started for reply in replies),
        latencies=sorted(reply.seconds for reply in replies),
    )


async def _open(target: Target, count: int) -> list[LoadConnection]:
    return [await LoadConnection.to(target.base_url) for _ in range(count)]


async def unary_load(
    target: Target,
    *,
    connections: int,
    requests: int,
    latency: float,
    connected: Callable[[], None],
) -> Outcome:
    """Keep each connection busy until so many requests are done. Raises LoadError.

    `latency` is the upstream's, in seconds. `connected` is called when the connections stand and
    the first request is about to go out.
    """
    script = {"tokens": COMPLETION_TOKENS, "first": latency}
    left = itertools.repeat(None, requests)
    replies: list[Reply] = []

    async def keep_busy(connection: LoadConnection, request: bytes) -> None:
        for _ in left:
            reply = await connection.exchange(request)
            if reply.status != 200 or not reply.whole:
                raise LoadError(f"{reply.status}: {reply.body[:500]!r}")
            replies.append(reply)

    opened = await _open(target, connections)
    connected()
    async with asyncio.TaskGroup() as group:
        for connection, token in zip(opened, itertools.cycle(target.tokens), strict=False):
            request = _request(target, token, stream=False, script=script)
            group.create_task(keep_busy(connection, request))
    for connection in opened:
        connection.close()
    return _outcome(replies)


async def stream_load(
    target: Target, *, streams: int, chunks: int, gap: float, connected: Callable[[], None]
) -> Outcome:
    """Run so many streams side by side, each of so many chunks `gap` seconds apart.

    They start spread over one gap, so that their chunks don't arrive in bursts which the server
    could handle together. Raises LoadError.
    """
    script = {"tokens": chunks, "chunks": chunks, "gap": gap}

    async def listen(connection: LoadConnection, token: str, delay: float) -> Reply:
        await asyncio.sleep(delay)
        request = _request(target, token, stream=True, script=script)
        reply = await connection.exchange(request)
        if not reply.body.endswith(LAST_EVENT):
            raise LoadError(f"{reply.status}: {reply.body[-500:]!r}")
        return reply

    opened = await _open(target, streams)
    connected()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(listen(connection, token, gap * position / streams))
            for position, (connection, token) in enumerate(
                zip(opened, itertools.cycle(target.tokens), strict=False)
            )
        ]
    for connection in opened:
        connection.close()
    return _outcome([task.result() for task in tasks])
