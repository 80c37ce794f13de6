"""A deployment's capacity: what its provider allows in any minute and in a UTC day."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.metering.redis_store import Clock, RedisStore
from gateway.capacity.counting import Capacity, CapacityTaken, Place, Use
from gateway.types import CapacityLimits, Target
from tests.gateway.cast import target
from tests.servers import PrivateServers

NOON = 1_800_014_400_000  # Unix milliseconds, 12:00 UTC
MINUTE = 61_000  # as it is counted here
DAY = 86_400_000
LEASE = 30_000


class Counted(Capacity):
    """With a clock that the test moves."""

    def __init__(self, store: RedisStore) -> None:
        self.clock = Clock(NOON)
        super().__init__(store, clock=self.clock)

    async def took(self, target: Target, tokens: int = 10) -> uuid.UUID:
        request_id = uuid.uuid4()
        await self.take(target, Place(request_id, tokens))
        return request_id

    async def wait(self, target: Target, tokens: int = 10) -> float | None:
        """Seconds until it may be asked; nothing has been taken."""
        before = await self.used(target.deployment)
        with pytest.raises(CapacityTaken) as refusal:
            await self.took(target, tokens)
        assert await self.used(target.deployment) == before
        return refusal.value.wait

    async def ended(self, target: Target, request_id: uuid.UUID, tokens: int) -> None:
        self.end(target, request_id, tokens)
        await self.finish()


@pytest.fixture
async def capacity(redis_url: str, flush: "redis.Redis") -> AsyncIterator[Counted]:
    store = RedisStore(redis_url)
    yield Counted(store)
    await store.close()


def limited(**limits: int) -> Target:
    return replace(target("gemini"), capacity=CapacityLimits(**limits))


async def test_as_many_requests_as_the_minute_allows_and_a_true_wait(capacity: Counted) -> None:
    gemini = limited(requests_per_minute=15)
    for _ in range(15):
        await capacity.took(gemini)
        capacity.clock.ms += 1_000
    assert await capacity.wait(gemini) == 46  # until the first is a minute old
    capacity.clock.ms += 45_999
    assert await capacity.wait(gemini) == 0.001
    capacity.clock.ms += 1
    await capacity.took(gemini)
    assert await capacity.wait(gemini) == 1


async def test_tokens_of_a_minute_wait_for_as_many_as_are_needed(capacity: Counted) -> None:
    model = limited(tokens_per_minute=100)
    for tokens in (40, 30, 30):
        await capacity.took(model, tokens)
        capacity.clock.ms += 10_000
    assert await capacity.wait(model, 10) == 31
    assert await capacity.wait(model, 40) == 31
    assert await capacity.wait(model, 41) == 41
    assert await capacity.wait(model, 100) == 51


async def test_what_a_request_did_not_use_is_free_at_once(capacity: Counted) -> None:
    model = limited(tokens_per_minute=100, tokens_per_day=100)
    request_id = await capacity.took(model, 100)
    assert await capacity.wait(model, 1) is not None
    await capacity.ended(model, request_id, 20)
    await capacity.ended(model, request_id, 0)  # told twice, it counts once
    assert await capacity.used("gemini") == Use(1, 20, 1, 20)
    await capacity.took(model, 80)


async def test_a_request_that_takes_longer_than_a_minute_is_right_in_the_day(
    capacity: Counted,
) -> None:
    model = limited(tokens_per_day=100)
    request_id = await capacity.took(model, 90)
    capacity.clock.ms += 2 * MINUTE
    await capacity.ended(model, request_id, 30)
    assert await capacity.used("gemini") == Use(0, 0, 1, 30)


@pytest.mark.parametrize("limits", [{"requests_per_day": 3}, {"tokens_per_day": 30}])
async def test_the_day_s_limit_waits_for_midnight_utc(
    capacity: Counted, limits: dict[str, int]
) -> None:
    model = limited(**limits)
    for _ in range(3):
        last = await capacity.took(model)
        capacity.clock.ms += 2 * MINUTE
    left = (NOON // DAY + 1) * DAY - capacity.clock.ms
    assert await capacity.wait(model) == left / 1_000
    capacity.clock.ms += left
    await capacity.took(model)
    await capacity.ended(model, last, 25)  # yesterday's
    assert await capacity.used("gemini") == Use(1, 10, 1, 10)


async def test_what_never_fits_has_no_wait(capacity: Counted) -> None:
    assert await capacity.wait(limited(tokens_per_minute=100), 101) is None
    assert await capacity.wait(limited(tokens_per_day=100), 101) is None
    assert await capacity.wait(limited(requests_per_minute=0)) is None


async def test_the_longest_of_several_waits_is_told(capacity: Counted) -> None:
    model = limited(requests_per_minute=1, requests_per_day=1)
    await capacity.took(model)
    assert (await capacity.wait(model) or 0) > 3_600


async def test_a_deployment_without_limits_asks_nobody(capacity: Counted) -> None:
    await capacity.took(target("free"))
    assert await capacity.used("free") == Use(0, 0, 0, 0)


async def test_of_many_at_once_exactly_the_limit_is_let_through(capacity: Counted) -> None:
    model = limited(requests_per_minute=15)
    outcomes = await asyncio.gather(
        *(capacity.took(model) for _ in range(200)), return_exceptions=True
    )
    assert sum(isinstance(one, uuid.UUID) for one in outcomes) == 15
    assert {type(one) for one in outcomes} == {uuid.UUID, CapacityTaken}


async def test_with_the_store_away_the_provider_is_asked_all_the_same(
    capacity: Counted, servers: PrivateServers
) -> None:
    model = limited(requests_per_minute=1)
    servers.valkey.kill()
    try:
        for _ in range(3):
            await capacity.ended(model, await capacity.took(model), 5)
    finally:
        servers.valkey.start()


async def test_requests_at_once_are_free_when_they_end_or_when_their_process_has_died(
    capacity: Counted,
) -> None:
    model = limited(at_once=2)
    first, _ = await capacity.took(model), await capacity.took(model)
    assert await capacity.wait(model) == 1  # a guess: nobody knows how long they take
    await capacity.ended(model, first, 5)
    second = await capacity.took(model)
    capacity.clock.ms += LEASE - 1
    await capacity.renew()
    capacity.clock.ms += LEASE - 1
    assert await capacity.wait(model) is not None  # this process lives
    capacity.clock.ms += 1
    assert (await capacity.used("gemini")).running == 0  # it has said nothing for too long
    await capacity.ended(model, second, 5)
    assert (await capacity.used("gemini")).running == 0


class Queue:
    """Requests that wait for one deployment, each in its turn."""

    def __init__(self, capacity: Counted, deployment: Target) -> None:
        self.capacity = capacity
        self.deployment = deployment

    def place(self, rank: int, patience: float = 30.0) -> Place:
        self.capacity.clock.ms += 1
        now = self.capacity.clock.ms
        return Place(uuid.uuid4(), 10, rank, since=now, until=now + int(patience * 1_000))

    async def has_turn(self, place: Place) -> bool:
        try:
            await self.capacity.take(self.deployment, place)
        except CapacityTaken:
            return False
        return True


async def test_pro_is_served_before_free_and_who_came_first_before_the_others(
    capacity: Counted,
) -> None:
    queue = Queue(capacity, limited(at_once=1))
    running = await capacity.took(queue.deployment)
    visitor, free, pro = queue.place(2), queue.place(1), queue.place(0)
    later = queue.place(0)
    in_order = [pro, later, free, visitor]
    for place in (visitor, free, pro, later):
        assert not await queue.has_turn(place)
    for number, place in enumerate(in_order):
        await capacity.ended(queue.deployment, running, 5)
        for other in in_order[:number:-1]:
            assert not await queue.has_turn(other)
        assert await queue.has_turn(place)
        running = place.request_id
    assert (await capacity.used("gemini")).waiting == 0


async def test_a_newcomer_waits_behind_those_that_wait(capacity: Counted) -> None:
    queue = Queue(capacity, limited(requests_per_minute=2))
    await capacity.took(queue.deployment)
    capacity.clock.ms += 40_000
    await capacity.took(queue.deployment)
    pro = queue.place(0)
    assert not await queue.has_turn(pro)
    capacity.clock.ms += 21_000
    assert await capacity.wait(queue.deployment) == pytest.approx(40, abs=0.01)  # not in its place
    assert await queue.has_turn(pro)


async def test_where_pro_comes_a_fifth_of_everything_is_kept_for_it(capacity: Counted) -> None:
    model = limited(requests_per_minute=15, tokens_per_minute=1_000, at_once=10)

    async def taken(rank: int) -> int:
        count = 0
        while True:
            try:
                await capacity.take(model, Place(uuid.uuid4(), 10, rank))
            except CapacityTaken:
                return count
            count += 1

    assert await taken(1) == 10  # nobody of Pro was ever here
    capacity.clock.ms += MINUTE
    await capacity.took(model)
    assert await taken(1) == 7  # of 10 at once, 2 are kept
    assert await taken(0) == 2
    capacity.clock.ms += 10 * MINUTE
    assert await taken(2) == 10


async def test_nobody_waits_in_vain(capacity: Counted) -> None:
    queue = Queue(capacity, limited(requests_per_minute=1))
    await capacity.took(queue.deployment)
    assert not await queue.has_turn(queue.place(0, patience=60.9))  # it would take a minute
    assert (await capacity.used("gemini")).waiting == 0
    assert not await queue.has_turn(queue.place(0, patience=61.1))
    assert (await capacity.used("gemini")).waiting == 1


async def test_who_leaves_or_is_out_of_patience_holds_up_nobody(capacity: Counted) -> None:
    queue = Queue(capacity, limited(at_once=1))
    running = await capacity.took(queue.deployment)
    left, impatient, free = queue.place(0), queue.place(0, patience=5), queue.place(1)
    for place in (left, impatient, free):
        await queue.has_turn(place)
    await capacity.ended(queue.deployment, running, 5)
    capacity.leave(queue.deployment, left)
    await capacity.finish()
    assert not await queue.has_turn(free)
    capacity.clock.ms += 5_000
    assert await queue.has_turn(free)


class Model:
    """The same rule in plain Python: everything that was ever taken, looked at each time."""

    def __init__(self, limits: CapacityLimits) -> None:
        self.limits = limits
        self.taken: dict[uuid.UUID, tuple[int, int]] = {}  # when, tokens
        self.leases: dict[uuid.UUID, int] = {}  # of those that run, until when

    def use(self, now: int) -> Use:
        minute = [tokens for at, tokens in self.taken.values() if at > now - MINUTE]
        day = [tokens for at, tokens in self.taken.values() if at // DAY == now // DAY]
        counted = self.limits.at_once is not None
        running = sum(until > now for until in self.leases.values()) if counted else 0
        return Use(len(minute), sum(minute), len(day), sum(day), running)

    def fits(self, now: int, tokens: int) -> bool:
        use, limits = self.use(now), self.limits
        pairs = (
            (use.minute_requests + 1, limits.requests_per_minute),
            (use.minute_tokens + tokens, limits.tokens_per_minute),
            (use.day_requests + 1, limits.requests_per_day),
            (use.day_tokens + tokens, limits.tokens_per_day),
            (use.running + 1, limits.at_once),
        )
        return all(limit is None or after <= limit for after, limit in pairs)


_limit = st.none() | st.integers(0, 60)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 30)),
        st.tuples(st.just("end"), st.integers(0, 40)),
        st.tuples(st.just("pass"), st.sampled_from([1, 999, 20_000, MINUTE, DAY // 3])),
    ),
    max_size=40,
)


_limits = st.builds(CapacityLimits, _limit, _limit, _limit, _limit, st.none() | st.integers(0, 3))


@given(limits=_limits, steps=_steps)
@settings(max_examples=100, deadline=None)
def test_any_sequence_is_counted_as_by_the_plain_rule(
    redis_url: str, limits: CapacityLimits, steps: list[tuple[str, int]]
) -> None:
    asyncio.run(follow(redis_url, limits, steps))


async def follow(redis_url: str, limits: CapacityLimits, steps: list[tuple[str, int]]) -> None:
    store = RedisStore(redis_url)
    capacity, model = Counted(store), Model(limits)
    one = replace(target(f"m-{uuid.uuid4()}"), capacity=limits)
    running: list[uuid.UUID] = []
    try:
        for what, amount in steps:
            if what == "take":
                await follow_take(capacity, model, one, amount, running)
            elif what == "end" and running:
                request_id = running.pop(0)
                await capacity.ended(one, request_id, amount)
                model.taken[request_id] = (model.taken[request_id][0], amount)
                del model.leases[request_id]
            elif what == "pass":
                capacity.clock.ms += amount
            assert await capacity.used(one.deployment) == model.use(capacity.clock.ms)
    finally:
        await store.close()


async def follow_take(
    capacity: Counted, model: Model, one: Target, tokens: int, running: list[uuid.UUID]
) -> None:
    now = capacity.clock.ms
    fits = model.fits(now, tokens)
    try:
        request_id = await capacity.took(one, tokens)
    except CapacityTaken as refusal:
        assert not fits
        # It is the soonest moment at which it fits, but where others must end first.
        if refusal.wait is not None and model.limits.at_once is None:
            then = now + round(refusal.wait * 1_000)
            assert model.fits(then, tokens)
            assert not model.fits(then - 1, tokens)
        return
    assert fits
    model.taken[request_id] = (now, tokens)
    model.leases[request_id] = now + LEASE
    running.append(request_id)
