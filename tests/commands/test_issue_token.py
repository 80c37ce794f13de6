"""`manage.py issue_token`: a token for anybody, from the command line."""

import datetime as dt
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command

from accounts import credentials
from accounts.identity import find_token_holder
from accounts.models import ApiToken, User
from accounts.postgres import ReadPool
from billing.models import Subscription
from tests.commands.shell import manage
from tests.conftest import Person


def issue(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("issue_token", *arguments, "--json", stdout=out)
    issued: dict[str, Any] = json.loads(out.getvalue())
    return issued


def test_somebody_unknown_becomes_a_free_user(db: None) -> None:
    issued = issue("Dora@Example.com")
    user = User.objects.get(email="dora@example.com")
    assert (issued["user_created"], issued["user_id"], issued["tier"]) == (
        True,
        str(user.pk),
        "free",
    )
    assert not user.has_usable_password()


def test_a_user_gets_another_token_and_keeps_the_first(bob: Person) -> None:
    assert issue("bob@example.com")["user_created"] is False
    assert issue("bob@example.com")["user_created"] is False
    assert [token.state for token in bob.user.tokens.all()] == ["active"] * 3
    assert User.objects.filter(email="bob@example.com").count() == 1


def test_a_tier_is_granted_by_staff_and_without_an_end(bob: Person) -> None:
    assert issue("bob@example.com", "--tier", "pro")["tier"] == "pro"
    granted = Subscription.objects.get(user=bob.user)
    assert (granted.tier, granted.source, granted.ends_at) == ("pro", "staff", None)


def test_a_tier_can_be_taken_back(bob: Person) -> None:
    issue("bob@example.com", "--tier", "pro")
    assert issue("bob@example.com", "--tier", "free")["tier"] == "free"
    assert Subscription.objects.get(user=bob.user).tier == "free"


def test_without_a_tier_the_plan_stays_as_it_is(alice: Person) -> None:
    assert issue("alice@example.com")["tier"] == "pro"
    assert Subscription.objects.get(user=alice.user).source == "stripe"


def test_a_plan_that_has_ended_is_not_reported_as_the_tier(alice: Person) -> None:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    Subscription.objects.filter(user=alice.user).update(ends_at=yesterday)
    assert issue("alice@example.com")["tier"] == "free"


async def test_the_printed_token_opens_the_account(reads: ReadPool) -> None:

    issued = await sync_to_async(issue)("dora@example.com", "--name", "her script")
    holder = await find_token_holder(reads, issued["token"])
    assert (holder.email, holder.token_name) == ("dora@example.com", "her script")


def test_the_token_is_printed_once_and_stored_as_a_digest(db: None) -> None:
    out = StringIO()
    call_command("issue_token", "dora@example.com", stdout=out)
    secret = out.getvalue().splitlines()[-1]
    assert credentials.is_well_formed(secret)
    assert out.getvalue().count(secret) == 1
    stored = ApiToken.objects.filter(digest=credentials.digest(secret)).values().get()
    assert secret not in str(stored)


def test_what_is_no_address_is_refused_and_makes_nobody(db: None) -> None:
    with pytest.raises(CommandError, match="no e-mail address"):
        call_command("issue_token", "dora")
    assert not User.objects.exists()


def test_a_suspended_user_gets_no_token(charlie: Person) -> None:
    with pytest.raises(CommandError, match="suspended"):
        call_command("issue_token", "charlie@example.com", "--tier", "pro")
    assert charlie.user.tokens.count() == 1
    assert not Subscription.objects.exists()


def test_with_no_database_it_says_so_in_one_line(tmp_path: Path) -> None:
    done = manage(tmp_path, "issue_token", "dora@example.com")
    assert done.returncode == 1
    assert "make run" in done.stderr
    assert "Traceback" not in done.stderr
