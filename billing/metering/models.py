"""What accounts spent: the ledger, what was refused, the roll-ups that pages read, and prices."""

from typing import ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone

from accounts.identifiers import encode, uuid7
from billing.metering.rows import NOBODY
from billing.tiers import Tier


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

    What was wrong about one is put right by another row, a correction, whose tokens, amounts and
    requests are what has to be added to it; it has the `admitted_at` of the row that it corrects,
    and its id that row's time (`billing.metering.corrections`).

    The table is partitioned by month on `id`, whose UUIDv7 carries the time (migration 0001), and
    is written by `billing.metering.ledger` in SQL, many rows a commit.
    """

    class Status(models.TextChoices):
        RESERVED = "reserved"
        SETTLED = "settled"
        FAILED = "failed"
        CANCELLED = "cancelled"
        ABANDONED = "abandoned"
        CORRECTION = "correction"

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
    prompt_tokens = models.IntegerField(default=0)
    completion_tokens = models.IntegerField(default=0)
    cached_tokens = models.IntegerField(default=0, help_text="Part of the prompt's.")
    estimated = models.BooleanField(default=False, help_text="Counted here, not by the provider.")
    cost_micros = models.BigIntegerField(default=0, help_text="Provider cost, millionths of $1.")
    price_micros = models.BigIntegerField(default=0, help_text="Plan price, millionths of $1.")
    attempts = models.JSONField(default=list, help_text="Each deployment tried, and its outcome.")
    error_code = models.CharField(max_length=60, blank=True)
    address = models.GenericIPAddressField(
        null=True, help_text="Where it came from: an IPv4 address, or the first of an IPv6 /64."
    )
    # The database has these defaults, too: the release before this one names no such column.
    address_counted = models.BooleanField(
        default=False, db_default=False, help_text="Whether it counts against its address's limits."
    )
    session = models.CharField(
        max_length=16, blank=True, db_default="", help_text="Of which session it was."
    )
    requests = models.SmallIntegerField(
        default=1,
        db_default=1,
        help_text="What it counts as: 1; for a correction that takes one back, -1.",
    )
    corrects = models.UUIDField(null=True, help_text="The row that this one corrects.")
    reason = models.CharField(
        max_length=300, blank=True, db_default="", help_text="Why it was corrected."
    )
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
            models.Index(
                fields=("address", "-id"),
                condition=models.Q(address_counted=True),
                name="ledger_by_address",
            ),
            BrinIndex(fields=("ended_at",), name="ledger_by_end", pages_per_range=16),
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


class Refusal(models.Model):
    """A request that was not admitted.  Partitioned by month on `id`, as the ledger is.

    Written in batches off the request path.  Of an account's repetitions within a minute only some
    are kept, each of which stands for several.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    account_id = models.UUIDField(null=True, help_text="The user, or the visitor.")
    token_id = models.UUIDField(null=True)
    tier = models.CharField(max_length=10, blank=True)
    model = models.CharField(max_length=100, blank=True, help_text="As the caller named it.")
    code = models.CharField(max_length=60, help_text="The error's.")
    limit = models.CharField(max_length=40, blank=True, help_text="Which one, if it was a limit.")
    message = models.CharField(max_length=300, blank=True)
    address = models.GenericIPAddressField(null=True)
    stands_for = models.PositiveIntegerField(default=1, help_text="Refusals, this one included.")

    objects: ClassVar[models.Manager["Refusal"]] = models.Manager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("account_id", "-id"), name="refusals_by_account"),)

    def __str__(self) -> str:
        return self.request_id

    @property
    def request_id(self) -> str:
        """The id that the caller was given in `x-request-id`."""
        return encode("req", self.id)


class _Rollup(models.Model):
    """Sums of the ledger's ended rows: of one window, account, token, model and tier."""

    account_id = models.UUIDField()
    token_id = models.UUIDField(default=NOBODY, help_text="All zeros: none.")
    model = models.CharField(max_length=100)
    tier = models.CharField(max_length=10)
    requests = models.BigIntegerField(help_text="Charged ones, corrections taken off.")
    free_requests = models.BigIntegerField(help_text="Ended and not charged: failed, interrupted.")
    prompt_tokens = models.BigIntegerField(help_text="Of charged ones.")
    completion_tokens = models.BigIntegerField(help_text="Of charged ones.")
    cached_tokens = models.BigIntegerField(help_text="Of charged ones; part of the prompt's.")
    cost_micros = models.BigIntegerField(help_text="Provider cost, whether charged or not.")
    price_micros = models.BigIntegerField(help_text="Plan price.")
    latency_ms = models.BigIntegerField(help_text="Of charged ones, summed.")

    class Meta:
        abstract = True


class UsageHour(_Rollup):
    """A UTC clock hour's sums, by when the requests were admitted."""

    pk = models.CompositePrimaryKey("account_id", "hour", "token_id", "model", "tier")
    hour = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("hour",), name="usage_hours_by_hour"),)

    def __str__(self) -> str:
        return f"{self.account_id} at {self.hour:%Y-%m-%d %H}:00"


class UsageDay(_Rollup):
    """A UTC day's sums."""

    pk = models.CompositePrimaryKey("account_id", "day", "token_id", "model", "tier")
    day = models.DateField()

    class Meta:
        indexes = (models.Index(fields=("day",), name="usage_days_by_day"),)

    def __str__(self) -> str:
        return f"{self.account_id} on {self.day:%Y-%m-%d}"


class RollupMark(models.Model):
    """How far the roll-ups have come: one row."""

    id = models.SmallAutoField(primary_key=True)
    rolled_to = models.DateTimeField(help_text="Every row that ended before is in the sums.")

    def __str__(self) -> str:
        return f"rolled up to {self.rolled_to:%Y-%m-%d %H:%M}"


class CounterStore(models.Model):
    """Where admission is decided just now: one row or, until it first changes, none."""

    id = models.SmallAutoField(primary_key=True)
    generation = models.PositiveIntegerField(
        help_text="Odd: Redis counts. Even: the ledger does, as Redis is away."
    )
    changed_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{'Redis' if self.generation % 2 else 'the ledger'}, generation {self.generation}"
