from django.db import migrations, models

# The rows have no foreign key: an account is a user or a visitor, and a visitor's row is written
# after their first request was admitted, which is after it has claimed its key.
_FORGET = """
CREATE FUNCTION gateway_forget_answers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM gateway_storedanswer WHERE account_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER forget_answers AFTER DELETE ON accounts_user
    FOR EACH ROW EXECUTE FUNCTION gateway_forget_answers();
CREATE TRIGGER forget_answers AFTER DELETE ON accounts_visitor
    FOR EACH ROW EXECUTE FUNCTION gateway_forget_answers();
"""
_NO_LONGER = """
DROP TRIGGER forget_answers ON accounts_user;
DROP TRIGGER forget_answers ON accounts_visitor;
DROP FUNCTION gateway_forget_answers();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_initial"),
        ("gateway", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoredAnswer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "account_id",
                    models.UUIDField(
                        help_text="The user, or the visitor. A trigger deletes the row with them."
                    ),
                ),
                ("key", models.CharField(max_length=255)),
                ("digest", models.BinaryField(help_text="SHA-256 of endpoint and body.")),
                (
                    "request_id",
                    models.UUIDField(help_text="Whose ledger row says what the answer is worth."),
                ),
                ("process_id", models.UUIDField(help_text="The gateway process that runs it.")),
                ("claimed_at", models.DateTimeField()),
                (
                    "deadline_at",
                    models.DateTimeField(help_text="By then its ledger row is there, or never."),
                ),
                ("answered_at", models.DateTimeField(null=True)),
                (
                    "answer",
                    models.BinaryField(
                        help_text="Empty too where it was too large to keep.", null=True
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["claimed_at"], name="stored_answers_by_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("account_id", "key"), name="one_request_a_key")
                ],
            },
        ),
        migrations.RunSQL(_FORGET, _NO_LONGER),
    ]
