"""From the ledger's rows to figures and places, however often and in whatever order it is run."""

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.identifiers import uuid7
from accounts.models import User
from billing.models import LedgerEntry, RollupMark
from gateway.health import days, minutes, quality
from gateway.health.judging import FIRST_HOLD, LONGEST_TRIAL
from gateway.health.tasks import judge_quality, roll_up_days
from gateway.models import (
    Deployment,
    DeploymentDay,
    HealthEvent,
    ProbeResult,
    QualityMinute,
    QualityStanding,
    Rating,
)
from tests.health.conftest import enter, entry

pytestmark = pytest.mark.django_db

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
Kind = HealthEvent.Kind


@pytest.fixture(autouse=True)
def deployments() -> dict[str, Deployment]:
    """`one` and `two`."""
    return {
        name: Deployment.objects.create(name=name, provider="openai", upstream_model="u")
        for name in ("one", "two")
    }


def summed() -> dict[str, tuple[int, int, int]]:
    """What the minutes come to: good, bad, timeouts."""
    totals: dict[str, tuple[int, int, int]] = {}
    for row in QualityMinute.objects.all():
        before = totals.get(row.deployment, (0, 0, 0))
        now = (row.succeeded, row.failed, row.timeouts)
        totals[row.deployment] = tuple(map(sum, zip(before, now, strict=True)))  # type: ignore[assignment]
    return totals


def figures(name: str, window: str = "5m") -> dict[str, Any]:
    judge_quality()
    found: dict[str, Any] = QualityStanding.objects.get(deployment__name=name).figures[window]
    return found


def events() -> list[tuple[str, str]]:
    return list(HealthEvent.objects.order_by("id").values_list("deployment", "kind"))


def test_a_failed_attempt_counts_against_its_deployment_even_if_another_one_answered() -> None:
    enter(3, ("one", "provider_500", 10), ("two", "completed", 900), ago=MINUTE)
    enter(1, ("one", "provider_timeout", 60_000), ago=MINUTE)
    minutes.roll_up()
    assert summed() == {"one": (0, 4, 1), "two": (3, 0, 0), "": (3, 1, 0)}


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        ("completed", (1, 0, 0)),
        ("stream_cut", (0, 1, 0)),
        ("provider_429", (0, 1, 0)),
        ("provider_bad_response", (0, 1, 0)),
        ("provider_timeout", (0, 1, 1)),
        ("capacity_taken", None),
        ("interrupted", None),
        ("invalid_request", None),
        ("request_untranslatable", None),
    ],
)
def test_only_outcomes_that_speak_for_the_provider_count(
    outcome: str, counted: tuple[int, int, int] | None
) -> None:
    enter(1, ("one", outcome, 100), ago=MINUTE)
    minutes.roll_up()
    assert summed().get("one") == counted


def test_the_gateway_has_not_failed_where_its_caller_was_wrong_or_went_away() -> None:
    enter(1, ("one", "completed", 10), ago=MINUTE)
    enter(1, ("one", "invalid_request", 10), ago=MINUTE, error_code="invalid_request")
    enter(1, ("one", "interrupted", 10), ago=MINUTE, status="cancelled", error_code="")
    enter(2, ago=MINUTE, status="abandoned", error_code="")
    minutes.roll_up()
    assert summed()[""] == (1, 2, 0)


def test_runs_may_be_repeated_and_late_rows_come_in() -> None:
    enter(5, ("one", "completed", 10), ago=2 * MINUTE)
    for _ in range(3):
        minutes.roll_up()
    assert summed()["one"] == (5, 0, 0)

    enter(2, ("one", "completed", 10), ago=3 * MINUTE)  # committed after the run, ended before it
    minutes.roll_up()
    assert summed()["one"] == (7, 0, 0)


def test_an_ending_that_was_owed_for_an_hour_is_counted_when_it_comes() -> None:
    late = entry(("one", "completed", 10), ago=HOUR)
    ended = {"status": late.status, "ended_at": late.ended_at, "attempts": late.attempts}
    late.status, late.ended_at, late.attempts = "reserved", None, []
    late.save(force_insert=True)
    minutes.roll_up()
    assert summed() == {}

    LedgerEntry.objects.filter(pk=late.pk).update(**ended)
    minutes.roll_up()
    assert summed()["one"] == (1, 0, 0)


def test_after_days_without_a_run_the_last_two_days_are_summed_and_the_mark_is_now() -> None:
    now = timezone.now()
    RollupMark.objects.create(pk=minutes.MARK, rolled_to=now - dt.timedelta(days=20))
    for ago in (HOUR, 40 * HOUR):
        enter(1, ("one", "completed", 10), ago=ago)
    minutes.roll_up()
    assert summed()["one"] == (2, 0, 0)
    assert RollupMark.objects.get(pk=minutes.MARK).rolled_to >= now - MINUTE


def test_a_minute_that_has_not_changed_is_not_written_again() -> None:
    enter(5, ("one", "completed", 10), ago=2 * MINUTE)
    minutes.roll_up()
    query = "SELECT xmin::text FROM gateway_qualityminute WHERE deployment = 'one'"
    with connection.cursor() as cursor:
        cursor.execute(query)
        before = cursor.fetchall()
        cursor.execute("SAVEPOINT another")  # has a transaction id of its own
        minutes.roll_up()
        cursor.execute(query)
        assert cursor.fetchall() == before


def test_figures_say_how_fast_it_is_and_what_people_think() -> None:
    for milliseconds in (200, 400, 400, 400, 5_000):
        stream = entry(("one", "completed", milliseconds), ago=MINUTE, streamed=True)
        assert stream.ended_at is not None
        stream.first_token_at = stream.ended_at - dt.timedelta(seconds=2)
        stream.save(force_insert=True)
    for number in range(4):
        Rating.objects.create(
            request_id=uuid7(), account_id=uuid7(), deployment="one", up=number > 0
        )
    found = figures("one")
    assert (found["answers"], found["success"]) == (5, 1.0)
    assert found["first_token_ms"] == pytest.approx(400, rel=0.1)
    assert found["first_token_p95_ms"] == pytest.approx(5_000, rel=0.1)
    assert found["tokens_per_second"] == 15.0  # 30 in two seconds
    assert found["tokens_per_answer"] == 50
    assert (found["thumbs_up"], found["thumbs_down"]) == (3, 1)


def test_each_window_has_what_ended_in_it() -> None:
    enter(1, ("one", "completed", 10), ago=MINUTE)
    enter(2, ("one", "provider_500", 10), ago=30 * MINUTE)
    enter(4, ("one", "provider_500", 10), ago=5 * HOUR)
    assert [figures("one", window)["answers"] for window in ("5m", "1h", "24h")] == [1, 3, 7]


def test_a_deployment_that_fails_loses_its_place_once_and_it_is_on_record() -> None:
    enter(7, ("one", "completed", 10), ago=MINUTE)
    for ago in (1, 2, 3):
        enter(1, ("one", "provider_500", 10), ("two", "completed", 10), ago=ago * MINUTE)
    for _ in range(3):
        judge_quality()
    standing = QualityStanding.objects.get(deployment__name="one")
    assert standing.lowered
    assert not QualityStanding.objects.get(deployment__name="two").lowered
    assert events() == [("one", Kind.LOWERED)]
    assert "7 of 10 answers were good (70%)" in HealthEvent.objects.get().text


def test_one_that_hangs_loses_its_place_with_three_callers_in_five_minutes() -> None:
    for ago in (1, 2, 3):
        enter(1, ("one", "provider_timeout", 60_000), ("two", "completed", 9), ago=ago * MINUTE)
    judge_quality()
    assert QualityStanding.objects.get(deployment__name="one").lowered


def lower(deployment: Deployment, *, held_for: dt.timedelta) -> None:
    now = timezone.now()
    QualityStanding.objects.create(
        deployment=deployment, lowered=True, since=now - HOUR, held_until=now + held_for, holds=1
    )


def test_probes_give_its_place_back(deployments: dict[str, Deployment]) -> None:
    lower(deployments["one"], held_for=-LONGEST_TRIAL)
    now = timezone.now()
    ProbeResult.objects.bulk_create(
        ProbeResult(
            deployment=deployments["one"],
            succeeded=True,
            latency_ms=9,
            probed_at=now - n * 10 * SECOND,
        )
        for n in range(45)
    )
    judge_quality()
    assert not QualityStanding.objects.get(deployment__name="one").lowered
    assert events() == [("one", Kind.RAISED)]


def test_a_failed_trial_is_on_record_and_the_next_hold_is_longer(
    deployments: dict[str, Deployment],
) -> None:
    lower(deployments["one"], held_for=-MINUTE)
    for _ in range(2):
        ProbeResult.objects.create(deployment=deployments["one"], succeeded=False, latency_ms=9)
    judge_quality()
    standing = QualityStanding.objects.get(deployment__name="one")
    assert standing.lowered
    assert standing.held_until is not None
    assert standing.held_until - standing.judged_at == 2 * FIRST_HOLD
    assert events() == [("one", Kind.HELD)]


def test_only_those_on_trial_are_probed_besides(deployments: dict[str, Deployment]) -> None:
    now = timezone.now()
    lower(deployments["one"], held_for=MINUTE)
    lower(deployments["two"], held_for=-MINUTE)
    assert quality.names_on_trial(now) == {"two"}
    Deployment.objects.update(enabled=False)
    assert quality.names_on_trial(now) == set()


def test_staff_give_a_place_back_and_what_was_before_takes_it_no_more() -> None:
    for ago in (1, 2, 3):
        enter(20, ("one", "provider_500", 10), ago=ago * MINUTE)
    judge_quality()
    standing = QualityStanding.objects.get(deployment__name="one")
    root = User.objects.create_superuser("root@example.com")
    assert quality.reset(standing, root)
    assert not quality.reset(standing, root)
    judge_quality()
    assert not QualityStanding.objects.get(deployment__name="one").lowered
    assert events() == [("one", Kind.LOWERED), ("one", Kind.RESET)]
    assert HealthEvent.objects.get(kind=Kind.RESET).by == root


def test_days_have_answers_and_probes_and_are_the_same_after_each_run(
    deployments: dict[str, Deployment],
) -> None:
    enter(3, ("one", "completed", 10), ago=SECOND)
    enter(1, ("one", "provider_500", 10), ago=SECOND)
    for succeeded in (True, True, False):
        ProbeResult.objects.create(deployment=deployments["two"], succeeded=succeeded, latency_ms=1)
    minutes.roll_up()
    for _ in range(2):
        roll_up_days()
    rows = {row.deployment: row for row in DeploymentDay.objects.all()}
    assert set(rows) == {"", "one", "two"}
    assert (rows["one"].succeeded, rows["one"].failed) == (3, 1)
    assert (rows["two"].probes_succeeded, rows["two"].probes_failed) == (2, 1)


def test_a_day_stays_when_its_minutes_are_deleted() -> None:
    long_ago = timezone.now() - minutes.KEPT - HOUR
    QualityMinute.objects.create(
        minute=long_ago, deployment="one", bucket=0, succeeded=1, failed=0, timeouts=0,
        tokens=1, completion_tokens=1, generating_ms=1,
    )  # fmt: skip
    DeploymentDay.objects.create(day=long_ago.date(), deployment="one", succeeded=1)
    roll_up_days()
    days.roll_up(timezone.now())
    assert not QualityMinute.objects.exists()
    assert DeploymentDay.objects.get(day=long_ago.date()).succeeded == 1
