import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Deployment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=100,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
                                "Letters, digits, dots, colons, dashes and underscores.",
                            )
                        ],
                    ),
                ),
                (
                    "provider",
                    models.CharField(
                        help_text="litellm's provider name: openai, gemini, openrouter, …",
                        max_length=40,
                    ),
                ),
                (
                    "upstream_model",
                    models.CharField(
                        blank=True, help_text="The provider's name for the model.", max_length=150
                    ),
                ),
                (
                    "upstream_model_variable",
                    models.CharField(
                        blank=True,
                        help_text="Or the variable that holds it.",
                        max_length=80,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z][A-Z0-9_]*_(API_KEY|API_BASE|BASE_URL|URL|MODEL)$",
                                "The name of an environment variable that ends in _API_KEY, _API_BASE, _BASE_URL, _URL or _MODEL. A secret itself is never stored.",
                            )
                        ],
                    ),
                ),
                ("base_url", models.URLField(blank=True, help_text="Empty: the provider's own.")),
                (
                    "base_url_variable",
                    models.CharField(
                        blank=True,
                        help_text="Or the variable that holds it.",
                        max_length=80,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z][A-Z0-9_]*_(API_KEY|API_BASE|BASE_URL|URL|MODEL)$",
                                "The name of an environment variable that ends in _API_KEY, _API_BASE, _BASE_URL, _URL or _MODEL. A secret itself is never stored.",
                            )
                        ],
                    ),
                ),
                (
                    "api_key_variable",
                    models.CharField(
                        blank=True,
                        help_text="The environment variable with the key. Empty: none is needed.",
                        max_length=80,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z][A-Z0-9_]*_(API_KEY|API_BASE|BASE_URL|URL|MODEL)$",
                                "The name of an environment variable that ends in _API_KEY, _API_BASE, _BASE_URL, _URL or _MODEL. A secret itself is never stored.",
                            )
                        ],
                    ),
                ),
                (
                    "api_key_optional",
                    models.BooleanField(
                        default=False,
                        help_text="On: usable without a key too, as servers of one's own often are.",
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="PublicModel",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=100,
                        unique=True,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
                                "Letters, digits, dots, colons, dashes and underscores.",
                            )
                        ],
                    ),
                ),
                ("title", models.CharField(max_length=100)),
                ("description", models.CharField(blank=True, max_length=300)),
                (
                    "tier",
                    models.CharField(
                        choices=[("free", "Free (visitors too)"), ("pro", "Pro")],
                        default="free",
                        max_length=10,
                        verbose_name="lowest tier",
                    ),
                ),
                (
                    "context_window",
                    models.PositiveIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                (
                    "max_output_tokens",
                    models.PositiveIntegerField(
                        validators=[django.core.validators.MinValueValidator(1)]
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "ordering": ("name",),
            },
        ),
        migrations.CreateModel(
            name="Placement",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "priority",
                    models.PositiveSmallIntegerField(default=100, help_text="Lowest first."),
                ),
                (
                    "weight",
                    models.PositiveSmallIntegerField(
                        default=1, help_text="Share among those of equal priority."
                    ),
                ),
                (
                    "deployment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="placements",
                        to="gateway.deployment",
                    ),
                ),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="placements",
                        to="gateway.publicmodel",
                    ),
                ),
            ],
            options={
                "ordering": ("model", "priority"),
            },
        ),
        migrations.AddField(
            model_name="deployment",
            name="serves",
            field=models.ManyToManyField(
                related_name="deployments", through="gateway.Placement", to="gateway.publicmodel"
            ),
        ),
        migrations.CreateModel(
            name="ProbeResult",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("probed_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("succeeded", models.BooleanField()),
                ("latency_ms", models.PositiveIntegerField()),
                ("error", models.CharField(blank=True, max_length=300)),
                (
                    "deployment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="probes",
                        to="gateway.deployment",
                    ),
                ),
            ],
            options={
                "ordering": ("-probed_at",),
                "indexes": [
                    models.Index(fields=["deployment", "-probed_at"], name="probes_by_deployment")
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="placement",
            constraint=models.UniqueConstraint(
                fields=("model", "deployment"), name="one_placement_each"
            ),
        ),
    ]
