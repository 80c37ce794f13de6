"""The tables of what may be asked: content rules, fingerprints of prompts, cases of abuse."""

import datetime as dt
import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from billing.models import Tier
from gateway.safety.matching import KEYWORD, PATTERN, BadRule, expression


def every_tier() -> list[str]:
    """Whom a new rule applies to."""
    return [tier.value for tier in Tier]


class ContentRule(models.Model):
    """What may not be asked.  Staff edit it; every process acts on the change within a second."""

    class Kind(models.TextChoices):
        KEYWORD = KEYWORD, "keyword or phrase: whole words, whatever their case and accents"
        PATTERN = PATTERN, "pattern: a regular expression in RE2's syntax"

    name = models.CharField(max_length=100, unique=True, help_text="The refusal names it.")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.KEYWORD)
    text = models.CharField(
        max_length=500,
        help_text="Compared with the prompt in lower case, without accents, without characters that"
        " nobody sees, with Latin letters for those that only look like them.",
    )
    explanation = models.CharField(
        max_length=300, help_text="Shown to whoever is refused: a sentence or two."
    )
    tiers = ArrayField(
        models.CharField(max_length=10, choices=Tier),
        default=every_tier,
        help_text="Whom it applies to.",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """That its text can be searched for."""
        try:
            expression(self.kind, self.text)
        except BadRule as error:
            raise ValidationError({"text": str(error)}) from error


class RequestFingerprint(models.Model):
    """What a prompt is like, so that like ones are found; the prompt can't be had back from it.

    Written in batches by `gateway.safety.fingerprints`, kept for some days.
    """

    request_id = models.UUIDField(primary_key=True, editable=False)
    account_id = models.UUIDField()
    fingerprint = models.BinaryField(help_text="MinHash: the lowest hashes of its word triples.")
    anchor = models.BigIntegerField(help_text="The lowest of them, which most like prompts share.")

    class Meta:
        ordering = ("-request_id",)
        indexes = (models.Index(fields=("anchor", "-request_id"), name="fingerprints_by_anchor"),)

    def __str__(self) -> str:
        return str(self.request_id)


class Level(models.TextChoices):
    """What a score comes to, in ascending order."""

    NONE = "none"
    WATCH = "watch", "watched"
    THROTTLE = "throttle", "slowed down"
    BLOCK = "block", "blocked"


_SCORE = (MinValueValidator(1), MaxValueValidator(1000))
_HOURS = (MinValueValidator(1), MaxValueValidator(24 * 30))


class AbuseThresholds(models.Model):
    """From which scores on something happens, and how long it lasts: one row."""

    id = models.SmallAutoField(primary_key=True)
    enabled = models.BooleanField(
        default=True, help_text="Off: nobody is slowed down or blocked, and nothing is looked for."
    )
    watch = models.PositiveSmallIntegerField(
        default=45, validators=_SCORE, help_text="Score from which staff see a case. No effect."
    )
    throttle = models.PositiveSmallIntegerField(
        default=70,
        validators=_SCORE,
        help_text="Score from which a quarter of the requests an hour and at once is left.",
    )
    block = models.PositiveSmallIntegerField(
        default=130, validators=_SCORE, help_text="Score from which requests are refused."
    )
    watch_hours = models.PositiveSmallIntegerField(default=24, validators=_HOURS)
    throttle_hours = models.PositiveSmallIntegerField(
        default=12, validators=_HOURS, help_text="Of normal use until it is over. Doubles by case."
    )
    block_hours = models.PositiveSmallIntegerField(
        default=24, validators=_HOURS, help_text="The same; a slowing down follows it."
    )

    class Meta:
        verbose_name = "abuse threshold"

    def __str__(self) -> str:
        return "Abuse thresholds"

    def clean(self) -> None:
        """That they ascend."""
        if None in (self.watch, self.throttle, self.block):
            return
        if not self.watch <= self.throttle <= self.block:
            raise ValidationError("The thresholds must not descend from watch to block.")


class AbuseCaseQuerySet(models.QuerySet["AbuseCase"]):
    """Finds cases."""

    def standing(self) -> Self:
        """Those that are not over."""
        return self.filter(state__in=AbuseCase.STANDING)

    def of(self, *, account_id: uuid.UUID | None = None, address: str | None = None) -> Self:
        """Those of one subject."""
        return self.filter(account_id=account_id, address=address)


class AbuseCase(models.Model):
    """That an account or a network address behaves in a way that staff should know of."""

    class State(models.TextChoices):
        OPEN = "open", "open: found by the system"
        CONFIRMED = "confirmed", "confirmed by staff: stays until it is lifted"
        DISMISSED = "dismissed", "dismissed by staff"
        ENDED = "ended", "over"

    STANDING: ClassVar = (State.OPEN.value, State.CONFIRMED.value)

    account_id = models.UUIDField(null=True, help_text="The user, or the visitor.")
    address = models.GenericIPAddressField(null=True, help_text="Or the network address.")
    tier = models.CharField(
        max_length=10, blank=True, help_text="The account's, when it was found."
    )
    level = models.CharField(max_length=10, choices=Level)
    score = models.PositiveSmallIntegerField()
    reasons = models.JSONField(default=list, help_text="Detector, points, and what it saw.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    opened_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)
    effect_until = models.DateTimeField(null=True, help_text="Empty: until staff lift it.")
    judged_to = models.DateTimeField(
        null=True, help_text="Requests before it have had their effect, and count no more."
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    note = models.CharField(max_length=500, blank=True, help_text="Staff's.")
    appeal = models.CharField(max_length=500, blank=True, help_text="What the user has to say.")
    appealed_at = models.DateTimeField(null=True)

    objects = AbuseCaseQuerySet.as_manager()

    class Meta:
        ordering = ("-opened_at",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(account_id=None) ^ models.Q(address=None),
                name="abuse_of_an_account_or_an_address",
            ),
            models.UniqueConstraint(
                fields=("account_id",),
                condition=models.Q(state__in=("open", "confirmed")),
                name="one_standing_case_an_account",
            ),
            models.UniqueConstraint(
                fields=("address",),
                condition=models.Q(state__in=("open", "confirmed")),
                name="one_standing_case_an_address",
            ),
        )
        indexes = (
            models.Index(
                fields=("changed_at",),
                condition=models.Q(
                    state__in=("open", "confirmed"), level__in=("throttle", "block")
                ),
                name="abuse_in_force",
            ),
            models.Index(fields=("account_id", "-opened_at"), name="abuse_by_account"),
            models.Index(fields=("address", "-opened_at"), name="abuse_by_address"),
        )

    def __str__(self) -> str:
        return self.subject

    @property
    def subject(self) -> str:
        """Whom it is about."""
        return self.address or str(self.account_id)

    @property
    def acts(self) -> bool:
        """Whether it has an effect just now."""
        return (
            self.state in self.STANDING
            and self.level in (Level.THROTTLE, Level.BLOCK)
            and (self.effect_until is None or self.effect_until > timezone.now())
        )

    @property
    def reason_texts(self) -> list[str]:
        """What was seen, in words."""
        reasons: list[dict[str, Any]] = self.reasons
        return [one["text"] for one in reasons]


class AbuseCaseChange(models.Model):
    """One change of a case: its history."""

    case = models.ForeignKey(AbuseCase, on_delete=models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, choices=Level)
    score = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=10, choices=AbuseCase.State)
    effect_until: "models.DateTimeField[dt.datetime | None, dt.datetime | None]" = (
        models.DateTimeField(null=True)
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    text = models.CharField(max_length=600)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.text
