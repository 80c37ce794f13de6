"""What is kept of payments: Stripe's customers, sessions and events, and what came of them.

Stripe is the truth of who pays.  Everything here is either a key into it, a hint that it changed,
or a record of what was done about it.  Amounts are cents.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.identifiers import uuid7
from billing.tiers import Tier


class Mode(models.TextChoices):
    """Which Stripe a row belongs to: what one knows means nothing to another."""

    SANDBOX = "sandbox", "the embedded sandbox"
    TEST = "test", "Stripe, test mode"
    LIVE = "live", "Stripe, live mode"


def _key_attempt() -> "models.PositiveSmallIntegerField[int, int]":
    """Part of the key that a call of Stripe is repeated with: see StripeFailed."""
    return models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How often Stripe answered that it failed."
    )


class Customer(models.Model):
    """A user as Stripe knows them.  Its row's lock is what serialises everything about them.

    From `fetched_at` on the columns repeat what was fetched last.  The tier does not rest on them:
    they are for pages, for refusing a second subscription early, and for telling cards apart.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Protected: a deleted row would leave a card that is charged for ever.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="customers"
    )
    mode = models.CharField(max_length=10, choices=Mode)
    stripe_id = models.CharField(max_length=255, null=True, blank=True)
    key_attempt = _key_attempt()
    refresh_wanted_at = models.DateTimeField(
        null=True, blank=True, help_text="From then on the worker fetches the state anew."
    )
    refresh_failures = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    fetched_at = models.DateTimeField(null=True, blank=True)
    subscription_id = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=30, blank=True, help_text="The subscription's, at Stripe.")
    price_key = models.CharField(max_length=60, blank=True, help_text="Lookup key of its price.")
    price_cents = models.PositiveIntegerField(default=0, help_text="As it was sold.")
    period_ends_at = models.DateTimeField(null=True, blank=True)
    cancels_at = models.DateTimeField(null=True, blank=True)
    access_ends_at = models.DateTimeField(
        null=True, blank=True, help_text="When the grace of an unpaid renewal is over."
    )
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    amount_due_cents = models.PositiveIntegerField(default=0)
    card_brand = models.CharField(max_length=30, blank=True)
    card_last_four = models.CharField(max_length=4, blank=True)
    card_fingerprint = models.CharField(max_length=64, blank=True)
    has_paid = models.BooleanField(default=False, help_text="Ever, for anything.")
    disputed = models.BooleanField(default=False)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("user", "mode"), name="one_customer_a_user"),
            models.UniqueConstraint(fields=("mode", "stripe_id"), name="one_row_a_customer"),
        )
        indexes = (
            models.Index(
                fields=("refresh_wanted_at",),
                condition=models.Q(refresh_wanted_at__isnull=False),
                name="customers_to_refresh",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} ({self.stripe_id or 'not at Stripe yet'})"


class SyncedObject(models.Model):
    """Where a product, price, coupon or portal configuration of ours is at Stripe."""

    mode = models.CharField(max_length=10, choices=Mode)
    key = models.CharField(max_length=80, help_text="Our name for it.")
    stripe_id = models.CharField(max_length=255)
    synced_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("mode", "key")
        constraints = (
            models.UniqueConstraint(fields=("mode", "key"), name="one_object_of_each_name"),
        )

    def __str__(self) -> str:
        return f"{self.key} is {self.stripe_id}"


class Checkout(models.Model):
    """A Checkout session of ours.  A customer has at most one that is open."""

    class State(models.TextChoices):
        OPEN = "open"
        COMPLETE = "complete"
        EXPIRED = "expired"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="checkouts")
    stripe_id = models.CharField(max_length=255, unique=True)
    url = models.TextField()
    price_key = models.CharField(max_length=60)
    lines = models.JSONField(help_text="The offer's lines, as they were shown.")
    total_cents = models.PositiveIntegerField(help_text="What the first payment is.")
    referral = models.ForeignKey("Referral", on_delete=models.SET_NULL, null=True, blank=True)
    subscription_id = models.CharField(max_length=255, blank=True, help_text="What it began.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("customer",),
                condition=models.Q(state="open"),
                name="one_open_checkout",
            ),
        )

    def __str__(self) -> str:
        return self.stripe_id


class WebhookEvent(models.Model):
    """The inbox: one row an event, however often it is delivered.  An event is only a hint."""

    class State(models.TextChoices):
        PENDING = "pending"
        DONE = "done"
        IGNORED = "ignored"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=120)
    customer_stripe_id = models.CharField(max_length=255, blank=True)
    mode = models.CharField(max_length=10, choices=Mode)
    api_version = models.CharField(max_length=60, blank=True)
    foreign_version = models.BooleanField(
        default=False, help_text="Rendered in another API version than the one we ask for."
    )
    payload = models.TextField(help_text="As it was received.")
    created_at = models.DateTimeField(help_text="At Stripe.")
    received_at = models.DateTimeField(default=timezone.now)
    found_by_reconciler = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    processed_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=("next_attempt_at",),
                condition=models.Q(state="pending"),
                name="events_to_process",
            ),
            models.Index(fields=("customer_stripe_id", "-id"), name="events_by_customer"),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class TierChange(models.Model):
    """The audit trail: each change of what a user's payments give them.  Never edited."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="tier_changes"
    )
    at = models.DateTimeField(default=timezone.now)
    before = models.CharField(max_length=10, choices=Tier)
    after = models.CharField(max_length=10, choices=Tier)
    reason = models.CharField(max_length=60)
    detail = models.JSONField(default=dict, help_text="What Stripe said: subscription, status, …")

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.user}: {self.before} to {self.after}, {self.reason}"


class Repayment(models.Model):
    """Money that was given back without anybody asking, and why.  One for each subscription."""

    subscription_id = models.CharField(max_length=255, primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.CASCADE, related_name="repayments")
    owes_refund = models.BooleanField(
        default=True,
        db_default=True,
        help_text="No: its period was not paid, so it is only cancelled.",
    )
    key_attempt = _key_attempt()
    refunded_cents = models.PositiveIntegerField(default=0, help_text="Once it is done.")
    reason = models.CharField(max_length=200)
    at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(
        null=True, blank=True, help_text="Empty: Stripe refused it, or it is about to be done."
    )

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"{self.subscription_id}: {self.reason}"


class ReconcilerRun(models.Model):
    """How far back the reconciler has seen all of Stripe's events, and when it last ran."""

    mode = models.CharField(max_length=10, choices=Mode, primary_key=True)
    seen_until = models.DateTimeField(null=True, blank=True)
    ran_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"{self.mode}: {self.ran_at}"


class ReferralCode(models.Model):
    """What a user's friends sign up with."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="referral_code"
    )
    code = models.CharField(max_length=16, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.code


class Referral(models.Model):
    """One user brought another.  Both gain when the other pays for the first time."""

    class State(models.TextChoices):
        WAITING = "waiting", "has not paid yet"
        EARNED = "earned", "has paid: the referrer's discount waits for their own upgrade"
        REWARDED = "rewarded", "the referrer has had their part"
        VOID = "void", "does not count"

    referrer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="referrals"
    )
    referred = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="referred_by"
    )
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(help_text="The discount's last moment.")
    paid_at = models.DateTimeField(null=True, blank=True)
    rewarded_at = models.DateTimeField(null=True, blank=True)
    key_attempt = _key_attempt()
    credit_cents = models.PositiveIntegerField(default=0, help_text="Credited to the referrer.")

    class Meta:
        ordering = ("-pk",)

    def __str__(self) -> str:
        return f"{self.referrer} brought {self.referred}"


class HeldOffer(models.Model):
    """A discount that a user was shown: it stays good while they make up their mind."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="held_offer"
    )
    discount = models.CharField(max_length=30)
    held_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.user}: {self.discount} until {self.held_until:%Y-%m-%d %H:%M}"


class OutgoingMail(models.Model):
    """A mail that is owed, written with the change that it tells of and sent afterwards."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mails"
    )
    kind = models.CharField(max_length=40, help_text="Its template: templates/mail/KIND.txt.")
    key = models.CharField(max_length=160, unique=True, help_text="What it tells of, once.")
    context = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=("created_at",), condition=models.Q(sent_at=None), name="mails_to_send"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} to {self.user}"


class FunnelEvent(models.Model):
    """A step towards paying: a prompt shown, clicked or dismissed, a checkout begun or paid."""

    class Kind(models.TextChoices):
        SHOWN = "shown"
        CLICKED = "clicked"
        DISMISSED = "dismissed"
        CHECKOUT = "checkout"
        PAID = "paid"

    class Trigger(models.TextChoices):
        FIRST_REQUEST = "first_request"
        NEAR_LIMIT = "near_limit"
        LIMIT_REACHED = "limit_reached"
        QUALITY = "quality"
        PRO_FEATURE = "pro_feature"
        NONE = "none", "by themselves"

    class Channel(models.TextChoices):
        API = "api"
        BANNER = "banner"
        MAIL = "mail"
        PAGE = "page"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    account_id = models.UUIDField(help_text="The user, or the visitor.")
    kind = models.CharField(max_length=10, choices=Kind)
    trigger = models.CharField(max_length=15, choices=Trigger)
    channel = models.CharField(max_length=10, choices=Channel)
    window = models.CharField(max_length=60, help_text="Within which it happens once.")
    at = models.DateTimeField(default=timezone.now)

    objects: ClassVar[models.Manager["FunnelEvent"]] = models.Manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("account_id", "kind", "trigger", "channel", "window"),
                name="once_a_window",
            ),
        )
        indexes = (models.Index(fields=("kind", "-at"), name="funnel_by_kind"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.trigger}"
