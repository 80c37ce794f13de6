"""Staff at their desk, and a day's worth of rows for them to look at."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.identifiers import uuid7
from accounts.models import User
from billing.models import LedgerEntry

Enter = Callable[..., LedgerEntry]


@pytest.fixture(autouse=True)
def _stores(db: None, redis_url: str) -> None:
    """The admin's cache is in Redis."""


@pytest.fixture
def root() -> User:
    """A superuser."""
    return User.objects.create_superuser("root@example.com", "correct horse battery")


@pytest.fixture
def staff(root: User) -> Client:
    """The superuser's browser, logged in."""
    client = Client()
    client.force_login(root)
    return client


@pytest.fixture
def helper() -> Callable[..., Client]:
    """The browser of staff that may do just what is named, such as `view_user`."""

    def with_rights(*codenames: str) -> Client:
        user = User.objects.create_user("helper@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return with_rights


@pytest.fixture
def enter() -> Enter:
    """Writes a ledger row, settled just now unless fields say otherwise."""

    def write(account_id: Any, *, ago: dt.timedelta = dt.timedelta(), **fields: Any) -> LedgerEntry:
        at = dt.datetime.now(dt.UTC) - ago
        row = {
            "id": uuid7(int(at.timestamp() * 1000)),
            "account_id": account_id,
            "tier": "free",
            "model": "scalix-free",
            "deployment": "demo",
            "status": "settled",
            "charged": True,
            "streamed": False,
            "reserved_tokens": 300,
            "prompt_tokens": 20,
            "completion_tokens": 30,
            "admitted_at": at,
            "ended_at": at + dt.timedelta(seconds=2),
            "process_id": uuid7(),
            "deadline_at": at + dt.timedelta(minutes=5),
        }
        return LedgerEntry.objects.create(**row | fields)

    return write
