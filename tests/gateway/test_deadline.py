"""A stream's deadline strikes its own wait, and nothing else."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from gateway.deadline import Deadline, ReaderTooSlow


async def numbers(*, then_wait: asyncio.Event | None = None) -> AsyncGenerator[int, None]:
    yield 1
    yield 2
    if then_wait is not None:
        await then_wait.wait()


async def test_items_pass_until_none_is_left() -> None:
    items = numbers()
    with Deadline(60) as deadline:
        assert [await deadline.next_of(items) for _ in range(3)] == [1, 2, None]


async def test_a_wait_that_takes_too_long_is_broken_off() -> None:
    items = numbers(then_wait=asyncio.Event())
    with Deadline(0.05) as deadline:
        assert [await deadline.next_of(items) for _ in range(2)] == [1, 2]
        with pytest.raises(TimeoutError):
            await deadline.next_of(items)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_reader_that_is_slow_is_not_struck_but_gets_nothing_more() -> None:
    items, passed = numbers(), asyncio.Event()
    with Deadline(0) as deadline:
        assert await deadline.next_of(items) == 1
        asyncio.get_running_loop().call_later(0.05, passed.set)
        await passed.wait()  # the reader's own wait goes on past the deadline
        with pytest.raises(ReaderTooSlow):
            await deadline.next_of(items)


async def test_a_cancellation_by_somebody_else_stays_one() -> None:
    items, waiting = numbers(then_wait=asyncio.Event()), asyncio.Event()

    async def read() -> None:
        with Deadline(60) as deadline:
            await deadline.next_of(items)
            await deadline.next_of(items)
            waiting.set()
            await deadline.next_of(items)

    task = asyncio.create_task(read())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
