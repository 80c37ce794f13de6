"""A streamed completion: chunks of one id, usage when it is asked for, settled before its end."""

import asyncio

import httpx
import pytest
from pytest_django import Settings

from tests.api.asking import COMPLETIONS, asking, events_of, text_of
from tests.api.conftest import CountersOf, LedgerRows
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.waiting import until


async def test_a_stream_is_chunks_of_one_id_and_ends_in_done(
    client: httpx.AsyncClient, bob: Person
) -> None:
    body = asking(script={"tokens": 4}, stream=True)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    *chunks, done = events_of(response.text)
    assert done == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    same_id = f"chatcmpl-{response.headers['x-request-id'].removeprefix('req_')}"
    assert {chunk["id"] for chunk in chunks} == {same_id}
    assert len({chunk["created"] for chunk in chunks}) == 1
    assert {chunk["model"] for chunk in chunks} == {"double-small"}
    assert all("usage" not in chunk for chunk in chunks)  # nobody asked
    assert text_of(chunks) == " quick river carries small"
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_stream_has_the_headers_of_an_answer(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await client.post(COMPLETIONS, json=asking(stream=True), headers=bob.headers)

    assert response.headers["x-scalix-provider"] == "upstream"
    assert response.headers["x-scalix-plan"] == "free"
    assert response.headers["x-ratelimit-remaining-requests"] == "9"
    assert response.headers["ratelimit"].startswith('"requests-hour";r=9;t=')
    assert response.headers["request-id"] == response.headers["x-request-id"]


async def test_with_usage_asked_for_it_is_null_on_every_chunk_and_whole_on_the_last(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows
) -> None:
    body = asking(script={"tokens": 4}, stream=True, stream_options={"include_usage": True})
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    *chunks, last, _ = events_of(response.text)
    assert all(chunk["usage"] is None and chunk["choices"] for chunk in chunks)
    assert last["choices"] == []
    [row] = await ledger_rows()
    assert last["usage"]["prompt_tokens"] == row["prompt_tokens"]
    assert last["usage"]["completion_tokens"] == row["completion_tokens"] == 4
    assert last["usage"]["total_tokens"] == row["prompt_tokens"] + 4


async def test_usage_is_always_asked_of_the_provider(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    await client.post(COMPLETIONS, json=asking(stream=True), headers=bob.headers)

    [call], [row] = upstream.log(), await ledger_rows()
    assert (call["stream"], call["include_usage"]) == (True, True)
    assert (row["streamed"], row["estimated"]) == (True, False)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (call["prompt_tokens"], 8)


async def test_the_row_of_a_stream_knows_its_first_token_and_its_attempt(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    body = asking(script={"tokens": 3, "gap": 0.02}, stream=True)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["deployment"]) == ("settled", True, "upstream")
    assert row["admitted_at"] < row["first_token_at"] < row["ended_at"]
    [attempt] = row["attempts"]
    assert (attempt["deployment"], attempt["outcome"]) == ("upstream", "completed")
    used = await counters(bob)
    assert (used.hour_requests, used.in_flight) == (1, 0)
    assert used.day_tokens == row["prompt_tokens"] + 3
    assert response.text.endswith("data: [DONE]\n\n")


async def test_a_stream_is_settled_before_it_says_that_it_is_done(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    statuses = []
    async with client.stream(
        "POST", COMPLETIONS, json=asking(stream=True), headers=bob.headers
    ) as response:
        async for line in response.aiter_lines():
            if line == "data: [DONE]":
                statuses = [row["status"] for row in await ledger_rows()]
                assert (await counters(bob)).in_flight == 0

    assert statuses == ["settled"]


async def test_chunks_arrive_as_the_provider_sends_them(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    body = asking(script={"tokens": 3, "stall": 2}, stream=True)
    heard: list[str] = []

    async with client.stream("POST", COMPLETIONS, json=body, headers=bob.headers) as response:
        async with asyncio.timeout(10):
            async for line in response.aiter_lines():
                heard += [text_of(events_of(line))]
                if "".join(heard) == " quick river":
                    break  # the third never comes

    assert upstream.log()[0]["completion_tokens"] == 2


@pytest.mark.parametrize(
    ("path", "says"),
    [(COMPLETIONS, ": keep-alive"), ("/v1/messages", 'data: {"type":"ping"}')],
    ids=["OpenAI's", "Anthropic's"],
)
async def test_a_silent_stream_says_that_there_is_more_to_come(
    client: httpx.AsyncClient, bob: Person, settings: Settings, path: str, says: str
) -> None:
    settings.GATEWAY_KEEP_ALIVE_SECONDS = 0.05
    body = asking(script={"tokens": 3, "stall": 2}, stream=True, max_tokens=50)
    heard: list[str] = []
    async with client.stream("POST", path, json=body, headers=bob.headers) as response:
        async with asyncio.timeout(10):
            async for line in response.aiter_lines():
                if "river" in line:
                    heard.clear()  # from here on its provider is silent
                heard.append(line)
                if heard.count(says) == 3:
                    break
    assert "error" not in str(heard)


async def test_events_that_arrive_in_pieces_are_put_together(
    client: httpx.AsyncClient, bob: Person
) -> None:
    script = {"tokens": 5, "split": 7, "vocabulary": "multibyte"}
    body = asking(script=script, stream=True)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    *chunks, done = events_of(response.text)
    assert text_of(chunks) == " für não über können più"
    assert done == "[DONE]"


async def test_each_choice_streams_under_its_index(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows
) -> None:
    body = asking(script={"tokens": 2}, stream=True, n=2)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    chunks = events_of(response.text)[:-1]
    texts = ["", ""]
    for chunk in chunks:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
    assert texts == [" quick river", " quick river"]
    assert (await ledger_rows())[0]["completion_tokens"] == 4


async def test_a_stream_without_usage_is_counted_and_the_row_says_so(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    script = {"tokens": 9, "fault": "no-usage"}
    body = asking(script=script, stream=True, stream_options={"include_usage": True})
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    [row], [call] = await ledger_rows(), upstream.log()
    assert (row["status"], row["charged"], row["estimated"]) == ("settled", True, True)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (call["prompt_tokens"], 9)
    assert events_of(response.text)[-2]["usage"]["completion_tokens"] == 9


async def test_a_stream_that_says_nothing_is_free(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, counters: CountersOf
) -> None:
    body = asking(script={"tokens": 0}, stream=True)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    *chunks, done = events_of(response.text)
    assert (text_of(chunks), done) == ("", "[DONE]")
    assert all(chunk["choices"] for chunk in chunks)
    [row] = await ledger_rows()
    assert (row["status"], row["charged"]) == ("settled", False)
    assert (await counters(bob)).hour_requests == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_the_connection_serves_the_next_request_as_well(
    client: httpx.AsyncClient, alice: Person, ledger_rows: LedgerRows, stream: bool
) -> None:
    for _ in range(3):
        response = await client.post(COMPLETIONS, json=asking(stream=stream), headers=alice.headers)
        assert response.status_code == 200

    async def all_settled() -> bool:
        return [row["status"] for row in await ledger_rows()] == ["settled"] * 3

    await until(all_settled)
