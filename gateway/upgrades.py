"""Where requests meet the plans above theirs: the prompt beside an answer, what refusals offer.

Nothing here keeps a request waiting for a write, and none fails for it: with a store away there is
no prompt.
"""

import datetime as dt
import uuid
from typing import Final

from accounts.postgres import PostgresUnavailable, ReadPool
from billing import gates, prompts
from billing.funnel import Showing, Showings
from billing.limit_mails import LimitMails
from billing.metering.quota import Quota, QuotaUnavailable
from billing.metering.usage import LimitState, Usage
from billing.prompts import Channel, Prompt, Trigger
from gateway.errors import GatewayError, LimitReached, ModelNotInPlan
from gateway.refusals import trigger_of
from gateway.types import Caller, Reservation

_ANSWERED_BEFORE: Final = """
SELECT 1 FROM billing_ledgerentry WHERE account_id = %s AND id < %s AND charged LIMIT 1
"""


class Upgrades:
    """Decides and notes what is shown.  One per process."""

    def __init__(self, quota: Quota, reads: ReadPool) -> None:
        self._quota = quota
        self._reads = reads
        self._showings = Showings()
        self._mails = LimitMails()

    async def beside(
        self, reservation: Reservation, usage: Usage, channel: Channel
    ) -> Prompt | None:
        """The prompt that this charged answer is given with, if any; `usage` is what it left."""
        if not gates.may_upgrade(usage.limits.tier):
            return None
        account_id = reservation.caller.account_id
        try:
            is_first = await self._is_first(reservation)
            for prompt in prompts.due(usage, is_first=is_first):
                if await self._is_shown(account_id, prompt, channel):
                    return prompt
        except (QuotaUnavailable, PostgresUnavailable):
            return None
        return None

    def refused(self, caller: Caller, error: GatewayError, channel: Channel) -> None:
        """Notes that a refusal pointed to a plan above, if it did."""
        trigger = _offered_by(error)
        # A visitor since this very request costs nothing to be: such rows could be made at will.
        if trigger is None or caller.is_new or not gates.may_upgrade(caller.limits.tier):
            return
        window = prompts.day_of(dt.datetime.now(dt.UTC))
        if isinstance(error, LimitReached) and trigger is Trigger.LIMIT_REACHED:
            window = prompts.window_of(error.limit)
            self._mails.owe(caller.account_id, error.limit)
        self._showings.note(Showing(caller.account_id, trigger, channel, window))

    def saw_banner(self, account_id: uuid.UUID, limit: LimitState) -> None:
        """Notes that the dashboard's banner about this limit was shown."""
        trigger = Trigger.NEAR_LIMIT if limit.remaining else Trigger.LIMIT_REACHED
        self._showings.note(Showing(account_id, trigger, Channel.BANNER, prompts.window_of(limit)))

    async def write(self) -> None:
        """Writes what was noted since the last call.  Raises PostgresUnavailable."""
        await self._showings.write(self._reads)
        await self._mails.write(self._reads)

    async def _is_first(self, reservation: Reservation) -> bool:
        """Whether the account was never answered before: asked once a day at most."""
        if reservation.usage.counters.day_requests != 1:
            return False
        key = (reservation.caller.account_id, reservation.request_id)
        return not await self._reads.fetch(_ANSWERED_BEFORE, key)

    async def _is_shown(self, account_id: uuid.UUID, prompt: Prompt, channel: Channel) -> bool:
        """Whether this is the answer, of all processes', that the prompt is shown with."""
        showing = Showing(account_id, prompt.trigger, channel, prompt.window)
        if showing in self._showings:
            return False
        limit = prompt.limit
        # The first answer is one by itself.
        ours = limit is None or await self._quota.claim(
            account_id, f"{channel}:{prompt.window}", limit.resets_in_seconds or 1
        )
        self._showings.note(showing)  # or else by the process that shows it, which is the same row
        return ours


def _offered_by(error: GatewayError) -> Trigger | None:
    if isinstance(error, LimitReached):
        return trigger_of(error.limit)
    if isinstance(error, ModelNotInPlan):
        return Trigger.QUALITY
    return Trigger.PRO_FEATURE if "required_plan" in error.metadata else None
