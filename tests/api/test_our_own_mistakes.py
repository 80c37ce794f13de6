"""What we did not foresee: a 500 or an error event in JSON, settled and free."""

import logging
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from gateway.runtime import Gateway
from gateway.types import ChatRequest, Target
from tests.api.asking import COMPLETIONS, asking, error_of, events_of, text_of
from tests.api.conftest import CountersOf, LedgerRows
from tests.conftest import Person

WORD = {"choices": [{"index": 0, "delta": {"content": "Hello"}}]}


class BrokenProviders:
    """Providers as nobody has tested them: what they give is no completion."""

    async def complete(self, target: Target, request: ChatRequest) -> dict[str, Any]:
        return {"choices": 5}

    async def stream(
        self, target: Target, request: ChatRequest
    ) -> AsyncGenerator[dict[str, Any], None]:
        yield WORD
        yield {}

    async def close(self) -> None: ...


@pytest.fixture
async def broken(gateway: Gateway) -> None:
    await gateway.providers.close()
    gateway.providers = BrokenProviders()  # type: ignore[assignment]


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_an_error_of_ours_is_logged_settled_and_free(
    client: httpx.AsyncClient,
    bob: Person,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    caplog: pytest.LogCaptureFixture,
    stream: bool,
) -> None:
    response = await client.post(COMPLETIONS, json=asking(stream=stream), headers=bob.headers)

    if stream:
        *chunks, last = events_of(response.text)
        assert (response.status_code, text_of(chunks)) == (200, "Hello")
        error = last["error"]
    else:
        assert response.status_code == 500
        error = error_of(response)
    assert (error["code"], error["type"]) == ("internal_error", "server_error")
    assert error["metadata"]["request_id"] == response.headers["x-request-id"]
    assert error["message"] == "Something went wrong here."
    assert [one.levelname for one in caplog.records if one.levelno >= logging.ERROR] == ["ERROR"]
    assert "Traceback" in caplog.text
    caplog.clear()
    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["error_code"]) == ("failed", False, "internal_error")
    used = await counters(bob)
    assert (used.hour_requests, used.day_tokens, used.in_flight) == (0, 0, 0)
