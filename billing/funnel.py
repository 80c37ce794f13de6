"""The steps towards paying, each noted once a window: what conversion is counted from."""

import uuid

from billing.payments.models import FunnelEvent


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
