"""From the error tree to HTTP: the one place that knows statuses, codes and retry headers.

The shapes are those that the official SDKs were measured to understand: see docs/decisions.
"""

from http import HTTPStatus
from typing import Any, Final

from django.conf import settings

from billing.gates import may_upgrade
from billing.metering.usage import LimitState, Usage
from billing.prompts import upgrade_url
from billing.tiers import Tier
from gateway.errors import (
    AnswerNotKept,
    BlockedForAbuse,
    GatewayError,
    InvalidRequest,
    KeyInUse,
    KeyReused,
    LimitReached,
    ModelNotInPlan,
    NotAuthenticated,
    ProviderRejected,
    ProvidersBusy,
    ProvidersExhausted,
    ProviderUnavailable,
    RequestTooLarge,
    StoreUnavailable,
    UnknownModel,
    UnknownRequest,
)
from gateway.refusals import trigger_of

_RETRY_LATER_SECONDS: Final = 60

# The first class that an error is an instance of decides: status and OpenAI's `type`.
_STATUSES: Final[tuple[tuple[type[GatewayError], int, str], ...]] = (
    (RequestTooLarge, 413, "invalid_request_error"),
    (UnknownModel, 404, "invalid_request_error"),
    (UnknownRequest, 404, "invalid_request_error"),
    (InvalidRequest, 400, "invalid_request_error"),
    (KeyInUse, 409, "invalid_request_error"),
    (KeyReused, 422, "invalid_request_error"),
    (AnswerNotKept, 410, "invalid_request_error"),
    (NotAuthenticated, 401, "authentication_error"),
    (BlockedForAbuse, 403, "permission_error"),
    (ModelNotInPlan, 403, "permission_error"),
    (LimitReached, 429, "rate_limit_error"),
    (ProviderRejected, 400, "invalid_request_error"),
    (ProvidersExhausted, 503, "server_error"),
    (ProviderUnavailable, 504, "server_error"),
    (StoreUnavailable, 503, "server_error"),
    (GatewayError, 500, "server_error"),
)


def status_of(error: GatewayError) -> int:
    """The HTTP status that an error is answered with."""
    return _kind(error)[0]


def body_of(error: GatewayError, request_id: str) -> dict[str, Any]:
    """OpenAI's error object, with everything that we know in `metadata`."""
    kind = error.code if error.code == "insufficient_quota" else _kind(error)[1]
    return {
        "error": {
            "message": error.message,
            "type": kind,
            "code": error.code,
            "param": error.param,
            "metadata": metadata_of(error, request_id),
        }
    }


def metadata_of(error: GatewayError, request_id: str) -> dict[str, Any]:
    """Everything that we know of an error, in whatever form it is given."""
    metadata = error.metadata | {
        "request_id": request_id,
        "docs_url": f"{settings.PUBLIC_URL}/docs/errors#{error.code}",
    }
    if isinstance(error, LimitReached):
        metadata |= _limit_metadata(error.limit, error.usage)
    return metadata


class UnknownPath(GatewayError):
    """A path that is none of ours; raised by nobody below HTTP.

    It says where the API is for such clients as came by it: SDKs often miss it by their base URL.
    """

    def __init__(self, path: str, clients: str = "OpenAI", base_path: str = "/v1") -> None:
        base_url = f"{settings.PUBLIC_URL}{base_path}"
        super().__init__(
            f"The API has nothing at {path}. The base URL for {clients} clients is {base_url}.",
            code="not_found",
            metadata={"base_url": base_url},
        )


class WrongMethod(GatewayError):
    """A path of ours, asked in a way that it does not answer."""

    def __init__(self, method: str, path: str, allowed: list[str]) -> None:
        super().__init__(
            f"{path} does not take {method}, only {' and '.join(allowed)}.",
            code="method_not_allowed",
            metadata={"allowed": allowed},
        )


class ServerStopping(GatewayError):
    """This process ends before its answer does; raised by nobody below HTTP."""

    def __init__(self) -> None:
        super().__init__(
            "The server restarts, and the answer ends here. Nothing was charged. Try again.",
            code="server_stopping",
        )


_RETRIES: Final[tuple[tuple[type[GatewayError], dict[str, str]], ...]] = (
    # Every deployment was tried just now; an SDK's own retries would only repeat that.
    (ProvidersExhausted, {"retry-after": "10", "x-should-retry": "false"}),
    (ProviderUnavailable, {"x-should-retry": "false"}),  # past the deadline: minutes, each time
    (StoreUnavailable, {"retry-after": "1"}),
    (KeyInUse, {"retry-after": "1"}),  # SDKs ask again by themselves, and collect the answer
    (ServerStopping, {"retry-after": "1"}),
)


def _kind(error: GatewayError) -> tuple[int, str]:
    if isinstance(error, UnknownPath):
        return HTTPStatus.NOT_FOUND, "invalid_request_error"
    if isinstance(error, WrongMethod):
        return HTTPStatus.METHOD_NOT_ALLOWED, "invalid_request_error"
    if isinstance(error, ServerStopping):
        return HTTPStatus.SERVICE_UNAVAILABLE, "server_error"
    if error.code == "account_suspended":
        return HTTPStatus.FORBIDDEN, "permission_error"
    for kind, status, name in _STATUSES:
        if isinstance(error, kind):
            return status, name
    raise TypeError(f"{error!r} is no GatewayError")


def headers_of(error: GatewayError) -> dict[str, str]:
    """What tells a client what to do about it; what is left of its limits comes beside that."""
    if isinstance(error, LimitReached):
        return _when_to_retry(error.limit)
    if isinstance(error, NotAuthenticated) and status_of(error) == HTTPStatus.UNAUTHORIZED:
        return {"www-authenticate": f'Bearer error="{error.code}"'}
    if isinstance(error, WrongMethod):
        return {"allow": ", ".join(error.metadata["allowed"])}
    if (seconds := error.metadata.get("retry_after_seconds")) is not None:
        return _retry_in(seconds, worthwhile=isinstance(error, ProvidersBusy))
    return next((headers for kind, headers in _RETRIES if isinstance(error, kind)), {})


def _retry_in(seconds: int, *, worthwhile: bool) -> dict[str, str]:
    """After which another provider, or the same, can be asked; `worthwhile`: it will answer."""
    headers = {}
    if soon := seconds <= _RETRY_LATER_SECONDS + 1:  # our count of a minute is a second longer
        headers["retry-after"] = str(seconds)
    if not (soon and worthwhile):  # SDKs would sleep that long
        headers["x-should-retry"] = "false"
    return headers


def _when_to_retry(limit: LimitState) -> dict[str, str]:
    """How SDKs are kept from hammering, and from sleeping for hours on a long Retry-After."""
    if limit.resets_in_seconds is None:
        return {"retry-after": "1"}
    if limit.name == "address_requests_per_minute":  # an SDK's own retries help here
        return {"retry-after": str(limit.resets_in_seconds)}
    headers = {"x-should-retry": "false"}
    if limit.resets_in_seconds <= _RETRY_LATER_SECONDS:
        headers["retry-after"] = str(limit.resets_in_seconds)
    return headers


def _limit_metadata(limit: LimitState, usage: Usage) -> dict[str, Any]:
    plan, account = usage.limits.tier, limit.scope == "account"
    return {
        "limit": limit.name,
        "scope": "visitor" if account and plan == Tier.VISITOR else limit.scope,
        "used": limit.used,
        "max": limit.max,
        "resets_at": limit.resets_at and f"{limit.resets_at:%Y-%m-%dT%H:%M:%SZ}",
        "resets_in_seconds": limit.resets_in_seconds,
        "plan": plan,
        "upgrade_url": upgrade_url(trigger_of(limit)) if may_upgrade(plan) else None,
    }
