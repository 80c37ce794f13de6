"""What an account used: exact at every moment, from roll-ups and from the rows that they lack."""

import datetime as dt
import uuid
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from accounts.identifiers import uuid7
from accounts.postgres import ReadPool
from billing.metering.corrections import take_back
from billing.metering.figures import Figures
from billing.metering.rollups import HOUR, hour_of, roll_up
from billing.metering.rows import NOBODY
from billing.metering.spent import By, Span, spent, spent_by_pool
from billing.models import RollupMark, UsageDay, UsageHour
from tests.metering.rolling import by_rows, fill
from tests.pages.spending import spend

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
PLACES = {By.TOKEN: 1, By.MODEL: 2, By.HOUR: 4, By.DAY: 4}

pytestmark = pytest.mark.usefixtures("now_is_now")


def week() -> Span:
    """Today and the six days before it."""
    return Span((NOW - 6 * DAY).date(), NOW.date())


def by_the_rows(account_id: uuid.UUID, by: By) -> dict[Any, Figures]:
    """The same, summed from nothing but rows."""
    found: dict[Any, Figures] = {}
    for keys, figures in by_rows("day" if by is By.DAY else "hour").items():
        if keys[0] == account_id and week().start <= keys[4] < week().end:
            key = keys[4].date() if by is By.DAY else keys[PLACES[by]]
            found[key] = found.get(key, Figures()) + Figures(*figures)
    return found


@pytest.mark.parametrize("by", By)
@pytest.mark.parametrize("rolled_ago", [None, 0 * HOUR, 30 * HOUR, 400 * HOUR])
def test_it_is_exact_however_far_the_roll_ups_are(
    db: None, by: By, rolled_ago: dt.timedelta | None
) -> None:
    fill(800, span="9 days", accounts=3)
    roll_up()
    if rolled_ago is None:
        RollupMark.objects.all().delete()
        UsageHour.objects.all().delete()
        UsageDay.objects.all().delete()
    else:
        RollupMark.objects.update(rolled_to=NOW - rolled_ago)
    fill(100, span="2 minutes", accounts=3, seed="since then")
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT account_id FROM billing_ledgerentry")
        accounts = [row[0] for row in cursor.fetchall()]
    for account_id in accounts:
        assert spent(account_id, week(), by) == by_the_rows(account_id, by)
    assert len(accounts) == 3


def test_hours_that_are_whole_are_not_read_from_rows(db: None, account_id: uuid.UUID) -> None:
    spend(account_id, 1, at=NOW - 30 * HOUR)
    spend(account_id, 1, at=NOW)
    roll_up()
    UsageHour.objects.update(requests=70)
    UsageDay.objects.update(requests=700)
    assert [one.requests for one in spent(account_id, week(), By.HOUR).values()] == [70, 1]
    assert spent(account_id, week(), By.DAY)[(NOW - 30 * HOUR).date()].requests == 700


def test_a_correction_shows_at_once_in_whatever_hour_it_is(db: None, account_id: uuid.UUID) -> None:
    old, new = (spend(account_id, 1, at=NOW - ago)[0] for ago in (30 * HOUR, 0 * HOUR))
    roll_up()
    for row in (old, new):
        take_back(row, reason="It was a fault of ours.")
    assert {one.requests for one in spent(account_id, week(), By.HOUR).values()} == {0}


def test_a_running_request_is_not_in_it(db: None, account_id: uuid.UUID) -> None:
    spend(account_id, 1, status="reserved", ended_at=None)
    assert spent(account_id, week(), By.DAY) == {}


def test_requests_without_a_token_are_nobodys(db: None, account_id: uuid.UUID) -> None:
    token = uuid7()
    spend(account_id, 2)
    spend(account_id, 3, token_id=token)
    found = spent(account_id, week(), By.TOKEN)
    assert {key: one.requests for key, one in found.items()} == {NOBODY: 2, token: 3}


def test_the_span_has_both_of_its_days_and_no_other(db: None, account_id: uuid.UUID) -> None:
    for ago in range(5):
        spend(account_id, 1, at=NOW - ago * DAY)
    roll_up()
    span = Span((NOW - 3 * DAY).date(), (NOW - DAY).date())
    assert list(spent(account_id, span, By.DAY)) == [(NOW - ago * DAY).date() for ago in (3, 2, 1)]
    assert list(spent(account_id, span, By.HOUR)) == [hour_of(NOW - ago * DAY) for ago in (3, 2, 1)]


async def test_the_request_path_asks_the_same(reads: ReadPool, account_id: uuid.UUID) -> None:
    await sync_to_async(spend)(account_id, 2, at=NOW - 30 * HOUR)
    for _ in range(2):  # without a mark, and with one
        found = await spent_by_pool(reads, account_id, week(), By.DAY)
        assert {day: one.requests for day, one in found.items()} == {(NOW - 30 * HOUR).date(): 2}
        await sync_to_async(roll_up)()
