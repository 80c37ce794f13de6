"""Who holds a key: one row for each account and key, of which the ledger says what it is worth.

A row is a *claim* until its request's answer is in it.  Nothing in the row says whether that answer
counts: the ledger's row of the same request does, and only what ended as settled is given again.

    the ledger's row      the answer    the key is
    reserved              any           in use: the sweeper ends rows whose process has died
    settled               stored        answered
    ended in any other way, or older than KEPT                  free
    not there (yet)       none          in use until `deadline_at`, or until its process is dead

Every statement may run twice, as `ReadPool` asks.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Final

from accounts.postgres import ReadPool
from billing.metering.processes import DEAD_AFTER_SECONDS
from gateway.errors import KeyInUse, KeyReused
from gateway.idempotency.key import HEADER, IdempotencyKey

KEPT: Final = dt.timedelta(hours=24)
# From the claim to the ledger's row it takes a look at the counters and a commit, both bounded.
ADMISSION_SECONDS: Final = 30.0
_ATTEMPTS: Final = 3

_CLAIM: Final = f"""
INSERT INTO gateway_storedanswer (account_id, key, digest, request_id, process_id, claimed_at,
                                  deadline_at)
VALUES (%(account_id)s, %(key)s, %(digest)s, %(request_id)s, %(process_id)s, now(),
        now() + interval '{ADMISSION_SECONDS} s')
ON CONFLICT (account_id, key) DO NOTHING
RETURNING request_id
"""  # noqa: S608  (our own figures)
_LOOK: Final = f"""
SELECT stored.request_id,
       stored.digest = %(digest)s,
       stored.answered_at IS NOT NULL,
       CASE WHEN entry.status = 'reserved' THEN 'in use'
            WHEN stored.claimed_at < now() - %(kept)s OR entry.taken_back THEN 'free'
            WHEN entry.status = 'settled' AND stored.answered_at IS NOT NULL THEN 'answered'
            WHEN entry.status IS NOT NULL THEN 'free'
            WHEN stored.deadline_at < now() OR NOT EXISTS (
                 SELECT FROM billing_gatewayprocess process
                  WHERE process.id = stored.process_id AND process.ended_at IS NULL
                    AND process.heartbeat_at >= now() - interval '{DEAD_AFTER_SECONDS} s'
                 ) THEN 'free'
            ELSE 'in use' END,
       entry.deployment,
       CASE WHEN entry.status = 'settled' AND stored.digest = %(digest)s THEN stored.answer END
  FROM gateway_storedanswer stored
  -- by a limit that changes nothing: so it looks into that id's month only, whatever is planned
  LEFT JOIN LATERAL (SELECT status, deployment, EXISTS (
                            SELECT FROM billing_ledgerentry correction
                             WHERE correction.account_id = row.account_id
                               AND correction.admitted_at = row.admitted_at
                               AND correction.corrects = row.id AND correction.requests < 0
                            ) AS taken_back
                       FROM billing_ledgerentry row
                      WHERE id = stored.request_id LIMIT 1) entry ON true
 WHERE stored.account_id = %(account_id)s AND stored.key = %(key)s
"""  # noqa: S608  (the same)
# What was found free belonged to that request, with or without an answer.  If either has changed
# since, somebody else was faster, or a process that was taken for dead has just stored its answer.
_TAKE_OVER: Final = f"""
UPDATE gateway_storedanswer
   SET digest = %(digest)s, request_id = %(request_id)s, process_id = %(process_id)s,
       claimed_at = now(), deadline_at = now() + interval '{ADMISSION_SECONDS} s',
       answered_at = NULL, answer = NULL
 WHERE account_id = %(account_id)s AND key = %(key)s
   AND request_id = %(found_id)s AND (answered_at IS NOT NULL) = %(found_answered)s
RETURNING request_id
"""  # noqa: S608  (the same)
_STORE: Final = """
UPDATE gateway_storedanswer SET answer = %(answer)s, answered_at = now()
 WHERE account_id = %(account_id)s AND key = %(key)s AND request_id = %(request_id)s
RETURNING request_id
"""
_RELEASE: Final = """
DELETE FROM gateway_storedanswer
 WHERE account_id = %(account_id)s AND key = %(key)s AND request_id = %(request_id)s
   AND answered_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """That this request is the one that runs for its key."""

    account_id: uuid.UUID
    key: IdempotencyKey
    request_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Stored:
    """What an earlier request was answered; None for an answer too large to be kept."""

    request_id: uuid.UUID
    deployment: str
    answer: bytes | None


class Claims:
    """The rows.  Each call raises PostgresUnavailable."""

    def __init__(self, reads: ReadPool, process_id: uuid.UUID) -> None:
        self._reads = reads
        self._process_id = process_id

    async def take(self, claim: Claim) -> Stored | None:
        """Takes the key for this request: None.  Or what it was answered before.

        KeyInUse while another request runs for it, KeyReused when it was used with another body.
        """
        values = _values_of(claim) | {
            "digest": claim.key.digest,
            "process_id": self._process_id,
            "kept": KEPT,
        }
        for _ in range(_ATTEMPTS):
            # Of any number that race for a new key, the unique constraint lets one insert.
            if await self._reads.fetch(_CLAIM, values):
                return None
            rows = await self._reads.fetch(_LOOK, values)
            if not rows:  # released since
                continue
            ((holder, same_body, answered, state, deployment, answer),) = rows
            if holder == claim.request_id:  # the statement ran, its answer was lost
                return None
            if state == "free":
                found = {"found_id": holder, "found_answered": answered}
                if await self._reads.fetch(_TAKE_OVER, values | found):
                    return None
                continue
            if not same_body:
                raise _reused(claim.key)
            if state == "answered":
                return Stored(holder, deployment, answer)
            break
        raise in_use(claim.key)

    async def store(self, claim: Claim, answer: bytes | None) -> bool:
        """Puts the answer where it will be looked for; False if the key is no longer this one's."""
        return bool(await self._reads.fetch(_STORE, _values_of(claim) | {"answer": answer}))

    async def release(self, claim: Claim) -> None:
        """Gives up a key whose request came to no answer.

        One that has its answer stored stays: whether it was charged may not be known here.
        """
        await self._reads.fetch(_RELEASE, _values_of(claim))


def in_use(key: IdempotencyKey) -> KeyInUse:
    """The error of a second request while the first one runs."""
    return KeyInUse(
        f"A request with this {HEADER} is running. Ask again in a moment: its answer is then "
        "given again.",
        param=HEADER,
        metadata={"idempotency_key": key.text},
    )


def _reused(key: IdempotencyKey) -> KeyReused:
    return KeyReused(
        f"This {HEADER} was used with another request. Take a new key for a new request; repeat "
        "an old one byte for byte.",
        param=HEADER,
        metadata={"idempotency_key": key.text},
    )


def _values_of(claim: Claim) -> dict[str, object]:
    return {
        "account_id": claim.account_id,
        "key": claim.key.text,
        "request_id": claim.request_id,
    }
