"""Postgres or Valkey dies under load: nothing is served unmetered, and service comes back."""

import asyncio
from collections import Counter

import pytest
import uvloop

from bench.ledger import Ledger
from bench.product import Product
from tests.faults.agreement import compare, recorded
from tests.faults.cases import Case, Load, plain_cases
from tests.faults.conftest import Join
from tests.faults.counters import open_at_once, used_tokens
from tests.upstream.double import UpstreamDouble

AT_ONCE = 32
# One request at a time each: what is refused is refused for the store alone.
ACCOUNTS = AT_ONCE
PRO_CONCURRENCY = 20
# Requests that are answered before the store dies, and again after it came back.
BEFORE = 200
AFTER = 200


async def load_through_a_death(product: Product, load: Load, cases: list[Case], store: str) -> None:
    """Send cases for as long as it takes: some answers, the store's death, refusals, answers."""
    answered: Counter[int] = Counter()

    async def keep_sending() -> None:
        waiting = iter(cases)
        while answered[503] == 0 or answered[200] < BEFORE + AFTER:
            batch = [next(waiting) for _ in range(AT_ONCE)]
            await load.run(batch, AT_ONCE)
            answered.update(load.replies[case.id].status for case in batch)

    def kill_until_refused() -> bool:
        # A store that is back in an instant may not be missed by anybody.
        if answered[503] == 0:
            for pid in product.pids(store):
                product.kill(pid)
        return answered[503] > 0

    sending = asyncio.create_task(keep_sending())
    await load.answered(BEFORE)
    await asyncio.to_thread(product.wait_until, kill_until_refused, f"{store} is missed")
    await sending


@pytest.mark.parametrize("store", ["postgres", "valkey"])
def test_a_store_that_dies_is_a_503_and_nothing_is_served_unmetered(
    product: Product,
    double: UpstreamDouble,
    ledger: Ledger,
    join: Join,
    store: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    members = join("pro", ACCOUNTS)
    emails = [member.email for member in members]
    web = product.pids("web")
    load = Load(product.base_url, double.control_url, "scalix-free")
    # Far more than are sent: refusals are quick.
    cases = plain_cases(f"{store}", 100_000, members, first=0.01)

    uvloop.run(load_through_a_death(product, load, cases, store))
    product.await_ready()
    double.wait_until(lambda double: double.open_calls() == 0)
    product.wait_until(lambda: ledger.all_ended(emails), "every row has ended")

    refusals = [reply for reply in load.replies.values() if reply.status != 200]
    assert {reply.status for reply in refusals} == {503}
    assert {reply.json()["error"]["code"] for reply in refusals} == {"server_is_overloaded"}
    # Every answer that a caller got has its row; whatever else the upstream said has one, too,
    # that charges nobody.
    answers = {mark: reply for mark, reply in load.replies.items() if reply.status == 200}
    rows, calls = ledger.rows(emails), double.log(id_prefix=f"{store}-")
    comparison = compare(rows, calls, answers)
    assert comparison.mismatches == []
    assert {recorded(row).charged for row in comparison.rows_left} <= {False}
    assert len(comparison.calls_left) <= len(comparison.rows_left)
    # Back by itself: the same processes, the whole concurrency, the counters as the ledger says.
    assert product.pids("web") == web
    for member in members:
        assert used_tokens(product, member) == ledger.tokens_today(member.email)
    assert open_at_once(product, double, members[0], PRO_CONCURRENCY + 1) == PRO_CONCURRENCY
    slowest = max(reply.seconds for reply in refusals)
    with capsys.disabled():
        print(f" [{len(answers)} answers, {len(refusals)} × 503, slowest {slowest:.2f} s]", end="")
