"""Whatever arrives at the API, the answer is its JSON error: nothing booked, nothing written."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bench.ledger import Ledger
from bench.product import Product
from gateway.health.probe import QUESTION
from tests.faults.cases import Member
from tests.faults.conftest import Join
from tests.gateway_server import GatewayServer
from tests.upstream.double import UpstreamDouble
from tests.upstream.tokens import count_prompt

Post = Callable[[bytes], httpx.Response]

PROBE = count_prompt([{"role": "user", "content": QUESTION}])  # what nothing here has as many of


def body(**fields: Any) -> bytes:
    whole = {"model": "scalix-free", "messages": [{"role": "user", "content": "Hi."}], **fields}
    return json.dumps(whole).encode()


def of_callers(double: UpstreamDouble) -> list[dict[str, Any]]:
    """The calls that are no probes of ours, which may come at any time."""
    return [one for one in double.log() if one["prompt_tokens"] != PROBE]


def nested(depth: int) -> Any:
    inner: Any = {}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


@pytest.fixture
def bob(join: Join) -> Member:
    [member] = join("free", 1)
    return member


@pytest.fixture
def untouched(
    product: Product, double: UpstreamDouble, ledger: Ledger, bob: Member
) -> Callable[[], None]:
    """Asserts that nothing came of what was sent since: no counter, row, call or traceback."""
    output = product.output.stat().st_size

    def check() -> None:
        bearer = {"authorization": f"Bearer {bob.token}"}
        limits = httpx.get(f"{product.base_url}/key", headers=bearer).json()["limits"]
        assert {name: limit["used"] for name, limit in limits.items()} == dict.fromkeys(limits, 0)
        assert ledger.rows([bob.email]) == []
        assert of_callers(double) == []
        said = product.output.read_bytes()[output:].splitlines()
        assert not [line for line in said if line.startswith(b"web-") and b"Traceback" in line]

    return check


@pytest.fixture
def post(product: Product, bob: Member) -> Post:
    headers = {"authorization": f"Bearer {bob.token}", "content-type": "application/json"}
    url = f"{product.base_url}/chat/completions"
    return lambda content: httpx.post(url, content=content, headers=headers, timeout=30)


def assert_is_json_error(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    error: dict[str, Any] = response.json()["error"]
    assert {"message", "type", "code", "param"} <= error.keys()
    assert error["message"]
    assert error["metadata"]["request_id"] == response.headers["x-request-id"]
    return error


NOT_JSON = {
    "nothing": b"",
    "half an object": b'{"model": "scalix-free", "messages": [',
    "a form": b"model=scalix-free",
    "bytes that are no UTF-8": b'{"model": "\xff\xfe"}',
    "brackets without end": b"[" * 100_000,
    "objects without end": b'{"a":' * 100_000,
    "not a number": body().replace(b'"scalix-free"', b"NaN"),
}


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON)
def test_a_body_that_is_no_json_is_refused(
    post: Post, untouched: Callable[[], None], content: bytes
) -> None:
    assert_is_json_error(post(content), 400)
    untouched()


WRONG = {
    "an array": b"[]",
    "null": b"null",
    "no messages": json.dumps({"model": "scalix-free"}).encode(),
    "an empty list of messages": body(messages=[]),
    "messages that are text": body(messages="Hi."),
    "a message that is text": body(messages=["Hi."]),
    "a role that nobody has": body(messages=[{"role": "wizard", "content": "Hi."}]),
    "content that is a number": body(messages=[{"role": "user", "content": 7}]),
    "half of a surrogate pair": body().replace(b"Hi.", rb"\ud800"),
    "a model that is a number": body(model=7),
    "a temperature in words": body(temperature="hot"),
    "a temperature beyond the scale": body(temperature=2.1),
    "a number beyond floating point": body().replace(b'"Hi."}]', b'"Hi."}],"temperature":1e999'),
    "no choices": body(n=0),
    "a hundred choices": body(n=100),
    "a negative maximum": body(max_tokens=-1),
    "a maximum in words": body(max_tokens="5"),
    "stream in words": body(stream="yes"),
    "a seed of seventy bits": body(seed=2**70),
    "seventy bits inside a tool": body(tools=[{"type": "function", "function": {"x": 2**70}}]),
    "a tool three hundred levels deep": body(tools=[nested(300)]),
    "an address to call": body(api_base="http://169.254.169.254/"),
}


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_a_field_of_the_wrong_kind_is_refused(
    post: Post, untouched: Callable[[], None], content: bytes
) -> None:
    assert_is_json_error(post(content), 400)
    untouched()


@pytest.mark.parametrize("chunked", [False, True])
def test_ten_megabytes_are_too_large(
    product: Product, bob: Member, untouched: Callable[[], None], chunked: bool
) -> None:
    content = body(messages=[{"role": "user", "content": "x" * 10_000_000}])
    headers = {"authorization": f"Bearer {bob.token}"}

    response = httpx.post(
        f"{product.base_url}/chat/completions",
        content=iter([content]) if chunked else content,
        headers=headers,
        timeout=30,
    )

    assert assert_is_json_error(response, 413)["code"] == "request_too_large"
    untouched()


@pytest.mark.parametrize("model", ["scalix-fre", "../etc/passwd", "a\x00b", "模型"])
def test_an_unknown_model_is_not_found(
    post: Post, untouched: Callable[[], None], model: str
) -> None:
    assert assert_is_json_error(post(body(model=model)), 404)["code"] == "model_not_found"
    untouched()


def test_a_model_above_the_plan_is_forbidden(post: Post, untouched: Callable[[], None]) -> None:
    error = assert_is_json_error(post(body(model="gpt-4")), 403)

    assert (error["code"], error["param"]) == ("model_not_in_plan", "model")
    assert error["metadata"]["required_plan"] == "pro"
    untouched()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/chat/completion", 404),
        ("POST", "/v1/chat/completions/", 404),
        ("POST", "/v1", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/chat/completions", 404),
        ("POST", "/v1/chat/completions/chat/completions", 404),
    ],
)
def test_a_wrong_path_or_method_is_told_so_in_json(
    product: Product,
    bob: Member,
    untouched: Callable[[], None],
    method: str,
    path: str,
    status: int,
) -> None:
    headers = {"authorization": f"Bearer {bob.token}"}

    response = httpx.request(method, product.address + path, content=body(), headers=headers)

    assert_is_json_error(response, status)
    untouched()


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"Bearer",
        b"Bearer scalix_wrong",
        b"Bearer sk-1234567890",
        b"Basic c2NhbGl4OnNjYWxpeA==",
        b"Bearer scalix_" + b"a" * 10_000,
        "Bearer scalix_äöü".encode(),
        b"Bearer \xff\xfe",
    ],
)
def test_a_bad_credential_is_unauthorized(
    product: Product, untouched: Callable[[], None], authorization: bytes | None
) -> None:
    headers = {} if authorization is None else {b"authorization": authorization}

    response = httpx.post(f"{product.base_url}/chat/completions", content=body(), headers=headers)

    assert assert_is_json_error(response, 401)["code"] == "invalid_api_key"
    assert response.headers["www-authenticate"].startswith("Bearer")
    untouched()


@pytest.mark.parametrize(
    ("column", "code"), [("revoked_at", "token_revoked"), ("expires_at", "token_expired")]
)
def test_a_token_that_was_good_is_told_what_became_of_it(
    gateway_server: GatewayServer,
    bob: Member,
    post: Post,
    untouched: Callable[[], None],
    column: str,
    code: str,
) -> None:
    assert httpx.get(
        f"{gateway_server.product.base_url}/key",
        headers={"authorization": f"Bearer {bob.token}"},
    ).is_success
    owner = "(SELECT id FROM accounts_user WHERE email = %s)"
    change = f"UPDATE accounts_apitoken SET {column} = %s WHERE user_id = {owner}"
    gateway_server.sql(change, ("2020-01-01T00:00:00Z", bob.email))

    changed_at = time.monotonic()
    gateway_server.product.wait_until(
        lambda: time.monotonic() > changed_at + 1, "what is changed acts, in every process"
    )

    for _ in range(8):  # enough to meet each process
        assert assert_is_json_error(post(body()), 401)["code"] == code
    gateway_server.sql(change, (None, bob.email))
    assert of_callers(gateway_server.upstream) == []
