"""What accounts may spend: plans, subscriptions, allowances.  What they spent is metering's."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

# Django looks for models here alone.
from billing.metering.models import (
    CounterStore,
    GatewayProcess,
    LedgerEntry,
    Price,
    Refusal,
    RollupMark,
    UsageDay,
    UsageHour,
)
from billing.payments import models as payments
from billing.tiers import Tier

__all__ = [
    "Allowance",
    "CounterStore",
    "GatewayProcess",
    "LedgerEntry",
    "Plan",
    "Price",
    "Refusal",
    "RollupMark",
    "Subscription",
    "Tier",
    "UsageDay",
    "UsageHour",
    "payments",
]


def _limit(help_text: str) -> "models.PositiveIntegerField[int | None, int | None]":
    return models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text=help_text
    )


class Plan(models.Model):
    """One tier's limits.  Staff edit them; every process acts on the change within a second."""

    tier = models.CharField(max_length=10, primary_key=True, choices=Tier)
    requests_per_hour = _limit("A UTC clock hour. Empty: no limit.")
    requests_per_day = _limit("A UTC day. Empty: no limit.")
    tokens_per_day = _limit("Prompt and completion together, a UTC day. Empty: no limit.")
    concurrent_requests = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    context_window = _limit("Tokens. Empty: the model's own.")
    prompt_characters = _limit("Longest prompt, all messages together. Empty: no limit.")
    default_max_tokens = _limit(
        "Completion tokens when the request names none. Empty: the model's."
    )
    requests_per_session = _limit("Of one session, a UTC day. Empty: no limit.")
    address_requests_per_minute = _limit(
        "From one network address, all its accounts together, a minute. Empty: no limit."
    )
    address_requests_per_hour = _limit("The same, a UTC clock hour. Empty: no limit.")
    address_accounts_per_hour = _limit(
        "Different accounts from one network address, a UTC clock hour. Empty: no limit."
    )

    class Meta:
        ordering = ("tokens_per_day", "tier")

    def __str__(self) -> str:
        return self.get_tier_display()


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    """Finds what is in force."""

    def in_force(self) -> Self:
        """Those that give their tier at this moment."""
        return self.filter(models.Q(ends_at=None) | models.Q(ends_at__gt=Now()))

    def tier_of(self, user_id: uuid.UUID) -> str:
        """The highest tier that any of the user's gives now; free where none does."""
        tiers = set(self.in_force().filter(user_id=user_id).values_list("tier", flat=True))
        return Tier.PRO.value if Tier.PRO.value in tiers else Tier.FREE.value


class Subscription(models.Model):
    """What gives a user a tier above free: staff's grant, or what they pay.  Nothing else does."""

    class Source(models.TextChoices):
        STAFF = "staff", "granted by staff"
        STRIPE = "stripe", "paid through Stripe"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="subscriptions"
    )
    tier = models.CharField(
        max_length=10, choices=[(Tier.FREE.value, "Free"), (Tier.PRO.value, "Pro")]
    )
    source = models.CharField(max_length=10, choices=Source)
    ends_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on the user is on the free plan."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[SubscriptionQuerySet] = SubscriptionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "source"), name="one_subscription_a_source"),
        )
        indexes = (
            models.Index(
                fields=("ends_at",),
                condition=models.Q(source="stripe", tier="pro"),
                name="paid_by_their_end",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user}: {self.tier}"

    @property
    def tier_now(self) -> str:
        """The tier that it gives at this moment."""
        in_force = self.ends_at is None or self.ends_at > timezone.now()
        return self.tier if in_force else Tier.FREE.value


class AllowanceQuerySet(models.QuerySet["Allowance"]):
    """Finds what is in force."""

    def in_force(self) -> Self:
        """Those that count at this moment."""
        begun = self.filter(starts_at__lte=Now())
        return begun.filter(models.Q(ends_at=None) | models.Q(ends_at__gt=Now()))


class Allowance(models.Model):
    """Another limit for one user than their plan's, for a while or for good, and why."""

    class Kind(models.TextChoices):
        SET = "set", "in place of the plan's (empty: no limit)"
        ADD = "add", "on top of it"

    class Limit(models.TextChoices):
        """Which limit: a field of Plan."""

        REQUESTS_PER_HOUR = "requests_per_hour"
        REQUESTS_PER_DAY = "requests_per_day"
        TOKENS_PER_DAY = "tokens_per_day"
        CONCURRENT_REQUESTS = "concurrent_requests"
        REQUESTS_PER_SESSION = "requests_per_session"
        ADDRESS_REQUESTS_PER_MINUTE = "address_requests_per_minute"
        ADDRESS_REQUESTS_PER_HOUR = "address_requests_per_hour"
        ADDRESS_ACCOUNTS_PER_HOUR = "address_accounts_per_hour"
        CONTEXT_WINDOW = "context_window"
        PROMPT_CHARACTERS = "prompt_characters"
        DEFAULT_MAX_TOKENS = "default_max_tokens"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="allowances"
    )
    limit = models.CharField(max_length=40, choices=Limit)
    kind = models.CharField(max_length=10, choices=Kind)
    amount = models.PositiveIntegerField(null=True, blank=True)
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until withdrawn.")
    reason = models.CharField(max_length=300)
    granted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[AllowanceQuerySet] = AllowanceQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(kind="set") | models.Q(amount__isnull=False),
                name="what_is_added_is_named",
            ),
            # Somebody always runs one request at once: 0 would lock an account out by mistake.
            models.CheckConstraint(
                condition=~models.Q(limit="concurrent_requests", kind="set")
                | models.Q(amount__isnull=False, amount__gte=1),
                name="one_request_at_once_at_least",
            ),
        )

    def __str__(self) -> str:
        amount = "no limit" if self.amount is None else f"{self.amount:,}"
        return f"{self.user}: {self.limit} {self.kind} {amount}"
