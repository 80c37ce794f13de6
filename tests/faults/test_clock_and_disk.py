"""The disk fills up, the upstream falls silent and the hour ends: a product in another world.

It has a small disk, little patience and, in the end, a clock of its own.
"""

from collections.abc import Iterator

import pytest

from tests.faults import sites
from tests.faults.every_fault import EVERY, strike_once
from tests.faults.strike import SHORT
from tests.gateway_server import GatewayServer

BY_NAME = {fault.name: fault for fault in EVERY}


@pytest.fixture(scope="module")
def server() -> Iterator[GatewayServer]:
    with sites.site(
        web_processes=2, settings=sites.IMPATIENT, small_disk=sites.may_mount()
    ) as running:
        yield running


@pytest.mark.skipif(not sites.may_mount(), reason="only root may mount a small disk")
def test_a_full_disk_loses_and_doubles_nothing(server: GatewayServer) -> None:
    verdict = strike_once(server, BY_NAME["disk"], SHORT)
    assert verdict.details == []
    assert verdict.is_clean
    assert verdict.unavailable > 0  # it was full indeed


def test_an_upstream_that_never_answers_costs_nothing_and_holds_no_slot(
    server: GatewayServer,
) -> None:
    verdict = strike_once(server, BY_NAME["silent"], SHORT)
    assert verdict.details == []
    assert verdict.is_clean


@pytest.mark.skipif(not sites.find_libfaketime(), reason="Debian's libfaketime is not installed")
def test_limits_hold_on_both_sides_of_the_hour(server: GatewayServer) -> None:
    ahead = sites.let_it_end_soon(server, "hour")
    verdict = strike_once(server, BY_NAME["hour"], SHORT, clock_ahead=ahead)
    assert verdict.details == []
    assert verdict.is_clean
    assert verdict.refused > 0
