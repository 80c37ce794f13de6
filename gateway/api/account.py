"""`GET /v1/key`, `GET /api/v1/limits` and `POST /api/v1/limits/check`: what is used and left, and
whether a request would be admitted.  None of them ever consumes.
"""

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from billing.metering.usage import LimitState, Usage
from gateway import pipeline, runtime
from gateway.api.errors import body_of, status_of
from gateway.api.parsing import parse_free
from gateway.api.view import GatewayView, json_response, request_id_of
from gateway.errors import InvalidRequest, LimitReached, ModelNotInPlan, NotAuthenticated


class Key(GatewayView):
    async def get(self, request: ASGIRequest) -> HttpResponseBase:
        """The token, its plan, and each limit."""
        caller, usage = await self.who_and_usage(request)
        token = caller.token
        label = token and {
            "name": token.token_name,
            "display": token.token_display,
            "expires_at": token.expires_at and token.expires_at.isoformat(),
        }
        body = {"object": "key", "token": label, "account": token and token.email}
        return json_response(body | limits_body(usage), usage)


class Limits(GatewayView):
    serves_visitors = True

    async def get(self, request: ASGIRequest) -> HttpResponseBase:
        """Each limit of whoever asks: a token's account, a visitor, or a visitor to be."""
        _, usage = await self.who_and_usage(request)
        return json_response({"object": "limits"} | limits_body(usage), usage)


class Check(GatewayView):
    serves_visitors = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """Whether a completion's body would be admitted now, and if not why.  Consumes nothing."""
        chat, body = parse_free(request.read())
        presented = self.presented(request, visitor=body.visitor, session=body.session_id or "")
        gateway = runtime.current()
        try:
            _, wanted = await pipeline.check(gateway, presented, chat)
        except NotAuthenticated:
            raise
        except (InvalidRequest, ModelNotInPlan, LimitReached) as error:
            refused = body_of(error, request_id_of(request))
            verdict: dict[str, Any] = {"admitted": False, "status": status_of(error)} | refused
        else:
            verdict = {
                "admitted": True,
                "prompt_tokens": wanted.prompt_tokens,
                "max_tokens": wanted.output_tokens,
            }
        _, usage = await pipeline.usage_of(gateway, presented)
        return json_response({"object": "limits.check"} | verdict | limits_body(usage), usage)


def limits_body(usage: Usage) -> dict[str, Any]:
    """The plan and its limits, with the one that will stop the caller first."""
    return {
        "plan": usage.limits.tier,
        "binding_limit": usage.binding.name if usage.binding.max else None,
        "limits": {state.name: limit_body(state) for state in (*usage.states, *usage.other_states)},
    }


def limit_body(state: LimitState) -> dict[str, Any]:
    return {
        "scope": state.scope,
        "used": state.used,
        "max": state.max,
        "remaining": state.remaining,
        "resets_at": state.resets_at and f"{state.resets_at:%Y-%m-%dT%H:%M:%SZ}",
        "resets_in_seconds": state.resets_in_seconds,
    }
