"""Documentation: snippets that are right, and an anchor for every error code."""

import inspect
import re
import shlex
from pathlib import Path

import orjson
import pytest
from django.test import AsyncClient, RequestFactory

import accounts.identity
import gateway
from gateway import errors
from gateway.api.errors import ServerStopping, UnknownPath, WrongMethod, status_of
from gateway.pages import code_samples
from gateway.pages.error_reference import GROUPS
from tests.pages.reading import Elements, source, words

# Kept in the ledger's row of a request that nobody got an answer to.
NEVER_ANSWERED = {"quota_refused", "quota_unavailable", "ledger_unavailable"}
DOCUMENTED = {entry.code: entry for group in GROUPS for entry in group.entries}


async def test_the_quickstart_has_curl_python_and_javascript(somebody: AsyncClient) -> None:
    said = words(await somebody.get("/docs/"))

    assert "The base URL is http://testserver/v1" in said
    assert "curl http://testserver/v1/chat/completions" in said
    assert 'curl "http://testserver/api/v1/usage?by=day"' in said
    assert "from openai import OpenAI" in said
    assert 'import OpenAI from "openai";' in said


async def test_the_quickstart_says_how_anthropics_clients_come_in(somebody: AsyncClient) -> None:
    said = words(await somebody.get("/docs/"))

    assert "export ANTHROPIC_BASE_URL=http://testserver export ANTHROPIC_API_KEY" in said
    assert "from anthropic import Anthropic" in said


async def test_the_quickstart_has_the_limits_of_the_table(somebody: AsyncClient) -> None:
    said = words(await somebody.get("/docs/"))

    assert "Free 10 50 10,000 2" in said
    assert "Pro no limit no limit no limit 20" in said


async def test_the_quickstart_says_how_a_request_is_repeated(somebody: AsyncClient) -> None:
    said = words(await somebody.get("/docs/"))

    assert 'extra_headers={"Idempotency-Key": "order-4711"}' in said
    assert "Of an answer of more than 1.0 MB only the fact is kept" in said


async def test_the_quickstarts_python_is_python(somebody: AsyncClient) -> None:
    page = source(await somebody.get("/docs/"))
    snippets = re.findall(r'aria-label="Python[^"]*"><code>(.*?)</code>', page, re.DOTALL)

    assert len(snippets) == 3
    for snippet in snippets:
        compile(snippet.replace("&quot;", '"'), "quickstart", "exec")


async def test_every_documented_code_has_its_anchor(somebody: AsyncClient) -> None:
    sections = Elements(source(await somebody.get("/docs/errors/"))).all("section")

    assert {section["id"] for section in sections} == set(DOCUMENTED)


async def test_the_address_in_an_error_leads_to_the_page(somebody: AsyncClient) -> None:
    page = await somebody.get("/docs/errors", follow=True)

    assert "Error codes" in words(page)


def test_every_code_in_the_source_is_documented() -> None:
    folder = Path(inspect.getfile(gateway)).parent
    files = [path for path in folder.rglob("*.py") if "pages" not in path.parts]
    files.append(Path(inspect.getfile(accounts.identity)))
    text = "\n".join(path.read_text() for path in files)
    codes = set(re.findall(r'code(?:: str)? ?= ?"(\w+)"', text))
    codes |= set(re.findall(r'TokenRefused\(\s*"(\w+)"', text))

    assert codes - NEVER_ANSWERED - set(DOCUMENTED) == set()


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequest(""),
        errors.RequestTooLarge(""),
        errors.UnknownModel(""),
        errors.KeyInUse(""),
        errors.KeyReused(""),
        errors.AnswerNotKept(""),
        errors.NotAuthenticated(""),
        errors.NotAuthenticated("", code="account_suspended"),
        errors.ModelNotInPlan(""),
        errors.ProvidersExhausted(""),
        errors.StoreUnavailable(""),
        errors.ProviderUnavailable("", code="deadline_exceeded"),
        errors.ProviderFailure(""),
        errors.GatewayError(""),
        ServerStopping(),
        UnknownPath("/elsewhere"),
        WrongMethod("GET", "/", ["POST"]),
    ],
    ids=lambda error: f"{type(error).__name__} {error.code}",
)
def test_the_documented_status_is_the_real_one(error: errors.GatewayError) -> None:
    assert DOCUMENTED[error.code].status == status_of(error)


@pytest.mark.parametrize("prompt", ["Hello", "What's “up”?\n$HOME `id` \\ '", '"quoted"'])
def test_a_curl_sample_survives_the_shell(rf: RequestFactory, prompt: str) -> None:
    call = code_samples.chat_call(rf.get("/"), "scalix-free", prompt)

    words = shlex.split(call.replace("\\\n", ""))
    assert words[:2] == ["curl", "http://testserver/v1/chat/completions"]
    body = orjson.loads(words[words.index("-d") + 1])
    assert body == {"model": "scalix-free", "messages": [{"role": "user", "content": prompt}]}


async def test_the_quickstart_says_how_an_answer_is_rated(somebody: AsyncClient) -> None:
    assert "POST /api/v1/feedback" in words(await somebody.get("/docs/"))
