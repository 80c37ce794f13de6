"""The last day's requests as detection wants them, out of ledger, refusals and fingerprints."""

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db import connection

from accounts.identifiers import uuid7_floor
from gateway.safety.facts import WINDOW_SECONDS, Seen
from gateway.safety.fingerprints import Sketch, unpacked

WINDOW: Final = dt.timedelta(seconds=WINDOW_SECONDS)
_MOST_OF_ACCOUNT: Final = 1_000  # the latest; a free account can't have so many in a day
_MOST_AT_ADDRESS: Final = 300  # three hours at the limit of an address
_MOST_OF_ANCHOR: Final = 200
# Of what one row of refusals stands for: it may be those of an address, and it names one account.
_MOST_OF_REFUSAL: Final = 20
_FEWEST_ACCOUNTS: Final = 5  # at an address, for it to be looked at
_REFUSED_AT_ADDRESS: Final = dt.timedelta(minutes=10)  # a burst's; there is no index for more

_ACTIVE_ACCOUNTS: Final = """
SELECT account_id FROM billing_ledgerentry WHERE id >= %(since)s
UNION
SELECT account_id FROM billing_refusal WHERE id >= %(since)s AND account_id IS NOT NULL
"""
_OF_ACCOUNTS: Final = """
SELECT past.* FROM unnest(%(accounts)s::uuid[]) AS account (id) CROSS JOIN LATERAL (
    (SELECT entry.id, entry.account_id, entry.tier, host(entry.address), true, '', 1, fingerprint
       FROM billing_ledgerentry entry
       LEFT JOIN gateway_requestfingerprint print ON print.request_id = entry.id
      WHERE entry.account_id = account.id AND entry.id >= %(floor)s AND entry.corrects IS NULL
      ORDER BY entry.id DESC LIMIT %(most)s)
    UNION ALL
    (SELECT id, account_id, tier, host(address), false, "limit", stands_for, NULL
       FROM billing_refusal
      WHERE account_id = account.id AND id >= %(floor)s
      ORDER BY id DESC LIMIT %(most)s)
) past
"""
_ACTIVE_ADDRESSES: Final = """
SELECT host(active.address)
  FROM (SELECT DISTINCT address FROM billing_ledgerentry
         WHERE id >= %(since)s AND address_counted) active
 WHERE (SELECT count(DISTINCT account_id)
          FROM (SELECT account_id FROM billing_ledgerentry entry
                 WHERE entry.address = active.address AND address_counted AND id >= %(floor)s
                 ORDER BY id DESC LIMIT %(most)s) there) >= %(accounts)s
"""
_AT_ADDRESS: Final = """
(SELECT entry.id, entry.account_id, entry.tier, host(entry.address), true, '', 1, fingerprint
   FROM billing_ledgerentry entry
   LEFT JOIN gateway_requestfingerprint print ON print.request_id = entry.id
  WHERE entry.address = %(address)s AND address_counted AND entry.id >= %(floor)s
    AND entry.corrects IS NULL
  ORDER BY entry.id DESC LIMIT %(most)s)
UNION ALL
(SELECT id, account_id, tier, host(address), false, "limit", stands_for, NULL
   FROM billing_refusal
  WHERE id >= %(refused_floor)s AND address = %(address)s AND account_id IS NOT NULL
  LIMIT %(most)s)
"""
_SAME_ANCHORS: Final = """
SELECT print.account_id, print.fingerprint
  FROM unnest(%(anchors)s::bigint[]) AS anchor (value) CROSS JOIN LATERAL (
       SELECT account_id, fingerprint FROM gateway_requestfingerprint
        WHERE anchor = anchor.value AND request_id >= %(floor)s
        ORDER BY request_id DESC LIMIT %(most)s) print
"""


def active_accounts(since: dt.datetime) -> list[uuid.UUID]:
    """Who has sent anything since then."""
    return [row[0] for row in _rows(_ACTIVE_ACCOUNTS, since=uuid7_floor(since))]


def active_addresses(since: dt.datetime, now: dt.datetime) -> list[str]:
    """From which network addresses of several accounts anything has come since then."""
    rows = _rows(
        _ACTIVE_ADDRESSES,
        since=uuid7_floor(since),
        floor=uuid7_floor(now - WINDOW),
        most=_MOST_AT_ADDRESS,
        accounts=_FEWEST_ACCOUNTS,
    )
    return [row[0] for row in rows]


def requests_of(accounts: Sequence[uuid.UUID], now: dt.datetime) -> dict[uuid.UUID, list[Seen]]:
    """Each account's last day, ascending."""
    found = defaultdict[uuid.UUID, list[Seen]](list)
    for row in _rows(
        _OF_ACCOUNTS,
        accounts=list(accounts),
        floor=uuid7_floor(now - WINDOW),
        most=_MOST_OF_ACCOUNT,
    ):
        found[row[1]].append(_seen(row))
    for requests in found.values():
        requests.sort(key=lambda one: one.at)
    return found


def requests_at(address: str, now: dt.datetime) -> list[Seen]:
    """A network address's last day, ascending, without accounts that don't count against it."""
    rows = _rows(
        _AT_ADDRESS,
        address=address,
        floor=uuid7_floor(now - WINDOW),
        refused_floor=uuid7_floor(now - _REFUSED_AT_ADDRESS),
        most=_MOST_AT_ADDRESS,
    )
    return sorted(map(_seen, rows), key=lambda one: one.at)


def alike_candidates(requests: Iterable[Seen], now: dt.datetime) -> list[tuple[uuid.UUID, Sketch]]:
    """Prompts of anybody that may be like those that the account sends again and again."""
    anchors = Counter(one.sketch[0] for one in requests if one.sketch)
    repeated = [anchor for anchor, count in anchors.items() if count > 2]
    if not repeated:
        return []
    rows = _rows(
        _SAME_ANCHORS,
        anchors=repeated,
        floor=uuid7_floor(now - WINDOW),
        most=_MOST_OF_ANCHOR,
    )
    return [(account, unpacked(bytes(fingerprint))) for account, fingerprint in rows]


def _seen(row: tuple[Any, ...]) -> Seen:
    request_id, account, tier, address, admitted, limit, weight, fingerprint = row
    return Seen(
        at=(request_id.int >> 80) / 1000,  # a UUIDv7's time, in milliseconds
        account=account,
        tier=tier,
        address=address,
        admitted=admitted,
        by_own_limit=bool(limit) and not limit.startswith("address"),
        weight=min(weight, _MOST_OF_REFUSAL),
        sketch=unpacked(bytes(fingerprint)) if fingerprint else None,
    )


def _rows(query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return list(cursor.fetchall())
