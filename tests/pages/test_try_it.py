"""The try-it box: an answer for anybody, streamed or as a whole page, and refusals in words."""

import asyncio
from typing import Any

import orjson
import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.template.loader import render_to_string
from django.test import AsyncClient
from pytest_django import Settings

from accounts import visitors
from accounts.models import Visitor
from billing.models import LedgerEntry
from gateway.pages.conversation import Conversation
from gateway.runtime import Gateway
from tests.conftest import Person
from tests.pages.conftest import visitor_of
from tests.pages.reading import Elements, source, words, words_in
from tests.pages.spending import spend
from tests.upstream.double import UpstreamDouble

STREAM = {"accept": "text/event-stream"}


async def events(response: Any) -> list[tuple[str, dict[str, str]]]:
    """The server-sent events of a response: name and data."""
    body = b"".join([part async for part in response.streaming_content]).decode()
    frames = [frame.split("\n") for frame in body.strip().split("\n\n")]
    return [
        (name.removeprefix("event: "), orjson.loads(data.removeprefix("data: ")))
        for name, data in frames
    ]


async def test_without_javascript_the_answer_comes_in_the_whole_page(
    somebody: AsyncClient,
) -> None:
    page = await somebody.post("/try/", {"prompt": "Name a river [[double: tokens=5]]"})

    assert page.status_code == 200
    assert "Name a river [[double: tokens=5]]" in words(page)
    assert "quick river carries small" in words(page)
    assert "upstream" in words(page)
    assert "s to first token" in words(page)
    assert "tokens" in words(page)
    assert "4 of 5 tries left this hour" in words(page)


async def test_with_javascript_the_same_answer_streams(somebody: AsyncClient) -> None:
    response = await somebody.post("/try/", {"prompt": "Name a river"}, headers=STREAM)

    assert response["content-type"] == "text/event-stream"
    told = await events(response)
    assert told[0][0] == "admitted"
    assert told[-1][0] == "done"
    text = "".join(data["text"] for name, data in told if name == "text").strip()
    assert text
    assert text in words_in(told[-1][1]["answer"])
    assert "4 of 5 tries left" in told[-1][1]["tries"]


async def test_the_answer_has_the_same_call_in_curl_which_needs_no_key(
    somebody: AsyncClient,
) -> None:
    page = await somebody.post("/try/", {"prompt": "What's up?"})

    assert "curl http://testserver/api/v1/free/completion" in words(page)
    assert "Authorization" not in words(page)
    assert """What'"'"'s up?""" in words(page)


async def test_the_first_try_makes_a_visitor_whom_no_script_can_read(
    somebody: AsyncClient,
) -> None:
    page = await somebody.post("/try/", {"prompt": "Hello"}, headers={"user-agent": "Firefox"})

    cookie = page.cookies[visitors.COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    visitor = await Visitor.objects.aget(pk=await visitor_of(somebody))
    assert visitor.user_agent == "Firefox"
    assert await LedgerEntry.objects.filter(account_id=visitor.pk, tier="visitor").acount() == 1


async def test_over_tls_the_visitors_cookie_stays_on_tls(
    somebody: AsyncClient, settings: Settings
) -> None:
    settings.SESSION_COOKIE_SECURE = True

    page = await somebody.post("/try/", {"prompt": "Hello"})

    assert page.cookies[visitors.COOKIE]["secure"]


async def test_the_second_try_is_the_same_visitors(somebody: AsyncClient) -> None:
    await somebody.post("/try/", {"prompt": "Hello"})
    first = await visitor_of(somebody)
    await somebody.post("/try/", {"prompt": "Hello again"})

    assert await visitor_of(somebody) == first
    assert await Visitor.objects.acount() == 1


async def test_a_users_try_is_the_users(as_bob: AsyncClient, bob: Person) -> None:
    page = await as_bob.post("/try/", {"prompt": "Hello"})

    assert "9 of 10 tries left" in words(page)
    entry = await LedgerEntry.objects.aget()
    assert entry.account_id == bob.account_id
    assert entry.token_id is None
    assert await Visitor.objects.acount() == 0


async def test_out_of_tries_prompt_and_answer_stay_and_the_way_on_is_shown(
    somebody: AsyncClient, flush: Any, upstream: UpstreamDouble
) -> None:
    await somebody.post("/try/", {"prompt": "The first question"})
    await sync_to_async(spend)(await visitor_of(somebody), 4, tier="visitor")
    flush.flushall()

    page = await somebody.post("/try/", {"prompt": "One more question"})

    assert page.status_code == 429
    assert "One more question" in words(page)
    assert "quick river" in words(page)
    assert "You have used all 5 of this hour’s requests." in words(page)
    assert "Create a free account" in words(page)
    assert upstream.received() == 1


async def test_a_streamed_refusal_is_the_same_box(somebody: AsyncClient, flush: Any) -> None:
    await somebody.post("/try/", {"prompt": "Hello"})
    await sync_to_async(spend)(await visitor_of(somebody), 4, tier="visitor")
    flush.flushall()

    refused = await somebody.post("/try/", {"prompt": "Hello"}, headers=STREAM)

    assert refused.status_code == 429
    told = refused.json()
    assert "You have used all 5 of this hour’s requests." in words_in(told["notice"])
    assert "No tries left this hour" in told["tries"]


async def test_a_user_at_the_limit_is_shown_the_plans(
    as_bob: AsyncClient, bob: Person, flush: Any
) -> None:
    await sync_to_async(spend)(bob.account_id, 50, tokens=10)
    flush.flushall()

    page = await as_bob.post("/try/", {"prompt": "Hello"})

    assert page.status_code == 429
    assert "See plans" in words(page)


async def test_an_empty_prompt_is_told_to_be_filled_in(somebody: AsyncClient) -> None:
    page = await somebody.post("/try/", {"prompt": "  "})

    assert page.status_code == 400
    assert "Write something first." in words(page)
    assert await LedgerEntry.objects.acount() == 0


async def test_a_prompt_that_is_too_long_is_refused_and_kept(somebody: AsyncClient) -> None:
    prompt = "word " * 2500
    page = await somebody.post("/try/", {"prompt": prompt})

    assert page.status_code == 400
    assert "10,000" in words(page)
    assert prompt.strip() in words(page)


async def test_when_no_model_answers_it_says_so_and_nothing_is_charged(
    somebody: AsyncClient,
) -> None:
    page = await somebody.post("/try/", {"prompt": "Hello [[double: fault=500]]"})

    assert page.status_code == 503
    assert "No model could answer just now." in words(page)
    assert "Nothing was charged." in words(page)
    assert not await LedgerEntry.objects.filter(charged=True).aexists()


async def test_an_answer_that_breaks_off_keeps_what_had_come(somebody: AsyncClient) -> None:
    prompt = {"prompt": "Hello [[double: tokens=8 fault=error-event after=3]]"}

    told = await events(await somebody.post("/try/", prompt, headers=STREAM))

    assert told[-1][0] == "failed"
    assert "The answer broke off." in words_in(told[-1][1]["notice"])
    assert "5 of 5 tries left" in told[-1][1]["tries"]
    page = await somebody.get("/")
    assert "quick river carries" in words(page)
    assert "The answer broke off here, and was not charged." in words(page)


async def test_a_reader_who_leaves_is_settled_as_cancelled(somebody: AsyncClient) -> None:
    prompt = {"prompt": "Hello [[double: tokens=8 stall=3]]"}
    response = await somebody.post("/try/", prompt, headers=STREAM)
    three_words_came = asyncio.Event()

    async def read() -> None:
        said = b""
        async for part in response.streaming_content:
            said += part
            if b"carries" in said:
                three_words_came.set()

    reading = asyncio.create_task(read())
    await three_words_came.wait()
    reading.cancel()  # what the server does when the connection closes
    await asyncio.wait([reading])

    entry = await LedgerEntry.objects.aget()
    assert (entry.status, entry.charged) == ("cancelled", True)
    page = await somebody.get("/")
    assert "Stopped before the end." in words(page)


def test_code_between_fences_is_told_apart_from_text() -> None:
    answer = "Do this:\n```python\nprint('<b>')\n```\n<script>alert(1)</script>"

    assert Conversation("How?", answer).blocks == [
        ("text", "Do this:"),
        ("code", "print('<b>')"),
        ("text", "<script>alert(1)</script>"),
    ]


@pytest.mark.parametrize(("deployment", "labelled"), [("demo", True), ("gemini-flash", False)])
def test_the_demo_models_answer_is_labelled_as_such(deployment: str, labelled: bool) -> None:
    conversation = Conversation("Hi", "Paris is in Spain.", deployment)

    page = render_to_string("landing/answer.html", {"conversation": conversation})

    assert ("demo model" in words_in(page)) is labelled


async def test_markup_in_a_prompt_is_shown_as_text(somebody: AsyncClient) -> None:
    page = await somebody.post("/try/", {"prompt": "</textarea><script>alert(1)</script>"})

    scripts = Elements(source(page)).all("script")
    assert all("src" in script for script in scripts)


async def test_the_counters_being_away_is_said_and_the_page_still_there(
    somebody: AsyncClient, servers: Any
) -> None:
    servers.valkey.kill()
    try:
        page = await somebody.post("/try/", {"prompt": "Hello"})
    finally:
        servers.valkey.start()

    assert page.status_code == 503
    assert "Scalix can’t count requests just now." in words(page)
    assert "Hello" in words(page)
    assert "Plans" in words(page)


async def test_a_form_without_its_csrf_token_is_refused(gateway: Gateway) -> None:
    strict = AsyncClient(enforce_csrf_checks=True)

    page = await strict.post("/try/", {"prompt": "Hello"})

    assert page.status_code == 403
    assert "The form could not be accepted" in words(page)
    assert await LedgerEntry.objects.acount() == 0


async def test_the_tries_address_leads_back_to_the_page(somebody: AsyncClient) -> None:
    response = await somebody.get("/try/")

    assert (response.status_code, response["location"]) == (302, "/")


async def test_two_tries_at_once_are_one_too_many(
    somebody: AsyncClient, upstream: UpstreamDouble
) -> None:
    await somebody.post("/try/", {"prompt": "Hello"})

    async def held() -> int:
        async with ThreadSensitiveContext():  # as the server does: else the second one queues
            prompt = {"prompt": "Hello [[double: id=held hold=gate]]"}
            return (await somebody.post("/try/", prompt)).status_code

    first = asyncio.create_task(held())
    await asyncio.to_thread(upstream.await_arrival, "held")
    second = await somebody.post("/try/", {"prompt": "Hello"})
    upstream.release("gate")

    assert await first == 200
    assert second.status_code == 429
    assert "A request of yours is still running." in words(second)
