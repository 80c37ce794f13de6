"""The script of addresses against a plain model of it, through whatever Hypothesis finds."""

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
from billing.metering.decision import decide_by_address
from billing.metering.usage import AddressUse
from tests.metering.conftest import DAY_MS, HOUR_MS
from tests.metering.conftest import limits as limits_of
from tests.servers import PrivateServers

SCRIPT = Path(quota.__file__).with_name("address.lua").read_text()
KEYS = ["scalix:{a000}:1:address:192.0.2.1", "scalix:{a000}:1:epoch"]
NO_LIMIT = -1
MINUTE_MS = 60_000
LIMITS = st.sampled_from([NO_LIMIT, 1, 2, 3, 5])
ACCOUNTS = ["alice", "bob", "charlie"]


@dataclass
class Row:
    """A request as the ledger has it."""

    minute: int
    account: str
    charged: bool = True


class Address(RuleBasedStateMachine):
    """One address.  `rows` is the truth; the store must agree whenever it knows the address."""

    client: "redis.Redis"  # of the running store

    def __init__(self) -> None:
        super().__init__()
        self.client.flushall()
        self.script = self.client.register_script(SCRIPT)
        self.now = 20_000 * DAY_MS
        self.rows: dict[str, Row] = {}
        self.lists: list[list[Any]] = []

    def ask(self, operation: str, *arguments: Any) -> tuple[str, list[int], int]:
        """Verdict, counters (minute's requests, hour's, accounts, the account's) and the extra."""
        verdict, now, *counters, extra = self.script(
            keys=KEYS, args=[operation, self.now, *arguments]
        )
        assert now == self.now
        return verdict.decode(), counters, extra

    def counted(self) -> dict[str, Row]:
        """The hour's requests that count."""
        hour = self.now // HOUR_MS
        return {
            key: row for key, row in self.rows.items() if row.charged and row.minute // 60 == hour
        }

    def truth(self, account: str) -> list[int]:
        """What the counters have to be."""
        rows = self.counted().values()
        return [
            sum(row.minute == self.now // MINUTE_MS for row in rows),
            len(rows),
            len({row.account for row in rows}),
            sum(row.account == account for row in rows),
        ]

    def listed(self, age: int) -> list[Any]:
        """The ledger's rows of this moment, as `seed` takes them."""
        requests = [
            part for key, row in self.counted().items() for part in (key, row.minute, row.account)
        ]
        return [self.now - age, self.now // HOUR_MS, self.now // MINUTE_MS, *requests]

    def expected(self, account: str, limits: tuple[int, int, int]) -> str:
        per_minute, per_hour, accounts_per_hour = limits
        minute_requests, hour_requests, accounts, of_account = self.truth(account)
        if of_account == 0 and 0 <= accounts_per_hour <= accounts:
            return "address_accounts_per_hour"
        if 0 <= per_hour <= hour_requests:
            return "address_requests_per_hour"
        if 0 <= per_minute <= minute_requests:
            return "address_requests_per_minute"
        return "admitted"

    def decided(self, account: str, limits: tuple[int, int, int]) -> str:
        """By the same rule in Python, which decides where there is no Redis."""
        per_minute, per_hour, accounts = [None if one == NO_LIMIT else one for one in limits]
        plan = limits_of(
            address_requests_per_minute=per_minute,
            address_requests_per_hour=per_hour,
            address_accounts_per_hour=accounts,
        )
        *counts, of_account = self.truth(account)
        return decide_by_address(plan, AddressUse(self.now, *counts, of_account > 0)).verdict

    @rule(
        account=st.sampled_from(ACCOUNTS),
        per_minute=LIMITS,
        per_hour=LIMITS,
        accounts_per_hour=LIMITS,
    )
    def reserve(self, account: str, per_minute: int, per_hour: int, accounts_per_hour: int) -> None:
        limits = (per_minute, per_hour, accounts_per_hour)
        verdict, _, age = self.ask("peek", account)
        if verdict == "cold":
            assert self.ask("seed", *self.listed(age))[0] == "seeded"
        expected, key = self.expected(account, limits), f"request-{len(self.rows)}"
        assert self.decided(account, limits) == expected
        for _ in range(2):  # the second time as after an answer that was lost
            found = self.ask("reserve", key, account, *limits)
            if expected == "admitted":
                self.rows[key] = Row(self.now // MINUTE_MS, account)
            assert (found[0], found[1]) == (expected, self.truth(account))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Once or again: the ledger first."""
        key = data.draw(st.sampled_from(sorted(self.rows)))
        self.rows[key].charged = False
        self.ask("release", key)

    @rule(milliseconds=st.sampled_from([1, 30_000, MINUTE_MS, HOUR_MS // 2, HOUR_MS, DAY_MS]))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds

    @precondition(lambda self: self.rows)
    @rule(askers=st.integers(0, 2))
    def the_store_forgets(self, askers: int) -> None:
        """And some find the address cold, and read the ledger."""
        self.now += 1
        self.client.flushall()
        for _ in range(askers):
            _, _, age = self.ask("peek", "alice")
            self.lists.append(self.listed(age))

    @precondition(lambda self: self.lists)
    @rule(data=st.data())
    def a_list_arrives(self, data: st.DataObject) -> None:
        made = self.lists.pop(data.draw(st.integers(0, len(self.lists) - 1)))
        self.ask("seed", *made)

    @invariant()
    def what_the_store_knows_is_true(self) -> None:
        for account in ACCOUNTS:
            verdict, counters, _ = self.ask("peek", account)
            assert verdict == "cold" or counters == self.truth(account)


@pytest.fixture
def store(servers: PrivateServers) -> Iterator[None]:
    with redis.Redis.from_url(servers.redis_url) as client:
        Address.client = client
        yield


def test_the_script_agrees_with_the_model(store: None) -> None:
    case = settings(
        max_examples=150,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(Address, settings=case)
