"""What accounts may spend (plans, subscriptions) and what they spent (the ledger)."""

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from accounts.identifiers import encode, uuid7
from billing.payments import models as payments  # Django looks for models here alone
from billing.tiers import Tier

__all__ = ["GatewayProcess", "LedgerEntry", "Plan", "Price", "Subscription", "Tier", "payments"]


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


class GatewayProcess(models.Model):
    """A process that holds reservations.  When its heartbeat stops, they are abandoned."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    host = models.CharField(max_length=120)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "gateway processes"
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class LedgerEntry(models.Model):
    """One admitted request.  Written before the provider hears of it; it ends once; never edited.

    The table is partitioned by month on `id`, whose UUIDv7 carries the time (migration 0001), and
    is written by `billing.metering.ledger` in SQL, many rows a commit.
    """

    class Status(models.TextChoices):
        RESERVED = "reserved"
        SETTLED = "settled"
        FAILED = "failed"
        CANCELLED = "cancelled"
        ABANDONED = "abandoned"

    id = models.UUIDField(primary_key=True, editable=False)
    account_id = models.UUIDField(help_text="The user, or the visitor.")
    token_id = models.UUIDField(null=True)
    tier = models.CharField(max_length=10, choices=Tier)
    model = models.CharField(max_length=100, help_text="As the caller named it.")
    deployment = models.CharField(max_length=100, blank=True, help_text="Which one served it.")
    status = models.CharField(max_length=10, choices=Status)
    charged = models.BooleanField(help_text="Whether it counts against the account's limits.")
    streamed = models.BooleanField()
    reserved_tokens = models.PositiveIntegerField(help_text="Prompt bound and largest completion.")
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0, help_text="Part of the prompt's.")
    estimated = models.BooleanField(default=False, help_text="Counted here, not by the provider.")
    cost_micros = models.BigIntegerField(default=0, help_text="Provider cost, millionths of $1.")
    price_micros = models.BigIntegerField(default=0, help_text="Plan price, millionths of $1.")
    attempts = models.JSONField(default=list, help_text="Each deployment tried, and its outcome.")
    error_code = models.CharField(max_length=60, blank=True)
    admitted_at = models.DateTimeField(help_text="By the counter store's clock.")
    first_token_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    process_id = models.UUIDField(help_text="The gateway process that held the reservation.")
    deadline_at = models.DateTimeField(help_text="Past it, the sweeper abandons the reservation.")

    objects: ClassVar[models.Manager["LedgerEntry"]] = models.Manager()

    class Meta:
        verbose_name = "ledger entry"
        verbose_name_plural = "ledger entries"
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("account_id", "-id"), name="ledger_by_account"),
            models.Index(fields=("account_id", "admitted_at"), name="ledger_by_window"),
            models.Index(
                fields=("process_id",),
                condition=models.Q(status="reserved"),
                name="ledger_open_by_process",
            ),
        )

    def __str__(self) -> str:
        return self.request_id

    @property
    def request_id(self) -> str:
        """The id that the caller was given in `x-request-id`."""
        return encode("req", self.id)

    @property
    def total_tokens(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens


class Price(models.Model):
    """What a million tokens of something cost from a moment on.  Superseded, never edited."""

    class Kind(models.TextChoices):
        PROVIDER = "provider", "what the provider takes from us (a deployment)"
        PLAN = "plan", "what the plan charges (a public model)"

    kind = models.CharField(max_length=10, choices=Kind)
    subject = models.CharField(max_length=100, help_text="Deployment or model name.")
    valid_from = models.DateTimeField(default=timezone.now)
    prompt_micros = models.PositiveBigIntegerField(help_text="Millionths of $1 a million tokens.")
    completion_micros = models.PositiveBigIntegerField(help_text="The same, for completions.")

    class Meta:
        ordering = ("kind", "subject", "-valid_from")
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "subject", "valid_from"), name="one_price_at_a_time"
            ),
        )

    def __str__(self) -> str:
        return f"{self.subject} from {self.valid_from:%Y-%m-%d}"
