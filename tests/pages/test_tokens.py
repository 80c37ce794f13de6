"""Tokens in the browser: made, shown once, listed, revoked at once."""

import re
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.test import AsyncClient, Client

from accounts import credentials
from accounts.models import ApiToken
from gateway import pipeline
from gateway.errors import NotAuthenticated
from gateway.pages.conversation import request_for
from gateway.runtime import Gateway
from gateway.types import Presented
from tests.conftest import Person
from tests.pages.reading import Elements, source, words
from tests.pages.spending import spend

SECRET = re.compile(r"scalix_[a-z2-7]{38}")


@pytest.fixture
def bobs(client: Client, bob: Person) -> Client:
    """Bob's browser."""
    client.force_login(bob.user)
    return client


def test_strangers_are_asked_to_log_in(client: Client, db: None) -> None:
    assert client.get("/tokens/")["location"] == "/login/?next=/tokens/"


def test_the_first_visit_asks_for_the_first_token(bobs: Client, bob: Person) -> None:
    bob.user.tokens.all().delete()

    assert "Create your first token" in words(bobs.get("/tokens/"))


def test_a_new_token_is_shown_with_a_filled_curl_and_two_exports(bobs: Client) -> None:
    page = bobs.post("/tokens/", {"name": "ci", "days": "90"})

    assert page.status_code == 201
    [secret] = set(SECRET.findall(source(page)))
    assert credentials.is_well_formed(secret)
    assert f'"Authorization: Bearer {secret}"' in words(page)
    assert f"export OPENAI_API_KEY={secret}" in words(page)
    assert "export OPENAI_BASE_URL=http://testserver/v1" in words(page)


def test_the_secret_is_on_no_other_page_in_no_session_and_in_no_row(
    bobs: Client, bob: Person
) -> None:
    created = bobs.post("/tokens/", {"name": "ci", "days": "90"})
    [secret] = set(SECRET.findall(source(created)))

    for address in ("/tokens/", "/dashboard/live/", "/docs/errors/"):
        assert secret not in source(bobs.get("/tokens/")), address
    assert all(secret not in str(session.get_decoded()) for session in Session.objects.all())
    stored = ApiToken.objects.filter(name="ci").values().get()
    assert secret not in str(stored)


def test_no_cache_keeps_the_page_with_the_secret(bobs: Client) -> None:
    page = bobs.post("/tokens/", {"name": "ci", "days": "90"})

    assert "no-store" in page["cache-control"]


def test_the_same_form_sent_again_makes_no_second_token(bobs: Client, bob: Person) -> None:
    bobs.post("/tokens/", {"name": "ci", "days": "90"})

    again = bobs.post("/tokens/", {"name": "ci", "days": "90"})

    assert again.status_code == 400
    assert "You have an active token named “ci”." in words(again)
    assert not SECRET.search(source(again))
    assert bob.user.tokens.filter(name="ci").count() == 1


def test_the_name_of_a_revoked_token_is_free_again(bobs: Client, bob: Person) -> None:
    bobs.post("/tokens/", {"name": "ci", "days": "90"})
    bob.user.tokens.get(name="ci").revoke()

    assert bobs.post("/tokens/", {"name": "ci", "days": "90"}).status_code == 201


@pytest.mark.parametrize(("days", "lives"), [("30", 30), ("90", 90), ("365", 365), ("", None)])
def test_a_token_lives_as_long_as_was_chosen(
    bobs: Client, bob: Person, days: str, lives: int | None
) -> None:
    bobs.post("/tokens/", {"name": "ci", "days": days})

    token = bob.user.tokens.get(name="ci")
    if lives is None:
        assert token.expires_at is None
    else:
        assert token.expires_at is not None
        assert round((token.expires_at - token.created_at).total_seconds() / 86_400) == lives


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_name_that_does_not_do_is_explained_beside_its_field(bobs: Client, name: str) -> None:
    page = bobs.post("/tokens/", {"name": name, "days": "90"})

    assert page.status_code == 400
    [field] = [one for one in Elements(source(page)).all("input") if one.get("name") == "name"]
    assert field["aria-invalid"] == "true"
    assert "id_name_error" in (field["aria-describedby"] or "")
    assert 'id="id_name_error"' in source(page)


def test_the_list_tells_each_token_apart(bobs: Client, bob: Person) -> None:
    token = bob.user.tokens.get()
    spend(bob.account_id, 3, token_id=token.pk)

    page = words(bobs.get("/tokens/"))

    assert token.name in page
    assert token.display in page
    assert "never used" in page
    assert " 3 never active Revoke" in page


def test_markup_in_a_name_is_shown_as_text(bobs: Client) -> None:
    bobs.post("/tokens/", {"name": "<b>ci</b>", "days": "90"})

    assert "<b>ci</b>" not in source(bobs.get("/tokens/"))


def test_revoking_asks_first(bobs: Client, bob: Person) -> None:
    token = bob.user.tokens.get()

    page = bobs.get(f"/tokens/{token.pk}/revoke/")

    assert f"Revoke “{token.name}”?" in words(page)
    token.refresh_from_db()
    assert token.state == "active"


def test_a_revoked_token_stays_in_the_list_without_a_button(bobs: Client, bob: Person) -> None:
    token = bob.user.tokens.get()

    page = bobs.post(f"/tokens/{token.pk}/revoke/", follow=True)

    assert f"The token “{token.name}” is revoked." in words(page)
    assert " revoked " in words(page)
    assert f"/tokens/{token.pk}/revoke/" not in source(page)


def test_nobody_revokes_anothers_token(bobs: Client, alice: Person) -> None:
    token = alice.user.tokens.get()

    assert bobs.post(f"/tokens/{token.pk}/revoke/").status_code == 404
    token.refresh_from_db()
    assert token.state == "active"


async def test_a_token_made_here_works_and_revoked_here_stops(
    as_bob: AsyncClient, bob: Person, gateway: Gateway
) -> None:
    created = await as_bob.post("/tokens/", {"name": "ci", "days": "90"})
    [secret] = set(SECRET.findall(source(created)))
    presented = Presented(bearer=secret)
    await pipeline.usage_of(gateway, presented)

    token = await ApiToken.objects.aget(name="ci")
    await as_bob.post(f"/tokens/{token.pk}/revoke/")
    gateway.authenticator._known.clear()  # what it remembers for less than a second

    with pytest.raises(NotAuthenticated, match="revoked"):
        await pipeline.run(gateway, presented, request_for("Hello"))


async def test_at_100_per_cent_of_every_quota_tokens_can_be_made(
    as_bob: AsyncClient, bob: Person, flush: Any
) -> None:
    await sync_to_async(spend)(bob.account_id, 50, tokens=200)
    flush.flushall()

    assert (await as_bob.get("/tokens/")).status_code == 200
    assert (await as_bob.post("/tokens/", {"name": "ci", "days": ""})).status_code == 201
