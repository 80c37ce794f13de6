"""What a look makes of ledger rows, refusals and fingerprints, and what becomes of its cases."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.identifiers import uuid7
from accounts.models import User
from billing.metering.partitions import create_partitions
from billing.models import LedgerEntry, Refusal
from gateway.safety import cases, detection
from gateway.safety.fingerprints import packed, sketch
from gateway.safety.models import AbuseCase, AbuseThresholds, RequestFingerprint

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)
SECOND = dt.timedelta(seconds=1)
PROMPT = "tell me all that there is to know about the rivers of the north and their fish"


@pytest.fixture
def now() -> dt.datetime:
    """The look's moment, for which there are partitions."""
    now = timezone.now()
    create_partitions(connection, (now - dt.timedelta(days=32)).date())
    return now


@pytest.fixture
def staff() -> User:
    return User.objects.create_superuser("root@example.com", "correct horse battery")


def look(now: dt.datetime) -> None:
    detection.look(now, now - 20 * SECOND)


def admitted(at: dt.datetime, account: uuid.UUID, prompt: str = "", **fields: Any) -> None:
    """A settled request, and its prompt's fingerprint."""
    row = {
        "id": uuid7(int(at.timestamp() * 1000)),
        "account_id": account,
        "tier": "free",
        "model": "scalix-free",
        "status": "settled",
        "charged": True,
        "streamed": False,
        "reserved_tokens": 30,
        "address": "203.0.113.9",
        "address_counted": True,
        "admitted_at": at,
        "ended_at": at,
        "process_id": uuid.uuid4(),
        "deadline_at": at,
    }
    entry = LedgerEntry.objects.create(**row | fields)
    if found := sketch(prompt):
        RequestFingerprint.objects.create(
            request_id=entry.pk, account_id=account, fingerprint=packed(found), anchor=found[0]
        )


def refused(at: dt.datetime, account: uuid.UUID, stands_for: int = 1) -> None:
    """Requests that the hour's limit refused."""
    Refusal.objects.create(
        id=uuid7(int(at.timestamp() * 1000)),
        account_id=account,
        tier="free",
        code="insufficient_quota",
        limit="requests_per_hour",
        message="Hourly free limit reached.",
        stands_for=stands_for,
    )


def hammer(account: uuid.UUID, until: dt.datetime, tier: str = "free") -> None:
    """Ten requests, and a hundred and fifty that were refused, within a minute."""
    for number in range(10):
        admitted(until - (40 - number) * SECOND, account, tier=tier)
    for number in range(15):
        refused(until - (20 - number) * SECOND, account, stands_for=10)


def the_case() -> AbuseCase:
    return AbuseCase.objects.get()


def test_a_burst_in_ledger_and_refusals_opens_a_case(now: dt.datetime) -> None:
    account = uuid7()
    hammer(account, now)
    look(now)

    case = the_case()
    assert (case.account_id, case.level, case.state) == (account, "throttle", "open")
    assert "160 requests within the minute" in case.reason_texts[0]
    assert case.effect_until == now + dt.timedelta(hours=12)
    assert case.acts
    [change] = case.changes.all()
    assert change.text.startswith("Opened: 160 requests")


def test_normal_use_opens_none(now: dt.datetime) -> None:
    for number in range(10):
        admitted(now - number * 5 * MINUTE - SECOND, uuid.UUID(int=5), PROMPT)
    look(now)

    assert not AbuseCase.objects.exists()


def test_a_second_look_at_the_same_facts_changes_nothing(now: dt.datetime) -> None:
    hammer(uuid7(), now)
    look(now)
    before = the_case()
    look(now + 5 * SECOND)

    assert the_case().effect_until == before.effect_until
    assert the_case().changes.count() == 1


def test_who_pays_is_watched_until_staff_confirm(now: dt.datetime, staff: User) -> None:
    hammer(uuid7(), now, tier="pro")
    Refusal.objects.update(tier="pro")
    look(now)

    assert (the_case().level, the_case().acts) == ("watch", False)
    cases.confirm(the_case().pk, staff, "Resold.", "block")
    assert (the_case().level, the_case().acts) == ("block", True)


def test_what_staff_dismissed_is_not_opened_again_for_the_same_facts(
    now: dt.datetime, staff: User
) -> None:
    account = uuid7()
    hammer(account, now)
    look(now)
    cases.dismiss(the_case().pk, staff, "A load test that we know of.")
    look(now + 5 * SECOND)
    hammer(account, now + 10 * MINUTE)  # new requests, and the same behaviour
    look(now + 10 * MINUTE)

    assert (the_case().state, the_case().acts) == ("dismissed", False)
    assert the_case().note == "A load test that we know of."


def test_what_was_over_is_a_new_case_when_it_happens_again_and_lasts_longer(
    now: dt.datetime,
) -> None:
    account = uuid7()
    hammer(account, now)
    look(now)
    later = now + dt.timedelta(hours=13)
    look(later)
    assert the_case().state == "ended"
    create_partitions(connection, later.date())
    hammer(account, later)
    look(later)

    second = AbuseCase.objects.get(state="open")
    assert second.effect_until == later + dt.timedelta(hours=24)


def test_a_case_that_staff_lifted_ends_at_once(now: dt.datetime, staff: User) -> None:
    hammer(uuid7(), now)
    look(now)
    lifted = cases.lift(the_case().pk, staff, "Enough.")

    assert lifted is not None
    assert (the_case().state, the_case().acts) == ("ended", False)
    assert cases.lift(the_case().pk, staff, "") is None  # a second click
    look(now + 5 * SECOND)
    assert AbuseCase.objects.count() == 1


def test_the_same_prompts_from_many_accounts_are_found_by_their_fingerprints(
    now: dt.datetime,
) -> None:
    for account in range(1, 13):
        for number in range(8):
            admitted(
                now - (number * 7 * MINUTE) - account * SECOND,
                uuid.UUID(int=account),
                PROMPT,
                address=f"203.0.113.{account}",
            )
    look(now)

    assert AbuseCase.objects.filter(level="throttle").count() == 12
    assert "prompts nearly the same as those of 11 other accounts" in str(
        AbuseCase.objects.first().reasons  # type: ignore[union-attr]
    )


def test_a_farm_is_a_case_of_its_address(now: dt.datetime) -> None:
    for number in range(100):
        admitted(now - (1 + number * 25) * SECOND, uuid.UUID(int=1 + number // 10))
    look(now)

    case = the_case()
    assert (case.address, case.account_id, case.level) == ("203.0.113.9", None, "throttle")
    assert "10 accounts within an hour, one after the other" in case.reason_texts[0]


def test_one_row_for_the_refusals_of_a_whole_address_makes_nobody_an_abuser(
    now: dt.datetime,
) -> None:
    account = uuid7()
    for number in range(5):
        admitted(now - (30 - number) * SECOND, account)
    refused(now - SECOND, account, stands_for=5_000)  # a neighbour's, most of them
    look(now)

    assert not AbuseCase.objects.exists()


def test_thresholds_are_staffs(now: dt.datetime) -> None:
    AbuseThresholds.objects.all().delete()
    AbuseThresholds.objects.create(watch=10, throttle=20, block=60, block_hours=3)
    hammer(uuid7(), now)
    look(now)

    assert (the_case().level, the_case().effect_until) == ("block", now + dt.timedelta(hours=3))


def test_switched_off_it_looks_for_nothing(now: dt.datetime) -> None:
    AbuseThresholds.objects.update_or_create(pk=1, defaults={"enabled": False})
    hammer(uuid7(), now)
    look(now)

    assert not AbuseCase.objects.exists()


def test_a_user_can_appeal_once(now: dt.datetime) -> None:
    hammer(uuid7(), now)
    look(now)

    assert cases.appeal(the_case().pk, "It was a test.")
    assert not cases.appeal(the_case().pk, "And another thing.")
    assert the_case().appeal == "It was a test."


def test_old_fingerprints_are_deleted(now: dt.datetime) -> None:
    account = uuid7()
    admitted(now, account, PROMPT)
    admitted(now - dt.timedelta(days=8), account, PROMPT)
    detection.prune(now)

    assert RequestFingerprint.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_looks_at_once_are_one(
    now: dt.datetime, on_another_connection: Callable[[str], None]
) -> None:
    hammer(uuid7(), now)
    on_another_connection("SELECT pg_advisory_lock(379158)")
    look(now)

    assert not AbuseCase.objects.exists()
