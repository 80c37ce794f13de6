"""One look at whoever was active: facts, verdicts, and what becomes of their cases.

It keeps nothing between two looks.  What one misses, while the worker is away or slow, the next
request of the same account or address leads the next one to.
"""

import datetime as dt
import logging
import uuid
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar
from zlib import crc32

from django.db import IntegrityError, connection

from accounts.identifiers import uuid7_floor
from billing.models import Plan, Tier
from gateway.safety import past
from gateway.safety.cases import Record, Subject, move, open_case, records_of
from gateway.safety.detectors import Verdict, judge_account, judge_address
from gateway.safety.facts import AccountFacts, AddressFacts, Seen, alike_elsewhere
from gateway.safety.levels import Judge
from gateway.safety.models import AbuseCase, AbuseThresholds, RequestFingerprint

logger = logging.getLogger(__name__)

TURNS: Final = 12
_AT_A_TIME: Final = 500
_FEWEST_REQUESTS: Final = 6  # below, no detector has anything to say
_LOCK: Final = 379_158  # among the advisory locks
_FINGERPRINTS_KEPT: Final = dt.timedelta(days=7)
T = TypeVar("T")


def look(now: dt.datetime, since: dt.datetime, *, turn: int | None = None) -> None:
    """Judges whoever was active since then; nothing if another process does so at this moment.

    `turn`: of the network addresses only those whose turn it is, out of TURNS, so that each is
    judged once in so many looks, by what was there since the last one.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
        if not cursor.fetchone()[0]:
            return
        try:
            _look(now, since, turn)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


def prune(now: dt.datetime) -> None:
    """Deletes the fingerprints that nothing looks at any more."""
    oldest = uuid7_floor(now - _FINGERPRINTS_KEPT)
    RequestFingerprint.objects.filter(request_id__lt=oldest).delete()


def _look(now: dt.datetime, since: dt.datetime, turn: int | None) -> None:
    thresholds = AbuseThresholds.objects.first() or AbuseThresholds()
    if not thresholds.enabled:
        return
    judge = Judge(thresholds, now)
    for accounts in _parts(past.active_accounts(since)):
        _judge_accounts(judge, accounts)
    hourly = dict(Plan.objects.values_list("tier", "requests_per_hour"))
    for addresses in _parts(_addresses(now, since, turn)):
        records = records_of(addresses, now)
        for address in addresses:
            requests = _since(records[address], past.requests_at(address, now))
            verdict = judge_address(
                AddressFacts(now.timestamp(), requests, hourly), records[address].excused
            )
            _act(judge, address, "", records[address], verdict)
    _let_pass(judge)


def _judge_accounts(judge: Judge, accounts: Sequence[uuid.UUID]) -> None:
    records = records_of(accounts, judge.now)
    for account, everything in past.requests_of(accounts, judge.now).items():
        requests = _since(records[account], everything)
        if sum(one.weight for one in requests) < _FEWEST_REQUESTS:
            continue
        alike = alike_elsewhere(requests, past.alike_candidates(requests, judge.now))
        facts = AccountFacts(judge.now.timestamp(), requests, alike)
        verdict = judge_account(facts, records[account].excused)
        _act(judge, account, requests[-1].tier, records[account], verdict)


def _addresses(now: dt.datetime, since: dt.datetime, turn: int | None) -> list[str]:
    """The active ones whose turn it is."""
    if turn is None:
        return past.active_addresses(since, now)
    active = past.active_addresses(now - TURNS * (now - since), now)
    return [one for one in active if crc32(one.encode()) % TURNS == turn]


def _since(record: Record, requests: list[Seen]) -> list[Seen]:
    """Without those that have had their effect already."""
    if record.judged_to is None:
        return requests
    judged_to = record.judged_to.timestamp()
    return [one for one in requests if one.at > judged_to]


def _act(judge: Judge, subject: Subject, tier: str, record: Record, verdict: Verdict) -> None:
    standing = judge.decide(
        record.standing, verdict, is_pro=tier == Tier.PRO, repeats=record.repeats
    )
    if standing is None:
        return
    if record.case is not None:
        move(record.case.pk, standing, verdict, judge.now)
        return
    try:
        open_case(subject, tier, standing, verdict, judge.now)
    except IntegrityError:  # a look that began before, and went on after its lock was lost
        logger.warning("a case of %s is open already", subject)


def _let_pass(judge: Judge) -> None:
    """Steps down what is due, of whoever was not active."""
    for case in AbuseCase.objects.filter(state=AbuseCase.State.OPEN, effect_until__lte=judge.now):
        record = Record(case=case)
        _act(judge, case.account_id or case.address or "", case.tier, record, Verdict())


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _AT_A_TIME):
        yield items[start : start + _AT_A_TIME]
