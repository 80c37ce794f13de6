"""`manage.py reconcile_ledger`: counters, rows and roll-ups agree, or it says where they do not."""

import datetime as dt
import json
import threading
import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import redis
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command

from accounts.identifiers import uuid7
from accounts.postgres import ReadPool
from billing.metering.ledger import LedgerWriter
from billing.metering.quota import Quota
from billing.metering.reconcile import counters_disagreeing, rollups_disagreeing
from billing.metering.redis_store import RedisStore
from billing.metering.rollups import HOUR, hour_of, roll_up
from billing.metering.standing import usage_now
from billing.metering.sums import LedgerSums
from billing.models import LedgerEntry, RollupMark, UsageDay, UsageHour
from tests.metering.conftest import UNLIMITED, a_request, an_intent, old_epochs, settled
from tests.metering.rolling import assert_sums_are_those_of_the_rows, fill
from tests.pages.spending import spend
from tests.servers import PrivateServers

NOW = dt.datetime.now(dt.UTC)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("now_is_now")]


def old() -> dt.datetime:
    """In an hour and a day that are over."""
    return NOW - 30 * HOUR


@pytest.fixture(autouse=True)
def old_store(flush: "redis.Redis", within_the_hour: None) -> None:
    """An empty counter store that has been there for long."""
    flush.mset(old_epochs())


def reconcile(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and what it says."""
    out, status = StringIO(), 0
    try:
        call_command("reconcile_ledger", "--json", *arguments, stdout=out)
    except SystemExit as end:
        status = int(str(end.code))
    return status, json.loads(out.getvalue())


def test_where_all_agree_it_says_so() -> None:
    fill(500, span="50 hours")
    roll_up()
    status, said = reconcile()
    assert (status, said["disagreements"], said["behind"]) == (0, [], False)
    out = StringIO()
    call_command("reconcile_ledger", stdout=out)
    assert out.getvalue().strip() == "Counters, rows and roll-ups agree."


def test_a_wrong_hour_is_named_with_both_figures_and_repaired(account_id: uuid.UUID) -> None:
    token = uuid7()
    spend(account_id, 3, at=old(), token_id=token)
    roll_up()
    UsageHour.objects.update(requests=5)

    status, said = reconcile()

    assert status == 1
    hour, day = said["disagreements"]
    assert hour == {
        "between": "rows and hours",
        "account_id": str(account_id),
        "at": hour_of(old()).isoformat(),
        "figure": "requests",
        "first": 3,
        "second": 5,
        "of": f"token {token}, scalix-free, free",
    }
    assert (day["between"], day["first"], day["second"]) == ("hours and days", 5, 3)
    assert reconcile("--repair")[0] == 0
    assert_sums_are_those_of_the_rows()


def test_a_wrong_day_is_named_and_repaired(account_id: uuid.UUID) -> None:
    spend(account_id, 3, at=old())
    roll_up()
    UsageDay.objects.update(prompt_tokens=1)
    status, said = reconcile()
    [day] = said["disagreements"]
    assert (status, day["between"], day["at"]) == (1, "hours and days", old().date().isoformat())
    assert (day["figure"], day["first"], day["second"]) == ("prompt_tokens", 75, 1)
    status, said = reconcile("--repair")
    assert (status, len(said["disagreements"]), said["left"]) == (0, 1, [])
    assert_sums_are_those_of_the_rows()


@pytest.mark.parametrize("lost", ["sum", "rows"])
def test_what_one_side_does_not_have_at_all_differs_too(account_id: uuid.UUID, lost: str) -> None:
    spend(account_id, 1, at=old())
    roll_up()
    (UsageHour if lost == "sum" else LedgerEntry).objects.all().delete()
    found = {(one.between, one.first, one.second) for one in rollups_disagreeing(old().date())
             if one.figure == "requests"}  # fmt: skip
    if lost == "sum":
        assert found == {("rows and hours", 1, 0), ("hours and days", 0, 1)}
    else:
        assert found == {("rows and hours", 0, 1)}
    assert reconcile("--repair")[0] == 0
    assert_sums_are_those_of_the_rows()


def test_days_before_since_are_left_out(account_id: uuid.UUID) -> None:
    spend(account_id, 1, at=old())
    roll_up()
    UsageDay.objects.update(requests=9)
    assert reconcile("--since", (old() + 24 * HOUR).date().isoformat())[0] == 0
    assert reconcile("--since", old().date().isoformat())[0] == 1
    with pytest.raises(CommandError, match="no day such as"):
        call_command("reconcile_ledger", "--since", "yesterday")


def test_what_the_next_run_will_sum_is_no_disagreement(account_id: uuid.UUID) -> None:
    roll_up()
    spend(account_id, 1, at=old(), ended_at=dt.datetime.now(dt.UTC))
    assert rollups_disagreeing(old().date()) == []


def test_roll_ups_that_are_behind_are_an_error_by_themselves(account_id: uuid.UUID) -> None:
    assert reconcile()[0] == 1  # no run yet
    roll_up()
    RollupMark.objects.update(rolled_to=NOW - HOUR)
    status, said = reconcile()
    assert (status, said["behind"], said["disagreements"]) == (1, True, [])


def test_counters_that_differ_are_named_and_forget(
    account_id: uuid.UUID, flush: "redis.Redis"
) -> None:
    spend(account_id, 2, tokens=100)
    roll_up()
    assert usage_now(account_id).counters.day_tokens == 200
    [key] = flush.keys(f"*account:{account_id}")
    flush.hincrby(key, "dt", 5)
    flush.hincrby(key, "hr", -1)
    found = {one.figure: (one.first, one.second) for one in counters_disagreeing(pause=0)}
    assert found == {"tokens today": (200, 205), "requests this hour": (2, 1)}
    status, said = reconcile("--repair")
    assert (status, said["left"]) == (0, [])
    assert usage_now(account_id).counters.day_tokens == 200


def test_a_running_request_counts_as_reserved_in_both(account_id: uuid.UUID) -> None:
    spend(account_id, 1, status="reserved", ended_at=None)
    usage_now(account_id)
    assert counters_disagreeing(pause=0) == []


class Traffic:
    """Requests of one account that come and go the whole time, in a thread of their own."""

    def __init__(self, redis_url: str, account_id: uuid.UUID) -> None:
        self._redis_url = redis_url
        self._account_id = account_id
        self._over = threading.Event()
        self._thread = threading.Thread(target=async_to_sync(self._run))
        self.requests = 0
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    async def _run(self) -> None:
        pool, ledger = ReadPool(size=1), LedgerWriter()
        await ledger.start()
        store = RedisStore(self._redis_url)
        quota = Quota(store, process_id=uuid7(), ledger=LedgerSums(pool))
        while not self._over.is_set():
            request = a_request(self._account_id, UNLIMITED)
            await quota.reserve(request)
            await ledger.open(an_intent(id=request.request_id, account_id=self._account_id))
            await ledger.end(settled(request.request_id), patience=5)
            await quota.settle(self._account_id, request.request_id, charged=True, tokens=12)
            self.requests += 1
        await ledger.stop()
        await store.close()
        await pool.close()


@pytest.fixture
def running_requests(
    transactional_db: None, old_store: None, redis_url: str, account_id: uuid.UUID
) -> Iterator[Traffic]:
    traffic = Traffic(redis_url, account_id)
    yield traffic
    traffic.stop()


def test_requests_that_come_and_go_meanwhile_are_no_false_alarm(
    running_requests: Traffic,
) -> None:
    for _ in range(10):
        roll_up()
        before = running_requests.requests
        assert counters_disagreeing(looks=200, pause=0.002) == []
        assert rollups_disagreeing(NOW.date()) == []
        while running_requests.requests == before:
            pass
    running_requests.stop()
    assert running_requests.requests > 10


def test_with_a_store_away_it_says_so(account_id: uuid.UUID, servers: PrivateServers) -> None:
    spend(account_id, 1)
    servers.valkey.kill()
    try:
        with pytest.raises(CommandError, match="A store is away"):
            call_command("reconcile_ledger")
    finally:
        servers.valkey.start()
