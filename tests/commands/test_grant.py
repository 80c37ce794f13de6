"""`manage.py grant`: another limit for one user, from the command line."""

import datetime as dt
import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing.models import Allowance
from tests.conftest import Person


def grant(*arguments: str) -> str:
    out = StringIO()
    call_command("grant", *arguments, "--reason", "a workshop", stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("amount", "given"),
    [("+100", ("add", 100)), ("500", ("set", 500)), ("0", ("set", 0)), ("none", ("set", None))],
)
def test_an_amount_is_added_replaces_or_lifts(
    bob: Person, amount: str, given: tuple[str, int | None]
) -> None:
    said = json.loads(grant("Bob@example.com", "requests_per_day", amount, "--json"))
    allowance = Allowance.objects.get()
    assert (allowance.user, allowance.limit) == (bob.user, "requests_per_day")
    assert (allowance.kind, allowance.amount) == given == (said["kind"], said["amount"])
    assert (allowance.ends_at, allowance.reason) == (None, "a workshop")


def test_it_ends_after_some_days_or_at_a_moment(bob: Person) -> None:
    assert "until it is withdrawn" in grant("bob@example.com", "tokens_per_day", "+1")
    grant("bob@example.com", "tokens_per_day", "+1", "--days", "7")
    said = grant("bob@example.com", "tokens_per_day", "+1", "--until", "2099-01-31T12:00Z")
    assert "until 2099-01-31 12:00 UTC" in said
    last, week, first = Allowance.objects.all()
    assert last.ends_at == dt.datetime(2099, 1, 31, 12, tzinfo=dt.UTC)
    assert week.ends_at is not None
    assert dt.timedelta(days=6.9) < week.ends_at - timezone.now() <= dt.timedelta(days=7)
    assert first.ends_at is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nobody@example.com", "tokens_per_day", "1"), "no user"),
        (("bob@example.com", "tokens_per_day", "many"), "no amount"),
        (("bob@example.com", "tokens_per_day", "-1"), "amount"),
        (("bob@example.com", "tokens_per_day", "99999999999"), "no amount"),
        (("bob@example.com", "tokens_per_day", "1", "--until", "soon"), "no moment"),
        (("bob@example.com", "tokens_per_day", "1", "--until", "2026-13-01T00:00Z"), "no moment"),
        (("bob@example.com", "tokens_per_day", "1", "--until", "2020-01-01T00:00Z"), "is over"),
        (("bob@example.com", "tokens_per_day", "1", "--days", "0"), "from 1 on"),
        (("bob@example.com", "concurrent_requests", "0"), "the least"),
        (("bob@example.com", "concurrent_requests", "none"), "the least"),
        (("bob@example.com", "happiness", "1"), "happiness"),
    ],
)
def test_what_makes_no_sense_is_said_and_gives_nothing(
    bob: Person, arguments: tuple[Any, ...], complaint: str
) -> None:
    with pytest.raises(CommandError, match=complaint):
        grant(*arguments)
    assert not Allowance.objects.exists()
