"""Putting a ledger row right: by another row, with a reason.  The row itself is never edited.

A correction carries the time of the row that it corrects in its id, too, so that it lies beside it:
in the same month, among the ids that an hour's rows are looked for in, and found from it by key.
"""

import dataclasses
import datetime as dt
import logging
from functools import partial
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts.identifiers import uuid7, uuid7_floor
from accounts.postgres import PostgresUnavailable
from billing.metering.models import LedgerEntry
from billing.metering.quota import QuotaUnavailable
from billing.metering.rollups import first_whole_hour, hour_of, roll_hours
from billing.metering.standing import forget

logger = logging.getLogger(__name__)

LONGEST_REASON: Final = 300
_MILLISECOND: Final = dt.timedelta(milliseconds=1)


class NotCorrected(Exception):
    """Nothing was written; the text says why, to staff."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delta:
    """What is added to a row's figures; negative to take something back."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_micros: int = 0
    price_micros: int = 0


_FIGURES: Final = tuple(field.name for field in dataclasses.fields(Delta))


def correct(entry: LedgerEntry, delta: Delta, *, reason: str) -> LedgerEntry:
    """Writes a correction of an ended row, which no figure of the two together may be below 0 of.

    Sums and, after the commit, counters follow.  Raises NotCorrected.
    """
    with transaction.atomic():
        row = _held(entry, reason)
        return _write(row, delta, _standing(row), reason.strip())


def take_back(entry: LedgerEntry, *, reason: str) -> LedgerEntry:
    """Takes a charged request back: it counts as none, with no tokens, at no price.

    What the provider took stays.  Raises NotCorrected, also when it has been taken back before.
    """
    with transaction.atomic():
        row = _held(entry, reason)
        left = _standing(row)
        if not row.charged:
            raise NotCorrected("It was not charged: there is nothing to take back.")
        if left.requests == 0:
            raise NotCorrected("It has been taken back before.")
        back = Delta(**{name: -getattr(left, name) for name in _FIGURES})
        return _write(row, dataclasses.replace(back, cost_micros=0), left, reason.strip())


def corrections_of(entry: LedgerEntry) -> list[LedgerEntry]:
    """The corrections of a row, oldest first."""
    came = dt.datetime.fromtimestamp((entry.pk.int >> 80) / 1000, dt.UTC)
    return list(
        LedgerEntry.objects.filter(
            pk__gte=uuid7_floor(came), pk__lt=uuid7_floor(came + _MILLISECOND), corrects=entry.pk
        ).order_by("ended_at", "pk")
    )


def _held(entry: LedgerEntry, reason: str) -> LedgerEntry:
    """The row, locked until the transaction ends: two that take it back at once do so in turn."""
    if not reason.strip():
        raise NotCorrected("A correction needs a reason.")
    if len(reason.strip()) > LONGEST_REASON:
        raise NotCorrected(f"The reason is longer than {LONGEST_REASON} characters.")
    row = LedgerEntry.objects.select_for_update().filter(pk=entry.pk).first()
    if row is None:
        raise NotCorrected("There is no such row.")
    if row.corrects is not None:
        raise NotCorrected("It is a correction itself. Correct the row that it corrects.")
    if row.status == LedgerEntry.Status.RESERVED:
        raise NotCorrected("It has not ended yet.")
    if hour_of(row.admitted_at) < first_whole_hour():
        raise NotCorrected("Rows of its hour are gone with the month before, so it stands.")
    return row


def _standing(row: LedgerEntry) -> Delta:
    """The row's figures with its corrections, as they count."""
    parts = [row, *corrections_of(row)]
    sums = {name: sum(getattr(part, name) for part in parts) for name in _FIGURES}
    return Delta(**sums) if row.charged else Delta(cost_micros=sums["cost_micros"])


def _write(row: LedgerEntry, delta: Delta, standing: Delta, reason: str) -> LedgerEntry:
    changed = {name: getattr(delta, name) for name in _FIGURES if getattr(delta, name)}
    if not changed:
        raise NotCorrected("It would change nothing.")
    for name, change in changed.items():
        if getattr(standing, name) + change < 0:
            raise NotCorrected(f"It would leave {getattr(standing, name) + change} {name}.")
    if standing.requests + delta.requests > 1:
        raise NotCorrected("One row is one request at most.")
    correction = LedgerEntry.objects.create(
        id=uuid7(row.pk.int >> 80),
        corrects=row.pk,
        reason=reason,
        account_id=row.account_id,
        token_id=row.token_id,
        tier=row.tier,
        model=row.model,
        deployment=row.deployment,
        session=row.session,
        address=row.address,
        address_counted=row.address_counted,
        status=LedgerEntry.Status.CORRECTION,
        charged=True,
        streamed=row.streamed,
        reserved_tokens=0,
        admitted_at=row.admitted_at,
        ended_at=timezone.now(),
        process_id=row.process_id,
        deadline_at=row.deadline_at,
        **{name: getattr(delta, name) for name in _FIGURES},
    )
    roll_hours([hour_of(row.admitted_at)])
    transaction.on_commit(partial(_tell_the_counters, correction))
    return correction


def _tell_the_counters(correction: LedgerEntry) -> None:
    """The account's counters are summed anew, if the correction is of a window that still runs."""
    taken_back = correction.corrects if correction.requests < 0 else None
    address = correction.address if correction.address_counted else None
    try:
        forget(correction.account_id, taken_back=taken_back, address=address)
    except (QuotaUnavailable, PostgresUnavailable) as error:
        # Emptied or not, they are right again tomorrow; `reconcile_ledger --repair` is sooner.
        logger.warning("the counters have not heard of correction %s: %s", correction.pk, error)
