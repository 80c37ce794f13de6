"""Thumbs under the answer in the try-it box, with and without JavaScript."""

import pytest
from django.test import AsyncClient

from gateway.models import Rating
from tests.conftest import Person
from tests.pages.reading import Elements, source, words

PIECE = {"accept": "text/x-scalix-piece"}


def pressed(page: object) -> list[tuple[str | None, str | None]]:
    """Each thumb, and whether it is pressed."""
    buttons = Elements(source(page)).all("button")
    return [(one["value"], one["aria-pressed"]) for one in buttons if one.get("name") == "rating"]


async def asked(browser: AsyncClient) -> object:
    return await browser.post("/try/", {"prompt": "Name a river"})


async def test_an_answer_has_thumbs_and_they_are_buttons_of_its_form(
    somebody: AsyncClient,
) -> None:
    page = await asked(somebody)
    assert pressed(page) == [("up", "false"), ("down", "false")]
    thumbs = [one for one in Elements(source(page)).all("button") if one.get("name") == "rating"]
    assert {one["formaction"] for one in thumbs} == {"/try/rate/"}


async def test_before_an_answer_there_are_none(somebody: AsyncClient) -> None:
    assert pressed(await somebody.get("/")) == []


async def test_without_javascript_the_page_comes_back_with_the_thumb_pressed(
    somebody: AsyncClient,
) -> None:
    await asked(somebody)
    for rating, states in (("up", ["true", "false"]), ("down", ["false", "true"])):
        response = await somebody.post("/try/rate/", {"rating": rating, "prompt": "unsent"})
        assert response.status_code == 302
        page = await somebody.get("/")
        assert [state for _, state in pressed(page)] == states
        assert "Name a river" in words(page)
    row = await Rating.objects.aget()
    assert (row.deployment, row.up, row.comment) == ("upstream", False, "")


async def test_with_javascript_the_thumbs_alone_come_back(somebody: AsyncClient) -> None:
    await asked(somebody)
    piece = await somebody.post("/try/rate/", {"rating": "up"}, headers=PIECE)
    assert source(piece).startswith('<div class="thumbs"')
    assert pressed(piece) == [("up", "true"), ("down", "false")]
    assert await Rating.objects.acount() == 1


async def test_another_answer_is_rated_anew(somebody: AsyncClient) -> None:
    for _ in range(2):
        assert [state for _, state in pressed(await asked(somebody))] == ["false", "false"]
        await somebody.post("/try/rate/", {"rating": "up"})
    assert await Rating.objects.acount() == 2


@pytest.mark.parametrize("values", [{}, {"rating": "sideways"}])
async def test_what_is_no_thumb_rates_nothing(
    somebody: AsyncClient, values: dict[str, str]
) -> None:
    await asked(somebody)
    assert (await somebody.post("/try/rate/", values)).status_code == 302
    assert (await somebody.post("/try/rate/", values, headers=PIECE)).status_code == 400
    assert not await Rating.objects.aexists()


async def test_who_has_asked_nothing_rates_nothing(somebody: AsyncClient) -> None:
    assert (await somebody.post("/try/rate/", {"rating": "up"})).status_code == 302
    assert not await Rating.objects.aexists()


async def test_a_visitor_who_has_an_account_now_is_not_asked_about_the_visitors_answer(
    somebody: AsyncClient, bob: Person
) -> None:
    await asked(somebody)
    session = await somebody.asession()
    kept = await session.aget("conversation")
    await somebody.aforce_login(bob.user)
    session = await somebody.asession()
    await session.aset("conversation", kept)
    await session.asave()
    page = await somebody.get("/")
    assert "Name a river" in words(page)
    assert pressed(page) == []
    failed = await somebody.post("/try/rate/", {"rating": "up"}, headers=PIECE)
    assert failed.status_code == 503
    assert not await Rating.objects.aexists()
