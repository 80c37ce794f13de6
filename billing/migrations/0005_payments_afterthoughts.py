"""What is given back is noted more exactly, and how often Stripe answered that it failed."""

from django.db import migrations, models


def _key_attempt() -> models.Field:
    return models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="How often Stripe answered that it failed."
    )


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_what_is_paid_and_given_back")]

    operations = [
        migrations.AddField(
            "repayment",
            "owes_refund",
            models.BooleanField(
                default=True,
                db_default=True,
                help_text="No: its period was not paid, so it is only cancelled.",
            ),
        ),
        migrations.AddField("customer", "key_attempt", _key_attempt()),
        migrations.AddField("repayment", "key_attempt", _key_attempt()),
        migrations.AddField("referral", "key_attempt", _key_attempt()),
    ]
