"""Other limits for one user than their plan's: for a while or for good, with a reason."""

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from accounts.postgres import ReadPool
from billing.models import Allowance, Plan
from billing.plans import Granted, PlanBook, with_allowances
from tests.conftest import Person
from tests.metering.conftest import FREE

HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("granted", "requests_per_day"),
    [
        ((), 50),
        ((Granted("requests_per_day", "set", 200),), 200),
        ((Granted("requests_per_day", "set", 0),), 0),
        ((Granted("requests_per_day", "set", None),), None),
        ((Granted("requests_per_day", "add", 100),), 150),
        ((Granted("requests_per_day", "add", 100), Granted("requests_per_day", "add", 5)), 155),
        # What is added comes on top of what is set, whichever was granted first.
        ((Granted("requests_per_day", "add", 100), Granted("requests_per_day", "set", 1)), 101),
        ((Granted("requests_per_day", "set", 7), Granted("requests_per_day", "set", 9)), 9),
        ((Granted("requests_per_day", "set", None), Granted("requests_per_day", "add", 9)), None),
        ((Granted("tokens_per_day", "set", 1),), 50),
    ],
)
def test_what_is_granted_changes_the_limit_that_it_names(
    granted: tuple[Granted, ...], requests_per_day: int | None
) -> None:
    assert with_allowances(FREE, granted).requests_per_day == requests_per_day


def test_nothing_granted_is_the_plan_itself() -> None:
    assert with_allowances(FREE, ()) is FREE


def test_each_limit_of_a_plan_can_be_granted() -> None:
    fields = {field.name for field in Plan._meta.get_fields()} - {"tier"}
    assert set(Allowance.Limit.values) == fields


@pytest.fixture
async def plans(reads: ReadPool) -> PlanBook:
    book = PlanBook(reads)
    await book.refresh()
    return book


async def grant(person: Person, **fields: Any) -> Allowance:
    return await Allowance.objects.acreate(
        **{
            "user": person.user,
            "limit": "requests_per_day",
            "kind": "add",
            "amount": 100,
            "reason": "a workshop",
            **fields,
        }
    )


async def test_a_users_limits_are_the_plans_and_what_is_granted(
    plans: PlanBook, bob: Person, alice: Person
) -> None:
    await grant(bob)
    assert (await plans.limits_for_user(bob.user.pk)).requests_per_day == 150
    assert (await plans.limits_for_user(alice.user.pk)).requests_per_day is None


async def test_a_grant_begins_and_ends_by_the_clock(plans: PlanBook, bob: Person) -> None:
    now = timezone.now()
    await grant(bob, amount=1, starts_at=now - 2 * HOUR, ends_at=now - HOUR)
    await grant(bob, amount=20, starts_at=now - HOUR, ends_at=now + HOUR)
    await grant(bob, amount=300, starts_at=now + HOUR)
    assert (await plans.limits_for_user(bob.user.pk)).requests_per_day == 70
    assert [one.amount async for one in Allowance.objects.in_force()] == [20]


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "add", "amount": None},
        {"kind": "set", "limit": "concurrent_requests", "amount": 0},
        {"kind": "set", "limit": "concurrent_requests", "amount": None},
    ],
)
async def test_what_makes_no_sense_is_not_kept(
    plans: PlanBook, bob: Person, fields: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        await grant(bob, **fields)
