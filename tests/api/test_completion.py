"""A completion: its shape, its headers, and the row and counters that it leaves."""

import datetime as dt

import httpx
import pytest

from accounts.identifiers import encode
from billing.models import Price
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, arrival, asking, error_of, in_background
from tests.api.conftest import CountersOf, LedgerRows
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble


async def test_an_answer_has_openai_s_shape_and_the_id_of_its_request(
    client: httpx.AsyncClient, alice: Person
) -> None:
    body = asking(script={"tokens": 3})
    response = await client.post(COMPLETIONS, json=body, headers=alice.headers)

    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {"id", "object", "created", "model", "choices", "usage"}
    assert answer["id"] == f"chatcmpl-{response.headers['x-request-id'].removeprefix('req_')}"
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "double-small"  # the one that served it
    [choice] = answer["choices"]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == " quick river carries"
    usage = answer["usage"]
    assert usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3


async def test_the_headers_say_who_answered_and_what_is_left(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    headers, used = response.headers, response.json()["usage"]["total_tokens"]
    assert headers["x-request-id"].startswith("req_")
    assert headers["request-id"] == headers["x-request-id"]
    assert headers["x-scalix-provider"] == "upstream"
    assert headers["x-scalix-plan"] == "free"
    assert "x-scalix-max-tokens" not in headers
    assert headers["x-ratelimit-limit-requests"] == "10"
    assert headers["x-ratelimit-remaining-requests"] == "9"
    assert headers["x-ratelimit-limit-tokens"] == "10000"
    assert headers["x-ratelimit-remaining-tokens"] == str(10_000 - used)
    assert headers["ratelimit-policy"] == '"requests-hour";q=10;w=3600'
    assert headers["ratelimit"].startswith('"requests-hour";r=9;t=')
    exposed = headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-ratelimit-remaining-tokens", "x-scalix-plan"} <= set(exposed)


async def test_without_limits_no_limit_is_named(client: httpx.AsyncClient, alice: Person) -> None:
    response = await client.post(COMPLETIONS, json=asking(), headers=alice.headers)

    assert response.headers["x-scalix-plan"] == "pro"
    assert not [name for name in response.headers if "ratelimit" in name]


async def test_the_row_of_an_answer_tells_what_was_reserved_and_what_it_took(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    response = await client.post(COMPLETIONS, json=asking(max_tokens=40), headers=bob.headers)

    [row], usage = await ledger_rows(), response.json()["usage"]
    [call] = upstream.log()
    assert encode("req", row["id"]) == response.headers["x-request-id"]
    assert (row["account_id"], row["tier"]) == (bob.account_id, "free")
    assert row["token_id"] is not None
    assert (row["status"], row["charged"], row["error_code"]) == ("settled", True, "")
    assert (row["model"], row["deployment"], row["streamed"]) == ("scalix-free", "upstream", False)
    assert row["prompt_tokens"] == usage["prompt_tokens"] == call["prompt_tokens"]
    assert row["completion_tokens"] == usage["completion_tokens"] == 8
    assert (row["cached_tokens"], row["estimated"]) == (0, False)
    assert row["reserved_tokens"] >= row["prompt_tokens"] + 40
    [attempt] = row["attempts"]
    assert (attempt["deployment"], attempt["outcome"]) == ("upstream", "completed")
    assert row["admitted_at"] <= row["ended_at"]
    assert row["deadline_at"] - row["admitted_at"] > dt.timedelta(seconds=200)
    assert row["process_id"] == gateway.process_id
    used = await counters(bob)
    assert (used.hour_requests, used.day_requests, used.in_flight) == (1, 1, 0)
    assert used.day_tokens == usage["total_tokens"]


async def test_the_row_keeps_what_the_answer_cost_and_what_the_plan_charges(
    client: httpx.AsyncClient, alice: Person, gateway: Gateway, ledger_rows: LedgerRows
) -> None:
    for kind, subject, prompt, completion in (
        (Price.Kind.PROVIDER, "upstream", 1_000_000, 3_000_000),
        (Price.Kind.PLAN, "scalix-free", 20_000_000, 40_000_000),
    ):
        prices = {"prompt_micros": prompt, "completion_micros": completion}
        await Price.objects.acreate(kind=kind, subject=subject, **prices)
    await gateway.prices.refresh()

    await client.post(COMPLETIONS, json=asking(), headers=alice.headers)

    [row] = await ledger_rows()
    prompt, completion = row["prompt_tokens"], row["completion_tokens"]
    assert row["cost_micros"] == prompt * 1 + completion * 3
    assert row["price_micros"] == prompt * 20 + completion * 40


async def test_the_row_is_committed_before_the_provider_hears_of_the_request(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    body = asking(script={"id": "held", "hold": "gate"}, max_tokens=100)
    async with in_background(client.post(COMPLETIONS, json=body, headers=bob.headers)) as answer:
        await arrival(upstream, "held")

        [row] = await ledger_rows()
        assert (row["status"], row["charged"], row["ended_at"]) == ("reserved", True, None)
        used = await counters(bob)
        assert (used.hour_requests, used.in_flight) == (1, 1)
        assert used.day_tokens == row["reserved_tokens"]

        upstream.release("gate")
        assert (await answer).status_code == 200

    [row] = await ledger_rows()
    assert row["status"] == "settled"
    assert (await counters(bob)).in_flight == 0


async def test_what_is_reserved_is_the_maximum_that_the_provider_is_told(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    await client.post(COMPLETIONS, json=asking(max_tokens=77), headers=bob.headers)
    await client.post(COMPLETIONS, json=asking(), headers=bob.headers)  # the plan's own maximum
    most = await client.post(COMPLETIONS, json=asking(max_tokens=9_999_999), headers=bob.headers)

    rows, calls = await ledger_rows(), upstream.log()
    assert [call["maximum"] for call in calls] == [77, 1024, 8192]  # the model's own maximum
    assert most.headers["x-scalix-max-tokens"] == "8192"
    bounds = {
        row["reserved_tokens"] - call["maximum"] for row, call in zip(rows, calls, strict=True)
    }
    assert len(bounds) == 1  # the same prompt's
    assert bounds.pop() >= calls[0]["prompt_tokens"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_more_than_is_left_of_the_day_is_lowered_to_it_and_a_header_says_so(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    field: str,
) -> None:
    await client.post(
        COMPLETIONS, json=asking(script={"tokens": 4000}, max_tokens=4000), headers=bob.headers
    )
    response = await client.post(COMPLETIONS, json=asking() | {field: 8000}, headers=bob.headers)

    assert response.status_code == 200
    first, second = await ledger_rows()
    lowered = upstream.log()[1]["maximum"]
    assert lowered < 8000
    assert response.headers["x-scalix-max-tokens"] == str(lowered)
    used_before = first["prompt_tokens"] + first["completion_tokens"]
    assert used_before + second["reserved_tokens"] == 10_000


async def test_a_prompt_that_does_not_fit_into_what_is_left_is_refused(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    await client.post(
        COMPLETIONS, json=asking(script={"tokens": 8000}, max_tokens=8000), headers=bob.headers
    )
    before = await counters(bob)

    response = await client.post(COMPLETIONS, json=asking("word " * 1990), headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (429, "insufficient_quota")
    assert error["metadata"]["limit"] == "tokens_per_day"
    assert "this request needs at least" in error["message"]
    assert len(await ledger_rows()) == 1
    assert upstream.received() == 1
    after = await counters(bob)
    assert (after.hour_requests, after.day_tokens) == (before.hour_requests, before.day_tokens)


async def test_a_provider_that_reports_no_usage_is_counted_and_the_row_says_so(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    body = asking(script={"tokens": 12, "fault": "no-usage"})
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    [row], [call] = await ledger_rows(), upstream.log()
    assert (row["estimated"], row["charged"]) == (True, True)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (call["prompt_tokens"], 12)
    assert response.json()["usage"]["total_tokens"] == call["prompt_tokens"] + 12


async def test_an_answer_without_content_is_free(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    response = await client.post(
        COMPLETIONS, json=asking(script={"tokens": 0}), headers=bob.headers
    )

    assert response.status_code == 200
    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["price_micros"]) == ("settled", False, 0)
    used = await counters(bob)
    assert (used.hour_requests, used.day_tokens, used.in_flight) == (0, 0, 0)
