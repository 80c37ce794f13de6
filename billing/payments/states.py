"""A customer as Stripe has them at one moment: what was fetched, in our terms.  Frozen values.

Amounts are cents; moments are aware, in UTC.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

PAYING: Final = ("active", "trialing")
"""The statuses of subscriptions that are paid up."""

ENTITLING: Final = (*PAYING, "past_due")
"""Those that give pro, the last one for a grace."""

OWING: Final = ("past_due", "unpaid")
"""Those in which an invoice has to be paid before anything goes on."""

CHARGING: Final = (*PAYING, *OWING)
"""Those in which one period follows another, and each is charged for."""

OPEN: Final = (*CHARGING, "paused")
"""Those that go on or can go on again."""

OVER: Final = ("canceled", "incomplete_expired")
"""Those that nothing leads out of."""

DECIDED: Final = ("won", "lost", "warning_closed", "prevented")
"""The statuses of disputes that nothing is to be done about any more."""

_FIRST_INVOICE: Final = dt.timedelta(hours=1)  # a period's may be a moment older than its period


@dataclass(frozen=True, slots=True)
class InvoiceState:
    """An invoice of a subscription's current period."""

    id: str
    status: str
    """draft, open, paid, uncollectible or void."""
    created_at: dt.datetime
    due_cents: int
    paid_cents: int
    refunded_cents: int = 0
    """Of what was paid, cumulative."""
    dispute: str = ""
    """The dispute's status at Stripe; empty: none."""
    payment_intents: tuple[str, ...] = ()
    """Those that paid it."""
    next_attempt_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A subscription with the invoices that its current period rests on, newest first."""

    id: str
    status: str
    created_at: dt.datetime
    price_key: str
    """Its price's lookup key; empty: a price that is none of ours."""
    period_starts_at: dt.datetime
    period_ends_at: dt.datetime
    cancels_at: dt.datetime | None = None
    """When it ends by itself; None: it renews."""
    price_cents: int = 0
    """What is paid for a period; it may be another sum than the price that is sold today."""
    invoices: tuple[InvoiceState, ...] = ()
    earlier_disputes: tuple[str, ...] = ()
    """The statuses of the disputes about any other invoice of it."""

    @property
    def disputes(self) -> frozenset[str]:
        """The statuses of all disputes about it, whichever period they are about."""
        return frozenset((*(one.dispute for one in self.invoices), *self.earlier_disputes)) - {""}

    @property
    def paid_since(self) -> dt.datetime:
        """From when on invoices are the current period's."""
        return self.period_starts_at - _FIRST_INVOICE

    @property
    def own_invoices(self) -> tuple[InvoiceState, ...]:
        """Those of the current period itself."""
        return tuple(one for one in self.invoices if one.created_at >= self.paid_since)

    @property
    def paid_cents(self) -> int:
        """Paid for the current period, or for the credit that the period was paid with."""
        return sum(invoice.paid_cents for invoice in self.invoices)

    @property
    def refunded_cents(self) -> int:
        """Given back of it."""
        return sum(invoice.refunded_cents for invoice in self.invoices)

    @property
    def is_refunded(self) -> bool:
        """Whether all that was paid for the current period was given back."""
        return 0 < self.paid_cents <= self.refunded_cents

    @property
    def is_lost(self) -> bool:
        """Whether a payment of it was lost in a dispute."""
        return "lost" in self.disputes


@dataclass(frozen=True, slots=True)
class CardState:
    """The card that renewals are charged to."""

    brand: str
    last_four: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SessionState:
    """A Checkout session."""

    id: str
    status: str
    """open, complete or expired."""
    payment_status: str
    """paid, unpaid or no_payment_required."""
    subscription_id: str = ""


@dataclass(frozen=True, slots=True)
class CustomerState:
    """All that decides what a customer may use."""

    id: str
    subscriptions: tuple[SubscriptionState, ...] = ()
    """Of every status, ended ones too, newest first."""
    sessions: tuple[SessionState, ...] = ()
    """Those that were asked for."""
    card: CardState | None = None
    has_paid: bool = False
    """Whether any invoice of theirs was ever paid with money."""
    email: str = ""
    """Where receipts go."""
    is_gone: bool = False
    """Whether the customer was deleted at Stripe."""
