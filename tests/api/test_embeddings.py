"""`POST /v1/embeddings`: vectors, counted and settled like answers."""

import struct
from base64 import b64decode
from typing import Any

import httpx
import pytest

from gateway.health.probe import PROBE_SECONDS, probe
from gateway.models import ContentRule
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, asking, error_of
from tests.api.conftest import CountersOf, LedgerRows, Serve, SetPlan, Untouched
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.upstream.embeddings import vector_of
from tests.upstream.tokens import count_text, encode_text

EMBEDDINGS = "/v1/embeddings"
TEXTS = ["The river carries small boats", "Grüße aus Köln", "東京"]
TOKENS = sum(map(count_text, TEXTS))


@pytest.fixture(autouse=True)
async def _vectors(serve: Serve) -> None:
    """A public model for embeddings."""
    await serve("vectors", kind="embedding", context_window=20)


async def embed(client: httpx.AsyncClient, person: Person, **fields: Any) -> httpx.Response:
    headers = person.headers | fields.pop("headers", {})
    body = {"model": "vectors", "input": TEXTS} | fields
    return await client.post(EMBEDDINGS, json=body, headers=headers)


async def test_each_text_has_its_vector_in_its_place(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    response = await embed(client, bob)

    assert response.status_code == 200, response.text
    answer = response.json()
    assert "upgrade_prompt" in answer.pop("scalix")
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector_of(text)}
            for index, text in enumerate(TEXTS)
        ],
        "model": "double-large",
        "usage": {"prompt_tokens": TOKENS, "total_tokens": TOKENS},
    }
    assert response.headers["x-scalix-provider"] == "vectors-one"
    assert response.headers["x-ratelimit-remaining-tokens"] == str(10_000 - TOKENS)
    [call] = upstream.log()
    assert call["fields"] == ["input", "model"]


async def test_it_costs_its_prompt_and_one_request(
    client: httpx.AsyncClient, bob: Person, counters: CountersOf, ledger_rows: LedgerRows
) -> None:
    await embed(client, bob)

    used = await counters(bob)
    assert (used.hour_requests, used.day_tokens, used.in_flight) == (1, TOKENS, 0)
    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["estimated"]) == ("settled", True, False)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (TOKENS, 0)
    assert row["reserved_tokens"] >= TOKENS
    assert row["model"] == "vectors"


async def test_base64_holds_the_same_numbers(client: httpx.AsyncClient, bob: Person) -> None:
    response = await embed(client, bob, input="Hello", encoding_format="base64", dimensions=5)

    [one] = response.json()["data"]
    numbers = struct.unpack("<5f", b64decode(one["embedding"]))
    assert list(numbers) == vector_of("Hello", 5)


async def test_another_provider_is_asked_where_one_fails(
    client: httpx.AsyncClient, bob: Person, serve: Serve, ledger_rows: LedgerRows
) -> None:
    nowhere = {"base_url": "http://127.0.0.1:9/v1"}
    await serve("two", kind="embedding", deployments={"gone": nowhere, "there": {}})

    response = await embed(client, bob, model="two")
    assert response.headers["x-scalix-provider"] == "there"
    [row] = await ledger_rows()
    assert [one["outcome"] for one in row["attempts"]] == ["provider_unreachable", "completed"]


async def test_a_provider_that_has_none_is_none_that_answers(
    client: httpx.AsyncClient, bob: Person, serve: Serve, counters: CountersOf
) -> None:
    lacking = {"provider": "anthropic"}
    await serve("none", kind="embedding", deployments={"chats-only": lacking})

    response = await embed(client, bob, model="none")
    assert response.status_code == 503
    assert "provider_misconfigured" in error_of(response)["message"]
    used = await counters(bob)
    assert (used.hour_requests, used.day_tokens) == (0, 0)


async def test_the_same_key_gives_the_same_vectors_and_charges_once(
    client: httpx.AsyncClient, bob: Person, counters: CountersOf, upstream: UpstreamDouble
) -> None:
    key = {"headers": {"Idempotency-Key": "once"}}
    first = await embed(client, bob, **key, encoding_format="base64")
    again = await embed(client, bob, **key, encoding_format="base64")

    assert again.json()["data"] == first.json()["data"]
    assert again.headers["idempotent-replayed"] == "true"
    assert (await counters(bob)).hour_requests == 1
    assert upstream.received() == 1


async def test_kept_vectors_cost_nothing_in_either_form(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person, counters: CountersOf
) -> None:
    kept = {"headers": {"x-scalix-cache": "60"}}
    first = await embed(client, bob, **kept)
    await gateway.cache.finish()
    again = await embed(client, bob, **kept)
    assert (first.headers["x-scalix-cache"], again.headers["x-scalix-cache"]) == ("miss", "hit")
    assert again.json()["data"] == first.json()["data"]
    assert (await counters(bob)).hour_requests == 1

    fewer = await embed(client, bob, **kept, dimensions=4)
    assert fewer.headers["x-scalix-cache"] == "miss"


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"input": "one two three " * 10}, 400, "context_length_exceeded", "input"),
        ({"input": []}, 400, "invalid_request", "input"),
        ({"input": ["x" * 40_000]}, 400, "prompt_too_long", "input"),
        ({"stream": True}, 400, "invalid_request", "stream"),
        ({"model": "vector"}, 404, "model_not_found", "model"),
        ({"model": "scalix-free"}, 400, "wrong_kind_of_model", "model"),
    ],
)
async def test_what_can_t_be_embedded_costs_nothing(
    client: httpx.AsyncClient,
    bob: Person,
    untouched: Untouched,
    fields: dict[str, Any],
    status: int,
    code: str,
    param: str,
) -> None:
    response = await embed(client, bob, **fields)

    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    await untouched(bob)


async def test_a_text_may_fill_the_window_and_all_together_be_more(
    client: httpx.AsyncClient, bob: Person
) -> None:
    full = " boats" * 20
    assert count_text(full) == 20

    response = await embed(client, bob, input=[full, full])
    assert response.status_code == 200, response.text


async def test_a_model_that_embeds_gives_no_answers(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    body = asking(model="vectors")
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (400, "wrong_kind_of_model")
    assert "/v1/embeddings" in error["message"]
    await untouched(bob)


async def test_the_list_says_what_each_model_gives(client: httpx.AsyncClient, bob: Person) -> None:
    listed = (await client.get("/v1/models", headers=bob.headers)).json()["data"]

    kinds = {one["id"]: (one["kind"], one["max_output_tokens"]) for one in listed}
    assert kinds["vectors"] == ("embedding", None)
    assert kinds["scalix-free"][0] == "chat"


async def test_a_name_that_is_nearly_right_is_told_among_models_of_its_kind(
    client: httpx.AsyncClient, bob: Person
) -> None:
    error = error_of(await embed(client, bob, model="vectorz"))

    assert error["metadata"]["did_you_mean"] == ["vectors"]
    assert error["metadata"]["available_models"] == ["vectors"]


async def test_quota_is_counted_and_explained_as_for_answers(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan, upstream: UpstreamDouble
) -> None:
    await set_plan("free", requests_per_hour=2)
    replies = [await embed(client, bob) for _ in range(3)]

    assert [one.status_code for one in replies] == [200, 200, 429]
    assert error_of(replies[2])["metadata"]["limit"] == "requests_per_hour"
    assert upstream.received() == 2


async def test_the_last_tokens_of_a_day_can_be_spent(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan, counters: CountersOf
) -> None:
    await embed(client, bob)
    await set_plan("free", tokens_per_day=TOKENS + 12)

    response = await embed(client, bob, input="Hello")  # its bound is a few tokens more than it
    assert response.status_code == 200, response.text
    assert (await counters(bob)).day_tokens == TOKENS + count_text("Hello")


async def test_content_rules_read_texts_and_tokens_alike(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway, untouched: Untouched
) -> None:
    await ContentRule.objects.acreate(name="no boats", text="small boats", explanation="None.")
    await gateway.guard.refresh()

    for value in (TEXTS, encode_text(TEXTS[0])):
        error = error_of(await embed(client, bob, input=value))
        assert error["code"] == "content_refused"
    await untouched(bob)


async def test_a_probe_asks_for_a_vector(gateway: Gateway, upstream: UpstreamDouble) -> None:
    row = gateway.catalogue.find("vectors")
    assert row is not None

    result = await probe(gateway.providers, gateway.capacity, row.targets[0], PROBE_SECONDS)
    assert result is not None
    assert result.succeeded, result.error
    assert upstream.log()[0]["fields"] == ["input", "model"]
