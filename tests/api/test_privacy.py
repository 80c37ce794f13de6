"""What may be written nowhere: tokens, provider keys, visitors' credentials, prompts, answers."""

import logging

import httpx
import pytest
from pytest_django import Settings

from accounts.postgres import connect
from accounts.visitors import HEADER
from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking
from tests.api.conftest import PATIENCE, Serve
from tests.conftest import Person

PROMPT = "the-prompt-of-the-house"
PROVIDER_KEY = "sk-double"
ANSWER = "quick river"
FAULTS = ["", "400", "401", "500", "garbage", "reset", "cut", "error-event", "timeout"]


@pytest.fixture(autouse=True)
def _impatient(settings: Settings) -> None:
    settings.GATEWAY_SILENCE_SECONDS = 0.2


async def everything_that_can_happen(
    client: httpx.AsyncClient, alice: Person, bob: Person
) -> list[httpx.Response]:
    """Answers, refusals, provider's failures and mistakes, each with the same prompt."""
    responses = []
    for fault in FAULTS:
        for stream in (False, True):
            body = asking(PROMPT, {"fault": fault, "after": 2} if fault else None, stream=stream)
            responses.append(await client.post(COMPLETIONS, json=body, headers=alice.headers))
    for fields in ({"model": "none"}, {"model": "broken"}, {"n": 0}, {PROMPT: 1}):
        body = asking(PROMPT) | fields
        responses.append(await client.post(COMPLETIONS, json=body, headers=bob.headers))
    for _ in range(11):
        response = await client.post(COMPLETIONS, json=asking(PROMPT), headers=bob.headers)
        responses.append(response)
    responses.append(await client.post(FREE_COMPLETION, json=asking(PROMPT)))
    headers = {"authorization": f"Bearer {bob.secret[:-1]}"}
    responses.append(await client.post(COMPLETIONS, json=asking(PROMPT), headers=headers))
    return responses


async def test_no_secret_and_no_word_of_a_conversation_is_logged_or_stored(
    client: httpx.AsyncClient,
    alice: Person,
    bob: Person,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await serve("broken", deployments={"broken-one": {"provider": "nonsense"}})
    with caplog.at_level(logging.DEBUG):
        responses = await everything_that_can_happen(client, alice, bob)
    assert {response.status_code for response in responses} == {200, 400, 401, 404, 429, 503}
    visitor = next(one.headers[HEADER] for one in responses if HEADER in one.headers)

    connection = await connect(PATIENCE)
    tables = await (
        await connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
    ).fetchall()
    stored = ""
    for (table,) in tables:
        rows = await (await connection.execute(f'SELECT * FROM "{table}"')).fetchall()
        stored += str(rows)
    await connection.close()
    assert "bob@example.com" in stored  # so the tables were read

    logged = "\n".join(
        caplog.handler.format(record)
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore"))  # the test's own client
    )
    for secret in (alice.secret, bob.secret, visitor, PROVIDER_KEY, PROMPT, ANSWER):
        assert secret not in logged, secret
        assert secret not in stored, secret


async def test_no_error_tells_of_the_provider_s_account_or_address(
    client: httpx.AsyncClient, alice: Person, bob: Person, serve: Serve
) -> None:
    await serve("broken", deployments={"broken-one": {"provider": "nonsense"}})
    for response in await everything_that_can_happen(client, alice, bob):
        if response.status_code != 200:
            assert PROVIDER_KEY not in response.text
            assert "127.0.0.1" not in response.text
            assert bob.secret[:-1] not in response.text
