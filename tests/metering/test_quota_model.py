"""The admission script against a plain model of it, through whatever sequence Hypothesis finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing.metering import quota
from tests.metering.conftest import DAY_MS, HOUR_MS
from tests.servers import PrivateServers

SCRIPT = Path(quota.__file__).with_name("quota.lua").read_text()
KEYS = ["scalix:{p000}:account:model", "scalix:{p000}:epoch"]
NO_LIMIT = -1
LIMITS = st.sampled_from([NO_LIMIT, 1, 2, 3, 5])
TOKENS = st.integers(0, 30)


@dataclass
class Row:
    """A request as the ledger has it: its windows, and the tokens that count."""

    hour: int
    day: int
    tokens: int
    running: bool = True
    charged: bool = True


@dataclass
class Sum:
    """A sum of the ledger on its way to the store."""

    epoch: int
    arguments: list[Any]


class Admission(RuleBasedStateMachine):
    """One account.  `rows` is the truth; the store must agree whenever it knows the account."""

    client: "redis.Redis"  # of the running store

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.script = self.client.register_script(SCRIPT)
        self.now = 20_000 * DAY_MS
        self.rows: dict[str, Row] = {}
        self.sums: list[Sum] = []

    def ask(self, operation: str, *arguments: Any) -> tuple[str, list[int], int]:
        """Verdict, counters (hour's requests, day's, day's tokens, running) and the extra."""
        verdict, now, *counters, extra = self.script(
            keys=KEYS, args=[operation, self.now, *arguments]
        )
        assert now == self.now
        return verdict.decode(), counters, extra

    def truth(self) -> list[int]:
        """What the counters have to be."""
        hour, day = self.now // HOUR_MS, self.now // DAY_MS
        counted = [row for row in self.rows.values() if row.running or row.charged]
        return [
            sum(row.hour == hour for row in counted),
            sum(row.day == day for row in counted),
            sum(row.tokens for row in counted if row.day == day),
            sum(row.running for row in counted),
        ]

    def sum(self, epoch: int) -> Sum:
        """The ledger's sum of this moment, as `seed` takes it."""
        hour_requests, day_requests, day_tokens, _ = self.truth()
        bookings = [
            part
            for key, row in self.rows.items()
            if row.running
            for part in (key, f"{row.hour} {row.day} {row.tokens} process 0")
        ]
        windows = (self.now // HOUR_MS, hour_requests, self.now // DAY_MS, day_requests, day_tokens)
        return Sum(epoch, [*windows, *bookings])

    def warm(self) -> None:
        verdict, _, age = self.ask("peek")
        if verdict == "cold":
            made = self.sum(self.now - age)
            assert self.ask("seed", made.epoch, *made.arguments)[0] == "seeded"

    def expected(
        self, prompt: int, output: int, limits: tuple[int, int, int, int]
    ) -> tuple[str, int]:
        """The verdict, and for an admitted request its output."""
        at_once, per_hour, per_day, tokens_per_day = limits
        hour_requests, day_requests, day_tokens, running = self.truth()
        left = tokens_per_day - day_tokens - prompt
        if per_day >= 0 and day_requests >= per_day:
            return "requests_per_day", 0
        if tokens_per_day >= 0 and left < 1:
            return "tokens_per_day", 0
        if per_hour >= 0 and hour_requests >= per_hour:
            return "requests_per_hour", 0
        if running >= at_once:
            return "concurrent_requests", 0
        if tokens_per_day >= 0:
            output = left if output < 0 else min(output, left)
        return "admitted", output

    @rule(
        prompt=TOKENS,
        output=st.one_of(st.just(NO_LIMIT), st.integers(1, 30)),
        at_once=st.integers(1, 3),
        per_hour=LIMITS,
        per_day=LIMITS,
        tokens_per_day=st.sampled_from([NO_LIMIT, 20, 60, 100]),
    )
    def reserve(self, prompt: int, output: int, at_once: int, per_hour: int, per_day: int,
                tokens_per_day: int) -> None:  # fmt: skip
        limits = (at_once, per_hour, per_day, tokens_per_day)
        self.warm()
        verdict, granted = self.expected(prompt, output, limits)
        key = f"request-{len(self.rows)}"
        for _ in range(2):  # the second time as after an answer that was lost
            found = self.ask("reserve", key, "process", 0, prompt, output, 1, *limits)
            if verdict == "admitted":
                tokens = prompt + max(granted, 0)
                self.rows[key] = Row(self.now // HOUR_MS, self.now // DAY_MS, tokens)
                assert (found[0], found[2]) == (verdict, granted)
            else:
                assert found[0] == verdict
            assert found[1] == self.truth()

    @precondition(lambda self: any(row.running for row in self.rows.values()))
    @rule(data=st.data(), charged=st.booleans(), tokens=TOKENS)
    def settle(self, data: st.DataObject, charged: bool, tokens: int) -> None:
        running = [key for key, row in self.rows.items() if row.running]
        key = data.draw(st.sampled_from(running))
        row = self.rows[key]  # the ledger first
        row.running, row.charged, row.tokens = False, charged, tokens if charged else 0
        self.ask("settle", key, int(row.charged), row.tokens)

    @precondition(lambda self: not all(row.running for row in self.rows.values()))
    @rule(data=st.data())
    def settle_again(self, data: st.DataObject) -> None:
        ended = [key for key, row in self.rows.items() if not row.running]
        key = data.draw(st.sampled_from(ended))
        self.ask("settle", key, int(self.rows[key].charged), self.rows[key].tokens)

    @rule(milliseconds=st.sampled_from([1, 60_000, HOUR_MS // 2, HOUR_MS, 5 * HOUR_MS, DAY_MS]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    @precondition(lambda self: self.rows)
    @rule(askers=st.integers(0, 2))
    def the_store_forgets(self, askers: int) -> None:
        """And some find the account cold, and sum the ledger."""
        self.now += 1
        self.client.flushall()
        for _ in range(askers):
            _, _, age = self.ask("peek")
            self.sums.append(self.sum(self.now - age))

    @precondition(lambda self: self.sums)
    @rule(data=st.data())
    def a_sum_arrives(self, data: st.DataObject) -> None:
        made = self.sums.pop(data.draw(st.integers(0, len(self.sums) - 1)))
        self.ask("seed", made.epoch, *made.arguments)

    @invariant()
    def what_the_store_knows_is_true(self) -> None:
        verdict, counters, _ = self.ask("peek")
        assert verdict == "cold" or counters == self.truth()


@pytest.fixture
def store(servers: PrivateServers) -> Iterator[None]:
    with redis.Redis.from_url(servers.redis_url) as client:
        Admission.client = client
        yield


def test_the_script_agrees_with_the_model(store: None) -> None:
    case = settings(
        max_examples=250,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(Admission, settings=case)
