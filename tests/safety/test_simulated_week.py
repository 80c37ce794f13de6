"""A small part of `python -m bench.abuse`: a few normal days, and each attack."""

import pytest

from bench.abuse import attack, normal_week
from bench.abuse_attacks import ATTACKS, Kind


def test_nobody_who_behaves_normally_is_slowed_down() -> None:
    week = normal_week(users=150, days=2, seed=11)

    assert week.requests > 2_500
    assert week.slowed == []
    assert week.watched.total() <= 4


@pytest.mark.parametrize("kind", ATTACKS, ids=lambda kind: kind.__name__)
def test_an_attack_is_found_within_its_first_200_requests(kind: Kind) -> None:
    found = attack(kind, seed=11, bystanders=0)

    assert 0 < found.after <= 200, found
    assert found.level in ("throttle", "block")
