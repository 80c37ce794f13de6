"""The disk fills up and the hour ends, on a product with a small disk and a clock of its own."""

import datetime as dt
from collections.abc import Iterator

import pytest

from tests.faults import sites
from tests.faults.every_fault import EVERY, strike_once
from tests.faults.strike import SHORT
from tests.gateway_server import GatewayServer

# Until its hour ends: long enough for a start and a full disk before.
SECONDS = 40.0
BY_NAME = {fault.name: fault for fault in EVERY}
LIBRARY = sites.find_libfaketime()

pytestmark = pytest.mark.skipif(not sites.may_mount(), reason="only root may mount a small disk")


@pytest.fixture(scope="module")
def ahead() -> dt.timedelta:
    return sites.until("hour", SECONDS) if LIBRARY else dt.timedelta()


@pytest.fixture(scope="module")
def server(ahead: dt.timedelta) -> Iterator[GatewayServer]:
    settings = sites.clock_settings(LIBRARY, ahead) if LIBRARY else {}
    with sites.site(web_processes=2, settings=settings, small_disk=True) as running:
        yield running


def test_a_full_disk_loses_and_doubles_nothing(server: GatewayServer, ahead: dt.timedelta) -> None:
    verdict = strike_once(server, BY_NAME["disk"], SHORT, clock_ahead=ahead)
    assert verdict.details == []
    assert verdict.is_clean
    assert verdict.unavailable > 0  # it was full indeed


@pytest.mark.skipif(LIBRARY is None, reason="Debian's package libfaketime is not installed")
def test_limits_hold_on_both_sides_of_the_hour(server: GatewayServer, ahead: dt.timedelta) -> None:
    verdict = strike_once(server, BY_NAME["hour"], SHORT, clock_ahead=ahead)
    assert verdict.details == []
    assert verdict.is_clean
    assert verdict.refused > 0
