import datetime as dt

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.identifiers
from billing.metering.partitions import create_partitions
from billing.migrations._partitioned import CreatePartitionedModel


def create_first_partitions(apps, schema_editor):
    """Last month to half a year ahead; the beat keeps creating them."""
    today = dt.datetime.now(dt.UTC).date()
    create_partitions(schema_editor.connection, today, tables=("billing_ledgerentry",))


def insert_plans(apps, schema_editor):
    """What a new database starts with; from here on the table is staff's."""
    plan = apps.get_model("billing", "Plan")
    names = (
        "tier",
        "requests_per_hour",
        "requests_per_day",
        "tokens_per_day",
        "concurrent_requests",
        "context_window",
        "prompt_characters",
        "default_max_tokens",
    )
    for values in (
        ("visitor", 5, 20, 5_000, 1, 32_768, 10_000, 512),
        ("free", 10, 50, 10_000, 2, 32_768, 10_000, 1_024),
        ("pro", None, None, None, 20, None, None, None),
    ):
        plan.objects.create(**dict(zip(names, values, strict=True)))


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="GatewayProcess",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=accounts.identifiers.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("host", models.CharField(max_length=120)),
                ("pid", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("heartbeat_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "gateway processes",
                "ordering": ("-id",),
            },
        ),
        migrations.CreateModel(
            name="Plan",
            fields=[
                (
                    "tier",
                    models.CharField(
                        choices=[("visitor", "Visitor"), ("free", "Free"), ("pro", "Pro")],
                        max_length=10,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "requests_per_hour",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="A UTC clock hour. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "requests_per_day",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="A UTC day. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "tokens_per_day",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Prompt and completion together, a UTC day. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "concurrent_requests",
                    models.PositiveIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                (
                    "context_window",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Tokens. Empty: the model's own.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "prompt_characters",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Longest prompt, all messages together. Empty: no limit.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
                (
                    "default_max_tokens",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Completion tokens when the request names none. Empty: the model's.",
                        null=True,
                        validators=[django.core.validators.MinValueValidator(1)],
                    ),
                ),
            ],
            options={
                "ordering": ("tokens_per_day", "tier"),
            },
        ),
        CreatePartitionedModel(
            name="LedgerEntry",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("account_id", models.UUIDField(help_text="The user, or the visitor.")),
                ("token_id", models.UUIDField(null=True)),
                (
                    "tier",
                    models.CharField(
                        choices=[("visitor", "Visitor"), ("free", "Free"), ("pro", "Pro")],
                        max_length=10,
                    ),
                ),
                ("model", models.CharField(help_text="As the caller named it.", max_length=100)),
                (
                    "deployment",
                    models.CharField(blank=True, help_text="Which one served it.", max_length=100),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("reserved", "Reserved"),
                            ("settled", "Settled"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("abandoned", "Abandoned"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "charged",
                    models.BooleanField(
                        help_text="Whether it counts against the account's limits."
                    ),
                ),
                ("streamed", models.BooleanField()),
                (
                    "reserved_tokens",
                    models.PositiveIntegerField(help_text="Prompt bound and largest completion."),
                ),
                ("prompt_tokens", models.PositiveIntegerField(default=0)),
                ("completion_tokens", models.PositiveIntegerField(default=0)),
                (
                    "cached_tokens",
                    models.PositiveIntegerField(default=0, help_text="Part of the prompt's."),
                ),
                (
                    "estimated",
                    models.BooleanField(
                        default=False, help_text="Counted here, not by the provider."
                    ),
                ),
                (
                    "cost_micros",
                    models.BigIntegerField(default=0, help_text="Provider cost, millionths of $1."),
                ),
                (
                    "price_micros",
                    models.BigIntegerField(default=0, help_text="Plan price, millionths of $1."),
                ),
                (
                    "attempts",
                    models.JSONField(
                        default=list, help_text="Each deployment tried, and its outcome."
                    ),
                ),
                ("error_code", models.CharField(blank=True, max_length=60)),
                ("admitted_at", models.DateTimeField(help_text="By the counter store's clock.")),
                ("first_token_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "process_id",
                    models.UUIDField(help_text="The gateway process that held the reservation."),
                ),
                (
                    "deadline_at",
                    models.DateTimeField(
                        help_text="Past it, the sweeper abandons the reservation."
                    ),
                ),
            ],
            options={
                "verbose_name": "ledger entry",
                "verbose_name_plural": "ledger entries",
                "ordering": ("-id",),
                "indexes": [
                    models.Index(fields=["account_id", "-id"], name="ledger_by_account"),
                    models.Index(fields=["account_id", "admitted_at"], name="ledger_by_window"),
                    models.Index(
                        condition=models.Q(("status", "reserved")),
                        fields=["process_id"],
                        name="ledger_open_by_process",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("provider", "what the provider takes from us (a deployment)"),
                            ("plan", "what the plan charges (a public model)"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "subject",
                    models.CharField(help_text="Deployment or model name.", max_length=100),
                ),
                ("valid_from", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "prompt_micros",
                    models.PositiveBigIntegerField(help_text="Millionths of $1 a million tokens."),
                ),
                (
                    "completion_micros",
                    models.PositiveBigIntegerField(help_text="The same, for completions."),
                ),
            ],
            options={
                "ordering": ("kind", "subject", "-valid_from"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "subject", "valid_from"), name="one_price_at_a_time"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "tier",
                    models.CharField(choices=[("free", "Free"), ("pro", "Pro")], max_length=10),
                ),
                (
                    "source",
                    models.CharField(
                        choices=[("staff", "granted by staff"), ("stripe", "paid through Stripe")],
                        max_length=10,
                    ),
                ),
                (
                    "ends_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="From then on the user is on the free plan.",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="subscription",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.RunPython(create_first_partitions, migrations.RunPython.noop),
        migrations.RunPython(insert_plans, migrations.RunPython.noop),
    ]
