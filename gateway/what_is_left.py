"""What a caller has used and has left, by the counters that admission decides by."""

from accounts.postgres import PostgresUnavailable
from billing.metering.quota import Quota, QuotaUnavailable
from billing.metering.usage import Usage
from gateway.errors import StoreUnavailable
from gateway.types import Caller


async def what_is_left(quota: Quota, caller: Caller) -> Usage:
    """The caller's usage now.  Consumes nothing, at any quota.  StoreUnavailable."""
    try:
        return await quota.peek(
            None if caller.is_new else caller.account_id,
            caller.limits,
            address=caller.address,
            session=caller.session,
        )
    except (QuotaUnavailable, PostgresUnavailable) as error:
        raise StoreUnavailable("The counters are away just now.") from error
