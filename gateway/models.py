"""The catalogue: public models, deployments, which serves which, probes; and stored answers."""

from collections.abc import Mapping

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils import timezone

from billing.models import Tier

# Django looks for models here alone.
from gateway.health.models import (
    DeploymentDay,
    HealthEvent,
    OpenCircuit,
    QualityMinute,
    QualityStanding,
    Rating,
)
from gateway.safety.models import (
    AbuseCase,
    AbuseCaseChange,
    AbuseThresholds,
    ContentRule,
    RequestFingerprint,
)
from gateway.types import LONGEST_CACHE_SECONDS, Balancing, Kind

__all__ = [
    "AbuseCase",
    "AbuseCaseChange",
    "AbuseThresholds",
    "ContentRule",
    "Deployment",
    "DeploymentDay",
    "HealthEvent",
    "OpenCircuit",
    "Placement",
    "ProbeResult",
    "PublicModel",
    "QualityMinute",
    "QualityStanding",
    "Rating",
    "RequestFingerprint",
]

_VARIABLE = RegexValidator(
    r"^[A-Z][A-Z0-9_]*_(API_KEY|API_BASE|BASE_URL|URL|MODEL)$",
    "The name of an environment variable that ends in _API_KEY, _API_BASE, _BASE_URL, _URL or "
    "_MODEL. A secret itself is never stored.",
)

_NAME = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", "Letters, digits, dots, colons, dashes and underscores."
)


_TIERS = [(Tier.FREE.value, "Free (visitors too)"), (Tier.PRO.value, "Pro")]


class PublicModel(models.Model):
    """A name that callers use."""

    name = models.CharField(max_length=100, unique=True, validators=[_NAME])
    title = models.CharField(max_length=100)
    description = models.CharField(max_length=300, blank=True)
    tier = models.CharField(
        "lowest tier",
        max_length=10,
        choices=_TIERS,
        default=Tier.FREE,
    )
    kind = models.CharField(
        max_length=10,
        choices=[(Kind.CHAT.value, "answers"), (Kind.EMBEDDING.value, "embeddings")],
        default=Kind.CHAT.value,
        db_default=Kind.CHAT.value,
        help_text="What it gives. Deployments that serve one model for embeddings must have the "
        "same model behind them: vectors of different ones can't be compared.",
    )
    context_window = models.PositiveIntegerField(
        validators=[MinValueValidator(1)],
        help_text="Tokens of prompt and answer, or of one text to be embedded.",
    )
    max_output_tokens = models.PositiveIntegerField(
        validators=[MinValueValidator(1)], help_text="Of an answer; embeddings have none."
    )
    balancing = models.CharField(
        max_length=20,
        choices=[
            (Balancing.WEIGHT.value, "by weight"),
            (
                Balancing.LEAST_CONNECTIONS.value,
                "to whoever has the least to do for its weight",
            ),
        ],
        default=Balancing.WEIGHT.value,
        help_text="Among deployments of equal priority.",
    )
    cache_seconds = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(LONGEST_CACHE_SECONDS)],
        help_text="How long an answer is given again, free of charge, to the account that asks "
        "exactly the same. 0: only where a request asks for it.",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


def _capacity(what: str) -> "models.PositiveBigIntegerField[int | None, int | None]":
    return models.PositiveBigIntegerField(
        null=True, blank=True, help_text=f"{what} that the provider allows. Empty: no limit."
    )


class Deployment(models.Model):
    """One provider's model at one address, under one credential."""

    name = models.CharField(max_length=100, unique=True, validators=[_NAME])
    provider = models.CharField(
        max_length=40, help_text="litellm's provider name: openai, gemini, openrouter, …"
    )
    upstream_model = models.CharField(
        max_length=150, blank=True, help_text="The provider's name for the model."
    )
    upstream_model_variable = models.CharField(
        max_length=80,
        blank=True,
        validators=[_VARIABLE],
        help_text="Or the variable that holds it.",
    )
    base_url = models.URLField(blank=True, help_text="Empty: the provider's own.")
    base_url_variable = models.CharField(
        max_length=80,
        blank=True,
        validators=[_VARIABLE],
        help_text="Or the variable that holds it.",
    )
    api_key_variable = models.CharField(
        max_length=80,
        blank=True,
        validators=[_VARIABLE],
        help_text="The environment variable with the key. Empty: none is needed.",
    )
    api_key_optional = models.BooleanField(
        default=False, help_text="On: usable without a key too, as servers of one's own often are."
    )
    requests_per_minute = _capacity("Requests in any minute")
    tokens_per_minute = _capacity("Tokens in any minute")
    requests_per_day = _capacity("Requests in a UTC day")
    tokens_per_day = _capacity("Tokens in a UTC day")
    requests_at_once = _capacity("Requests at the same time")
    takes_tools = models.BooleanField(default=True)
    takes_images = models.BooleanField(default=True)
    takes_audio = models.BooleanField(default=True)
    takes_json_schemas = models.BooleanField("takes JSON schemas", default=True)
    context_window = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Tokens. Empty: as its public models say.",
    )
    enabled = models.BooleanField(default=True)
    quality_routing = models.BooleanField(
        default=True,
        db_default=True,
        help_text="On: it is tried later while too many of its answers fail.",
    )
    serves = models.ManyToManyField(PublicModel, through="Placement", related_name="deployments")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def missing_variables(self, variables: Mapping[str, str]) -> list[str]:
        """Names of the variables without which it can't be called: none, and it can."""
        needed = [self.base_url_variable, self.upstream_model_variable]
        if not self.api_key_optional:
            needed.append(self.api_key_variable)
        return [name for name in needed if name and name not in variables]


class Placement(models.Model):
    """That a deployment serves a public model, and how gladly."""

    model = models.ForeignKey(PublicModel, on_delete=models.CASCADE, related_name="placements")
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="placements")
    priority = models.PositiveSmallIntegerField(default=100, help_text="Lowest first.")
    weight = models.PositiveSmallIntegerField(
        default=1, help_text="Share among those of equal priority."
    )
    tier = models.CharField(
        "lowest tier",
        max_length=10,
        choices=_TIERS,
        default=Tier.FREE,
        help_text="Whose callers are sent there for this model.",
    )

    class Meta:
        ordering = ("model", "priority")
        constraints = (
            models.UniqueConstraint(fields=("model", "deployment"), name="one_placement_each"),
        )

    def __str__(self) -> str:
        return f"{self.model} ← {self.deployment}"


class ProbeResult(models.Model):
    """One probe of one deployment."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="probes")
    probed_at = models.DateTimeField(default=timezone.now)
    succeeded = models.BooleanField()
    latency_ms = models.PositiveIntegerField()
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-probed_at",)
        indexes = (models.Index(fields=("deployment", "-probed_at"), name="probes_by_deployment"),)

    def __str__(self) -> str:
        return f"{self.deployment} at {self.probed_at:%H:%M:%S}"


class StoredAnswer(models.Model):
    """An idempotency key of an account: who runs for it, and then what they were answered.

    Written by `gateway.idempotency.claims` in SQL.  An answer is content, and stays for a day.
    """

    account_id = models.UUIDField(
        help_text="The user, or the visitor. A trigger deletes the row with them."
    )
    key = models.CharField(max_length=255)
    digest = models.BinaryField(help_text="SHA-256 of endpoint and body.")
    request_id = models.UUIDField(help_text="Whose ledger row says what the answer is worth.")
    process_id = models.UUIDField(help_text="The gateway process that runs it.")
    claimed_at = models.DateTimeField()
    deadline_at = models.DateTimeField(help_text="By then its ledger row is there, or never.")
    answered_at = models.DateTimeField(null=True)
    answer = models.BinaryField(null=True, help_text="Empty too where it was too large to keep.")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("account_id", "key"), name="one_request_a_key"),
        )
        indexes = (models.Index(fields=("claimed_at",), name="stored_answers_by_age"),)

    def __str__(self) -> str:
        return self.key
