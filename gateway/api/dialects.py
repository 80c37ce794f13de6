"""Which form of the API a path belongs to: OpenAI's, or Anthropic's under `/v1/messages`.

Answers are their views' own.  What can happen at any path, known or not, is here: an error, and the
headers that say what is left.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from django.http import HttpResponse

from billing.metering.usage import Usage
from gateway.api.anthropic import errors as anthropic_errors
from gateway.api.anthropic.headers import anthropic_limit_headers
from gateway.api.errors import UnknownPath, body_of, headers_of, status_of
from gateway.errors import GatewayError, LimitReached
from gateway.steps.respond import limit_headers

# With or without a base URL's `/v1`, of which Anthropic's clients bring one of their own.
_ANTHROPIC_PATHS: Final = re.compile(r"(/v1)*/messages(/|$)")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of client is told of errors and limits."""

    clients: str
    base_path: str  # of the base URL that such clients take
    body_of: Callable[[GatewayError, str], dict[str, Any]]
    limit_headers: Callable[[Usage], dict[str, str]]

    def response_to(self, error: GatewayError, request_id: str) -> HttpResponse:
        """An error's whole response."""
        limits = self.limit_headers(error.usage) if isinstance(error, LimitReached) else {}
        return HttpResponse(
            orjson.dumps(self.body_of(error, request_id)),
            status=status_of(error),
            content_type="application/json",
            headers=limits | headers_of(error),
        )

    def not_found(self, path: str, request_id: str) -> HttpResponse:
        """A JSON 404 that says where the API is."""
        return self.response_to(UnknownPath(path, self.clients, self.base_path), request_id)


OPENAI: Final = Dialect("OpenAI", "/v1", body_of, limit_headers)
ANTHROPIC: Final = Dialect("Anthropic", "", anthropic_errors.body_of, anthropic_limit_headers)


def dialect_of(path: str) -> Dialect:
    """The form in which this path's clients want to be answered."""
    return ANTHROPIC if _ANTHROPIC_PATHS.match(path) else OPENAI
