"""What becomes of a case: the system's changes and staff's, each with its line in the history."""

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from gateway.safety.detectors import Verdict
from gateway.safety.levels import RANKS, Standing
from gateway.safety.models import AbuseCase, AbuseCaseChange, Level

Subject = uuid.UUID | str
"""An account's id or a network address."""

REMEMBERED: Final = dt.timedelta(days=30)


@dataclass(slots=True)
class Record:
    """What there was about a subject before."""

    case: AbuseCase | None = None  # that is not over
    judged_to: dt.datetime | None = None  # requests before it count no more
    excused: dict[str, int] = field(default_factory=dict)  # points that staff found no harm in
    repeats: int = 0

    @property
    def standing(self) -> Standing | None:
        """How the subject stands."""
        return None if self.case is None else standing_of(self.case)


def standing_of(case: AbuseCase) -> Standing:
    """The case's level and times."""
    return Standing(
        case.level,
        case.score,
        case.effect_until,
        case.judged_to,
        confirmed=case.state == AbuseCase.State.CONFIRMED,
    )


def records_of(subjects: Collection[Subject], now: dt.datetime) -> dict[Subject, Record]:
    """Of each subject, be it empty."""
    records = defaultdict[Subject, Record](Record)
    accounts = [one for one in subjects if isinstance(one, uuid.UUID)]
    addresses = [one for one in subjects if isinstance(one, str)]
    cases = AbuseCase.objects.filter(changed_at__gt=now - REMEMBERED) | AbuseCase.objects.standing()
    of_subjects = cases.filter(account_id__in=accounts) | cases.filter(address__in=addresses)
    for case in of_subjects.order_by("opened_at"):
        _remember(records[case.account_id or case.address or ""], case)
    return records


def _remember(record: Record, case: AbuseCase) -> None:
    if case.judged_to is not None:
        record.judged_to = max(case.judged_to, record.judged_to or case.judged_to)
    if case.state in AbuseCase.STANDING:
        record.case = case
    elif case.state == AbuseCase.State.DISMISSED:
        for reason in case.reasons:
            most = max(reason["points"], record.excused.get(reason["detector"], 0))
            record.excused[reason["detector"]] = most
    elif case.judged_to is not None:  # it had an effect
        record.repeats += 1


def open_case(
    subject: Subject, tier: str, standing: Standing, verdict: Verdict, now: dt.datetime
) -> AbuseCase:
    """A new one, by the system."""
    with transaction.atomic():
        case = AbuseCase.objects.create(
            account_id=subject if isinstance(subject, uuid.UUID) else None,
            address=subject if isinstance(subject, str) else None,
            tier=tier,
            level=standing.level,
            score=standing.score,
            reasons=_reasons(verdict),
            opened_at=now,
            changed_at=now,
            effect_until=standing.until,
            judged_to=standing.judged_to,
        )
        _write_down(case, None, f"Opened: {'; '.join(case.reason_texts)}", now)
    return case


def move(case_id: int, standing: Standing, verdict: Verdict, now: dt.datetime) -> None:
    """Brings an open case to another standing, by the system."""
    with transaction.atomic():
        # Staff may have decided since the case was read: then theirs holds.
        case = AbuseCase.objects.select_for_update().get(pk=case_id)
        if case.state != AbuseCase.State.OPEN:
            return
        before = case.level
        if standing.level == Level.NONE:
            case.state = AbuseCase.State.ENDED
        else:
            case.level, case.judged_to = standing.level, standing.judged_to
        case.score, case.effect_until, case.changed_at = standing.score, standing.until, now
        if verdict.findings:
            case.reasons = _reasons(verdict)
        case.save()
        if case.level != before or case.state != AbuseCase.State.OPEN:
            _write_down(case, None, _told(before, standing, verdict), now)


def dismiss(case_id: int, by: User, note: str) -> AbuseCase | None:
    """Nothing is wrong: the effect ends, and the same facts open no case again."""
    return _decide(case_id, by, note, AbuseCase.State.DISMISSED, (AbuseCase.State.OPEN,))


def confirm(case_id: int, by: User, note: str, level: str) -> AbuseCase | None:
    """It is abuse: the level stays until staff lift it, for accounts that pay as well."""
    return _decide(case_id, by, note, AbuseCase.State.CONFIRMED, (AbuseCase.State.OPEN,), level)


def lift(case_id: int, by: User, note: str) -> AbuseCase | None:
    """It was abuse and has had its effect, which ends."""
    return _decide(case_id, by, note, AbuseCase.State.ENDED, AbuseCase.STANDING)


def appeal(case_id: int, text: str) -> bool:
    """Notes what the user has to say, once; whether it was noted."""
    return bool(
        AbuseCase.objects.standing()
        .filter(pk=case_id, appealed_at=None)
        .update(appeal=text[:500], appealed_at=timezone.now())
    )


def _decide(
    case_id: int,
    by: User,
    note: str,
    state: AbuseCase.State,
    from_states: Collection[str],
    level: str = "",
) -> AbuseCase | None:
    """The case after staff's decision; None if it was over, or decided by somebody, before."""
    now = timezone.now()
    with transaction.atomic():
        case = (
            AbuseCase.objects.select_for_update().filter(pk=case_id, state__in=from_states).first()
        )
        if case is None:
            return None
        case.state, case.decided_by, case.note, case.changed_at = state, by, note[:500], now
        case.judged_to = now
        case.level = level or case.level
        case.effect_until = None if state == AbuseCase.State.CONFIRMED else now
        case.save()
        _write_down(case, by, f"{state.value.capitalize()}. {note}".strip(), now)
    return case


def _write_down(case: AbuseCase, by: User | None, text: str, now: dt.datetime) -> None:
    AbuseCaseChange.objects.create(
        case=case,
        at=now,
        level=case.level,
        score=case.score,
        state=case.state,
        effect_until=case.effect_until,
        by=by,
        text=text[:600],
    )


def _told(before: str, standing: Standing, verdict: Verdict) -> str:
    if standing.level == Level.NONE:
        return "Over, after normal use"
    if RANKS[standing.level] < RANKS[before]:
        return f"Down to {standing.level}, after normal use"
    return f"Up to {standing.level}: {'; '.join(found.text for found in verdict.findings)}"


def _reasons(verdict: Verdict) -> list[dict[str, Any]]:
    return [
        {"detector": found.detector, "points": found.points, "text": found.text}
        for found in verdict.findings
    ]
