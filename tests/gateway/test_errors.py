"""From the error tree to HTTP: statuses, types and what keeps SDKs from retrying in vain."""

import json
from typing import Any

import pytest

from billing.metering.quota import QuotaRefused
from billing.metering.usage import Usage
from gateway import errors
from gateway.api.dialects import ANTHROPIC, OPENAI
from gateway.api.errors import ServerStopping, UnknownPath, WrongMethod, body_of, status_of
from gateway.errors import GatewayError
from gateway.pages.error_reference import GROUPS
from gateway.steps.admit import refusal
from tests.gateway.cast import usage


def limit_reached(name: str, state: Usage | None = None) -> GatewayError:
    state = state or usage(hour_requests=10, day_requests=50, day_tokens=10_000, in_flight=2)
    return refusal(QuotaRefused(state, state.state(name), 100))


CASES: list[tuple[GatewayError, int, str, str]] = [
    (errors.InvalidRequest("No."), 400, "invalid_request_error", "invalid_request"),
    (errors.RequestTooLarge("No."), 413, "invalid_request_error", "request_too_large"),
    (errors.ContentRefused("No."), 400, "invalid_request_error", "content_refused"),
    (errors.UnknownModel("No."), 404, "invalid_request_error", "model_not_found"),
    (errors.KeyInUse("No."), 409, "invalid_request_error", "idempotency_key_in_use"),
    (errors.KeyReused("No."), 422, "invalid_request_error", "idempotency_key_reused"),
    (errors.AnswerNotKept("No."), 410, "invalid_request_error", "idempotent_answer_not_kept"),
    (errors.NotAuthenticated("No."), 401, "authentication_error", "invalid_api_key"),
    (
        errors.NotAuthenticated("No.", code="token_revoked"),
        401,
        "authentication_error",
        "token_revoked",
    ),
    (
        errors.NotAuthenticated("No.", code="account_suspended"),
        403,
        "permission_error",
        "account_suspended",
    ),
    (errors.BlockedForAbuse("No."), 403, "permission_error", "account_blocked_for_abuse"),
    (
        errors.BlockedForAbuse("No.", code="address_blocked_for_abuse"),
        403,
        "permission_error",
        "address_blocked_for_abuse",
    ),
    (errors.ModelNotInPlan("No."), 403, "permission_error", "model_not_in_plan"),
    (limit_reached("requests_per_hour"), 429, "insufficient_quota", "insufficient_quota"),
    (limit_reached("requests_per_day"), 429, "insufficient_quota", "insufficient_quota"),
    (limit_reached("tokens_per_day"), 429, "insufficient_quota", "insufficient_quota"),
    (limit_reached("concurrent_requests"), 429, "rate_limit_error", "rate_limit_exceeded"),
    (errors.ProviderRejected("No."), 400, "invalid_request_error", "invalid_request"),
    (
        errors.ProviderUnavailable("No.", code="deadline_exceeded"),
        504,
        "server_error",
        "deadline_exceeded",
    ),
    (errors.ProvidersExhausted("No."), 503, "server_error", "server_is_overloaded"),
    (errors.StoreUnavailable("No."), 503, "server_error", "server_is_overloaded"),
    (ServerStopping(), 503, "server_error", "server_stopping"),
    (UnknownPath("/v2"), 404, "invalid_request_error", "not_found"),
    (WrongMethod("GET", "/v1", ["POST"]), 405, "invalid_request_error", "method_not_allowed"),
    (GatewayError("No."), 500, "server_error", "internal_error"),
]
IDS = [f"{type(error).__name__}-{code}" for error, _, _, code in CASES]


@pytest.mark.parametrize(("error", "status", "kind", "code"), CASES, ids=IDS)
def test_an_error_has_a_status_and_openai_s_fields(
    error: GatewayError, status: int, kind: str, code: str
) -> None:
    response = OPENAI.response_to(error, "req_1")

    assert (status_of(error), response.status_code) == (status, status)
    assert response["content-type"] == "application/json"
    said = json.loads(response.content)["error"]
    assert set(said) == {"message", "type", "code", "param", "metadata"}
    assert (said["type"], said["code"]) == (kind, code)
    assert said["metadata"]["request_id"] == "req_1"
    assert said["metadata"]["docs_url"] == f"http://testserver/docs/errors#{code}"


ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}


@pytest.mark.parametrize(("error", "status", "kind", "code"), CASES, ids=IDS)
def test_an_error_has_anthropic_s_type_by_its_status(
    error: GatewayError, status: int, kind: str, code: str
) -> None:
    response, openai_s = (one.response_to(error, "req_1") for one in (ANTHROPIC, OPENAI))

    said = json.loads(response.content)
    assert (said["type"], said["request_id"]) == ("error", "req_1")
    assert said["error"]["type"] == ANTHROPIC_TYPES.get(status, "invalid_request_error")
    same = ("message", "code", "param", "metadata")
    theirs = json.loads(openai_s.content)["error"]
    assert [said["error"][name] for name in same] == [theirs[name] for name in same]
    assert response.status_code == status
    # Beside the limits in its own names, the headers are the same.
    assert openai_s.headers.items() <= response.headers.items()


@pytest.mark.parametrize(("error", "status", "kind", "code"), CASES, ids=IDS)
def test_every_error_is_in_the_reference_that_it_points_to(
    error: GatewayError, status: int, kind: str, code: str
) -> None:
    entries = {entry.code: entry for group in GROUPS for entry in group.entries}

    assert entries[code].status == status


@pytest.mark.parametrize(
    ("error", "retry_after", "should_retry"),
    [
        (errors.ProvidersExhausted("No."), "10", "false"),
        (errors.ProviderUnavailable("No."), None, "false"),
        (errors.StoreUnavailable("No."), "1", None),
        (ServerStopping(), "1", None),
        (errors.KeyInUse("No."), "1", None),
        (errors.KeyReused("No."), None, None),
        (limit_reached("concurrent_requests"), "1", None),
        (errors.InvalidRequest("No."), None, None),
        (GatewayError("No."), None, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whether_a_retry_makes_sense_is_said(
    error: GatewayError, retry_after: str | None, should_retry: str | None
) -> None:
    response = OPENAI.response_to(error, "req_1")

    assert response.get("retry-after") == retry_after
    assert response.get("x-should-retry") == should_retry


@pytest.mark.parametrize(("before_the_hour", "retry_after"), [(61, None), (60, "60"), (1, "1")])
def test_a_wait_of_more_than_a_minute_is_not_in_retry_after(
    before_the_hour: int, retry_after: str | None
) -> None:
    now = usage()
    hour_ms = 3_600_000
    at_ms = (now.counters.at_ms // hour_ms + 1) * hour_ms - before_the_hour * 1000
    state = Usage(now.limits, type(now.counters)(at_ms, 10, 10, 0, 0))
    response = OPENAI.response_to(limit_reached("requests_per_hour", state), "req_1")

    assert response.get("retry-after") == retry_after
    assert response["x-should-retry"] == "false"


def test_a_refusal_s_metadata_has_every_figure() -> None:
    said: dict[str, Any] = body_of(limit_reached("requests_per_day"), "req_1")["error"]["metadata"]

    assert said["resets_at"].endswith("T00:00:00Z")
    assert 0 < said["resets_in_seconds"] <= 86_400
    del said["resets_at"], said["resets_in_seconds"]
    assert said == {
        "limit": "requests_per_day",
        "scope": "account",
        "used": 50,
        "max": 50,
        "plan": "free",
        "upgrade_url": "http://testserver/pricing/?from=limit_reached",
        "docs_url": "http://testserver/docs/errors#insufficient_quota",
        "request_id": "req_1",
    }


def test_a_refusal_carries_the_limit_headers() -> None:
    response = OPENAI.response_to(limit_reached("requests_per_hour"), "req_1")

    assert response["x-ratelimit-remaining-requests"] == "0"
    assert response["x-scalix-plan"] == "free"


def test_only_a_401_asks_for_credentials() -> None:
    revoked = OPENAI.response_to(errors.NotAuthenticated("No.", code="token_revoked"), "req_1")
    suspended = OPENAI.response_to(
        errors.NotAuthenticated("No.", code="account_suspended"), "req_1"
    )

    assert revoked["www-authenticate"] == 'Bearer error="token_revoked"'
    assert "www-authenticate" not in suspended


def test_an_error_is_its_message() -> None:
    assert str(errors.StreamCut("The answer was cut off.")) == "The answer was cut off."
