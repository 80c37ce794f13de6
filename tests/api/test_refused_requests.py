"""A sound request that can't be admitted: its model, or its prompt's length."""

from typing import Any

import httpx

from tests.api.asking import COMPLETIONS, asking, error_of
from tests.api.conftest import Serve, Untouched
from tests.conftest import Person


async def test_an_unknown_model_is_told_the_nearest_names(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    response = await client.post(COMPLETIONS, json=asking(model="scalix-fre"), headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (
        404,
        "model_not_found",
        "model",
    )
    assert "Did you mean scalix-free" in error["message"]
    assert error["metadata"]["did_you_mean"][0] == "scalix-free"
    assert error["metadata"]["available_models"] == ["scalix-auto", "scalix-free"]
    await untouched(bob)


async def test_a_model_that_nobody_serves_is_said_to_be_off(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    body = asking(model="free-gemini-flash")
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")
    assert "not switched on" in error_of(response)["message"]
    await untouched(bob)


async def test_a_model_above_the_plan_names_the_plan_and_what_there_is_instead(
    client: httpx.AsyncClient, bob: Person, alice: Person, serve: Serve, untouched: Untouched
) -> None:
    await serve("expensive", tier="pro")
    response = await client.post(COMPLETIONS, json=asking(model="expensive"), headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (403, "model_not_in_plan")
    assert (error["type"], error["param"]) == ("permission_error", "model")
    assert (error["metadata"]["required_plan"], error["metadata"]["plan"]) == ("pro", "free")
    assert error["metadata"]["available_models"] == ["scalix-auto", "scalix-free"]
    assert error["metadata"]["upgrade_url"] == "http://testserver/pricing/?from=quality"
    assert error["message"].endswith(f"Upgrade: {error['metadata']['upgrade_url']}")
    await untouched(bob)
    paid = await client.post(COMPLETIONS, json=asking(model="expensive"), headers=alice.headers)
    assert paid.status_code == 200


PROMPTS: dict[str, dict[str, Any]] = {
    "one message": {"messages": [{"role": "user", "content": "x" * 10_001}]},
    "several messages": {"messages": [{"role": "user", "content": "x" * 5_001}] * 2},
    "several parts": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x" * 5_001}] * 2}]
    },
    "a tool": {
        "tools": [{"type": "function", "function": {"name": "f", "description": "x" * 10_001}}]
    },
    "a call": {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "x" * 10_001}}],
            }
        ]
    },
}


async def test_a_prompt_of_more_characters_than_the_plan_takes_is_refused_wherever_they_are(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    for name, fields in PROMPTS.items():
        response = await client.post(COMPLETIONS, json=asking(**fields), headers=bob.headers)
        error = error_of(response)
        assert (response.status_code, error["code"]) == (400, "prompt_too_long"), name
        assert (error["param"], error["metadata"]["max"]) == ("messages", 10_000)

    await untouched(bob)


async def test_a_prompt_beyond_the_context_window_is_refused(
    client: httpx.AsyncClient, alice: Person, serve: Serve, untouched: Untouched
) -> None:
    await serve("narrow", context_window=100)
    body = asking("word " * 100, model="narrow")
    response = await client.post(COMPLETIONS, json=body, headers=alice.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["metadata"]["context_window"] == 100
    await untouched(alice)
