"""The base of the API's views: DRF's, async, without its thread hops, with our errors."""

from typing import Any, ClassVar, cast

import orjson
from adrf.views import APIView
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from accounts.addresses import address_of
from accounts.identifiers import encode
from accounts.visitors import HEADER as VISITOR_HEADER
from billing.metering.usage import Usage
from gateway import pipeline, runtime
from gateway.api.dialects import OPENAI, Dialect, dialect_of
from gateway.api.errors import WrongMethod
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    LimitReached,
    NotAuthenticated,
    StoreUnavailable,
)
from gateway.idempotency.key import HEADER as KEY_HEADER
from gateway.idempotency.key import IdempotencyKey, key_for
from gateway.types import LONGEST_CACHE_SECONDS, Caller, Presented, session_digest

CACHE_HEADER = "x-scalix-cache"
_CACHE_META = f"HTTP_{CACHE_HEADER.upper().replace('-', '_')}"
_VISITOR_META = f"HTTP_{VISITOR_HEADER.upper().replace('-', '_')}"
_KEY_META = f"HTTP_{KEY_HEADER.upper().replace('-', '_')}"


class GatewayView(APIView):
    """Parses, calls the pipeline, returns.  Credentials are read here and judged there."""

    serves_visitors: ClassVar[bool] = False
    completes: ClassVar[bool] = False
    """Whether its requests are for completions: then those that are refused are recorded."""
    _presented: Presented | None = None

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Calls the method's handler; adrf's own would hop to a thread and back for DRF's checks,
        none of which applies: credentials are the pipeline's, content is always JSON.
        """
        asgi_request = cast("ASGIRequest", request)
        method = (request.method or "").lower()
        try:
            if method == "options":
                return _preflight(self.allowed_methods)
            if method not in self.http_method_names or not hasattr(self, method):
                raise WrongMethod(request.method or "", request.path, self.allowed_methods)
            self.request = cast("Request", request)
            response: HttpResponseBase = await getattr(self, method)(asgi_request, *args, **kwargs)
        except GatewayError as error:
            if self.completes and self._presented is None:  # it did not come as far as the pipeline
                runtime.current().refused(self.presented(asgi_request), error, None, "")
            dialect = dialect_of(request.path)
            refused = dialect.response_to(error, request_id_of(asgi_request))
            for name, value in (await self._limit_headers_beside(error, asgi_request)).items():
                refused[name] = value
            return refused
        return response

    def presented(
        self,
        request: ASGIRequest,
        *,
        body: bytes | None = None,
        visitor: str | None = None,
        session: str = "",
    ) -> Presented:
        """What the request shows of who sends it; `session`: the client's label for it.

        With its `body`, also the key that it may be repeated by.
        """
        self._presented = Presented(
            bearer=bearer_of(request),
            visitor=visitor or request.META.get(_VISITOR_META),
            may_become_visitor=self.serves_visitors,
            ip=address_of(request),
            session=session and session_digest(session),
            user_agent=request.META.get("HTTP_USER_AGENT", ""),
            is_gone=request.META["scalix.is_gone"],
            request_id=request.META["scalix.request_id"],
            idempotency_key=None if body is None else _key_of(request, body),
            cache_seconds=0 if body is None else _cache_seconds(request),
        )
        return self._presented

    async def who_and_usage(self, request: ASGIRequest) -> tuple[Caller, Usage]:
        """The caller and what is left to them; consumes nothing."""
        return await pipeline.usage_of(runtime.current(), self.presented(request))

    async def _limit_headers_beside(
        self, error: GatewayError, request: ASGIRequest
    ) -> dict[str, str]:
        """What is left to whoever got this error, if it can be known and isn't in it already."""
        if isinstance(error, LimitReached | NotAuthenticated | StoreUnavailable | WrongMethod):
            return {}
        presented = self._presented or self.presented(request)
        try:
            _, usage = await pipeline.usage_of(runtime.current(), presented)
        except GatewayError:
            return {}
        return dialect_of(request.path).limit_headers(usage)


def bearer_of(request: ASGIRequest) -> str | None:
    """The token in `Authorization: Bearer …` or, as Anthropic's clients send it, `x-api-key`."""
    scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if secret and scheme.lower() == "bearer":
        return str(secret.strip())
    return request.META.get("HTTP_X_API_KEY") or None


def _key_of(request: ASGIRequest, body: bytes) -> IdempotencyKey | None:
    text = request.META.get(_KEY_META)
    return None if text is None else key_for(text, request.path, body)


def _cache_seconds(request: ASGIRequest) -> int | None:
    """For how long the caller lets the answer be given again; None: they don't say."""
    text = request.META.get(_CACHE_META)
    if text is None:
        return None
    most = LONGEST_CACHE_SECONDS
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) > most:
        raise InvalidRequest(
            f"{CACHE_HEADER} is a number of seconds, at most {most:,}; 0 asks for an answer of its "
            "own.",
            param=CACHE_HEADER,
        )
    return int(text)


def request_id_of(request: ASGIRequest) -> str:
    """The id of this request, which every response carries."""
    return encode("req", request.META["scalix.request_id"])


def json_response(body: Any, usage: Usage | None = None, dialect: Dialect = OPENAI) -> HttpResponse:
    """A 200 with a JSON body and, when the caller is known, the limit headers."""
    return HttpResponse(
        orjson.dumps(body),
        content_type="application/json",
        headers=dialect.limit_headers(usage) if usage else {},
    )


def _preflight(methods: list[str]) -> HttpResponse:
    response = HttpResponse(status=204)
    del response["content-type"]
    response["access-control-allow-methods"] = ", ".join(methods)
    response["access-control-allow-headers"] = (
        "*, authorization, content-type, idempotency-key, x-scalix-visitor"
    )
    response["access-control-max-age"] = "86400"
    return response
