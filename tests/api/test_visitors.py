"""The free API: an answer with no account, and who a visitor is."""

import uuid

import httpx
import pytest

from accounts import visitors
from accounts.models import Visitor
from billing.models import Tier
from tests.api.asking import FREE_COMPLETION, asking, error_of, events_of, text_of
from tests.api.conftest import CountersOf, LedgerRows, Untouched
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble

HEADER = visitors.HEADER


def id_in(response: httpx.Response) -> uuid.UUID:
    """The visitor that the response's credential is for."""
    visitor_id = visitors.visitor_id_of(response.headers[HEADER])
    assert visitor_id is not None
    return visitor_id


async def test_anybody_gets_a_first_answer_with_nothing_but_a_message(
    client: httpx.AsyncClient, ledger_rows: LedgerRows
) -> None:
    body = {"messages": [{"role": "user", "content": "Create a React component"}]}
    response = await client.post(FREE_COMPLETION, json=body, headers={"user-agent": "curl/8"})

    assert response.status_code == 200
    answer = response.json()
    ours, openais = (
        {"free_tier", "scalix"},
        {"id", "object", "created", "model", "choices", "usage"},
    )
    assert set(answer) == openais | ours
    assert answer["id"].startswith("free_cmp_")
    assert answer["model"] == "scalix-free"
    assert answer["choices"][0]["message"]["content"].startswith(" quick river")
    [row] = await ledger_rows()
    assert (row["tier"], row["account_id"], row["token_id"]) == ("visitor", id_in(response), None)
    assert response.headers["x-scalix-plan"] == "visitor"


async def test_the_free_tier_block_says_what_is_left_and_until_when(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(FREE_COMPLETION, json=asking(session_id="s-1"))

    block, used = response.json()["free_tier"], response.json()["usage"]["total_tokens"]
    assert (block["remaining_requests"], block["remaining_tokens"]) == (4, 5_000 - used)
    assert block["reset_time"].endswith(":00:00Z")
    assert block["upgrade_prompt"] is True  # five or fewer are left
    assert block["session_id"] == "s-1"
    assert block["visitor"] == response.headers[HEADER]


async def test_a_user_with_much_left_is_not_prompted_to_upgrade(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await client.post(FREE_COMPLETION, json=asking(), headers=bob.headers)

    block = response.json()["free_tier"]
    assert (block["remaining_requests"], block["upgrade_prompt"]) == (9, False)
    assert "visitor" not in block
    assert HEADER not in response.headers


@pytest.mark.parametrize("where", ["header", "body"])
async def test_a_visitor_comes_back_by_their_credential(
    client: httpx.AsyncClient, counters: CountersOf, where: str
) -> None:
    first = await client.post(FREE_COMPLETION, json=asking())
    credential = first.headers[HEADER]
    if where == "header":
        second = await client.post(FREE_COMPLETION, json=asking(), headers={HEADER: credential})
    else:
        second = await client.post(FREE_COMPLETION, json=asking(visitor=credential))

    assert second.headers[HEADER] == credential
    assert second.json()["free_tier"]["remaining_requests"] == 3
    assert (await counters(id_in(first))).hour_requests == 2


@pytest.mark.parametrize(
    "forged",
    [
        "vis_01K00000000000000000000000",
        "vis_01K00000000000000000000000:c2lnbmF0dXJl",
        "x: y",
        "é" * 20,
        ":" * 10_000,
    ],
    ids=["unsigned", "signed by another", "no credential", "not ascii", "endless"],
)
async def test_a_credential_that_we_did_not_sign_makes_a_new_visitor(
    client: httpx.AsyncClient, forged: str
) -> None:
    response = await client.post(FREE_COMPLETION, json=asking(visitor=forged))

    assert response.status_code == 200
    assert response.headers[HEADER] != forged
    assert response.json()["free_tier"]["remaining_requests"] == 4


async def test_a_credential_of_another_kind_of_id_is_not_a_visitor_s(
    client: httpx.AsyncClient, bob: Person, counters: CountersOf
) -> None:
    """The signature binds the whole text: nobody signs a user's id into a visitor's place."""
    signed = visitors._signer.sign(f"usr_{'0' * 26}")
    response = await client.post(FREE_COMPLETION, json=asking(), headers={HEADER: signed})

    assert response.status_code == 200
    assert response.headers[HEADER] != signed


@pytest.mark.parametrize("break_", ["\r\nx-evil: 1", "\n", "\0"])
async def test_a_line_break_in_what_a_visitor_sends_reaches_no_header(
    client: httpx.AsyncClient, break_: str
) -> None:
    labels = {"user_id": f"u{break_}", "session_id": f"s{break_}", "visitor": f"v{break_}"}
    response = await client.post(FREE_COMPLETION, json=asking() | labels)

    assert response.status_code == 200
    assert "x-evil" not in response.headers
    assert response.json()["free_tier"]["session_id"] == f"s{break_}"  # in JSON it is harmless


async def test_the_sixth_request_of_a_visitor_s_hour_is_refused_and_offers_an_account(
    client: httpx.AsyncClient, ledger_rows: LedgerRows, upstream: UpstreamDouble
) -> None:
    response = await client.post(FREE_COMPLETION, json=asking())
    headers = {HEADER: response.headers[HEADER]}
    for _ in range(4):
        assert (await client.post(FREE_COMPLETION, json=asking(), headers=headers)).is_success

    response = await client.post(FREE_COMPLETION, json=asking(), headers=headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (429, "insufficient_quota")
    assert (error["metadata"]["limit"], error["metadata"]["plan"]) == (
        "requests_per_hour",
        "visitor",
    )
    assert error["metadata"]["scope"] == "visitor"
    assert "5 of 5 requests" in error["message"]
    assert "Sign up" in error["message"]
    assert len(await ledger_rows()) == upstream.received() == 5


async def test_a_visitor_is_written_down_with_where_they_came_from_once_they_are_admitted(
    client: httpx.AsyncClient,
) -> None:
    headers = {"user-agent": "curl/8"}
    first = await client.post(FREE_COMPLETION, json=asking(), headers=headers)
    await client.post(
        FREE_COMPLETION, json=asking(), headers=headers | {HEADER: first.headers[HEADER]}
    )

    visitor = await Visitor.objects.aget()
    assert visitor.id == id_in(first)
    assert (visitor.ip, visitor.user_agent) == ("127.0.0.1", "curl/8")
    assert visitor.last_request_at is not None
    assert visitor.last_request_at > visitor.created_at


async def test_who_only_looks_or_is_refused_is_not_written_down(
    client: httpx.AsyncClient, untouched: Untouched
) -> None:
    assert (await client.get("/api/v1/limits")).status_code == 200
    assert (await client.post(FREE_COMPLETION, json=asking(model="none"))).status_code == 404

    assert await Visitor.objects.acount() == 0
    await untouched()


async def test_whoever_has_no_credential_yet_sees_the_visitor_s_limits(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/api/v1/limits")

    body = response.json()
    assert (body["object"], body["plan"]) == ("limits", Tier.VISITOR)
    assert body["limits"]["requests_per_day"]["remaining"] == 20
    assert response.headers["x-ratelimit-remaining-requests"] == "5"


async def test_a_visitor_s_limits_are_those_of_their_credential(
    client: httpx.AsyncClient,
) -> None:
    first = await client.post(FREE_COMPLETION, json=asking())
    response = await client.get("/api/v1/limits", headers={HEADER: first.headers[HEADER]})

    assert response.json()["limits"]["requests_per_hour"]["used"] == 1


async def test_the_free_api_streams_as_well(
    client: httpx.AsyncClient, ledger_rows: LedgerRows
) -> None:
    response = await client.post(FREE_COMPLETION, json=asking(stream=True, script={"tokens": 3}))

    *chunks, done = events_of(response.text)
    assert (text_of(chunks), done) == (" quick river carries", "[DONE]")
    [row] = await ledger_rows()
    assert (row["status"], row["account_id"]) == ("settled", id_in(response))


async def test_a_visitor_s_address_is_not_what_they_make_up(client: httpx.AsyncClient) -> None:
    headers = {"x-forwarded-for": "unknown, <script>, 192.0.2.7"}
    response = await client.post(FREE_COMPLETION, json=asking(), headers=headers)

    assert response.status_code == 200
    assert (await Visitor.objects.aget()).ip == "127.0.0.1"
