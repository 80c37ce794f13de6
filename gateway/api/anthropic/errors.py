"""Errors in Anthropic's shape: its types by our statuses, and what OpenAI's shape has beside."""

from http import HTTPStatus
from typing import Any, Final

import orjson

from gateway.api.errors import metadata_of, status_of
from gateway.errors import GatewayError

# What has no type of its own is the request's mistake below 500, and ours from there on.
_TYPES: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.PAYMENT_REQUIRED: "billing_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "overloaded_error",
    HTTPStatus.GATEWAY_TIMEOUT: "timeout_error",
}


def body_of(error: GatewayError, request_id: str) -> dict[str, Any]:
    """Anthropic's error object; `code`, `param` and `metadata` are ours, as everywhere."""
    return {
        "type": "error",
        "error": {
            "type": _type_of(status_of(error)),
            "message": error.message,
            "code": error.code,
            "param": error.param,
            "metadata": metadata_of(error, request_id),
        },
        "request_id": request_id,
    }


def event_of(error: GatewayError, request_id: str) -> bytes:
    """The same as a stream's last event."""
    return b"event: error\ndata: " + orjson.dumps(body_of(error, request_id)) + b"\n\n"


def _type_of(status: int) -> str:
    other = "invalid_request_error" if status < 500 else "api_error"
    return _TYPES.get(status, other)
