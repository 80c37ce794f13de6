"""What is given back is noted more exactly."""

from django.db import migrations, models


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
    ]
