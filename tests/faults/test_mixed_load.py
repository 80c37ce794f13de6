"""Whatever becomes of two thousand requests, the ledger has what the upstream's log has."""

from collections import Counter

import pytest
import uvloop

from bench.ledger import Ledger
from bench.product import Product
from tests.faults.agreement import compare
from tests.faults.cases import Load, mixed_cases
from tests.faults.conftest import Join
from tests.upstream.double import UpstreamDouble

REQUESTS = 2000
AT_ONCE = 64
# Twice as many as 64 at a time need at 20 each: the turns aren't even.
ACCOUNTS = 8


def test_the_ledger_equals_the_upstreams_log_row_for_row(
    product: Product,
    double: UpstreamDouble,
    ledger: Ledger,
    join: Join,
    capsys: pytest.CaptureFixture[str],
) -> None:
    members = join("pro", ACCOUNTS)
    emails = [member.email for member in members]
    cases = mixed_cases("mixed", REQUESTS, members)
    load = Load(product.base_url, double.control_url, "scalix-free")

    uvloop.run(load.run(cases, AT_ONCE))
    double.wait_until(lambda double: double.open_calls() == 0)
    product.wait_until(lambda: ledger.all_ended(emails), "every row has ended")

    rows, calls = ledger.rows(emails), double.log(id_prefix="mixed-")
    comparison = compare(rows, calls, load.replies)
    in_rows, in_calls = comparison.left_over()
    assert len(calls) == len(rows) == REQUESTS
    assert comparison.mismatches == []
    assert in_rows == in_calls
    assert sum(in_calls.values()) == sum(case.hangs_up and not case.stream for case in cases)
    assert Counter(row.streamed for row in rows) == {True: REQUESTS // 2, False: REQUESTS // 2}
    statuses = Counter(row.status for row in rows)
    assert "abandoned" not in statuses
    with capsys.disabled():
        print(f" [{dict(statuses)}]", end="")
