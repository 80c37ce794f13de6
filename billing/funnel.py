"""The steps towards paying, each noted once a window: what conversion is counted from."""

import asyncio
import datetime as dt
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from accounts.identifiers import uuid7
from accounts.postgres import PostgresUnavailable, ReadPool
from billing.payments.models import FunnelEvent

_REMEMBERED: Final = 50_000
_MOST_WAITING: Final = 10_000
_WRITE: Final = """
INSERT INTO billing_funnelevent (id, account_id, kind, trigger, channel, "window", at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[],
                     %s::timestamptz[])
ON CONFLICT DO NOTHING
"""


def note(
    account_id: uuid.UUID,
    kind: FunnelEvent.Kind,
    *,
    trigger: FunnelEvent.Trigger = FunnelEvent.Trigger.NONE,
    channel: FunnelEvent.Channel = FunnelEvent.Channel.PAGE,
    window: str,
) -> None:
    """Notes a step; one that was noted in this window already stays as it is."""
    FunnelEvent.objects.bulk_create(
        [
            FunnelEvent(
                account_id=account_id, kind=kind, trigger=trigger, channel=channel, window=window
            )
        ],
        ignore_conflicts=True,
    )


@dataclass(frozen=True, slots=True)
class Showing:
    """That a prompt was shown: what there is one of in a window."""

    account_id: uuid.UUID
    trigger: FunnelEvent.Trigger
    channel: FunnelEvent.Channel
    window: str


class Showings:
    """What the request path has shown, kept here and written a little later, many at a time.

    Those of a process that dies are lost, and those beyond what it can keep while Postgres is away.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Showing, None] = OrderedDict()
        self._waiting: dict[Showing, tuple[uuid.UUID, dt.datetime]] = {}

    def __contains__(self, showing: Showing) -> bool:
        """Whether this process has noted it lately."""
        return showing in self._known

    def note(self, showing: Showing) -> None:
        """Notes it, once; several processes may."""
        if showing in self._known:
            return
        self._known[showing] = None
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        if len(self._waiting) < _MOST_WAITING:
            self._waiting[showing] = (uuid7(), dt.datetime.now(dt.UTC))

    async def write(self, pool: ReadPool) -> None:
        """Writes what is new.  PostgresUnavailable, and then it is kept for the next call."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            await pool.fetch(
                _WRITE,
                (
                    [key for key, _ in waiting.values()],
                    [one.account_id for one in waiting],
                    [FunnelEvent.Kind.SHOWN.value] * len(waiting),
                    [one.trigger.value for one in waiting],
                    [one.channel.value for one in waiting],
                    [one.window for one in waiting],
                    [at for _, at in waiting.values()],
                ),
            )
        except (PostgresUnavailable, asyncio.CancelledError):  # it may be repeated
            self._waiting = waiting | self._waiting
            raise
