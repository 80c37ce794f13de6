"""The admission script against a plain model of it, through whatever sequence Hypothesis finds."""

import uuid
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
from billing.metering.decision import Decision, decide
from billing.metering.usage import Counters
from tests.metering.conftest import DAY_MS, HOUR_MS, a_request
from tests.metering.conftest import limits as limits_of
from tests.servers import PrivateServers

SCRIPT = Path(quota.__file__).with_name("quota.lua").read_text()
KEYS = ["scalix:{p000}:1:account:model", "scalix:{p000}:1:epoch"]
NO_LIMIT = -1
LIMITS = st.sampled_from([NO_LIMIT, 1, 2, 3, 5])
TOKENS = st.integers(0, 30)
SESSIONS = ["-", "one", "other"]


def _some(value: int) -> int | None:
    return None if value == NO_LIMIT else value


def _or_none(value: int | None) -> int:
    return NO_LIMIT if value is None else value


@dataclass
class Row:
    """A request as the ledger has it: its windows, and the tokens that count."""

    hour: int
    day: int
    tokens: int
    session: str = "-"
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
        """Verdict, counters (hour's requests, day's, day's tokens, running) and the extra.

        Before the extra the script says what the session that was asked about has used.
        """
        verdict, now, *counters, self.of_session, extra = self.script(
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

    def truth_of(self, session: str) -> int:
        """What the day's count of a session has to be."""
        day = self.now // DAY_MS
        rows = [row for row in self.rows.values() if row.session == session != "-"]
        return sum(row.day == day for row in rows if row.running or row.charged)

    def sum(self, epoch: int) -> Sum:
        """The ledger's sum of this moment, as `seed` takes it."""
        hour_requests, day_requests, day_tokens, _ = self.truth()
        bookings = [
            part
            for key, row in self.rows.items()
            if row.running
            for part in (key, f"{row.hour} {row.day} {row.tokens} process 0 {row.session} -")
        ]
        windows = (self.now // HOUR_MS, hour_requests, self.now // DAY_MS, day_requests, day_tokens)
        sessions = [part for one in SESSIONS[1:] for part in (one, self.truth_of(one))]
        return Sum(epoch, [*windows, len(sessions) // 2, *sessions, *bookings])

    def warm(self) -> None:
        verdict, _, age = self.ask("peek", "-")
        if verdict == "cold":
            made = self.sum(self.now - age)
            assert self.ask("seed", made.epoch, *made.arguments)[0] == "seeded"

    def expected(
        self, prompt: int, output: int, limits: tuple[int, int, int, int, int], session: str
    ) -> tuple[str, int]:
        """The verdict, and for an admitted request its output."""
        at_once, per_hour, per_day, tokens_per_day, per_session = limits
        hour_requests, day_requests, day_tokens, running = self.truth()
        left = tokens_per_day - day_tokens - prompt
        if per_day >= 0 and day_requests >= per_day:
            return "requests_per_day", 0
        if tokens_per_day >= 0 and left < 1:
            return "tokens_per_day", 0
        if session != "-" and 0 <= per_session <= self.truth_of(session):
            return "requests_per_session", 0
        if per_hour >= 0 and hour_requests >= per_hour:
            return "requests_per_hour", 0
        if running >= at_once:
            return "concurrent_requests", 0
        if tokens_per_day >= 0:
            output = left if output < 0 else min(output, left)
        return "admitted", output

    def decided(
        self, prompt: int, output: int, limits: tuple[int, int, int, int, int], session: str
    ) -> Decision:
        """The same rule in Python, which decides where there is no Redis."""
        at_once, *rest = limits
        per_hour, per_day, tokens_per_day, per_session = [_some(one) for one in rest]
        plan = limits_of(
            concurrent_requests=at_once,
            requests_per_hour=per_hour,
            requests_per_day=per_day,
            tokens_per_day=tokens_per_day,
            requests_per_session=per_session,
        )
        counters = Counters(self.now, *self.truth(), self.truth_of(session))
        wanted = a_request(
            uuid.uuid4(),
            plan,
            prompt_tokens=prompt,
            output_tokens=_some(output),
            session="" if session == "-" else session,
        )
        return decide(counters, wanted)

    @rule(
        prompt=TOKENS,
        output=st.one_of(st.just(NO_LIMIT), st.integers(1, 30)),
        at_once=st.integers(1, 3),
        per_hour=LIMITS,
        per_day=LIMITS,
        tokens_per_day=st.sampled_from([NO_LIMIT, 20, 60, 100]),
        per_session=LIMITS,
        session=st.sampled_from(SESSIONS),
    )
    def reserve(self, prompt: int, output: int, at_once: int, per_hour: int, per_day: int,
                tokens_per_day: int, per_session: int, session: str) -> None:  # fmt: skip
        limits = (at_once, per_hour, per_day, tokens_per_day, per_session)
        self.warm()
        verdict, granted = self.expected(prompt, output, limits, session)
        key = f"request-{len(self.rows)}"
        in_python = self.decided(prompt, output, limits, session)
        assert (in_python.verdict, _or_none(in_python.output_tokens)) == (
            verdict,
            granted if verdict == "admitted" else NO_LIMIT,
        )
        for _ in range(2):  # the second time as after an answer that was lost
            found = self.ask("reserve", key, "process", 0, prompt, output, 1, *limits, session, "-")
            if verdict == "admitted":
                tokens = prompt + max(granted, 0)
                self.rows[key] = Row(self.now // HOUR_MS, self.now // DAY_MS, tokens, session)
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
            _, _, age = self.ask("peek", "-")
            self.sums.append(self.sum(self.now - age))

    @precondition(lambda self: self.sums)
    @rule(data=st.data())
    def a_sum_arrives(self, data: st.DataObject) -> None:
        made = self.sums.pop(data.draw(st.integers(0, len(self.sums) - 1)))
        self.ask("seed", made.epoch, *made.arguments)

    @invariant()
    def what_the_store_knows_is_true(self) -> None:
        for session in SESSIONS:
            verdict, counters, _ = self.ask("peek", session)
            assert verdict == "cold" or counters == self.truth()
            assert verdict == "cold" or self.of_session == self.truth_of(session)

    @rule()
    def it_is_made_to_forget_the_account(self) -> None:
        """And is seeded in its time, as every booking is in the rows."""
        self.ask("forget")
        self.now += 1


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
