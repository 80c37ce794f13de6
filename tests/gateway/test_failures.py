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
        b'{"error": {"message": 5, "param": [], "code": {}}}',
    ],
)
def test_an_error_in_any_shape_is_an_error(body: bytes) -> None:
    failure = failure_of(400, body)

    assert isinstance(failure, ProviderRejected)
    assert failure.message == "The provider refused the request without saying why."
    assert failure.param is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"error": "Too long."}',
        b'{"object": "error", "message": "Too long.", "code": 400}',
        b'{"detail": [{"loc": ["body", "messages", 0], "msg": "Too long.", "type": "x"}]}',
    ],
    ids=["Ollama", "vLLM", "Mistral"],
)
def test_an_error_is_quoted_wherever_the_provider_has_it(body: bytes) -> None:
    failure = failure_of(422, body)

    assert isinstance(failure, ProviderRejected)
    assert failure.message == "The provider refused the request: Too long."
    assert failure.param == ("messages.0" if b"detail" in body else None)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (402, {"message": "Insufficient balance"}),
        (429, {"code": "insufficient_quota", "message": "You exceeded your current quota"}),
        (403, {"details": [{"reason": "BILLING_DISABLED"}], "message": "Enable billing."}),
        (400, {"code": "billing_not_active", "message": "Pay."}),
        (400, {"message": "Your credit balance is too low to go on."}),
        (400, {"details": [{"reason": "API_KEY_INVALID"}], "message": "No."}),
    ],
)
def test_who_pays_is_not_the_caller_s_to_hear(status: int, error: dict[str, object]) -> None:
    failure = failure_of(status, said(**error))

    assert (type(failure), failure.code) == (ProviderUnavailable, "provider_refused_account")


def test_a_rate_limit_that_speaks_of_billing_is_a_rate_limit() -> None:
    message = "You exceeded your current quota, please check your plan and billing details."

    assert failure_of(429, said(code=429, message=message)).code == "provider_rate_limited"


def test_what_moderation_finds_is_about_the_caller_s_words_and_not_about_our_key() -> None:
    metadata = {"reasons": ["violence"], "flagged_input": "I will"}
    failure = failure_of(403, said(code=403, message="Flagged.", metadata=metadata))

    assert isinstance(failure, ProviderRejected)
    assert failure.message == "The provider refused the request: Flagged."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 429, "message": "Slow down"}, "provider_rate_limited"),
        ({"code": 400, "message": "No"}, "invalid_request"),
        ({"code": "server_error", "message": "Oh"}, "provider_500"),
        ({"code": 7}, "provider_500"),
        ("Oh", "provider_500"),
    ],
)
def test_an_error_inside_an_answer_has_the_status_that_it_names(error: object, code: str) -> None:
    assert failures.failure_in({"error": error}).code == code


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
