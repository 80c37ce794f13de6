"""`POST /api/v1/limits/check`: would this request be admitted, and if not why?  Nothing is used."""

from typing import Any

import httpx
import pytest

from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking
from tests.api.conftest import LedgerRows, SetPlan
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble

CHECK = "/api/v1/limits/check"


async def check(client: httpx.AsyncClient, person: Person, **fields: Any) -> dict[str, Any]:
    answer = await client.post(CHECK, json=asking(**fields), headers=person.headers)
    assert answer.status_code == 200
    return dict(answer.json())


async def test_a_request_that_would_be_admitted_is_told_what_it_would_get(
    client: httpx.AsyncClient, bob: Person
) -> None:
    said = await check(client, bob, max_tokens=100)
    assert (said["admitted"], said["max_tokens"]) == (True, 100)
    assert 60 < said["prompt_tokens"] < 80
    assert said["limits"]["requests_per_hour"]["used"] == 0


async def test_nothing_is_used_written_or_asked_however_often(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
) -> None:
    for _ in range(12):
        assert (await check(client, bob))["admitted"]
    for _ in range(3):
        answer = await client.post(CHECK, json=asking())  # somebody new
        assert answer.json()["admitted"]
    limits = (await client.get("/v1/key", headers=bob.headers)).json()["limits"]
    assert {limit["used"] for limit in limits.values()} == {0}
    assert (await ledger_rows(), upstream.received()) == ([], 0)
    await gateway.refusals.write(gateway.reads)
    for table in ("accounts_visitor", "billing_refusal"):
        assert await gateway.reads.fetch(f"SELECT 1 FROM {table}") == []


@pytest.mark.parametrize(
    ("plan", "fields", "code", "status"),
    [
        ({"requests_per_hour": 1}, {}, "insufficient_quota", 429),
        ({"tokens_per_day": 80}, {}, "insufficient_quota", 429),
        ({"address_requests_per_minute": 1}, {}, "rate_limit_exceeded", 429),
        ({}, {"model": "gpt-4"}, "model_not_in_plan", 403),
        ({}, {"model": "gpt-5"}, "model_not_found", 404),
        ({"prompt_characters": 5}, {}, "prompt_too_long", 400),
        ({"context_window": 5}, {}, "context_length_exceeded", 400),
    ],
)
async def test_it_says_what_the_request_itself_would_be_told(
    client: httpx.AsyncClient,
    bob: Person,
    set_plan: SetPlan,
    within_the_minute: None,
    plan: dict[str, int],
    fields: dict[str, Any],
    code: str,
    status: int,
) -> None:
    await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    await set_plan("free", **plan)
    said = await check(client, bob, **fields)
    real = await client.post(COMPLETIONS, json=asking(**fields), headers=bob.headers)
    assert (said["admitted"], said["status"], said["error"]["code"]) == (False, status, code)
    assert real.status_code == status
    ours, theirs = said["error"], real.json()["error"]
    for told in (ours, theirs):
        for changing in ("request_id", "resets_in_seconds"):
            told["metadata"].pop(changing, None)
        told["message"] = told["message"].partition("Resets")[0].partition("Please")[0]
    assert ours == theirs


async def test_what_is_left_lowers_what_it_would_get(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan
) -> None:
    await set_plan("free", tokens_per_day=200)
    said = await check(client, bob, max_tokens=1_000)
    assert said["admitted"]
    assert said["max_tokens"] == 200 - said["prompt_tokens"]


async def test_a_bad_body_or_token_is_an_error_as_everywhere(
    client: httpx.AsyncClient, bob: Person
) -> None:
    assert (await client.post(CHECK, content=b"{", headers=bob.headers)).status_code == 400
    stranger = {"Authorization": "Bearer sk-x"}
    assert (await client.post(CHECK, json=asking(), headers=stranger)).status_code == 401
