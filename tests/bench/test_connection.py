"""The load client reports what happened on its connection, good or bad."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from bench.connection import LoadConnection, Reply, chat_request
from tests.upstream.double import UpstreamDouble
from tests.upstream.raw_http import scripted

Result = TypeVar("Result")


def on_one_connection(
    double: UpstreamDouble, work: Callable[[LoadConnection], Awaitable[Result]]
) -> Result:
    async def run() -> Result:
        connection = await LoadConnection.to(double.base_url)
        try:
            return await work(connection)
        finally:
            connection.close()

    return asyncio.run(run())


def send(double: UpstreamDouble, *, hang_up_at: bytes = b"", **settings: object) -> Reply:
    stream = bool(settings.pop("stream", False))
    request = chat_request(double.base_url, "sk-test", scripted(stream=stream, **settings))
    return on_one_connection(double, lambda c: c.exchange(request, hang_up_at=hang_up_at))


def test_a_unary_reply_is_whole(double: UpstreamDouble) -> None:
    reply = send(double, tokens=3)

    assert (reply.status, reply.whole) == (200, True)
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["usage"]["completion_tokens"] == 3
    assert reply.started <= reply.first_byte <= reply.ended


def test_a_stream_is_read_to_its_end(double: UpstreamDouble) -> None:
    reply = send(double, stream=True, tokens=3)

    assert reply.whole
    assert len(reply.events()) == 1 + 3 + 1


def test_many_exchanges_share_a_connection(double: UpstreamDouble) -> None:
    request = chat_request(double.base_url, "sk-test", scripted(tokens=1))

    async def twice(connection: LoadConnection) -> list[Reply]:
        return [await connection.exchange(request) for _ in range(2)]

    assert [reply.status for reply in on_one_connection(double, twice)] == [200, 200]


def test_it_hangs_up_when_it_has_heard_enough(double: UpstreamDouble) -> None:
    reply = send(double, stream=True, tokens=9, stall=3, hang_up_at=b" carries")

    assert not reply.whole
    assert len(reply.events()) == 1 + 3


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_that_is_cut_is_not_whole(double: UpstreamDouble, stream: bool) -> None:
    reply = send(double, stream=stream, fault="cut", after=2)

    assert (reply.status, reply.whole) == (200, False)


def test_a_connection_closed_without_an_answer_has_no_status(double: UpstreamDouble) -> None:
    reply = send(double, fault="reset")

    assert (reply.status, reply.whole, reply.body) == (0, False, b"")


def test_a_closed_connection_answers_at_once_that_it_is_closed(double: UpstreamDouble) -> None:
    request = chat_request(double.base_url, "sk-test", scripted(fault="reset"))

    async def twice(connection: LoadConnection) -> list[Reply]:
        return [await connection.exchange(request) for _ in range(2)]

    assert [reply.status for reply in on_one_connection(double, twice)] == [0, 0]
