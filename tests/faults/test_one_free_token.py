"""A free account's limits hold under any parallelism, by the upstream's own log."""

import datetime as dt
from collections import Counter

import uvloop

from bench.connection import Reply
from bench.ledger import Ledger
from bench.product import Product
from tests.faults.cases import Load, Member, plain_cases
from tests.faults.conftest import Join
from tests.upstream.double import UpstreamDouble

AT_ONCE = 300
REQUESTS_AN_HOUR = 10
CONCURRENT = 2
# Asking again and again ends long before; a gateway that never refuses would go on for ever.
MOST_WAVES = 40


def limit_of(reply: Reply) -> str:
    limit: str = reply.json()["error"]["metadata"]["limit"]
    return limit


def waves_until_the_hour_refuses(
    product: Product, double: UpstreamDouble, member: Member
) -> list[Reply]:
    """Every reply of wave after wave, up to the first with nothing but the hour's refusals."""
    replies: list[Reply] = []
    for wave in range(MOST_WAVES):
        load = Load(product.base_url, double.control_url, "scalix-free")
        cases = plain_cases(f"{member.email}-{wave}", AT_ONCE, [member], first=0.02)
        uvloop.run(load.run(cases, at_once=AT_ONCE))
        replies += load.replies.values()
        refused = [reply for reply in load.replies.values() if reply.status == 429]
        if len(refused) == AT_ONCE and {limit_of(reply) for reply in refused} == {
            "requests_per_hour"
        }:
            return replies
    raise AssertionError(f"the hour never refused: {Counter(r.status for r in replies)}")


def test_three_hundred_at_once_get_what_the_hour_allows_and_two_at_a_time(
    product: Product, double: UpstreamDouble, ledger: Ledger, join: Join
) -> None:
    while True:  # once more only when an hour ended meanwhile
        [member] = join("free", 1)
        hour = dt.datetime.now(dt.UTC).hour
        replies = waves_until_the_hour_refuses(product, double, member)
        if dt.datetime.now(dt.UTC).hour == hour:
            break

    refusals = [reply for reply in replies if reply.status != 200]
    assert len(replies) - len(refusals) == REQUESTS_AN_HOUR
    assert {reply.status for reply in refusals} == {429}
    assert {limit_of(reply) for reply in refusals} == {"concurrent_requests", "requests_per_hour"}
    calls = double.log(id_prefix=member.email)
    assert [call["outcome"] for call in calls] == ["completed"] * REQUESTS_AN_HOUR
    assert double.max_at_once(member.email) <= CONCURRENT
    rows = ledger.rows([member.email])
    assert [(row.status, row.charged) for row in rows] == [("settled", True)] * REQUESTS_AN_HOUR
