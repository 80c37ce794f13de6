"""What is refused at `/v1/messages`: in Anthropic's shape, by its name, and free."""

import json
from typing import Any

import httpx
from pytest_django import Settings
from uvicorn.server import ServerState

from accounts.identifiers import decode
from accounts.models import ApiToken
from gateway.models import ContentRule
from gateway.runtime import Gateway
from tests.api.anthropic_asking import COUNT_TOKENS, MESSAGES, asking, error_of
from tests.api.asking import arrival, in_background
from tests.api.conftest import CountersOf, LedgerRows, SetPlan, Untouched
from tests.api.raw_http import RawConnection
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.waiting import until

WRONG: tuple[tuple[dict[str, Any], int, str, str, str], ...] = (
    ({"max_tokens": None}, 400, "invalid_request_error", "invalid_request", "max_tokens"),
    ({"colour": "red"}, 400, "invalid_request_error", "invalid_request", "colour"),
    (
        {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        400,
        "invalid_request_error",
        "invalid_request",
        "tools[0].type",
    ),
    (
        {"messages": [{"role": "user", "content": "x" * 20_000}]},
        400,
        "invalid_request_error",
        "prompt_too_long",
        "messages",
    ),
    ({"model": "claude-none"}, 404, "not_found_error", "model_not_found", "model"),
    ({"model": "gpt-4"}, 403, "permission_error", "model_not_in_plan", "model"),
)


async def test_a_request_that_is_wrong_is_told_where_and_costs_nothing(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    for fields, status, kind, code, param in WRONG:
        response = await client.post(MESSAGES, json=asking() | fields, headers=bob.headers)

        error = error_of(response)
        assert (response.status_code, error["type"], error["code"]) == (status, kind, code)
        assert error["param"] == param
        assert error["metadata"]["docs_url"].endswith(f"/docs/errors#{code}")
        assert response.headers["anthropic-ratelimit-requests-remaining"] == "10"
    response = await client.post(MESSAGES, content=b"{", headers=bob.headers)
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_json")
    await untouched(bob)


async def test_nobody_is_answered_without_a_token(
    client: httpx.AsyncClient, bob: Person, charlie: Person, untouched: Untouched
) -> None:
    prompt = {"model": "scalix-free", "messages": [{"role": "user", "content": "Hello"}]}
    await ApiToken.objects.filter(user=bob.user).aupdate(revoked_at="2026-01-01T00:00:00Z")
    for headers, status, kind, code in (
        ({}, 401, "authentication_error", "invalid_api_key"),
        ({"x-api-key": "scalix_wrong"}, 401, "authentication_error", "invalid_api_key"),
        ({"x-api-key": bob.secret}, 401, "authentication_error", "token_revoked"),
        ({"x-api-key": charlie.secret}, 403, "permission_error", "account_suspended"),
    ):
        for path, body in ((MESSAGES, asking()), (COUNT_TOKENS, prompt)):
            response = await client.post(path, json=body, headers=headers)
            error = error_of(response)
            assert (response.status_code, error["type"], error["code"]) == (status, kind, code)
            assert ("www-authenticate" in response.headers) == (status == 401)
    await untouched(bob, charlie)


async def test_a_reached_limit_is_a_429_that_is_not_worth_a_retry_and_is_on_record(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    set_plan: SetPlan,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    await set_plan("free", requests_per_day=1, requests_per_hour=None)
    await client.post(MESSAGES, json=asking(), headers=bob.headers)
    before = await counters(bob)
    response = await client.post(MESSAGES, json=asking(stream=True), headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["type"]) == (429, "rate_limit_error")
    assert error["code"] == "insufficient_quota"
    assert error["metadata"]["limit"] == "requests_per_day"
    assert (error["metadata"]["used"], error["metadata"]["max"]) == (1, 1)
    assert error["metadata"]["upgrade_url"]
    assert "Daily free limit reached: 1 of 1 requests." in error["message"]
    assert response.headers["x-should-retry"] == "false"
    assert "retry-after" not in response.headers
    assert response.headers["anthropic-ratelimit-requests-remaining"] == "0"
    resets = response.headers["anthropic-ratelimit-requests-reset"]
    assert resets == error["metadata"]["resets_at"]
    assert len(await ledger_rows()) == 1
    after = await counters(bob)
    assert (after.day_requests, after.day_tokens) == (before.day_requests, before.day_tokens)
    query = "SELECT code, account_id FROM billing_refusal WHERE id = %s"
    request_id = decode("req", response.headers["request-id"])

    async def is_on_record() -> bool:
        rows = await gateway.reads.fetch(query, (request_id,))
        return rows == [("insufficient_quota", bob.account_id)]

    await until(is_on_record)


async def test_as_many_as_may_run_at_once_are_a_429_that_sdks_retry(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan, upstream: UpstreamDouble
) -> None:
    await set_plan("free", concurrent_requests=1)
    held = asking(script={"id": "held", "hold": "gate"})
    async with in_background(client.post(MESSAGES, json=held, headers=bob.headers)) as answer:
        await arrival(upstream, "held")
        response = await client.post(MESSAGES, json=asking(), headers=bob.headers)
        upstream.release("gate")
        await answer

    error = error_of(response)
    assert (response.status_code, error["code"]) == (429, "rate_limit_exceeded")
    assert response.headers["retry-after"] == "1"
    assert "x-should-retry" not in response.headers


async def test_a_content_rule_counts_here_too(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway, untouched: Untouched
) -> None:
    await ContentRule.objects.acreate(
        name="Frobnication", kind="keyword", text="frobnicator", explanation="No."
    )
    await gateway.guard.refresh()
    for fields in (
        {"system": "You are a frobnicator"},
        {"messages": [{"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t", "content": "frobnicator"}]}]},
    ):  # fmt: skip
        response = await client.post(MESSAGES, json=asking(**fields), headers=bob.headers)
        assert (response.status_code, error_of(response)["code"]) == (400, "content_refused")
    await untouched(bob)


async def test_providers_that_all_fail_are_an_overload_that_costs_nothing(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    for streams in (False, True):
        body = asking(script={"fault": "500"}, stream=streams)
        response = await client.post(MESSAGES, json=body, headers=bob.headers)

        error = error_of(response)
        assert (response.status_code, error["type"]) == (503, "overloaded_error")
        assert error["code"] == "server_is_overloaded"
        assert error["metadata"]["attempts"]
        assert response.headers["x-should-retry"] == "false"
    endings = [(row["status"], row["charged"]) for row in await ledger_rows()]
    assert endings == [("failed", False)] * 2
    assert (await counters(bob)).hour_requests == 0


async def test_what_is_too_much_is_refused(
    client: httpx.AsyncClient, bob: Person, settings: Settings, untouched: Untouched
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 20_000}]}
    uncounted = await client.post(COUNT_TOKENS, json=body, headers=bob.headers)
    settings.GATEWAY_BODY_BYTES = 1_000
    unread = await client.post(MESSAGES, json=body, headers=bob.headers)

    assert (uncounted.status_code, error_of(uncounted)["code"]) == (400, "prompt_too_long")
    assert (unread.status_code, error_of(unread)["type"]) == (413, "request_too_large")
    await untouched(bob)


async def test_a_wrong_path_or_method_is_told_the_right_one(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    for path in ("/v1/messages/", "/v1/messages/batches", "/v1/v1/messages", "/messages"):
        response = await client.post(path, json=asking(), headers={"x-api-key": bob.secret})
        error = error_of(response)
        assert (response.status_code, error["type"]) == (404, "not_found_error"), path
        assert "The base URL for Anthropic clients is http://testserver." in error["message"]
        assert error["metadata"]["base_url"] == "http://testserver"
    for path in (MESSAGES, COUNT_TOKENS):
        response = await client.get(path)
        error = error_of(response)
        assert (response.status_code, error["type"]) == (405, "invalid_request_error")
        assert response.headers["allow"] == "POST, OPTIONS"
        assert (await client.options(path)).status_code == 204
    await untouched(bob)


async def test_a_server_that_stops_says_so_before_and_within_an_answer(
    client: httpx.AsyncClient,
    address: str,
    bob: Person,
    server_state: ServerState,
    upstream: UpstreamDouble,
    counters: CountersOf,
) -> None:
    held = asking(script={"id": "held", "hold": "gate"})
    async with in_background(client.post(MESSAGES, json=held, headers=bob.headers)) as answer:
        await arrival(upstream, "held")
        stop(server_state)
        response = await answer
    body = json.dumps(asking(script={"tokens": 9, "stall": 2}, stream=True)).encode()
    async with RawConnection(address) as connection:
        await connection.post(MESSAGES, bob.headers, body)
        await connection.read_until(b" river")
        stop(server_state)
        rest = (await connection.read_until(b"0\r\n\r\n")).decode()

    error = error_of(response)
    assert (response.status_code, error["type"]) == (503, "overloaded_error")
    assert error["code"] == "server_stopping"
    assert "event: error\ndata: " in rest
    assert '"type":"overloaded_error"' in rest
    assert '"code":"server_stopping"' in rest
    assert (await counters(bob)).hour_requests == 0


def stop(server_state: ServerState) -> None:
    """What uvicorn does to the requests that outlast its grace."""
    for task in server_state.tasks:
        task.cancel(msg="Task cancelled, timeout graceful shutdown exceeded")
