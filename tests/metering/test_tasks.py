"""What Celery runs: thin entry points, safe to run at any time, and again."""

import datetime as dt
import logging
import uuid

import pytest
import redis
from django.utils import timezone

from accounts.identifiers import uuid7
from billing.metering.account_counters import account_tag
from billing.metering.fence import FIRST
from billing.metering.tasks import sweep
from billing.models import GatewayProcess, LedgerEntry
from scalix.celery import app
from tests.servers import PrivateServers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh_store(flush: "redis.Redis") -> None:
    """Nothing is cached from the test before."""


def reserved(process: GatewayProcess, *, late: dt.timedelta) -> uuid.UUID:
    """A request whose deadline passed so long ago."""
    now = timezone.now()
    entry = LedgerEntry.objects.create(
        id=uuid7(),
        account_id=uuid7(),
        tier="free",
        model="scalix-free",
        status=LedgerEntry.Status.RESERVED,
        charged=True,
        streamed=False,
        reserved_tokens=20,
        admitted_at=now,
        deadline_at=now - late,
        process_id=process.pk,
    )
    return entry.pk


def test_beat_knows_every_task_and_sweeps_often_enough() -> None:
    app.loader.import_default_modules()
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
    due = app.conf.beat_schedule["abandon-the-reservations-of-dead-processes"]
    assert due["schedule"] <= 5


def test_a_sweep_ends_what_is_overdue() -> None:
    process = GatewayProcess.objects.create(host="here", pid=1)
    overdue = reserved(process, late=dt.timedelta(minutes=1))
    in_time = reserved(process, late=-dt.timedelta(minutes=1))
    sweep()
    assert dict(LedgerEntry.objects.values_list("id", "status")) == {
        overdue: "abandoned",
        in_time: "reserved",
    }


def test_all_bookings_are_walked_when_it_is_told_to(flush: "redis.Redis") -> None:
    account, now = uuid7(), int(timezone.now().timestamp())
    key = f"{account_tag(FIRST, account)}:account:{account}"
    booking = f"{now // 3600} {now // 86400} 20 {uuid7()} 0 - -"
    windows = {"h": now // 3600, "hr": 1, "d": now // 86400, "dr": 1, "dt": 20, "n": 1}
    flush.hset(key, mapping=windows)
    flush.hset(key, f"r:{uuid7()}", booking)
    sweep()
    assert flush.hget(key, "n") == b"1"
    sweep(walk=True)
    assert flush.hget(key, "n") == b"0"


def test_a_sweep_that_cannot_reach_a_store_says_so_and_leaves_it_to_the_next(
    servers: PrivateServers, caplog: pytest.LogCaptureFixture
) -> None:
    process = GatewayProcess.objects.create(host="here", pid=1)
    reserved(process, late=dt.timedelta(minutes=1))
    servers.valkey.kill()
    try:
        with caplog.at_level(logging.WARNING):
            sweep()
    finally:
        servers.valkey.start()
    assert "the sweep stopped" in caplog.text
    sweep()
    assert LedgerEntry.objects.get().status == "abandoned"
