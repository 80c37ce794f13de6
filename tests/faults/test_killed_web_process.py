"""Web processes die by kill -9 in the middle of the load: nothing is doubled, nothing is lost."""

import asyncio
from collections import Counter

import pytest
import uvloop

from bench.ledger import Ledger
from bench.product import Product
from tests.faults.agreement import compare
from tests.faults.cases import Case, Load, Member, mixed_cases
from tests.faults.conftest import Join
from tests.faults.counters import open_at_once, used_tokens
from tests.gateway_server import WEB_PROCESSES
from tests.upstream.double import UpstreamDouble

REQUESTS = 2000
AT_ONCE = 64
# So many that none runs out of its 20 slots while dead processes still hold some of them.
ACCOUNTS = 32
KILLS = 5
ABANDONED_WITHIN = 30.0
PRO_CONCURRENCY = 20


async def run_and_kill(product: Product, load: Load, cases: list[Case]) -> None:
    """Send the cases; each time another sixth of them has ended, kill a web process."""
    running = asyncio.create_task(load.run(cases, AT_ONCE))
    for number in range(1, KILLS + 1):
        await load.answered(number * len(cases) // (KILLS + 1))
        await asyncio.to_thread(
            product.wait_until, lambda: len(product.pids("web")) == WEB_PROCESSES, "all web run"
        )
        product.kill(product.pids("web")[number % WEB_PROCESSES])
    await running


def test_five_killed_processes_leave_the_books_in_order(
    product: Product,
    double: UpstreamDouble,
    ledger: Ledger,
    join: Join,
    capsys: pytest.CaptureFixture[str],
) -> None:
    members = join("pro", ACCOUNTS)
    emails = [member.email for member in members]
    cases = mixed_cases("killed", REQUESTS, members)
    load = Load(product.base_url, double.control_url, "scalix-free")

    uvloop.run(run_and_kill(product, load, cases))
    double.wait_until(lambda double: double.open_calls() == 0)
    product.wait_until(
        lambda: ledger.all_ended(emails),
        "every row that a killed process left has ended",
        patience=ABANDONED_WITHIN,
    )

    rows, calls = ledger.rows(emails), double.log(id_prefix="killed-")
    comparison = compare(rows, calls, load.replies)
    in_rows, in_calls = comparison.left_over()
    abandoned = [row for row in rows if row.status == "abandoned"]
    # Nothing is doubled: a row for each call, and the rest never got as far as the upstream.
    assert comparison.mismatches == []
    assert in_rows - in_calls == Counter()
    assert len(calls) <= len(rows) <= REQUESTS
    # Nothing is lost: what no row tells of was in the hands of a process that died.
    assert 0 < len(abandoned) <= KILLS * AT_ONCE
    assert (in_calls - in_rows).total() <= len(abandoned)
    for member in members:
        assert used_tokens(product, member) == ledger.tokens_today(member.email)
    # Concurrency is back, looked at where the most of it was held.
    worst = max(members, key=lambda member: abandoned_rows(ledger, member))
    assert open_at_once(product, double, worst, PRO_CONCURRENCY + 1) == PRO_CONCURRENCY
    with capsys.disabled():
        print(f" [{dict(Counter(row.status for row in rows))}]", end="")


def abandoned_rows(ledger: Ledger, member: Member) -> int:
    return sum(row.status == "abandoned" for row in ledger.rows([member.email]))
