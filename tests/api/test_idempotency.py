"""`Idempotency-Key`: asked twice, answered twice, charged once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
import redis
from asgiref.sync import sync_to_async

from accounts.models import ApiToken
from accounts.visitors import HEADER as VISITOR
from gateway.models import StoredAnswer
from gateway.runtime import Gateway
from tests.api.asking import (
    COMPLETIONS,
    FREE_COMPLETION,
    arrival,
    asking,
    error_of,
    events_of,
    in_background,
    text_of,
)
from tests.api.conftest import CountersOf, LedgerRows, SetPlan, Untouched
from tests.api.repeating import KEY, ask, change, keyed, kind_of_reply
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.waiting import until

# Asked again --------------------------------------------------------------------------------


async def test_an_answer_is_given_again_and_not_charged_again(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    first = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    used = await counters(bob)
    again = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))

    assert (first.status_code, again.status_code) == (200, 200)
    answer = first.json()
    answer.pop("scalix", None)  # an upgrade prompt is shown once
    assert again.json() == answer
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-scalix-original-request-id"] == first.headers["x-request-id"]
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    for name in ("x-scalix-provider", "x-ratelimit-remaining-requests", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert upstream.received() == 1
    [row] = await ledger_rows()
    assert (row["status"], row["charged"]) == ("settled", True)
    after = await counters(bob)
    assert (after.day_requests, after.day_tokens) == (used.day_requests, used.day_tokens)


async def test_a_stream_is_given_again_with_its_id_its_text_and_its_usage(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    body = asking(
        script={"tokens": 6}, stream=True, stream_options={"include_usage": True}, max_tokens=50
    )
    first = await client.post(COMPLETIONS, json=body, headers=keyed(bob))
    again = await client.post(COMPLETIONS, json=body, headers=keyed(bob))

    assert again.headers["content-type"].startswith("text/event-stream")
    assert again.headers["idempotent-replayed"] == "true"
    *heard, done = events_of(first.text)
    *repeated, done_again = events_of(again.text)
    assert (done, done_again) == ("[DONE]", "[DONE]")
    assert text_of(repeated) == text_of(heard) == " quick river carries small boats past"
    assert len(repeated) < len(heard)  # pieces of text are put together
    assert repeated[0] == heard[0]
    assert repeated[-2:] == heard[-2:]  # the finish reason, and the usage
    assert {(one["id"], one["created"], one["model"]) for one in repeated} == {
        (one["id"], one["created"], one["model"]) for one in heard
    }
    assert upstream.received() == 1
    assert len(await ledger_rows()) == 1


async def test_choices_that_take_turns_in_a_stream_are_not_mixed_up(
    client: httpx.AsyncClient, alice: Person
) -> None:
    body = asking(script={"tokens": 4}, stream=True, n=2)
    first = await client.post(COMPLETIONS, json=body, headers=keyed(alice))
    again = await client.post(COMPLETIONS, json=body, headers=keyed(alice))

    assert again.headers["idempotent-replayed"] == "true"
    for index in (0, 1):
        said = [
            "".join(
                choice["delta"].get("content") or ""
                for chunk in events_of(response.text)[:-1]
                for choice in chunk["choices"]
                if choice["index"] == index
            )
            for response in (first, again)
        ]
        assert said[0] == said[1] != ""


async def test_at_its_limit_an_account_still_gets_what_it_was_answered(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan, upstream: UpstreamDouble
) -> None:
    first = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    await set_plan("free", requests_per_hour=1, tokens_per_day=1)

    refused = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    again = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))

    assert (refused.status_code, again.status_code) == (429, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["x-ratelimit-limit-requests"] == "1"  # what is left now, not then
    assert again.headers["x-ratelimit-remaining-requests"] == "0"
    assert upstream.received() == 1


async def test_an_emptied_counter_store_forgets_no_answer(
    client: httpx.AsyncClient, bob: Person, flush: "redis.Redis", upstream: UpstreamDouble
) -> None:
    first = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    flush.flushall()
    again = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))

    assert again.json()["id"] == first.json()["id"]
    assert again.headers["x-ratelimit-remaining-requests"] == "9"
    assert upstream.received() == 1


async def test_a_revoked_token_gets_nothing_again(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway
) -> None:
    await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    token = await ApiToken.objects.aget(user=bob.user)
    await sync_to_async(token.revoke)()

    async def refused() -> bool:
        again = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
        return again.status_code == 401 and "quick river" not in again.text

    await until(refused)


# Whose key it is ----------------------------------------------------------------------------


async def test_the_same_key_of_two_accounts_is_two_keys(
    client: httpx.AsyncClient, alice: Person, bob: Person, upstream: UpstreamDouble
) -> None:
    responses = [
        await client.post(COMPLETIONS, json=asking(), headers=keyed(person))
        for person in (alice, bob, alice, bob)
    ]

    ids = [response.json()["id"] for response in responses]
    assert ids[:2] == ids[2:]
    assert len(set(ids)) == 2
    assert upstream.received() == 2


async def test_a_visitor_gets_their_answer_again(
    client: httpx.AsyncClient, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    first = await client.post(FREE_COMPLETION, json=asking(), headers=keyed())
    credential = first.headers[VISITOR]
    again = await client.post(
        FREE_COMPLETION, json=asking(), headers=keyed(None, KEY, **{VISITOR: credential})
    )
    stranger = await client.post(FREE_COMPLETION, json=asking(), headers=keyed())

    answer = first.json()
    answer.pop("scalix", None)
    assert again.json() == answer
    assert again.json()["free_tier"]["remaining_requests"] == 4
    assert again.headers[VISITOR] == credential
    assert stranger.json()["id"] != first.json()["id"]
    assert upstream.received() == len(await ledger_rows()) == 2


@pytest.mark.parametrize("what", ["body", "endpoint"])
async def test_a_key_belongs_to_one_request(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    what: str,
) -> None:
    first = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    used = await counters(bob)
    path = FREE_COMPLETION if what == "endpoint" else COMPLETIONS
    body = asking("Something else") if what == "body" else asking()
    other = await client.post(path, json=body, headers=keyed(bob))

    error = error_of(other)
    assert (other.status_code, error["code"]) == (422, "idempotency_key_reused")
    assert error["param"] == "Idempotency-Key"
    assert other.headers["x-ratelimit-remaining-requests"] == "9"
    assert upstream.received() == len(await ledger_rows()) == 1
    assert (await counters(bob)).day_tokens == used.day_tokens
    again = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    assert again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize(
    "key", ["", "x" * 256, "a\ttab", "caf\xe9"], ids=["empty", "long", "control", "not-ascii"]
)
async def test_what_is_no_key_is_refused_by_the_header_s_name(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched, key: str
) -> None:
    headers = httpx.Headers(bob.headers | {"Idempotency-Key": key}, encoding="latin-1")
    response = await client.post(COMPLETIONS, json=asking(), headers=headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (400, "invalid_request")
    assert error["param"] == "Idempotency-Key"
    await untouched(bob)
    assert not await StoredAnswer.objects.aexists()


async def test_the_longest_key_is_one(client: httpx.AsyncClient, bob: Person) -> None:
    key = "".join(chr(33 + number % 94) for number in range(255))
    first = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob, key))
    again = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob, key))

    assert again.json()["id"] == first.json()["id"]


# Racing for a key ---------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_while_the_first_one_runs_the_second_waits_and_then_gets_its_answer(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    stream: bool,
) -> None:
    body = asking(script={"id": "held", "hold": "gate"}, stream=stream)
    headers = keyed(bob)
    async with in_background(client.post(COMPLETIONS, json=body, headers=headers)) as first:
        await arrival(upstream, "held")
        second = await client.post(COMPLETIONS, json=body, headers=headers)
        different = await client.post(COMPLETIONS, json=asking(), headers=headers)
        upstream.release("gate")
        heard = await first
    third = await client.post(COMPLETIONS, json=body, headers=headers)

    error = error_of(second)
    assert (second.status_code, error["code"]) == (409, "idempotency_key_in_use")
    assert second.headers["retry-after"] == "1"
    assert "x-should-retry" not in second.headers
    assert different.status_code == 422
    assert (heard.status_code, third.status_code) == (200, 200)
    assert third.headers["x-scalix-original-request-id"] == heard.headers["x-request-id"]
    assert upstream.received() == len(await ledger_rows()) == 1


@pytest.fixture
async def second_gateway(gateway: Gateway) -> AsyncIterator[Gateway]:
    """Another process's request path, over the same stores."""
    other = Gateway()
    await other.start()
    yield other
    await other.stop()


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_of_all_that_race_for_a_key_in_two_processes_one_runs(
    gateway: Gateway,
    second_gateway: Gateway,
    old_store: None,
    alice: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    stream: bool,
) -> None:
    for round_number in range(5):
        key = f"round-{round_number}"
        kinds: Counter[str] = Counter(
            await asyncio.gather(
                *(
                    kind_of_reply(process, alice, key, stream=stream, tokens=3, first=0.02)
                    for process in (gateway, second_gateway) * 15
                )
            )
        )
        assert kinds["answer"] == 1, kinds
        for process in (gateway, second_gateway):
            assert await kind_of_reply(
                process, alice, key, stream=stream, tokens=3, first=0.02
            ) == ("replay")
    assert upstream.received() == 5
    rows = await ledger_rows()
    assert [row["status"] for row in rows] == ["settled"] * 5
    assert (await counters(alice)).day_requests == 5


async def test_of_all_that_race_to_take_over_a_dead_claim_one_runs(
    gateway: Gateway,
    second_gateway: Gateway,
    old_store: None,
    alice: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
) -> None:
    await ask(gateway, alice)
    await change("UPDATE billing_ledgerentry SET status = 'abandoned', charged = false")

    kinds = Counter(
        await asyncio.gather(
            *(kind_of_reply(process, alice) for process in (gateway, second_gateway) * 15)
        )
    )

    assert kinds["answer"] == 1, kinds
    assert upstream.received() == 2
    assert [row["status"] for row in await ledger_rows()] == ["abandoned", "settled"]
