"""What is known of deployments over time: figures by minute and day, standings, events, ratings."""

from typing import ClassVar, Final

from django.conf import settings
from django.db import models
from django.utils import timezone

GATEWAY: Final = ""
"""In the place of a deployment's name: the gateway itself, whose answers are whole requests."""


class QualityMinute(models.Model):
    """A clock minute's answers of one deployment, by when the requests ended.

    `bucket` says how long the first token took (`gateway.health.latency`), so that the minutes of
    any window add up to a median.
    """

    pk = models.CompositePrimaryKey("minute", "deployment", "bucket")
    minute = models.DateTimeField()
    deployment = models.CharField(max_length=100)
    bucket = models.SmallIntegerField(help_text="0: not a stream, or none came.")
    succeeded = models.IntegerField()
    failed = models.IntegerField(help_text="By the provider's fault.")
    timeouts = models.IntegerField(help_text="Of those that failed.")
    tokens = models.BigIntegerField(help_text="Prompt and completion, of those that succeeded.")
    completion_tokens = models.BigIntegerField()
    generating_ms = models.BigIntegerField(help_text="In which the completions were produced.")

    def __str__(self) -> str:
        return f"{self.deployment or 'gateway'} at {self.minute:%Y-%m-%d %H:%M}"


class DeploymentDay(models.Model):
    """A UTC day's answers and probes of one deployment, or of the gateway.  Kept for ever."""

    pk = models.CompositePrimaryKey("day", "deployment")
    day = models.DateField()
    deployment = models.CharField(max_length=100)
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    probes_succeeded = models.IntegerField(default=0)
    probes_failed = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.deployment or 'gateway'} on {self.day:%Y-%m-%d}"


class QualityStanding(models.Model):
    """Where a deployment's quality puts it now, and the figures that say so."""

    deployment = models.OneToOneField(
        "gateway.Deployment", on_delete=models.CASCADE, related_name="standing", primary_key=True
    )
    lowered = models.BooleanField(
        default=False, help_text="Tried after every deployment that answers well."
    )
    since = models.DateTimeField(null=True, help_text="What came before does not count.")
    held_until = models.DateTimeField(null=True, help_text="Then probes try whether it is well.")
    holds = models.PositiveSmallIntegerField(default=0, help_text="Each is longer than the last.")
    figures = models.JSONField(default=dict, help_text="By window: 5 minutes, an hour, a day.")
    judged_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "quality"
        verbose_name_plural = "quality"
        ordering = ("-lowered", "deployment__name")

    def __str__(self) -> str:
        return str(self.deployment)


class HealthEvent(models.Model):
    """That something about a deployment changed.  Written once, with its figures; kept a year."""

    class Kind(models.TextChoices):
        LOWERED = "lowered", "lost its place"
        HELD = "held", "failed its trial"
        RAISED = "raised", "got its place back"
        RESET = "reset", "was put back by staff"
        CIRCUIT_OPENED = "circuit_opened", "circuit opened"
        CIRCUIT_CLOSED = "circuit_closed", "circuit closed"
        PROBE_FAILED = "probe_failed", "stopped answering probes"
        PROBE_ANSWERED = "probe_answered", "answers probes again"

    at = models.DateTimeField(default=timezone.now)
    deployment = models.CharField(max_length=100)
    kind = models.CharField(max_length=20, choices=Kind)
    text = models.CharField(max_length=300, help_text="With its figures. For staff.")
    process_id = models.UUIDField(null=True, help_text="Whose circuit it is.")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-at", "-id")
        indexes = (
            models.Index(fields=("-at",), name="health_events_by_time"),
            models.Index(fields=("deployment", "kind", "-at"), name="health_events_of_one"),
        )

    def __str__(self) -> str:
        return f"{self.deployment} {self.get_kind_display()}"


class OpenCircuit(models.Model):
    """A circuit that is open in one process, for as long as that process says so."""

    pk = models.CompositePrimaryKey("process_id", "deployment")
    process_id = models.UUIDField()
    deployment = models.CharField(max_length=100)
    opened_at = models.DateTimeField()
    heard_at = models.DateTimeField()

    objects: ClassVar[models.Manager["OpenCircuit"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.deployment} in {self.process_id}"


class Rating(models.Model):
    """What whoever asked thinks of an answer.  The answer itself is not kept."""

    request_id = models.UUIDField(primary_key=True)
    account_id = models.UUIDField(
        help_text="The user, or the visitor. A trigger deletes the row with them."
    )
    deployment = models.CharField(max_length=100)
    up = models.BooleanField()
    comment = models.CharField(max_length=500, blank=True)
    rated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-rated_at",)
        indexes = (
            models.Index(fields=("-rated_at",), name="ratings_by_time"),
            models.Index(fields=("account_id",), name="ratings_by_account"),
        )

    def __str__(self) -> str:
        return f"{'up' if self.up else 'down'} for {self.deployment}"
