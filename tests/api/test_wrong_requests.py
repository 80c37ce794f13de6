"""A wrong path, method or header: the JSON error that says how it would be right."""

import json

import httpx
import pytest

from tests.api.asking import COMPLETIONS, FREE_COMPLETION, asking, error_of
from tests.api.conftest import Untouched
from tests.api.raw_http import RawConnection
from tests.conftest import Person

BODY = json.dumps(asking()).encode()

# What clients call whose base URL lacks the /v1, has it twice, or is somebody else's form of it.
MISTAKEN = [
    "/v1",
    "/v1/",
    "/v1/nothing",
    "/v1/v1/chat/completions",
    "/v1/chat/completions/",
    "/v1/chat/completions/chat/completions",
    "/v1//chat/completions",
    "/api/v1/nothing",
    "/api/v1/free/completion/",
    "/chat/completions",
    "/chat/completions/",
    "/embeddings",
    "/healthz/",
]
MISTAKEN_BY_PROGRAMS = [
    "/models",
    "/models/gpt-4",
    "/V1/models",
    "/openai/v1/models",
    "//v1/models",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_wrong_path_is_told_the_base_url(
    client: httpx.AsyncClient, address: str, bob: Person, untouched: Untouched, method: str
) -> None:
    for path in MISTAKEN:
        response = await client.request(method, f"{address}{path}", headers=bob.headers)
        error = error_of(response)
        assert (response.status_code, error["code"]) == (404, "not_found"), path
        assert error["type"] == "invalid_request_error"
        assert path in error["message"]
        assert "http://testserver/v1" in error["message"]
        assert error["metadata"]["base_url"] == "http://testserver/v1"

    await untouched(bob)


async def test_whoever_sends_a_token_gets_no_page(
    client: httpx.AsyncClient, address: str, bob: Person
) -> None:
    for path in MISTAKEN_BY_PROGRAMS:
        for headers in (bob.headers, {"x-api-key": bob.secret}):
            response = await client.get(f"{address}{path}", headers=headers)
            assert (response.status_code, error_of(response)["code"]) == (404, "not_found"), path


async def test_a_line_break_in_a_path_breaks_no_header(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await client.get("/v1/a%0d%0ax-evil:1%00%ff", headers=bob.headers)

    assert (response.status_code, error_of(response)["code"]) == (404, "not_found")
    assert "x-evil" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", COMPLETIONS, "POST, OPTIONS"),
        ("HEAD", COMPLETIONS, "POST, OPTIONS"),
        ("PUT", COMPLETIONS, "POST, OPTIONS"),
        ("GET", FREE_COMPLETION, "POST, OPTIONS"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/models/scalix-free", "GET, HEAD, OPTIONS"),
        ("PATCH", "/v1/key", "GET, HEAD, OPTIONS"),
        ("TRACE", "/api/v1/limits", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "/healthz", "GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    client: httpx.AsyncClient,
    bob: Person,
    untouched: Untouched,
    method: str,
    path: str,
    allowed: str,
) -> None:
    response = await client.request(method, path, headers=bob.headers)

    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    assert response.headers["x-request-id"].startswith("req_")
    if method == "HEAD":
        assert response.content == b""
    else:
        assert error_of(response)["code"] == "method_not_allowed"
        assert error_of(response)["metadata"]["allowed"] == allowed.split(", ")
    await untouched(bob)


async def test_a_head_is_a_get_without_its_body(client: httpx.AsyncClient, bob: Person) -> None:
    for path in ("/v1/models", "/v1/key", "/healthz"):
        whole = await client.get(path, headers=bob.headers)
        head = await client.head(path, headers=bob.headers)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]


async def test_a_browser_elsewhere_may_ask_with_a_token_and_without_cookies(
    client: httpx.AsyncClient, untouched: Untouched
) -> None:
    asked = {
        "origin": "https://elsewhere.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type, x-stainless-lang",
    }
    response = await client.options(COMPLETIONS, headers=asked)

    headers = response.headers
    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in headers
    assert headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in headers
    assert "POST" in headers["access-control-allow-methods"]
    # The star stands for every header but this one.
    allowed = set(headers["access-control-allow-headers"].split(", "))
    assert {"*", "authorization", "idempotency-key"} <= allowed
    await untouched()


async def test_an_error_can_be_read_from_elsewhere_too(client: httpx.AsyncClient) -> None:
    response = await client.post(COMPLETIONS, headers={"origin": "https://elsewhere.example"})

    assert response.status_code == 400
    assert response.headers["access-control-allow-origin"] == "*"
    assert "x-request-id" in response.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "query", ["x=1", "%ff=%fe&%", "include[]=locked", "a=" + "b" * 20_000], ids=lambda q: q[:10]
)
async def test_a_query_string_that_means_nothing_changes_nothing(
    client: httpx.AsyncClient, bob: Person, query: str
) -> None:
    models = await client.get(f"/v1/models?{query}", headers=bob.headers)
    answer = await client.post(f"{COMPLETIONS}?{query}", json=asking(), headers=bob.headers)

    assert (models.status_code, answer.status_code) == (200, 200)


async def test_more_query_parameters_than_django_reads_are_the_client_s_mistake(
    client: httpx.AsyncClient, bob: Person
) -> None:
    response = await client.get("/v1/models?" + "&".join(["a=1"] * 1_001), headers=bob.headers)

    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "a/b; charset=base64", "x" * 20_000],
    ids=lambda kind: kind[:20] or "none",
)
async def test_the_body_is_json_whatever_it_says_to_be(
    client: httpx.AsyncClient, bob: Person, content_type: str
) -> None:
    headers = bob.headers | {"content-type": content_type}
    response = await client.post(COMPLETIONS, content=BODY, headers=headers)

    assert response.status_code == 200


@pytest.mark.parametrize("query", [b"\xff", b"a=\xc3"])
async def test_bytes_in_a_query_string_that_are_no_text_are_the_client_s_mistake(
    address: str, bob: Person, query: bytes
) -> None:
    async with RawConnection(address) as connection:
        line = f"GET /v1/models?{query.decode('latin-1')} HTTP/1.1"
        await connection.send([line, f"authorization: Bearer {bob.secret}"])
        status, _, body = await connection.response()

    assert status == 400
    assert b"Traceback" not in body


async def test_a_body_announced_to_be_endless_is_refused_before_it_comes(
    address: str, bob: Person, untouched: Untouched
) -> None:
    for expects in ([], ["expect: 100-continue"]):
        async with RawConnection(address) as connection:
            await connection.send(
                [
                    f"POST {COMPLETIONS} HTTP/1.1",
                    f"authorization: Bearer {bob.secret}",
                    "content-length: 100000000000",
                    *expects,
                ],
                b'{"mod',
            )
            status, _, body = await connection.response()
        assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")

    await untouched(bob)


async def test_what_a_client_still_sends_after_its_refusal_does_not_spoil_its_next_request(
    address: str, bob: Person
) -> None:
    async with RawConnection(address) as connection:
        await connection.post(COMPLETIONS, bob.headers, b"x" * (9 * 1024 * 1024))
        status, _, _ = await connection.response()
        assert status == 413

        await connection.send(["GET /v1/key HTTP/1.1", f"authorization: Bearer {bob.secret}"])
        status, _, body = await connection.response()
        assert (status, json.loads(body)["object"]) == (200, "key")


async def test_a_second_request_is_not_hidden_in_the_body_of_the_first(
    address: str, bob: Person, untouched: Untouched
) -> None:
    hidden = f"GET /v1/key HTTP/1.1\r\nhost: api\r\nauthorization: Bearer {bob.secret}\r\n\r\n"
    async with RawConnection(address) as connection:
        await connection.send(
            [
                f"POST {COMPLETIONS} HTTP/1.1",
                "connection: close",
                f"content-length: {len(BODY) + len(hidden)}",
                "transfer-encoding: chunked",
            ],
            b"0\r\n\r\n" + hidden.encode(),
        )
        received = await connection.read_to_end()

    assert received.count(b"HTTP/1.1 ") == 1
    assert b"400 Bad Request" in received
    await untouched(bob)


async def test_requests_in_one_go_are_answered_in_their_order(address: str, bob: Person) -> None:
    head = [f"authorization: Bearer {bob.secret}"]
    async with RawConnection(address) as connection:
        await connection.post(COMPLETIONS, bob.headers, BODY)
        await connection.send(["GET /v1/key HTTP/1.1", *head])
        _, _, first = await connection.response()
        _, _, second = await connection.response()

    assert json.loads(first)["object"] == "chat.completion"
    assert json.loads(second)["limits"]["requests_per_hour"]["used"] == 1


async def test_a_client_that_leaves_within_its_body_leaves_nothing_behind(
    address: str, bob: Person, untouched: Untouched
) -> None:
    async with RawConnection(address) as connection:
        await connection.send(
            [
                f"POST {COMPLETIONS} HTTP/1.1",
                f"authorization: Bearer {bob.secret}",
                "content-length: 1000",
            ],
            BODY[:20],
        )

    await untouched(bob)
