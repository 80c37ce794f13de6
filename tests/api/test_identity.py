"""Who asks: a token says it, the subscription says the tier, and nothing that a client writes."""

import datetime as dt
from typing import Any

import httpx
import pytest
from django.utils import timezone

from accounts import credentials
from accounts.models import ApiToken, User
from billing.models import Subscription, Tier
from gateway.runtime import Gateway
from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking, error_of
from tests.api.conftest import CountersOf, LedgerRows, Serve, Untouched
from tests.clock import Clock
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Basic c2NhbGl4OnNlY3JldA=="},
        {"x-api-key": ""},
    ],
)
async def test_without_a_token_nothing_is_answered_and_the_way_to_one_is_named(
    client: httpx.AsyncClient, untouched: Untouched, headers: dict[str, str]
) -> None:
    response = await client.post(COMPLETIONS, json=asking(), headers=headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (401, "invalid_api_key")
    assert error["type"] == "authentication_error"
    assert "Authorization: Bearer scalix_" in error["message"]
    assert response.headers["www-authenticate"].startswith("Bearer")
    await untouched()


@pytest.mark.parametrize(
    "secret",
    [
        "sk-1234",
        "scalix_short",
        credentials.new_secret(),
        credentials.new_secret()[:-1] + "é",
        "scalix_" + "a" * 100_000,
    ],
    ids=["another's", "too short", "unknown", "not ascii", "endless"],
)
async def test_a_token_that_is_none_of_ours_is_refused(
    client: httpx.AsyncClient, untouched: Untouched, secret: str
) -> None:
    headers = {b"authorization": f"Bearer {secret}".encode()}
    response = await client.post(COMPLETIONS, json=asking(), headers=headers)

    assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_api_key"'
    assert secret[:40] not in response.text
    await untouched()


async def test_texts_that_are_no_tokens_are_not_kept(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    for number in range(5):
        headers = {"authorization": f"Bearer {number}{'x' * 50_000}"}
        assert (await client.get("/v1/key", headers=headers)).status_code == 401

    assert not gateway.authenticator._known


async def test_a_revoked_token_is_named_as_one(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    await ApiToken.objects.filter(user=bob.user).aupdate(revoked_at=timezone.now())

    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (401, "token_revoked")
    assert "bob's laptop" in error["message"]
    assert response.headers["www-authenticate"] == 'Bearer error="token_revoked"'
    await untouched(bob)


async def test_an_expired_token_is_named_as_one(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    past = timezone.now() - dt.timedelta(seconds=1)
    await ApiToken.objects.filter(user=bob.user).aupdate(expires_at=past)

    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    assert (response.status_code, error_of(response)["code"]) == (401, "token_expired")
    await untouched(bob)


async def test_a_suspended_account_is_told_so(
    client: httpx.AsyncClient, charlie: Person, untouched: Untouched
) -> None:
    response = await client.post(COMPLETIONS, json=asking(), headers=charlie.headers)

    assert (response.status_code, error_of(response)["code"]) == (403, "account_suspended")
    assert "www-authenticate" not in response.headers
    await untouched(charlie)


async def test_a_token_may_come_in_x_api_key(client: httpx.AsyncClient, bob: Person) -> None:
    response = await client.post(COMPLETIONS, json=asking(), headers={"x-api-key": bob.secret})

    assert response.status_code == 200
    assert response.headers["x-scalix-plan"] == "free"


async def test_the_scheme_s_case_and_spaces_before_the_token_do_not_matter(
    client: httpx.AsyncClient, bob: Person
) -> None:
    headers = {"authorization": f"bEARER   {bob.secret}"}
    response = await client.post(COMPLETIONS, json=asking(), headers=headers)

    assert response.status_code == 200


async def test_two_tokens_at_once_are_neither(
    client: httpx.AsyncClient, alice: Person, bob: Person, untouched: Untouched
) -> None:
    headers = [(name, value) for one in (alice, bob) for name, value in one.headers.items()]
    response = await client.post(COMPLETIONS, json=asking(), headers=headers)

    assert response.status_code == 401
    await untouched(alice, bob)


async def answers(client: httpx.AsyncClient, person: Person) -> tuple[int, str | None]:
    response = await client.get("/v1/key", headers=person.headers)
    return response.status_code, response.headers.get("x-scalix-plan")


@pytest.fixture
def remembering(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which what is known of a token grows old."""
    clock = Clock()
    monkeypatch.setattr(gateway.authenticator, "_clock", clock)
    return clock


@pytest.mark.parametrize(
    ("change", "then"),
    [
        ("revoke the token", (401, None)),
        ("suspend the account", (403, None)),
        ("grant pro", (200, "pro")),
    ],
)
async def test_a_change_acts_within_a_second_on_a_token_in_use(
    client: httpx.AsyncClient,
    bob: Person,
    remembering: Clock,
    change: str,
    then: tuple[int, str | None],
) -> None:
    assert await answers(client, bob) == (200, "free")  # and from now on it is remembered

    match change:
        case "revoke the token":
            await ApiToken.objects.filter(user=bob.user).aupdate(revoked_at=timezone.now())
        case "suspend the account":
            await User.objects.filter(pk=bob.account_id).aupdate(is_active=False)
        case "grant pro":
            await Subscription.objects.acreate(user=bob.user, tier=Tier.PRO, source="staff")
    remembering.now += 1.0

    assert await answers(client, bob) == then


async def test_a_subscription_s_end_acts_within_a_second(
    client: httpx.AsyncClient, alice: Person, remembering: Clock
) -> None:
    assert await answers(client, alice) == (200, "pro")
    await Subscription.objects.filter(user=alice.user).aupdate(ends_at=timezone.now())
    remembering.now += 1.0

    assert await answers(client, alice) == (200, "free")


@pytest.mark.parametrize("name", ["scalix_pro", "pro", "scalix-engine", "admin"])
async def test_no_name_of_a_token_raises_the_tier(
    client: httpx.AsyncClient, bob: Person, name: str
) -> None:
    await ApiToken.objects.filter(user=bob.user).aupdate(name=name)

    assert await answers(client, bob) == (200, "free")


@pytest.mark.parametrize(
    "claim",
    [
        {"user": "scalix_pro_1"},
        {"metadata": {"tier": "pro", "plan": "pro"}},
        {"service_tier": "priority"},
    ],
    ids=str,
)
async def test_no_field_that_the_client_sends_raises_the_tier(
    client: httpx.AsyncClient, bob: Person, claim: dict[str, Any], ledger_rows: LedgerRows
) -> None:
    response = await client.post(COMPLETIONS, json=asking(**claim), headers=bob.headers)

    assert response.headers["x-scalix-plan"] == "free"
    assert (await ledger_rows())[0]["tier"] == "free"


async def test_no_header_that_the_client_sends_raises_the_tier(
    client: httpx.AsyncClient, bob: Person
) -> None:
    claims = {"x-scalix-plan": "pro", "x-scalix-tier": "pro", "x-user-id": "scalix_pro"}
    response = await client.post(COMPLETIONS, json=asking(), headers=bob.headers | claims)

    assert response.headers["x-scalix-plan"] == "free"


async def test_a_user_id_is_a_label_and_never_an_identity(
    client: httpx.AsyncClient,
    alice: Person,
    bob: Person,
    ledger_rows: LedgerRows,
    counters: CountersOf,
) -> None:
    labels = {"user_id": str(alice.account_id), "session_id": "s-1"}
    body = asking(user=str(alice.account_id)) | labels
    response = await client.post(FREE_COMPLETION, json=body, headers=bob.headers)

    assert response.status_code == 200
    assert response.json()["free_tier"]["session_id"] == "s-1"
    assert [row["account_id"] for row in await ledger_rows()] == [bob.account_id]
    assert (await counters(alice)).hour_requests == 0
    assert (await counters(bob)).hour_requests == 1


async def test_a_prefix_in_a_user_id_makes_nobody_pro(
    client: httpx.AsyncClient, serve: Serve, untouched: Untouched
) -> None:
    await serve("expensive", tier="pro")
    body = asking(model="expensive", user_id="scalix_pro_anything")
    response = await client.post(FREE_COMPLETION, json=body)

    assert (response.status_code, error_of(response)["code"]) == (403, "model_not_in_plan")
    await untouched()


async def test_a_bad_token_on_the_free_api_is_not_taken_for_a_visitor(
    client: httpx.AsyncClient, untouched: Untouched
) -> None:
    headers = {"authorization": f"Bearer {credentials.new_secret()}"}
    response = await client.post(FREE_COMPLETION, json=asking(), headers=headers)

    assert response.status_code == 401
    await untouched()


async def test_a_token_s_use_is_noted(
    client: httpx.AsyncClient, bob: Person, gateway: Gateway, upstream: UpstreamDouble
) -> None:
    await client.post(COMPLETIONS, json=asking(), headers=bob.headers)
    await gateway.token_uses.write(gateway.reads)

    token = await ApiToken.objects.aget(user=bob.user)
    assert token.last_used_at is not None
    assert timezone.now() - token.last_used_at < dt.timedelta(minutes=1)
