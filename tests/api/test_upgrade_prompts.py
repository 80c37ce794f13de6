"""Gates and upgrade prompts over HTTP: what a plan lacks, who is told so, and how often."""

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import redis
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts import visitors
from accounts.identifiers import uuid7
from billing.metering.quota import Quota, QuotaUnavailable
from billing.metering.sums import LedgerSums
from billing.models import Subscription, Tier
from billing.payments.models import FunnelEvent, OutgoingMail
from gateway.runtime import Gateway
from gateway.upgrades import Upgrades
from tests.api.asking import (
    COMPLETIONS,
    FREE_COMPLETION,
    Json,
    arrival,
    asking,
    error_of,
    events_of,
    in_background,
)
from tests.api.conftest import LedgerRows, Serve, SetPlan, Untouched
from tests.conftest import Person
from tests.pages.spending import spend
from tests.upstream.double import UpstreamDouble
from tests.waiting import until

Step = tuple[str, str, str]

COUNTS_WITHIN: Final = 1.0
"""Seconds after which a changed tier counts, as promised."""


async def ask(client: httpx.AsyncClient, person: Person, **fields: Any) -> httpx.Response:
    """A chat completion of the person's, which is answered."""
    response = await client.post(COMPLETIONS, json=asking(**fields), headers=person.headers)
    assert response.status_code == 200
    return response


def prompt_in(response: httpx.Response) -> Json | None:
    """The upgrade prompt of an answer, if it has one."""
    prompt: Json | None = response.json().get("scalix", {}).get("upgrade_prompt")
    return prompt


def trigger_in(response: httpx.Response) -> str | None:
    prompt = prompt_in(response)
    return prompt["trigger"] if prompt else None


async def noted(gateway: Gateway, account_id: uuid.UUID) -> list[Step]:
    """What the funnel has of an account, once all that this process noted is written."""
    await gateway.upgrades.write()
    rows = FunnelEvent.objects.filter(account_id=account_id).order_by("id")
    return [row async for row in rows.values_list("kind", "trigger", "channel")]


async def until_noted(gateway: Gateway, account_id: uuid.UUID, *steps: Step) -> None:
    """Waits for exactly these steps: another task may be writing them at this moment."""

    async def there() -> bool:
        return sorted(await noted(gateway, account_id)) == sorted(steps)

    await until(there)


# Gates --------------------------------------------------------------------------------------


async def test_who_becomes_pro_is_let_in_with_the_same_token(
    client: httpx.AsyncClient, bob: Person, serve: Serve, untouched: Untouched
) -> None:
    await serve("expensive", tier="pro")

    async def status() -> int:
        body = asking(model="expensive")
        return (await client.post(COMPLETIONS, json=body, headers=bob.headers)).status_code

    assert await status() == 403
    await untouched(bob)
    await Subscription.objects.acreate(user=bob.user, tier=Tier.PRO, source="stripe")
    await a_second_of(status)
    assert await status() == 200


async def a_second_of(status: Callable[[], Awaitable[int]]) -> None:
    """Asks all the time, for as long as a changed tier may take to count.

    A call that begins after it has to be answered by the new tier, however busy the machine is.
    """
    promised = time.monotonic() + COUNTS_WITHIN
    while time.monotonic() < promised:
        assert await status() in (200, 403)
        await asyncio.sleep(0.02)


async def test_whose_subscription_ends_is_refused_with_the_same_token(
    client: httpx.AsyncClient, alice: Person, serve: Serve
) -> None:
    await serve("expensive", tier="pro")
    await ask(client, alice, model="expensive")
    await Subscription.objects.filter(user=alice.user).aupdate(ends_at=timezone.now())

    async def status() -> int:
        body = asking(model="expensive")
        response = await client.post(COMPLETIONS, json=body, headers=alice.headers)
        return response.status_code

    await a_second_of(status)
    assert await status() == 403


async def test_a_prompt_that_only_the_pro_plan_takes_is_refused_naming_it(
    client: httpx.AsyncClient,
    gateway: Gateway,
    bob: Person,
    alice: Person,
    serve: Serve,
    untouched: Untouched,
) -> None:
    await serve("roomy", context_window=1_000_000)
    body = asking("x" * 10_001, model="roomy")
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (400, "prompt_too_long")
    assert error["metadata"]["required_plan"] == "pro"
    assert error["metadata"]["upgrade_url"] == "http://testserver/pricing/?from=pro_feature"
    assert error["message"].endswith(f"Upgrade: {error['metadata']['upgrade_url']}")
    await untouched(bob)
    await until_noted(gateway, bob.account_id, ("shown", "pro_feature", "api"))
    taken = await client.post(COMPLETIONS, json=body, headers=alice.headers)
    assert taken.status_code == 200


async def test_a_window_that_only_the_pro_plan_has_is_refused_naming_it(
    client: httpx.AsyncClient,
    bob: Person,
    alice: Person,
    serve: Serve,
    set_plan: SetPlan,
    untouched: Untouched,
) -> None:
    await serve("roomy", context_window=1_000_000)
    await set_plan("free", context_window=50)
    body = asking("word " * 100, model="roomy")
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["metadata"]["required_plan"] == "pro"
    await untouched(bob)
    taken = await client.post(COMPLETIONS, json=body, headers=alice.headers)
    assert taken.status_code == 200


async def test_what_no_plan_takes_points_to_none(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person, serve: Serve, untouched: Untouched
) -> None:
    await serve("narrow", context_window=100)
    body = asking("word " * 100, model="narrow")
    error = error_of(await client.post(COMPLETIONS, json=body, headers=bob.headers))

    assert error["code"] == "context_length_exceeded"
    assert not {"required_plan", "upgrade_url"} & set(error["metadata"])
    assert await noted(gateway, bob.account_id) == []
    await untouched(bob)


# Beside an answer ---------------------------------------------------------------------------


async def test_the_first_answer_ever_says_that_there_is_more(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person
) -> None:
    first, second = [await ask(client, bob) for _ in range(2)]

    prompt = prompt_in(first)
    assert prompt is not None
    assert set(prompt) == {"trigger", "message", "upgrade_url"}
    assert prompt["trigger"] == "first_request"
    assert prompt["upgrade_url"] == "http://testserver/pricing/?from=first_request"
    assert "scalix" not in second.json()
    await until_noted(gateway, bob.account_id, ("shown", "first_request", "api"))


async def test_the_first_answer_of_another_day_is_not_the_first(
    client: httpx.AsyncClient, bob: Person
) -> None:
    yesterday = timezone.now() - dt.timedelta(days=1)
    await sync_to_async(spend)(bob.account_id, 1, at=yesterday)

    assert trigger_in(await ask(client, bob)) is None


async def test_an_answer_that_failed_before_was_none(
    client: httpx.AsyncClient, bob: Person
) -> None:
    body = asking(script={"fault": "400"})
    failed = await client.post(COMPLETIONS, json=body, headers=bob.headers)
    assert failed.status_code == 400

    assert trigger_in(await ask(client, bob)) == "first_request"


async def test_near_a_limit_one_answer_of_its_window_says_so(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person
) -> None:
    triggers = [trigger_in(await ask(client, bob)) for _ in range(10)]

    assert triggers == ["first_request", *[None] * 3, "near_limit", *[None] * 5]
    await until_noted(
        gateway,
        bob.account_id,
        ("shown", "first_request", "api"),
        ("shown", "near_limit", "api"),
    )


async def test_of_answers_at_once_and_several_processes_one_says_it(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person, set_plan: SetPlan
) -> None:
    await set_plan("free", requests_per_hour=20, requests_per_day=None, concurrent_requests=20)
    await sync_to_async(spend)(bob.account_id, 16, tokens=1)

    here = await asyncio.gather(*(ask(client, bob, max_tokens=1) for _ in range(2)))
    gateway.upgrades = Upgrades(gateway.quota, gateway.reads)  # as a second process has its own
    there = [await ask(client, bob, max_tokens=1)]

    triggers = [trigger_in(response) for response in (*here, *there)]
    assert sorted(map(str, triggers)) == ["None", "None", "near_limit"]


async def test_each_limit_has_its_own_prompt(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan
) -> None:
    await set_plan("free", requests_per_hour=20, requests_per_day=20)
    await sync_to_async(spend)(bob.account_id, 16, tokens=1)

    prompts = [prompt_in(await ask(client, bob, max_tokens=1)) for _ in range(3)]

    said = [prompt["message"] for prompt in prompts if prompt]
    assert len(said) == 2
    assert "of 20 requests today are used" in said[0]
    assert "of 20 requests this hour are used" in said[1]


async def test_an_emptied_counter_store_does_not_greet_anybody_twice(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person, flush: "redis.Redis"
) -> None:
    assert trigger_in(await ask(client, bob)) == "first_request"
    flush.flushall()
    gateway.upgrades = Upgrades(gateway.quota, gateway.reads)

    assert trigger_in(await ask(client, bob)) is None


class Forgetful(Quota):
    """Counters that can't be asked whether a prompt was shown."""

    async def claim(self, *_: Any) -> bool:
        raise QuotaUnavailable("away")


async def test_an_answer_does_not_fail_for_its_prompt(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person
) -> None:
    await sync_to_async(spend)(bob.account_id, 6, tokens=1)
    quota = Forgetful(gateway.store, process_id=uuid7(), ledger=LedgerSums(gateway.reads))
    gateway.upgrades = Upgrades(quota, gateway.reads)

    assert trigger_in(await ask(client, bob)) is None
    assert await noted(gateway, bob.account_id) == []


async def test_pro_is_prompted_for_nothing(
    client: httpx.AsyncClient, gateway: Gateway, alice: Person, set_plan: SetPlan
) -> None:
    await set_plan("pro", requests_per_hour=2)
    responses = [await ask(client, alice) for _ in range(2)]
    refused = await client.post(COMPLETIONS, json=asking(), headers=alice.headers)

    assert refused.status_code == 429
    assert error_of(refused)["metadata"]["upgrade_url"] is None
    assert ["scalix" in response.json() for response in responses] == [False, False]
    assert await noted(gateway, alice.account_id) == []
    assert not await OutgoingMail.objects.aexists()


async def test_a_stream_is_as_it_was_and_the_next_whole_answer_has_the_prompt(
    client: httpx.AsyncClient, bob: Person
) -> None:
    for _ in range(5):
        streamed = await client.post(COMPLETIONS, json=asking(stream=True), headers=bob.headers)
        chunks = [one for one in events_of(streamed.text) if one != "[DONE]"]
        assert all("scalix" not in chunk for chunk in chunks)

    assert trigger_in(await ask(client, bob)) == "near_limit"


async def test_a_visitor_is_greeted_and_then_told_what_is_left(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    first = await client.post(FREE_COMPLETION, json=asking())
    credential = first.headers[visitors.HEADER]
    second = await client.post(
        FREE_COMPLETION, json=asking(), headers={visitors.HEADER: credential}
    )

    assert trigger_in(first) == "first_request"
    assert trigger_in(second) == "near_limit"
    assert second.json()["free_tier"]["upgrade_prompt"] is True
    visitor_id = visitors.visitor_id_of(credential)
    assert visitor_id is not None
    await until_noted(
        gateway,
        visitor_id,
        ("shown", "first_request", "api"),
        ("shown", "near_limit", "api"),
    )


# In a refusal -------------------------------------------------------------------------------


async def test_a_limit_that_refuses_is_noted_once_and_mailed_once(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person, set_plan: SetPlan
) -> None:
    await set_plan("free", requests_per_hour=1)
    await ask(client, bob)
    for _ in range(5):
        refused = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
        assert refused.status_code == 429

    await until_noted(
        gateway,
        bob.account_id,
        ("shown", "first_request", "api"),
        ("shown", "limit_reached", "api"),
        ("shown", "limit_reached", "mail"),
    )
    mail = await OutgoingMail.objects.aget()
    assert (mail.user_id, mail.kind) == (bob.account_id, "limit_reached")
    assert (mail.context["limit"], mail.context["max"]) == ("requests this hour", 1)


async def test_a_model_above_the_plan_is_noted_once_a_day(
    client: httpx.AsyncClient, gateway: Gateway, bob: Person, serve: Serve, untouched: Untouched
) -> None:
    await serve("expensive", tier="pro")
    for _ in range(3):
        body = asking(model="expensive")
        await client.post(COMPLETIONS, json=body, headers=bob.headers)

    await until_noted(gateway, bob.account_id, ("shown", "quality", "api"))
    assert not await OutgoingMail.objects.aexists()
    await untouched(bob)


async def test_more_at_once_is_a_feature_of_a_plan(
    client: httpx.AsyncClient,
    gateway: Gateway,
    bob: Person,
    upstream: UpstreamDouble,
    set_plan: SetPlan,
) -> None:
    await set_plan("free", concurrent_requests=1)
    held = asking(script={"id": "held", "hold": "gate"})
    async with in_background(client.post(COMPLETIONS, json=held, headers=bob.headers)) as running:
        await arrival(upstream, "held")
        refused = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
        upstream.release("gate")
        assert (await running).status_code == 200

    link = error_of(refused)["metadata"]["upgrade_url"]
    assert link == "http://testserver/pricing/?from=pro_feature"
    await until_noted(
        gateway,
        bob.account_id,
        ("shown", "first_request", "api"),
        ("shown", "pro_feature", "api"),
    )
    assert not await OutgoingMail.objects.aexists()


async def test_whoever_nobody_knows_yet_leaves_no_row_by_a_refusal(
    client: httpx.AsyncClient, gateway: Gateway, serve: Serve, ledger_rows: LedgerRows
) -> None:
    await serve("expensive", tier="pro")
    response = await client.post(FREE_COMPLETION, json=asking(model="expensive"))
    assert response.status_code == 403

    await gateway.upgrades.write()
    assert await FunnelEvent.objects.acount() == 0
    assert await ledger_rows() == []
