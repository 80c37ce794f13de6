"""What a provider's error response means for the caller."""

import orjson
import pytest

from gateway.errors import ProviderRejected, ProviderUnavailable
from gateway.providers import failures
from gateway.providers.failures import failure_of


def said(**error: object) -> bytes:
    return orjson.dumps({"error": error})


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_what_is_wrong_with_the_request_is_the_caller_s_to_hear(status: int) -> None:
    failure = failure_of(status, said(message="Bad stop.", param="stop", code="bad_stop"))

    assert isinstance(failure, ProviderRejected)
    assert failure.message == "The provider refused the request: Bad stop."
    assert failure.param == "stop"
    assert failure.metadata == {"provider_code": "bad_stop"}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "provider_refused_key"),
        (403, "provider_refused_key"),
        (404, "provider_lacks_model"),
        (408, "provider_408"),
        (429, "provider_rate_limited"),
        (302, "provider_302"),
        (500, "provider_500"),
        (529, "provider_529"),
    ],
)
def test_what_is_wrong_with_the_provider_is_a_reason_to_try_another(status: int, code: str) -> None:
    failure = failure_of(status, said(message="The key sk-secret is wrong."))

    assert isinstance(failure, ProviderUnavailable)
    assert failure.code == code
    assert "sk-secret" not in failure.message  # what it says of our account is not for callers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad Request</html>",
        b"\xff\xfe",
        b"null",
        b'"text"',
        b"[]",
        b"{}",
        b'{"error": null}',
        b'{"error": "text"}',
        b'{"error": {"message": 5, "param": [], "code": {}}}',
    ],
)
def test_an_error_in_any_shape_is_an_error(body: bytes) -> None:
    failure = failure_of(400, body)

    assert isinstance(failure, ProviderRejected)
    assert failure.message == "The provider refused the request without saying why."
    assert failure.param is None


def test_an_error_in_a_list_is_read_too() -> None:
    body = orjson.dumps([{"error": {"message": "No such tool."}}])

    assert failure_of(400, body).message == "The provider refused the request: No such tool."


def test_a_long_message_is_shortened() -> None:
    assert len(failure_of(400, said(message="x" * 100_000)).message) < 600


def test_a_cut_stream_says_why_and_that_it_is_free() -> None:
    cut = failures.cut_off(failures.timed_out())

    assert cut.code == "stream_cut"
    assert cut.metadata == {"cause": "provider_timeout", "tokens_charged": 0, "refunded": True}
    assert "nothing was charged" in cut.message
