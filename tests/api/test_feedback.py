"""A thumb for an answer: by whoever asked, once for each request, at no cost."""

import dataclasses
from typing import Any

import httpx
import pytest

from accounts.identifiers import encode, uuid7
from accounts.models import User
from billing.models import LedgerEntry
from gateway.models import Rating
from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking, error_of
from tests.api.conftest import CountersOf, LedgerRows
from tests.conftest import Person

PATH = "/api/v1/feedback"


async def answered(client: httpx.AsyncClient, person: Person) -> httpx.Response:
    reply = await client.post(COMPLETIONS, json=asking(), headers=person.headers)
    assert reply.status_code == 200
    return reply


async def rated(
    client: httpx.AsyncClient, request_id: str, headers: dict[str, str], **fields: Any
) -> httpx.Response:
    body = {"request_id": request_id, "rating": "up"} | fields
    return await client.post(PATH, json=body, headers=headers)


async def ratings() -> list[tuple[str, bool, str]]:
    rows = Rating.objects.order_by("rated_at")
    return [row async for row in rows.values_list("deployment", "up", "comment")]


async def test_whoever_asked_rates_the_answer_once_and_may_change_it(
    client: httpx.AsyncClient, bob: Person, counters: CountersOf
) -> None:
    reply = await answered(client, bob)
    before = await counters(bob)
    request_id = reply.headers["x-request-id"]

    for rating, comment in (("up", ""), ("down", "It made that up.")):
        response = await rated(client, request_id, bob.headers, rating=rating, comment=comment)
        assert response.status_code == 200
        assert response.json() == {
            "object": "feedback",
            "request_id": request_id,
            "rating": rating,
        }
        assert "x-ratelimit-remaining-requests" in response.headers

    assert await ratings() == [("upstream", False, "It made that up.")]
    after = await counters(bob)
    assert dataclasses.replace(after, at_ms=before.at_ms) == before


async def test_an_answers_own_id_will_do_as_well(client: httpx.AsyncClient, bob: Person) -> None:
    reply = await answered(client, bob)
    assert (await rated(client, reply.json()["id"], bob.headers)).status_code == 200
    assert await ratings() == [("upstream", True, "")]


async def test_a_visitor_rates_with_the_credential_that_came_with_the_answer(
    client: httpx.AsyncClient,
) -> None:
    reply = await client.post(FREE_COMPLETION, json=asking())
    request_id = reply.headers["x-request-id"]
    visitor = reply.headers["x-scalix-visitor"]

    assert (await rated(client, request_id, {})).status_code == 404  # that is nobody, or another
    assert await ratings() == []
    assert (await rated(client, request_id, {"x-scalix-visitor": visitor})).status_code == 200
    assert (await rated(client, request_id, {}, visitor=visitor)).status_code == 200
    assert len(await ratings()) == 1


async def test_nobody_rates_anothers_answer_or_one_that_never_was(
    client: httpx.AsyncClient, bob: Person, alice: Person, ledger_rows: LedgerRows
) -> None:
    reply = await answered(client, bob)
    failed = await client.post(
        COMPLETIONS, json=asking(script={"fault": "400"}), headers=alice.headers
    )
    assert failed.status_code == 400
    rows = await ledger_rows()
    for request_id in (
        reply.headers["x-request-id"],
        failed.headers["x-request-id"],
        encode("req", uuid7()),
    ):
        error = error_of(await rated(client, request_id, alice.headers))
        assert (error["code"], error["param"]) == ("request_not_found", "request_id")
    assert await ratings() == []
    assert await ledger_rows() == rows


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"request_id": "req_nonsense"}, "request_id"),
        ({"request_id": 7}, "request_id"),
        ({"rating": "sideways"}, "rating"),
        ({"comment": "x" * 501}, "comment"),
        ({"prompt": "x"}, "prompt"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    client: httpx.AsyncClient, bob: Person, fields: dict[str, Any], param: str
) -> None:
    body = {"request_id": encode("req", uuid7()), "rating": "up"} | fields
    response = await client.post(PATH, json=body, headers=bob.headers)
    assert response.status_code == 400
    error = error_of(response)
    assert param in (error["param"] or error["message"])
    assert await ratings() == []


async def test_without_a_valid_token_nothing_is_rated(
    client: httpx.AsyncClient, bob: Person
) -> None:
    reply = await answered(client, bob)
    headers = {"Authorization": "Bearer scalix_wrong"}
    response = await rated(client, reply.headers["x-request-id"], headers)
    assert response.status_code == 401
    assert await ratings() == []


async def test_a_deleted_account_leaves_no_rating(client: httpx.AsyncClient, bob: Person) -> None:
    reply = await answered(client, bob)
    await rated(client, reply.headers["x-request-id"], bob.headers, comment="Mine.")
    await User.objects.filter(pk=bob.user.pk).adelete()
    assert await ratings() == []
    assert await LedgerEntry.objects.acount() == 1
