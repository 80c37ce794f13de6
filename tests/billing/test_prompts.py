"""Upgrade prompts: when one is due, and what is kept of showings, clicks and mails."""

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.identifiers import uuid7
from accounts.postgres import PostgresUnavailable, ReadPool
from billing import funnel, prompts
from billing.funnel import Showing, Showings
from billing.limit_mails import LimitMails
from billing.metering.usage import Counters, LimitState, Usage
from billing.payments.models import FunnelEvent, OutgoingMail
from billing.plans import Limits
from billing.prompts import Channel, Kind, Trigger
from tests.conftest import Person

NOON_MS = 1_795_262_400_000
NOON = "2026-11-21T12:00"
PLANS = {
    "visitor": Limits("visitor", 5, 20, 5_000, 1, 32_768, 10_000, 1_024),
    "free": Limits("free", 10, 50, 10_000, 2, 32_768, 10_000, 1_024),
    "pro": Limits("pro", None, None, None, 20, None, None, None),
    "limited pro": Limits("pro", 10, 50, 10_000, 20, None, None, None),
}
HOUR = "requests_per_hour:2026-11-21T13:00:00+00:00"
DAY = "requests_per_day:2026-11-22T00:00:00+00:00"
TOKENS = "tokens_per_day:2026-11-22T00:00:00+00:00"


def used(plan: str, hour: int = 0, day: int = 0, tokens: int = 0) -> Usage:
    """An account's usage at noon."""
    return Usage(PLANS[plan], Counters(NOON_MS, hour, day, tokens, 0))


def test_the_noon_of_these_tests_is_one() -> None:
    assert f"{used('free').counters.at:%Y-%m-%dT%H:%M}" == NOON


# What is due --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "is_first", "due"),
    [
        (used("free", 1, 1, 100), False, []),
        (used("free", 1, 1, 100), True, ["ever"]),
        (used("free", 4, 39, 7_999), False, []),
        (used("free", 5, 5, 100), False, [HOUR]),
        (used("free", 9, 9, 100), False, [HOUR]),
        (used("free", 10, 10, 100), False, [HOUR]),
        (used("free", 0, 40, 100), False, [DAY]),
        (used("free", 0, 39, 100), False, []),
        (used("free", 1, 1, 8_000), False, [TOKENS]),
        (used("free", 1, 1, 7_999), False, []),
        (used("free", 6, 41, 9_000), False, [TOKENS, DAY, HOUR]),
        (used("free", 1, 1, 9_000), True, ["ever", TOKENS]),
        (used("visitor", 0, 0, 0), False, []),
        (used("visitor", 1, 1, 100), True, ["ever", HOUR]),
        (used("visitor", 2, 15, 100), False, [DAY, HOUR]),
        (used("pro", 900, 9_000, 9_000_000), False, []),
        (used("pro", 1, 1, 100), True, []),
        (used("limited pro", 10, 50, 10_000), True, []),
    ],
)
def test_what_is_due_is_what_the_usage_gives_reason_for(
    usage: Usage, is_first: bool, due: list[str]
) -> None:
    assert [prompt.window for prompt in prompts.due(usage, is_first=is_first)] == due


def test_staffs_own_limits_move_what_is_near() -> None:
    wide = Usage(
        Limits("free", None, 1_000, None, 2, None, None, None),
        Counters(NOON_MS, 700, 799, 9_000_000, 0),
    )
    assert prompts.due(wide, is_first=False) == ()


def test_a_prompt_says_how_much_is_used_and_leads_to_the_plans() -> None:
    [prompt] = prompts.due(used("free", tokens=8_412), is_first=False)

    assert prompt.trigger is Trigger.NEAR_LIMIT
    assert prompt.message == ("8,412 of 10,000 tokens today are used. The Pro plan gives you more.")
    assert prompt.upgrade_url == "http://testserver/pricing/?from=near_limit"


def test_a_visitor_is_told_of_the_account_that_costs_nothing() -> None:
    welcome, near = prompts.due(used("visitor", 1, 1), is_first=True)

    assert "A free account" in welcome.message
    assert "1 of 5 requests this hour are used. A free account" in near.message


# Clicks and dismissals ----------------------------------------------------------------------


def steps(account_id: uuid.UUID) -> list[tuple[str, str, str, str]]:
    """What the funnel has of the account, oldest first."""
    rows = FunnelEvent.objects.filter(account_id=account_id).order_by("id")
    return list(rows.values_list("kind", "trigger", "channel", "window"))


def shown(account_id: uuid.UUID, trigger: Trigger, channel: Channel, window: str) -> None:
    funnel.note(account_id, Kind.SHOWN, trigger=trigger, channel=channel, window=window)


def test_a_click_belongs_to_the_latest_showing_and_counts_once(db: None) -> None:
    account_id = uuid7()
    shown(account_id, Trigger.NEAR_LIMIT, Channel.API, HOUR)
    shown(account_id, Trigger.NEAR_LIMIT, Channel.BANNER, DAY)
    shown(account_id, Trigger.QUALITY, Channel.API, "2026-11-21")

    for _ in range(3):
        prompts.clicked(account_id, "near_limit")

    assert steps(account_id)[3:] == [("clicked", "near_limit", "banner", DAY)]


def test_a_click_on_what_is_not_known_as_shown_counts_once_a_day(db: None) -> None:
    account_id = uuid7()
    for _ in range(3):
        prompts.clicked(account_id, "quality")

    today = f"{timezone.now():%Y-%m-%d}"
    assert steps(account_id) == [("clicked", "quality", "page", today)]


@pytest.mark.parametrize("said", ["", "none", "paid", "near_limit ", "x" * 10_000, "\0"])
def test_an_address_that_names_no_trigger_is_no_click(said: str, db: None) -> None:
    account_id = uuid7()
    prompts.clicked(account_id, said)
    assert steps(account_id) == []


def test_a_dismissal_is_kept_once(db: None) -> None:
    account_id, limit = uuid7(), used("free", hour=8).requests_per_hour
    for _ in range(2):
        prompts.dismissed(account_id, limit)
    assert steps(account_id) == [("dismissed", "near_limit", "banner", HOUR)]


# What the request path shows ----------------------------------------------------------------

Written = Callable[[Showings | LimitMails], Awaitable[None]]


@pytest.fixture
def written(reads: ReadPool) -> Written:
    """Writes what was noted."""

    async def write(notes: Showings | LimitMails) -> None:
        await notes.write(reads)

    return write


async def all_steps() -> list[tuple[Any, ...]]:
    columns = ("account_id", "kind", "trigger", "channel", "window")
    return [row async for row in FunnelEvent.objects.order_by("id").values_list(*columns)]


def near(account_id: uuid.UUID, window: str = HOUR) -> Showing:
    return Showing(account_id, Trigger.NEAR_LIMIT, Channel.API, window)


async def test_a_showing_that_two_processes_note_is_one_row(written: Written) -> None:
    account_id = uuid7()
    for process in (Showings(), Showings()):
        for _ in range(3):
            process.note(near(account_id))
        await written(process)
        await written(process)

    assert await all_steps() == [(account_id, "shown", "near_limit", "api", HOUR)]


async def test_showings_of_other_accounts_and_windows_are_rows_of_their_own(
    written: Written,
) -> None:
    showings, one, other = Showings(), uuid7(), uuid7()
    for showing in (near(one), near(one, DAY), near(other)):
        showings.note(showing)
    await written(showings)

    assert {(row[0], row[4]) for row in await all_steps()} == {
        (one, HOUR),
        (one, DAY),
        (other, HOUR),
    }


# The mail -----------------------------------------------------------------------------------


def reached(name: str = "requests_per_hour") -> LimitState:
    return used("free", hour=10, day=50, tokens=10_000).state(name)


async def mails() -> list[OutgoingMail]:
    return [mail async for mail in OutgoingMail.objects.order_by("id")]


async def refuse(written: Written, person: Person, *limits: LimitState) -> None:
    """What a process does that refuses the person's requests."""
    process = LimitMails()
    for limit in limits or (reached(),):
        process.owe(person.account_id, limit)
    await written(process)


async def test_the_first_refusal_is_mailed_with_the_limit_and_its_end(
    bob: Person, written: Written
) -> None:
    await refuse(written, bob)

    [mail] = await mails()
    assert (mail.user_id, mail.kind) == (bob.account_id, "limit_reached")
    assert mail.context == {
        "limit": "requests this hour",
        "max": 10,
        "unit": "requests",
        "resets_at": "2026-11-21T13:00:00+00:00",
        "upgrade_url": "http://testserver/pricing/?from=limit_reached",
    }
    [step] = await all_steps()
    assert step[:4] == (bob.account_id, "shown", "limit_reached", "mail")


async def test_within_a_week_no_second_one_is_owed(bob: Person, written: Written) -> None:
    await refuse(written, bob)
    await OutgoingMail.objects.aupdate(
        key="earlier", created_at=timezone.now() - dt.timedelta(days=6, hours=23)
    )

    await refuse(written, bob, reached("tokens_per_day"), reached())

    assert [mail.key for mail in await mails()] == ["earlier"]
    assert len(await all_steps()) == 1


async def test_a_week_later_another_is(bob: Person, written: Written) -> None:
    await refuse(written, bob)
    week = dt.timedelta(days=7, minutes=1)
    await OutgoingMail.objects.aupdate(key="earlier", created_at=timezone.now() - week)

    await refuse(written, bob)

    assert len(await mails()) == 2


async def test_two_processes_owe_one_mail(bob: Person, written: Written) -> None:
    processes = LimitMails(), LimitMails()
    for process in processes:
        process.owe(bob.account_id, reached())
    for process in processes:
        await written(process)

    assert len(await mails()) == 1


async def test_a_visitor_has_no_address(written: Written, transactional_db: None) -> None:
    process = LimitMails()
    process.owe(uuid7(), reached())
    await written(process)

    assert await mails() == []
    assert await all_steps() == []


async def test_each_persons_week_is_their_own(
    bob: Person, charlie: Person, written: Written
) -> None:
    await refuse(written, bob)
    await refuse(written, charlie)

    assert {mail.user_id for mail in await mails()} == {bob.account_id, charlie.account_id}


async def test_what_could_not_be_written_is_written_later(bob: Person, reads: ReadPool) -> None:
    class Away(ReadPool):
        async def fetch(self, *_: Any) -> list[tuple[Any, ...]]:
            raise PostgresUnavailable("away")

    showings, owed = Showings(), LimitMails()
    showings.note(near(bob.account_id))
    owed.owe(bob.account_id, reached())
    for notes in (showings, owed):
        with pytest.raises(PostgresUnavailable):
            await notes.write(Away())
        await notes.write(reads)

    assert len(await all_steps()) == 2
    assert len(await mails()) == 1
