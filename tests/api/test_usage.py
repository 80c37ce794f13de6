"""`GET /api/v1/usage`: what an account used, exact up to now, at no cost and at every limit."""

import csv
import datetime as dt
import io
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from accounts.models import ApiToken
from billing.metering.partitions import create_partitions
from billing.metering.rollups import hour_of, roll_up
from tests.api.conftest import CountersOf, Kill, LedgerRows
from tests.conftest import Person
from tests.pages.spending import spend

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
PATH = "/api/v1/usage"

pytestmark = pytest.mark.usefixtures("now_is_now")

used = sync_to_async(spend)


def utc_today() -> dt.date:
    """In UTC."""
    return NOW.date()


async def usage(client: httpx.AsyncClient, person: Person, **query: str) -> dict[str, Any]:
    response = await client.get(PATH, params=query, headers=person.headers)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


async def refused(client: httpx.AsyncClient, person: Person, **query: str) -> dict[str, Any]:
    response = await client.get(PATH, params=query, headers=person.headers)
    assert response.status_code == 400
    error: dict[str, Any] = response.json()["error"]
    return error


async def test_the_last_thirty_days_are_answered_by_day(
    client: httpx.AsyncClient, bob: Person
) -> None:
    await sync_to_async(create_partitions)(connection, utc_today() - 30 * DAY)
    await used(bob.account_id, 1, at=NOW - 30 * DAY)  # the day before them
    await used(bob.account_id, 2, at=NOW - 29 * DAY, tokens=40, cached_tokens=3, price_micros=7)
    await used(bob.account_id, 1, at=NOW - 29 * DAY, status="failed", charged=False)
    await sync_to_async(roll_up)()
    await used(bob.account_id, 1, tokens=100)

    body = await usage(client, bob)

    long_ago, today = (utc_today() - 29 * DAY).isoformat(), utc_today().isoformat()
    assert (body["object"], body["by"], body["from"], body["to"]) == (
        "usage",
        "day",
        long_ago,
        today,
    )
    assert body["data"][0] == {
        "day": long_ago,
        "requests": 2,
        "uncharged_requests": 1,
        "prompt_tokens": 20,
        "completion_tokens": 60,
        "total_tokens": 80,
        "cached_tokens": 6,
        "price_micros": 14,
        "average_latency_ms": 1200,
    }
    assert [row["day"] for row in body["data"]] == [long_ago, today]
    assert (body["total"]["requests"], body["total"]["total_tokens"]) == (3, 180)


async def test_it_is_answered_by_hour_model_and_token(
    client: httpx.AsyncClient, bob: Person
) -> None:
    token = await ApiToken.objects.aget(user=bob.user)
    await used(bob.account_id, 2, model="one", token_id=token.pk)
    await used(bob.account_id, 1, model="two", at=NOW - DAY)

    by_hour = (await usage(client, bob, by="hour"))["data"]
    by_model = (await usage(client, bob, by="model"))["data"]
    by_token = (await usage(client, bob, by="token"))["data"]

    assert [(row["hour"], row["requests"]) for row in by_hour] == [
        (f"{hour_of(at):%Y-%m-%dT%H:%M:%SZ}", count) for at, count in ((NOW - DAY, 1), (NOW, 2))
    ]
    assert [(row["model"], row["requests"]) for row in by_model] == [("one", 2), ("two", 1)]
    nobody, laptop = by_token
    assert (nobody["token_id"], nobody["requests"]) == (None, 1)
    assert (laptop["token_id"], laptop["requests"]) == (str(token.pk), 2)
    assert (laptop["name"], laptop["display"]) == ("bob's laptop", token.display)


async def test_from_and_to_are_both_included(client: httpx.AsyncClient, bob: Person) -> None:
    for ago in range(4):
        await used(bob.account_id, 1, at=NOW - ago * DAY)
    ends = {"from": (utc_today() - 2 * DAY).isoformat(), "to": (utc_today() - DAY).isoformat()}
    assert [row["day"] for row in (await usage(client, bob, **ends))["data"]] == list(ends.values())


async def test_a_request_just_answered_is_in_it_and_asking_costs_nothing(
    client: httpx.AsyncClient, bob: Person, counters: CountersOf, ledger_rows: LedgerRows
) -> None:
    answer = await client.post(
        "/v1/chat/completions",
        headers=bob.headers,
        json={"model": "scalix-free", "messages": [{"role": "user", "content": "Hello"}]},
    )
    tokens = answer.json()["usage"]["total_tokens"]
    before = await counters(bob), await ledger_rows()

    body = await usage(client, bob)

    assert (body["total"]["requests"], body["total"]["total_tokens"]) == (1, tokens)
    after = await counters(bob), await ledger_rows()
    assert (before[0].day_requests, before[1]) == (after[0].day_requests, after[1])


async def test_it_answers_at_every_limit(client: httpx.AsyncClient, bob: Person) -> None:
    await used(bob.account_id, 50, tokens=200)
    response = await client.get(PATH, headers=bob.headers)
    assert response.status_code == 200
    assert response.headers["x-ratelimit-remaining-requests"] == "0"
    assert response.json()["total"]["requests"] == 50


async def test_nobody_sees_anothers(client: httpx.AsyncClient, bob: Person, alice: Person) -> None:
    await used(alice.account_id, 3)
    body = await usage(client, bob, account_id=str(alice.account_id))
    assert body["data"] == []
    assert body["total"]["requests"] == 0


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer scalix_nothing"}])
async def test_without_a_token_it_says_so(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await client.get(PATH, headers=headers)).status_code == 401


async def test_csv_is_a_table_with_a_header(client: httpx.AsyncClient, bob: Person) -> None:
    await used(bob.account_id, 2, tokens=40)
    response = await client.get(PATH, params={"format": "csv"}, headers=bob.headers)
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["content-disposition"].startswith("attachment; filename=")
    assert "x-ratelimit-limit-requests" in response.headers
    assert response.text == (
        "day,requests,uncharged_requests,prompt_tokens,completion_tokens,total_tokens,"
        "cached_tokens,price_micros,average_latency_ms\r\n"
        f"{utc_today().isoformat()},2,0,20,60,80,0,0,1200\r\n"
    )


@pytest.mark.parametrize(
    "name", ['=HYPERLINK("http://evil")', "+1", "-1", "@SUM(A1)", "\tx", 'a "b", c']
)
async def test_a_tokens_name_is_no_formula_in_a_spreadsheet(
    client: httpx.AsyncClient, bob: Person, name: str
) -> None:
    await ApiToken.objects.filter(user=bob.user).aupdate(name=name)
    token = await ApiToken.objects.aget(user=bob.user)
    await used(bob.account_id, 1, token_id=token.pk)
    query = {"format": "csv", "by": "token"}
    response = await client.get(PATH, params=query, headers=bob.headers)
    [row] = csv.DictReader(io.StringIO(response.text, newline=""))
    assert row["name"] == (name if name.startswith("a") else f"'{name}")
    assert row["token_id"] == str(token.pk)


async def test_csv_of_nothing_is_its_header(client: httpx.AsyncClient, bob: Person) -> None:
    for by in ("hour", "day", "model", "token"):
        query = {"format": "csv", "by": by}
        text = (await client.get(PATH, params=query, headers=bob.headers)).text
        assert text.count("\r\n") == 1
        assert text.startswith(by)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"by": "year"}, "by"),
        ({"by": ""}, "by"),
        ({"format": "xml"}, "format"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-13-01"}, "from"),
        ({"from": "0001-01-01"}, "from"),
        ({"to": "2026-11-27T00:00:00"}, "to"),
        ({"to": ""}, "to"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "from"),
        ({"from": "2025-01-01", "to": "2026-02-05"}, "from"),  # 401 days
        ({"from": "2026-10-01", "to": "2026-11-01", "by": "hour"}, "from"),  # 32 days
        ({"from": "2020-01-01", "to": "2020-01-02", "by": "hour"}, "from"),  # no longer kept
    ],
)
async def test_what_can_not_be_answered_is_refused_by_name(
    client: httpx.AsyncClient, bob: Person, query: dict[str, str], param: str
) -> None:
    error = await refused(client, bob, **query)
    assert (error["code"], error["param"]) == ("invalid_request", param)
    assert f"`{param}`" in error["message"]


async def test_the_longest_spans_are_answered(client: httpx.AsyncClient, bob: Person) -> None:
    await usage(client, bob, **{"from": "2025-01-01", "to": "2026-02-04"})
    for by, days in (("hour", 30), ("model", 399), ("token", 399)):
        await usage(client, bob, by=by, **{"from": (utc_today() - days * DAY).isoformat()})


@pytest.mark.parametrize("store", ["postgres", "valkey"])
async def test_with_a_store_away_it_can_be_asked_again(
    client: httpx.AsyncClient, bob: Person, kill: Kill, store: str
) -> None:
    await usage(client, bob)
    kill(store)
    response = await client.get(PATH, headers=bob.headers)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
