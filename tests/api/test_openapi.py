"""`/openapi.json` says what there is: held against the addresses, the parsers and real answers."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from django.urls import get_resolver
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pytest_django import Settings

from gateway.api.openapi.document import description
from gateway.api.openapi.operations import OPERATIONS, Operation
from gateway.pages.error_reference import GROUPS
from tests.api.asking import arrival, asking, events_of, in_background
from tests.api.conftest import Serve, SetPlan
from tests.api.repeating import keyed
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble

BODIES = [one for one in OPERATIONS if one.body is not None]
# HTTP's own, as everywhere.
NOT_OURS = {"content-type", "content-length", "transfer-encoding", "date", "server"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return description()


def require_schema(document: dict[str, Any], said: dict[str, Any], value: Any) -> None:
    """The value is as the schema says."""
    schema = said | {"components": document["components"]}
    errors = list(Draft202012Validator(schema).iter_errors(value))
    assert errors == [], errors[0]


def response_to(
    document: dict[str, Any], path: str, response: httpx.Response, method: str = "post"
) -> dict[str, Any]:
    """What is said of such a response, with its headers as names."""
    said = document["paths"][path][method]["responses"][str(response.status_code)]
    if reference := said.get("$ref"):
        said = document["components"]["responses"][reference.rpartition("/")[2]]
    return dict(said)


def require_described(
    document: dict[str, Any], path: str, response: httpx.Response, method: str = "post"
) -> None:
    """All of its headers are described, and its body or each of its events has the form."""
    said = response_to(document, path, response, method)
    sent = {name for name in response.headers if not name.startswith("access-control-")}
    assert sent - NOT_OURS <= set(said["headers"])
    content_type = response.headers["content-type"].partition(";")[0]
    if content_type == "text/csv":
        return
    schema = said["content"][content_type]["schema"]
    if content_type == "application/json":
        require_schema(document, schema, response.json())
        return
    events = list(_data_of(response.text))
    assert events
    for event in events:
        require_schema(document, schema, event)


def _data_of(text: str) -> Iterator[Any]:
    """Of events with names as of those without."""
    lines = [line for line in text.splitlines() if line.startswith("data: ")]
    return (one for one in events_of("\n".join(lines)) if one != "[DONE]")


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_address_and_method_is_in_it_and_nothing_else(document: dict[str, Any]) -> None:
    there = {
        (f"/{pattern.pattern}".replace("<path:name>", "{name}"), method)
        for pattern in get_resolver("gateway.api.urls").url_patterns
        for method in ("get", "post", "put", "patch", "delete")
        if hasattr(pattern.callback.view_class, method)
    }
    said = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert said == there


def test_every_error_code_is_said_where_it_belongs(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    codes = {entry.code for group in GROUPS for entry in group.entries}
    assert {code for code in codes if f"`{code}`" not in text} == set()
    statuses = {entry.status for group in GROUPS for entry in group.entries} - {None}
    assert {f"Error{status}" for status in statuses} <= set(document["components"]["responses"])


@pytest.mark.parametrize("one", BODIES, ids=lambda one: one.name)
def test_its_examples_are_taken_and_other_fields_are_not(
    document: dict[str, Any], one: Operation
) -> None:
    assert one.body is not None
    assert one.example is not None
    msgspec.convert(one.example, one.body)
    taken = document["paths"][one.path][one.method]["requestBody"]["content"]
    schema = taken["application/json"]["schema"]
    require_schema(document, schema, one.example)
    with pytest.raises(AssertionError, match="frobnicate"):
        require_schema(document, schema, one.example | {"frobnicate": 1})
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(one.example | {"frobnicate": 1}, one.body)


async def test_it_is_given_to_anybody(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    response = await client.get("/openapi.json", headers={"Authorization": "Bearer nonsense"})

    assert response.status_code == 200
    assert response.json() == document
    assert response.headers["access-control-allow-origin"] == "*"


MESSAGE = {"model": "scalix-free", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
ASKED: dict[str, tuple[str, str, Any]] = {
    "an answer": ("/v1/chat/completions", "post", asking()),
    "a tool's call": ("/v1/chat/completions", "post", asking(script={"tool": "weather"})),
    "a stream": (
        "/v1/chat/completions",
        "post",
        asking(stream=True, stream_options={"include_usage": True}),
    ),
    "a stream that is cut": (
        "/v1/chat/completions",
        "post",
        asking(stream=True, script={"fault": "cut", "tokens": 9, "chunks": 3}),
    ),
    "a wrong field": ("/v1/chat/completions", "post", asking(frobnicate=1)),
    "no such model": ("/v1/chat/completions", "post", asking(model="nobody")),
    "a failure": ("/v1/chat/completions", "post", asking(script={"fault": "500"})),
    "a free answer": ("/api/v1/free/completion", "post", asking()),
    "a message": ("/v1/messages", "post", MESSAGE),
    "a message's stream": ("/v1/messages", "post", MESSAGE | {"stream": True}),
    "a wrong message": ("/v1/messages", "post", MESSAGE | {"frobnicate": 1}),
    "counted tokens": (
        "/v1/messages/count_tokens",
        "post",
        {name: MESSAGE[name] for name in ("model", "messages")},
    ),
    "a response": ("/v1/responses", "post", {"model": "scalix-free", "input": "Hi"}),
    "a response's stream": (
        "/v1/responses",
        "post",
        {"model": "scalix-free", "input": "Hi", "stream": True},
    ),
    "vectors": ("/v1/embeddings", "post", {"model": "vectors", "input": ["One", "Two"]}),
    "a check": ("/api/v1/limits/check", "post", asking()),
    "a check that fails": ("/api/v1/limits/check", "post", asking(model="nobody")),
    "preferences": ("/api/v1/preferences", "put", {"preferred_models": ["scalix-free"]}),
    "a wrong rating": ("/api/v1/feedback", "post", {"request_id": "x", "rating": "up"}),
    **{
        path: (path, "get", None)
        for path in (
            *("/v1/models", "/v1/key", "/api/v1/limits", "/api/v1/usage", "/api/v1/preferences"),
            *("/healthz", "/readyz", "/openapi.json"),
        )
    },
}


@pytest.mark.parametrize(("path", "method", "body"), ASKED.values(), ids=ASKED)
async def test_what_comes_is_what_is_said(
    client: httpx.AsyncClient,
    bob: Person,
    serve: Serve,
    document: dict[str, Any],
    path: str,
    method: str,
    body: Any,
) -> None:
    if path == "/v1/embeddings":
        await serve("vectors", kind="embedding")
    response = await client.request(method, path, json=body, headers=bob.headers)

    require_described(document, path, response, method)


async def test_an_answer_out_of_the_cache_and_one_that_is_given_again_are_described(
    client: httpx.AsyncClient, bob: Person, document: dict[str, Any]
) -> None:
    for header in ({"x-scalix-cache": "60"}, {"Idempotency-Key": "once"}):
        for _ in range(2):
            response = await client.post(
                "/v1/chat/completions", json=asking(str(header)), headers=bob.headers | header
            )
            require_described(document, "/v1/chat/completions", response)


async def test_an_answer_that_may_be_no_longer_is_described(
    client: httpx.AsyncClient, bob: Person, document: dict[str, Any]
) -> None:
    path, body = "/v1/chat/completions", asking(max_tokens=9_999_999)
    response = await client.post(path, json=body, headers=bob.headers)

    assert "x-scalix-max-tokens" in response.headers
    require_described(document, path, response)


@pytest.fixture
def little_room(settings: Settings) -> None:
    """No answer is kept for its key."""
    settings.GATEWAY_KEPT_ANSWER_BYTES = 10


@pytest.fixture
def little_time(settings: Settings) -> None:
    """An answer may take half a second."""
    settings.GATEWAY_DEADLINE_SECONDS = 0.5


@pytest.mark.usefixtures("little_room")
async def test_what_may_go_wrong_with_a_key_is_described(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, document: dict[str, Any]
) -> None:
    path, headers = "/v1/chat/completions", keyed(bob)
    body = asking(script={"id": "held", "hold": "gate"})

    async with in_background(client.post(path, json=body, headers=headers)) as first:
        await arrival(upstream, "held")
        in_use = await client.post(path, json=body, headers=headers)
        used_otherwise = await client.post(path, json=asking(), headers=headers)
        upstream.release("gate")
        await first
    too_large = await client.post(path, json=body, headers=headers)

    refusals = (in_use, used_otherwise, too_large)
    assert [one.status_code for one in refusals] == [409, 422, 410]
    for one in refusals:
        require_described(document, path, one)


@pytest.mark.usefixtures("little_time")
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_an_answer_that_took_too_long_is_described(
    client: httpx.AsyncClient, bob: Person, document: dict[str, Any], path: str
) -> None:
    body = MESSAGE | {"messages": asking(script={"fault": "timeout"})["messages"]}
    response = await client.post(path, json=body, headers=bob.headers)

    assert response.status_code == 504
    require_described(document, path, response)


async def test_the_figures_as_a_file_and_by_token_are_described(
    client: httpx.AsyncClient, bob: Person, document: dict[str, Any]
) -> None:
    await client.post("/v1/chat/completions", json=asking(), headers=bob.headers)
    for query in ({"format": "csv"}, {"by": "token"}, {"by": "hour"}, {"by": "model"}):
        response = await client.get("/api/v1/usage", params=query, headers=bob.headers)
        require_described(document, "/api/v1/usage", response, "get")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_refusals_are_described(
    client: httpx.AsyncClient, bob: Person, set_plan: SetPlan, document: dict[str, Any], path: str
) -> None:
    body = MESSAGE if path == "/v1/messages" else asking()
    require_described(document, path, await client.post(path, json=body))  # 401
    require_described(document, path, await client.get(path), "post")  # 405
    await set_plan("free", requests_per_day=1)
    for status in (200, 429):
        response = await client.post(path, json=body, headers=bob.headers)
        assert response.status_code == status
        require_described(document, path, response)
