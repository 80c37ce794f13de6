"""Many requests at once on one limit, in four processes: with Redis, and with the ledger alone.

And the faults of Redis where it is to be survived.
"""

from collections.abc import Iterator

import pytest

from tests.faults.every_fault import EVERY, Fault, strike_once
from tests.faults.race import (
    LIMITS,
    REQUESTS,
    SETTINGS,
    WEB_PROCESSES,
    Limit,
    run_race,
    without_redis,
)
from tests.faults.sites import site
from tests.faults.strike import SHORT
from tests.gateway_server import GatewayServer

FEWER = 200
HERE = [one for one in EVERY if one.of_redis]


@pytest.fixture(scope="module")
def server() -> Iterator[GatewayServer]:
    with site(web_processes=WEB_PROCESSES, settings=SETTINGS) as running:
        yield running


@pytest.mark.parametrize("limit", LIMITS, ids=lambda one: one.name)
def test_of_five_hundred_at_once_exactly_the_limit_gets_in(
    server: GatewayServer, limit: Limit
) -> None:
    race = run_race(server, limit, REQUESTS)
    assert race.wrong == []
    assert race.admitted + race.refused == REQUESTS


def test_without_redis_exactly_the_limits_get_in(server: GatewayServer) -> None:
    with without_redis(server):
        for limit in LIMITS:
            assert (limit, run_race(server, limit, FEWER).wrong) == (limit, [])


@pytest.mark.parametrize("fault", HERE, ids=lambda one: one.name)
def test_nothing_is_overshot_lost_or_doubled_where_redis_is_survived(
    server: GatewayServer, fault: Fault
) -> None:
    verdict = strike_once(server, fault, SHORT)
    assert verdict.details == []
    assert verdict.is_clean
    assert verdict.answered > 0
