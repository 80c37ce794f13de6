"""Plain figures of when requests come."""

import uuid

from gateway.safety.rhythm import densest_minute, hours_active, most_at_once, regularity
from tests.safety.sights import NOON, every, seen


def account(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def test_three_requests_at_a_time_are_one_occasion() -> None:
    thrice = [one._replace(at=one.at + lag) for one in every(600, 25) for lag in (0, 2, 4)]
    found = regularity(thrice)

    assert found is not None
    assert (found.share, found.seconds) == (1.0, 600.0)


def test_the_densest_minute_slides() -> None:
    requests = [seen(NOON + second) for second in (0, 50, 59, 70, 100, 109)]

    assert densest_minute(requests) == (5, NOON + 50)
    assert densest_minute([]) == (0, 0.0)


def test_hours_are_the_clocks() -> None:
    assert hours_active([seen(NOON - 1), seen(NOON), seen(NOON + 1)]) == 2


def test_accounts_in_turn_are_one_at_a_time() -> None:
    in_turn = [seen(NOON + number * 10, account=account(number // 5)) for number in range(50)]

    assert most_at_once(in_turn) == 1


def test_accounts_that_take_part_together_are_all_at_once() -> None:
    together = [seen(NOON + number * 10, account=account(number % 5)) for number in range(50)]

    assert most_at_once(together) == 5


def test_who_comes_back_after_a_long_while_was_not_there_meanwhile() -> None:
    requests = [
        seen(NOON, account=account(1)),
        seen(NOON + 600, account=account(2)),
        seen(NOON + 700, account=account(2)),
        seen(NOON + 1_200, account=account(1)),
    ]

    assert most_at_once(requests) == 1
