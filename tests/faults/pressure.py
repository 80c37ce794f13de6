"""The load of the faults: clients that keep asking until they are told to stop.

Every request has a mark of its own, which the upstream's log has as the call's id and the ledger as
the request's session, so that each side can be held against the others whoever died in between.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from bench.connection import LoadConnection, Reply
from tests.faults.crowd import Account
from tests.upstream.script import marker

PATH: Final = "/api/v1/free/completion"
TOKENS: Final = 10
MOST_TOKENS: Final = 16
_CHUNKS: Final = 5
_FAULTS: Final = ("500", "503", "429", "cut", "reset", "garbage", "error-event")
_AFTER_503_SECONDS: Final = 0.05  # a client waits a little before it asks again

_HEAD: Final = (
    "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n"
    "content-type: application/json\r\n{origin}content-length: {length}\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.  `hangs_up_after` seconds, unless it is None."""

    mark: str
    account: Account
    stream: bool = False
    script: dict[str, object] = field(default_factory=dict)
    hangs_up_after: float | None = None

    def request(self, address: str) -> bytes:
        """Its bytes."""
        script = {"id": self.mark, "account": self.account.email, **self.script}
        text = f"Tell me about the river. {marker(**script)}"
        body: dict[str, Any] = {
            "messages": [{"role": "user", "content": text}],
            "max_tokens": MOST_TOKENS,
            "session_id": self.account.email if self.account.shares_a_session else self.mark,
        }
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        payload = orjson.dumps(body)
        origin = f"x-forwarded-for: {self.account.address}\r\n" if self.account.address else ""
        head = _HEAD.format(
            path=PATH,
            host=urlsplit(address).netloc,
            token=self.account.token,
            origin=origin,
            length=len(payload),
        )
        return head.encode() + payload


@dataclass(frozen=True, slots=True)
class Sent:
    """A request and what came back."""

    ask: Ask
    reply: Reply

    @property
    def is_answered(self) -> bool:
        """Whether the caller got a whole answer."""
        if self.reply.status != 200 or not self.reply.whole:
            return False
        return not self.ask.stream or self.reply.body.endswith(b"data: [DONE]\n\n")


class Pressure:
    """Sends requests of changing accounts, `at_once` at a time; keeps what came back."""

    def __init__(self, address: str, prefix: str, at_once: int, chance: random.Random) -> None:
        self.address = address
        self.roomy: Sequence[Account] = ()
        self.pressed: Sequence[Account] = ()
        """Of whom half of the requests come."""
        self.script: dict[str, object] = {}
        """Over the script of every plain request."""
        self.sent: list[Sent] = []
        self.prefix = prefix
        self._at_once = at_once
        self._chance = chance
        self._numbers = itertools.count()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins."""
        self._stopping = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Asks no more; returns when all that was asked has ended in one way or another."""
        self._stopping = True
        assert self._task is not None
        await self._task

    async def served_since(self, moment: float, seconds: float) -> float:
        """When a request that began after `moment` was answered; both of time.monotonic().

        TimeoutError after so many seconds.
        """
        looked_at = len(self.sent)
        async with asyncio.timeout(seconds):
            while True:
                for one in self.sent[looked_at:]:
                    if one.is_answered and one.reply.started > moment:
                        return one.reply.ended
                looked_at = len(self.sent)
                await asyncio.sleep(0.005)

    async def refused(self, count: int, seconds: float) -> None:
        """Returns when limits have refused so many more requests; TimeoutError."""
        looked_at = len(self.sent)
        async with asyncio.timeout(seconds):
            while count > 0:
                await asyncio.sleep(0.005)
                count -= sum(one.reply.status == 429 for one in self.sent[looked_at:])
                looked_at = len(self.sent)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._work())

    async def _work(self) -> None:
        connection: LoadConnection | None = None
        while not self._stopping:
            ask = self._next()
            try:
                if connection is None or not connection.open:
                    connection = await LoadConnection.to(self.address)
            except OSError:  # the whole product is down just now
                await asyncio.sleep(_AFTER_503_SECONDS)
                continue
            reply = await exchange(connection, ask, self.address)
            self.sent.append(Sent(ask, reply))
            if reply.status == 503:
                await asyncio.sleep(_AFTER_503_SECONDS)
        if connection is not None and connection.open:
            connection.close()

    def _next(self) -> Ask:
        chance = self._chance
        mark = f"{self.prefix}-{next(self._numbers)}"
        pressed = self.pressed and chance.random() < 0.5
        account = chance.choice(self.pressed if pressed else self.roomy)
        stream = chance.random() < 0.5
        script: dict[str, object] = {"tokens": TOKENS, "chunks": _CHUNKS, "first": 0.01}
        # Whoever hangs up is gone before the upstream knows: where what runs at once is counted
        # there, nobody does.
        kind = 1.0 if account.limit == "concurrent_requests" else chance.random()
        if kind < 0.06:
            script["gap"] = 0.02
            return Ask(mark, account, stream, script, hangs_up_after=chance.uniform(0, 0.1))
        if kind < 0.12:
            script |= {"fault": chance.choice(_FAULTS), "after": 2}
            return Ask(mark, account, stream, script)
        return Ask(mark, account, stream, script | {"gap": 0.002} | self.script)


async def exchange(connection: LoadConnection, ask: Ask, address: str, share: float = 1.0) -> Reply:
    """The reply to a request on a connection, which is closed if the client hangs up.

    `share` is how much of the request is sent.
    """
    request = ask.request(address)
    if ask.hangs_up_after is None:
        return await connection.exchange(request)
    hanging_up = asyncio.get_running_loop().call_later(ask.hangs_up_after, connection.close)
    try:
        return await connection.exchange(request[: max(1, int(share * len(request)))])
    finally:
        hanging_up.cancel()


def moment() -> float:
    """Now, as replies have it."""
    return time.monotonic()
