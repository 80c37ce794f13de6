"""The mixed load: what each request asks for, how it's meant to go, and driving them all."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bench.connection import LoadConnection, Reply, chat_request, post_request
from tests.upstream.script import marker

# The answer of 10 tokens in 5 chunks, and a word of its third chunk.
TOKENS: Final = 10
CHUNKS: Final = 5
WORD_OF_THIRD_CHUNK: Final = b" past"

_UNARY_FAULTS: Final = ("500", "503", "429", "garbage", "cut", "reset")
_STREAM_FAULTS: Final = ("500", "503", "cut", "error-event", "garbage", "reset")


@dataclass(frozen=True, slots=True)
class Member:
    """One account of the load."""

    email: str
    token: str


@dataclass(frozen=True, slots=True)
class Case:
    """One request of the load. `id` is its correlation mark at the upstream."""

    id: str
    member: Member
    stream: bool
    hangs_up: bool = False
    script: dict[str, object] = field(default_factory=dict)

    def request(self, base_url: str, model: str) -> bytes:
        """The request's bytes."""
        script = {"id": self.id, "account": self.member.email, **self.script}
        text = f"Tell me about the river. {marker(**script)}"
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return chat_request(base_url, self.member.token, body)


def mixed_cases(prefix: str, count: int, members: Sequence[Member]) -> list[Case]:
    """`count` requests dealt round to the members: half of them streamed, one in twenty hung up by
    the client, one in twenty failed by the upstream, both of both kinds.
    """
    faults = {False: itertools.cycle(_UNARY_FAULTS), True: itertools.cycle(_STREAM_FAULTS)}
    return [
        _mixed_case(f"{prefix}-{position}", position, members[position % len(members)], faults)
        for position in range(count)
    ]


def _mixed_case(
    mark: str, position: int, member: Member, faults: Mapping[bool, Iterator[str]]
) -> Case:
    stream = position % 2 == 1
    answer = {"tokens": TOKENS, "chunks": CHUNKS}
    match position % 40:
        case 3:
            return Case(mark, member, stream, hangs_up=True, script={**answer, "stall": 3})
        case 10:
            return Case(mark, member, stream, hangs_up=True, script={"fault": "timeout"})
        case 17 | 24:
            script = {**answer, "fault": next(faults[stream]), "after": 2}
            return Case(mark, member, stream, script=script)
        case _:
            return Case(mark, member, stream, script={**answer, "first": 0.01, "gap": 0.002})


def plain_cases(prefix: str, count: int, members: Sequence[Member], **script: object) -> list[Case]:
    """`count` unary requests, dealt round to the members, all with the same script."""
    return [
        Case(f"{prefix}-{position}", members[position % len(members)], False, script=script)
        for position in range(count)
    ]


@dataclass(slots=True)
class Load:
    """Sends cases, so many at a time, and keeps what came back."""

    base_url: str
    control_url: str
    """The double's, which tells when a call has arrived there."""
    model: str
    replies: dict[str, Reply] = field(default_factory=dict)
    """By the case's id. A status of 0 is a connection that closed without an answer."""
    _milestones: dict[int, asyncio.Event] = field(default_factory=dict)

    async def run(self, cases: Sequence[Case], at_once: int) -> None:
        """Send them all and return when each has ended, in one way or another."""
        waiting = iter(cases)
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._work(waiting))

    async def answered(self, count: int) -> None:
        """Return once so many requests have ended, counted from the first."""
        if len(self.replies) < count:
            await self._milestones.setdefault(count, asyncio.Event()).wait()

    async def _work(self, waiting: Iterator[Case]) -> None:
        connection: LoadConnection | None = None
        for case in waiting:
            if connection is None or not connection.open:
                connection = await LoadConnection.to(self.base_url)
            self.replies[case.id] = await self._send(connection, case)
            if milestone := self._milestones.get(len(self.replies)):
                milestone.set()
        if connection is not None:
            connection.close()

    async def _send(self, connection: LoadConnection, case: Case) -> Reply:
        request = case.request(self.base_url, self.model)
        if not case.hangs_up:
            return await connection.exchange(request)
        if case.stream:
            return await connection.exchange(request, hang_up_at=WORD_OF_THIRD_CHUNK)
        exchange = asyncio.create_task(connection.exchange(request))
        arrival = asyncio.create_task(self._arrival(case.id))
        await asyncio.wait((exchange, arrival), return_when=asyncio.FIRST_COMPLETED)
        arrival.cancel()
        connection.close()
        return await exchange

    async def _arrival(self, call_id: str) -> None:
        """Return when the double has received this call."""
        connection = await LoadConnection.to(self.control_url)
        try:
            await connection.exchange(post_request(f"{self.control_url}/arrival", {"id": call_id}))
        finally:
            connection.close()
