"""What a prompt reserves depends on the models that may serve it, not on the one that does."""

import base64
import struct
from typing import Any

import httpx
import pytest

from gateway.sizing.families import family_of
from gateway.sizing.prompt import bound, measure
from gateway.types import ChatRequest
from tests.api.asking import COMPLETIONS, asking, error_of
from tests.api.conftest import LedgerRows, Serve, SetPlan
from tests.conftest import Person

TEXT = "Could you look over the letter below before I send it tomorrow? " * 20
PARAMETERS = {"model": "sized", "max_tokens": 10}


def png(width: int, height: int) -> str:
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return f"data:image/png;base64,{base64.b64encode(start + bytes(9)).decode()}"


def with_image(url: str) -> dict[str, Any]:
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": url}}]
    return asking(**PARAMETERS) | {"messages": [{"role": "user", "content": parts}]}


def bound_of(body: dict[str, Any], model: str) -> int:
    request = ChatRequest("sized", tuple(body["messages"]))
    return bound(measure(request), (family_of("openai", model),))


@pytest.mark.parametrize(
    ("models", "finest"),
    [
        (("gpt-4.1",), "gpt-4.1"),
        (("gpt-4.1", "claude-opus-4-8", "gemini-2.5-pro"), "claude-opus-4-8"),
    ],
)
async def test_a_request_reserves_what_it_takes_at_most_at_any_of_its_model_s_deployments(
    client: httpx.AsyncClient,
    bob: Person,
    serve: Serve,
    ledger_rows: LedgerRows,
    models: tuple[str, ...],
    finest: str,
) -> None:
    await serve("sized", deployments={f"at-{one}": {"upstream_model": one} for one in models})
    body = asking(TEXT, **PARAMETERS)

    answer = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    assert answer.status_code == 200
    [row] = await ledger_rows()
    assert row["reserved_tokens"] == bound_of(body, finest) + 10


async def test_an_image_reserves_what_its_size_takes(
    client: httpx.AsyncClient, bob: Person, serve: Serve, ledger_rows: LedgerRows, set_plan: SetPlan
) -> None:
    await set_plan("free", tokens_per_day=None)
    await serve("sized", deployments={"sees": {"upstream_model": "gpt-4o"}})
    images = {png(512, 512): 255, png(1_024, 1_024): 765, "https://example.com/a.png": 1_445}

    for url in images:
        await client.post(COMPLETIONS, json=with_image(url), headers=bob.headers)

    text_alone = bound_of(with_image(""), "gpt-4o") - 1_445
    reserved = [row["reserved_tokens"] for row in await ledger_rows()]
    assert sorted(reserved) == [text_alone + 10 + tokens for tokens in images.values()]


async def test_an_image_counts_against_the_context_window(
    client: httpx.AsyncClient, bob: Person, serve: Serve, set_plan: SetPlan
) -> None:
    await serve("sized", deployments={"sees": {"upstream_model": "gpt-4o"}})
    await set_plan("free", context_window=700)

    fits = await client.post(COMPLETIONS, json=with_image(png(512, 512)), headers=bob.headers)
    larger = await client.post(COMPLETIONS, json=with_image(png(1_024, 1_024)), headers=bob.headers)

    assert fits.status_code == 200
    assert larger.status_code == 400
    assert error_of(larger)["code"] == "context_length_exceeded"
