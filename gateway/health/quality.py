"""Quality: the figures of three windows, and the places that deployments lose and regain by them.

The request path hears of it through the catalogue, which reads the standings.
"""

import dataclasses
import datetime as dt
import logging
from collections import defaultdict
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from gateway.health import latency
from gateway.health.judging import LONGEST_TRIAL, Answers, Standing, Verdict, judge
from gateway.health.models import GATEWAY, HealthEvent, QualityStanding
from gateway.models import Deployment, ProbeResult

logger = logging.getLogger(__name__)

WINDOWS: Final = {
    "5m": dt.timedelta(minutes=5),
    "1h": dt.timedelta(hours=1),
    "24h": dt.timedelta(hours=24),
}
_LOCK: Final = 0x5CA15  # these standings', among the database's advisory locks

_RECENT: Final = """
SELECT deployment, minute, sum(succeeded), sum(failed), sum(timeouts) FROM gateway_qualityminute
 WHERE minute >= %s AND deployment <> '' GROUP BY 1, 2
"""
_FIGURES: Final = """
SELECT deployment, bucket, sum(succeeded)::bigint, sum(failed)::bigint, sum(timeouts)::bigint,
       sum(tokens)::bigint, sum(completion_tokens)::bigint, sum(generating_ms)::bigint
  FROM gateway_qualityminute WHERE minute >= %s GROUP BY 1, 2
"""
_RATINGS: Final = """
SELECT deployment, count(*) FILTER (WHERE up), count(*) FILTER (WHERE NOT up)
  FROM gateway_rating WHERE rated_at >= %s GROUP BY 1
"""


@transaction.atomic
def judge_all(now: dt.datetime | None = None) -> list[HealthEvent]:
    """Gives and takes places, and writes the figures; what has changed.

    Two runs at once wait for each other: the second finds that nothing is left to change.
    """
    now = now or timezone.now()
    _lock()
    deployments = {one.name: one for one in Deployment.objects.filter(enabled=True)}
    rows = {one.pk: one for one in QualityStanding.objects.all()}
    answers, probes = _answers(now), _probes(now)
    figures, events = _figures(now), list[HealthEvent]()
    for name, deployment in deployments.items():
        row = rows.get(deployment.pk) or QualityStanding(deployment=deployment)
        standing = Standing(row.lowered, row.since, row.held_until, row.holds)
        verdict = judge(standing, answers[name], probes[name], now)
        if verdict is not None:
            for field in dataclasses.fields(Standing):
                setattr(row, field.name, getattr(verdict.standing, field.name))
            events.append(_event(name, standing, verdict, now))
        row.figures, row.judged_at = figures.get(name, {}), now
        row.save()
    HealthEvent.objects.bulk_create(events)
    for one in events:
        logger.warning("%s %s: %s", one.deployment, one.get_kind_display(), one.text)
    return events


@transaction.atomic
def reset(standing: QualityStanding, by: User) -> bool:
    """Gives a deployment its place back, by staff's word; False if it has it.

    What came before does not count against it any more.
    """
    _lock()
    put_back = QualityStanding.objects.filter(pk=standing.pk, lowered=True).update(
        lowered=False, since=timezone.now(), held_until=None
    )
    if put_back:
        HealthEvent.objects.create(
            deployment=standing.deployment.name,
            kind=HealthEvent.Kind.RESET,
            text="By staff, whatever its figures.",
            by=by,
        )
    return bool(put_back)


def names_on_trial(now: dt.datetime) -> frozenset[str]:
    """The deployments that lost their places and may get them back by what probes show."""
    rows = QualityStanding.objects.filter(
        lowered=True, held_until__lte=now, deployment__enabled=True
    )
    return frozenset(rows.values_list("deployment__name", flat=True))


def _lock() -> None:
    """Until the transaction ends nobody else changes standings."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _event(name: str, before: Standing, verdict: Verdict, now: dt.datetime) -> HealthEvent:
    kind = HealthEvent.Kind.RAISED
    if verdict.standing.lowered:
        kind = HealthEvent.Kind.HELD if before.lowered else HealthEvent.Kind.LOWERED
    return HealthEvent(at=now, deployment=name, kind=kind, text=verdict.text)


def _answers(now: dt.datetime) -> dict[str, list[Answers]]:
    found: dict[str, list[Answers]] = defaultdict(list)
    for name, *row in _fetch(_RECENT, now - LONGEST_TRIAL):
        found[name].append(Answers(*row))
    return found


def _probes(now: dt.datetime) -> dict[str, list[Answers]]:
    found: dict[str, list[Answers]] = defaultdict(list)
    rows = ProbeResult.objects.filter(probed_at__gte=now - LONGEST_TRIAL)
    for name, at, succeeded in rows.values_list("deployment__name", "probed_at", "succeeded"):
        found[name].append(Answers(at, int(succeeded), int(not succeeded)))
    return found


def _figures(now: dt.datetime) -> dict[str, dict[str, Any]]:
    """By deployment and window what `_described` gives."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for window, length in WINDOWS.items():
        ratings = {name: (up, down) for name, up, down in _fetch(_RATINGS, now - length)}
        buckets: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        for name, *row in _fetch(_FIGURES, now - length):
            buckets[name].append(tuple(row))
        for name in {*buckets, *ratings} - {GATEWAY}:
            found[name][window] = _described(buckets[name], *ratings.get(name, (0, 0)))
    return found


def _described(buckets: list[tuple[int, ...]], up: int, down: int) -> dict[str, Any]:
    """One window's figures; None where there is nothing to tell them from."""
    sums = [sum(column) for column in zip(*(row[1:] for row in buckets), strict=True)] or [0] * 6
    good, bad, timeouts, tokens, completion_tokens, milliseconds = sums
    times = {row[0]: row[1] + row[2] for row in buckets}
    return {
        "answers": good + bad,
        "success": round(good / (good + bad), 4) if good + bad else None,
        "timeouts": timeouts,
        "first_token_ms": latency.percentile(times, 0.5),
        "first_token_p95_ms": latency.percentile(times, 0.95),
        "tokens_per_second": (
            round(1000 * completion_tokens / milliseconds, 1) if milliseconds else None
        ),
        "tokens_per_answer": round(tokens / good) if good else None,
        "thumbs_up": up,
        "thumbs_down": down,
    }


def _fetch(query: str, since: dt.datetime) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, [since])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
