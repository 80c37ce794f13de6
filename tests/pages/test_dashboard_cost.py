"""The dashboard costs the same whatever was before: counted in rows that Postgres reads."""

import datetime as dt

import pytest
from django.db import connection

from accounts.models import ApiToken, User
from billing.metering.rollups import roll_up
from billing.models import LedgerEntry, RollupMark
from gateway.pages.dashboard import of_the_past
from tests.metering.rolling import account, fill
from tests.pages.plans import rows_read
from tests.pages.spending import spend

MOST = 1_000
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def dora(db: None) -> User:
    """Dora has made 2,000 requests in 20 days, of the 200,000 of a hundred accounts.

    With few accounts Postgres may well read a day of everybody's sums to find hers.
    """
    user = User.objects.create_user("dora@example.com", id=account(0))
    token, _ = ApiToken.objects.issue(user=user, name="Dora's laptop")
    fill(200_000, span="20 days", accounts=100)
    roll_up()
    spend(user.pk, 3, token_id=token.pk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE billing_ledgerentry, billing_usagehour, billing_usageday")
    return user


def test_all_its_queries_together_read_less_than_a_thousand_rows(dora: User) -> None:
    assert LedgerEntry.objects.filter(account_id=dora.pk).count() == 2_003
    assert rows_read(lambda: of_the_past(dora)) < MOST
    RollupMark.objects.all().delete()  # from rows alone it would read them: they are counted
    assert rows_read(lambda: of_the_past(dora)) > MOST
