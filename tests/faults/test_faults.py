"""Each fault strikes a running product once or twice under load; the command does so at length."""

import pytest

from tests.faults.every_fault import EVERY, Fault, strike_once
from tests.faults.strike import SHORT
from tests.gateway_server import GatewayServer

# Those that need nothing but a product.
HERE = (
    *("kill-web", "kill-worker", "kill-postgres", "kill-valkey", "flushall", "freeze-valkey"),
    *("freeze-postgres", "sigterm", "hang-up"),
)


@pytest.mark.parametrize(
    "fault", [one for one in EVERY if one.name in HERE], ids=lambda one: one.name
)
def test_nothing_is_overshot_lost_or_doubled(
    gateway_server: GatewayServer, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict = strike_once(gateway_server, fault, SHORT)

    assert verdict.details == []
    assert verdict.is_clean
    assert verdict.answered > 0
    assert verdict.refused > 0  # by limits: the load presses against them
    assert verdict.rows >= verdict.answered
    with capsys.disabled():
        print(f" [{verdict.answered} of {verdict.offered}, {verdict.recovery:.2f} s]", end="")
