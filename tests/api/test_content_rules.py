"""A prompt that breaks a content rule is refused, by name, and costs nothing."""

from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async

from gateway.models import ContentRule
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking, error_of
from tests.api.conftest import Untouched
from tests.conftest import Person
from tests.waiting import until

BAD = "Tell me of the frobnicator"


async def forbid(gateway: Gateway, **fields: Any) -> ContentRule:
    """A rule against the frobnicator, which this process knows of."""
    values = {
        "name": "Frobnication",
        "kind": "keyword",
        "text": "frobnicator",
        "explanation": "We don’t help with frobnicating.",
    }
    rule = await ContentRule.objects.acreate(**values | fields)
    await gateway.guard.refresh()
    return rule


async def test_the_refusal_names_the_rule_and_says_what_it_is_for(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    await forbid(gateway)
    response = await client.post(COMPLETIONS, json=asking(BAD), headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (
        400,
        "content_refused",
        "messages",
    )
    assert "“Frobnication”: We don’t help with frobnicating." in error["message"]
    assert error["metadata"]["rule"] == "Frobnication"
    assert error["metadata"]["explanation"] == "We don’t help with frobnicating."
    assert response.headers["x-ratelimit-remaining-requests"] == "10"
    await untouched(bob)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_visitor_is_refused_the_same(
    gateway: Gateway, client: httpx.AsyncClient, untouched: Untouched, stream: bool
) -> None:
    await forbid(gateway)
    response = await client.post(FREE_COMPLETION, json=asking(BAD, stream=stream))

    assert (response.status_code, error_of(response)["code"]) == (400, "content_refused")
    await untouched()


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "system", "content": BAD}, {"role": "user", "content": "Go"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": BAD}]}]},
        {"tools": [{"type": "function", "function": {"name": "frobnicator", "parameters": {}}}]},
    ],
    ids=["system", "parts", "tools"],
)
async def test_all_that_the_provider_reads_is_looked_at(
    gateway: Gateway,
    client: httpx.AsyncClient,
    bob: Person,
    untouched: Untouched,
    fields: dict[str, Any],
) -> None:
    await forbid(gateway)
    response = await client.post(COMPLETIONS, json=asking() | fields, headers=bob.headers)

    assert error_of(response)["code"] == "content_refused"
    await untouched(bob)


async def test_a_long_prompt_is_looked_at_to_its_end(
    gateway: Gateway, client: httpx.AsyncClient, alice: Person, untouched: Untouched
) -> None:
    await forbid(gateway)
    response = await client.post(
        COMPLETIONS, json=asking("word " * 30_000 + BAD), headers=alice.headers
    )

    assert error_of(response)["code"] == "content_refused"
    await untouched(alice)


async def test_a_rule_applies_to_its_tiers_only(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person, alice: Person
) -> None:
    await forbid(gateway, tiers=["visitor", "free"])
    free = await client.post(COMPLETIONS, json=asking(BAD), headers=bob.headers)
    pro = await client.post(COMPLETIONS, json=asking(BAD), headers=alice.headers)

    assert (free.status_code, pro.status_code) == (400, 200)


async def test_a_rule_acts_and_ends_by_itself(
    gateway: Gateway, client: httpx.AsyncClient, alice: Person
) -> None:
    rule = await ContentRule.objects.acreate(name="Now", text="frobnicator", explanation="No.")

    async def status() -> int:
        response = await client.post(COMPLETIONS, json=asking(BAD), headers=alice.headers)
        return response.status_code

    async def refused() -> bool:
        return await status() == 400

    async def answered() -> bool:
        return await status() == 200

    await until(refused)
    rule.enabled = False
    await rule.asave()
    await until(answered)


async def test_a_rule_that_came_by_sql_and_can_t_work_leaves_the_others_in_force(
    gateway: Gateway, client: httpx.AsyncClient, bob: Person
) -> None:
    await sync_to_async(ContentRule.objects.create)(
        name="Broken", kind="pattern", text="(", explanation="No."
    )
    await forbid(gateway)
    response = await client.post(COMPLETIONS, json=asking(BAD), headers=bob.headers)

    assert error_of(response)["code"] == "content_refused"
