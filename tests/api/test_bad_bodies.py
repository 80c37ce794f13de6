"""A body that is wrong in any way: a 400 that names what, and nothing comes of it."""

import json
from typing import Any

import httpx
import pytest

from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking, error_of
from tests.api.conftest import Untouched
from tests.conftest import Person

MEGABYTE = 1024 * 1024


def raw(**fields: bytes) -> bytes:
    """A body with these fields' JSON as it is written here."""
    whole = {"model": b'"scalix-free"', "messages": b'[{"role": "user", "content": "Hi"}]'} | fields
    return b"{%b}" % b", ".join(b'"%b": %b' % (name.encode(), v) for name, v in whole.items())


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


NO_JSON = {
    "nothing": b"",
    "half an object": b'{"model": "scalix-free", "messages": [',
    "a form": b"model=scalix-free",
    "trailing text": raw() + b" and more",
    "a byte order mark": b"\xef\xbb\xbf" + raw(),
    "bytes that are no UTF-8": raw(messages=b'[{"role": "user", "content": "\xff\xfe"}]'),
    "a key that is no UTF-8": b'{"\xff": 1}',
    "half a surrogate pair": raw(messages=b'[{"role": "user", "content": "\\ud800 and"}]'),
    "the other half": raw(messages=b'[{"role": "user", "content": "\\udc00"}]'),
    "a raw NUL": raw(messages=b'[{"role": "user", "content": "a\0b"}]'),
    "NaN": raw(temperature=b"NaN"),
    "Infinity": raw(temperature=b"-Infinity"),
    "a hundred thousand levels": raw(metadata=b'{"a": %b}' % nested(100_000)),
}

# What is sent, and the field that is to be named.
WRONG: dict[str, tuple[bytes, str | None]] = {
    "an array": (b"[]", None),
    "null": (b"null", None),
    "no messages": (b'{"model": "scalix-free"}', "messages"),
    "no model": (b'{"messages": [{"role": "user", "content": "Hi"}]}', "model"),
    "empty messages": (raw(messages=b"[]"), "messages"),
    "two thousand and one messages": (
        raw(messages=b"[%b]" % b",".join([b'{"role": "user"}'] * 2001)),
        "messages",
    ),
    "a hundred thousand levels of messages": (raw(messages=nested(100_000)), "messages[0]"),
    "251 levels of a tool": (
        raw(
            tools=b'[{"type": "function", "function": {"name": "f", "parameters": {"a": %b}}}]'
            % nested(251)
        ),
        "tools",
    ),
    "an integer of 65 bits": (raw(seed=b"18446744073709551616"), "seed"),
    "an integer of 65 bits in a tool": (
        raw(
            tools=b'[{"type": "function", "function": '
            b'{"name": "f", "parameters": {"maximum": 36893488147419103232}}}]'
        ),
        "tools",
    ),
    "a number out of range": (raw(temperature=b"1e400"), "temperature"),
    "a negative maximum": (raw(max_tokens=b"-1"), "max_tokens"),
    "a maximum of nothing": (raw(max_tokens=b"0"), "max_tokens"),
    "a maximum beyond all": (raw(max_tokens=b"1180591620717411303424"), "max_tokens"),
    "a broken maximum": (raw(max_completion_tokens=b"1.5"), "max_completion_tokens"),
    "a maximum in words": (raw(max_tokens=b'"5"'), "max_tokens"),
    "no choices": (raw(n=b"0"), "n"),
    "too many choices": (raw(n=b"17"), "n"),
    "too hot": (raw(temperature=b"2.1"), "temperature"),
    "a penalty beyond": (raw(presence_penalty=b"3"), "presence_penalty"),
    "stream in words": (raw(stream=b'"yes"'), "stream"),
    "usage in words": (
        raw(stream_options=b'{"include_usage": "yes"}'),
        "stream_options.include_usage",
    ),
    "a model that is a number": (raw(model=b"5"), "model"),
    "a model without a name": (raw(model=b'""'), "model"),
    "a user that is an object": (raw(user=b"{}"), "user"),
    "a stop that is a number": (raw(stop=b"1"), "stop"),
    "tools that are an object": (raw(tools=b"{}"), "tools"),
    "a tool without a function": (raw(tools=b'[{"type": "function"}]'), "tools[0]"),
    "a function without a name": (raw(functions=b"[{}]"), "functions[0]"),
    "a format without a type": (raw(response_format=b"{}"), "response_format"),
    "a schema that is a number": (
        raw(response_format=b'{"type": "json_schema", "json_schema": 5}'),
        "response_format.json_schema",
    ),
    "a bias that is text": (raw(logit_bias=b'{"50256": "a"}'), "logit_bias[...]"),
    "a message that is text": (raw(messages=b'["Hi"]'), "messages[0]"),
    "a message without a role": (raw(messages=b'[{"content": "Hi"}]'), "messages[0]"),
    "a role of no play": (raw(messages=b'[{"role": "boss"}]'), "messages[0].role"),
    "content that is a number": (
        raw(messages=b'[{"role": "user", "content": 5}]'),
        "messages[0].content",
    ),
    "an unknown part": (
        raw(messages=b'[{"role": "user", "content": [{"type": "file", "file": {}}]}]'),
        "messages[0].content[0].type",
    ),
    "a part without a type": (
        raw(messages=b'[{"role": "user", "content": [{"text": "Hi"}]}]'),
        "messages[0].content[0]",
    ),
    "an image without an address": (
        raw(messages=b'[{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]'),
        "messages[0].content[0].image_url",
    ),
    "an unknown field": (raw(api_base=b'"http://169.254.169.254/"'), "api_base"),
    "an unknown field of a message": (
        raw(messages=b'[{"role": "user", "content": "Hi", "api_key": "x"}]'),
        "messages[0]",
    ),
}

# Fields by which litellm could be made to call, log or load something else.
SMUGGLED = [
    "api_base",
    "api_key",
    "base_url",
    "custom_llm_provider",
    "extra_headers",
    "extra_body",
    "litellm_params",
    "mock_response",
    "num_retries",
    "timeout",
    "fallbacks",
    "callbacks",
    "headers",
]


async def post(client: httpx.AsyncClient, person: Person, content: bytes) -> httpx.Response:
    headers = person.headers | {"content-type": "application/json"}
    return await client.post(COMPLETIONS, content=content, headers=headers)


async def test_what_is_no_json_is_said_to_be_none(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    for name, content in NO_JSON.items():
        response = await post(client, bob, content)
        error = error_of(response)
        assert (response.status_code, error["code"]) == (400, "invalid_json"), name
        assert error["type"] == "invalid_request_error"
        assert len(response.content) < 1_000

    await untouched(bob)


async def test_each_mistake_is_named_by_its_field(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    for name, (content, param) in WRONG.items():
        response = await post(client, bob, content)
        error = error_of(response)
        assert (response.status_code, error["code"]) == (400, "invalid_request"), name
        assert error["type"] == "invalid_request_error"
        assert error["param"] == param, name

    await untouched(bob)


async def test_no_field_that_would_lead_litellm_elsewhere_is_taken(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    for field in SMUGGLED:
        response = await client.post(COMPLETIONS, json=asking() | {field: "x"}, headers=bob.headers)
        assert (response.status_code, error_of(response)["param"]) == (400, field)

    await untouched(bob)


async def test_a_megabyte_of_nonsense_is_not_quoted_back(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    long = "u" * MEGABYTE
    for body in (
        asking() | {long: 1},
        asking(messages=[{"role": long}]),
        asking(messages=[{"role": "user", "content": [{"type": long}]}]),
        asking(model=long),
    ):
        response = await client.post(COMPLETIONS, json=body, headers=bob.headers)
        assert response.status_code == 400
        assert len(response.content) < 2_000
        error_of(response)

    await untouched(bob)


async def test_an_error_says_what_is_left_all_the_same(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await post(client, bob, b"{")

    assert response.headers["x-scalix-plan"] == "free"
    assert response.headers["x-ratelimit-remaining-requests"] == "10"
    assert response.headers["x-ratelimit-remaining-tokens"] == "10000"


async def test_of_a_key_that_is_written_twice_the_last_one_counts(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await post(client, bob, b'{"model": "none", ' + raw()[1:])

    assert response.status_code == 200


async def test_an_escaped_nul_is_text_like_any_other(
    client: httpx.AsyncClient, bob: Person
) -> None:
    body = asking("a\0b", user="c\0d")
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    assert response.status_code == 200


async def test_the_free_api_names_mistakes_in_the_same_way(
    client: httpx.AsyncClient, untouched: Untouched
) -> None:
    for content in (b"{", b"{}", json.dumps({"messages": [], "user_id": 5}).encode()):
        response = await client.post(FREE_COMPLETION, content=content)
        assert response.status_code == 400
        assert error_of(response)["type"] == "invalid_request_error"

    await untouched()


@pytest.mark.parametrize("kind", ["announced", "chunked"])
async def test_ten_megabytes_are_too_many(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched, kind: str
) -> None:
    content = b"x" * (10 * MEGABYTE)

    async def pieces() -> Any:
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    body = content if kind == "announced" else pieces()
    response = await client.post(COMPLETIONS, content=body, headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (413, "request_too_large")
    assert error["metadata"]["max"] == 8 * MEGABYTE
    await untouched(bob)
    # The connection is as good as before.
    assert (await client.get("/v1/key", headers=bob.headers)).status_code == 200
