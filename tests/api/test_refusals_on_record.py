"""A request id is always found: that of a refused request too."""

from typing import Any

import httpx
import pytest

from accounts.identifiers import decode
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking
from tests.api.conftest import LedgerRows, SetPlan
from tests.conftest import Person
from tests.waiting import until


async def recorded(gateway: Gateway, response: httpx.Response) -> tuple[Any, ...]:
    """The record of this response's request: code, limit, account, token, model."""
    request_id = decode("req", response.headers["x-request-id"])
    query = (
        'SELECT code, "limit", account_id, token_id IS NOT NULL, model FROM billing_refusal'
        " WHERE id = %s"
    )
    found: list[tuple[Any, ...]] = []

    async def is_there() -> bool:
        found[:] = await gateway.reads.fetch(query, (request_id,))
        return bool(found)

    await until(is_there)
    return found[0]


async def test_a_reached_limit_is_on_record(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway, set_plan: SetPlan,
    ledger_rows: LedgerRows,
) -> None:  # fmt: skip
    await set_plan("free", requests_per_hour=1)
    answers = [await client.post(COMPLETIONS, json=asking(), headers=bob.headers) for _ in range(2)]
    expected = ("insufficient_quota", "requests_per_hour", bob.account_id, True, "scalix-free")
    assert await recorded(gateway, answers[1]) == expected
    assert len(await ledger_rows()) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "no-such-model"}, "model_not_found"),
        ({"model": "gpt-4"}, "model_not_in_plan"),
        ({"messages": [{"role": "user", "content": "x" * 20_000}]}, "prompt_too_long"),
    ],
)
async def test_what_a_request_may_not_is_on_record(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway, fields: dict[str, Any], code: str
) -> None:
    answer = await client.post(COMPLETIONS, json=asking() | fields, headers=bob.headers)
    found = await recorded(gateway, answer)
    assert (found[0], found[2]) == (code, bob.account_id)


async def test_bad_bodies_and_tokens_are_on_record_without_an_account(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway
) -> None:
    broken = await client.post(COMPLETIONS, content=b"{", headers=bob.headers)
    stranger = await client.post(
        COMPLETIONS, json=asking(), headers={"Authorization": "Bearer sk-x"}
    )
    assert (await recorded(gateway, broken))[:3] == ("invalid_json", "", None)
    assert (await recorded(gateway, stranger))[:3] == ("invalid_api_key", "", None)


async def test_somebody_new_leaves_no_account_behind(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    answer = await client.post(FREE_COMPLETION, json=asking(model="gpt-4"))
    assert (await recorded(gateway, answer))[2] is None
    assert await gateway.reads.fetch("SELECT 1 FROM accounts_visitor") == []


async def test_an_answered_request_is_not(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway
) -> None:
    await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    await client.get("/v1/key", headers={"Authorization": "Bearer sk-x"})
    await gateway.refusals.write(gateway.reads)
    assert await gateway.reads.fetch("SELECT 1 FROM billing_refusal") == []
