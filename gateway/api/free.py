"""`POST /api/v1/free/completion`: the free API, for people with no account and for users."""

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from accounts.visitors import HEADER as VISITOR_HEADER
from billing.metering.usage import Usage
from billing.prompts import near_limits
from gateway import pipeline, runtime
from gateway.api.chat import chat_response
from gateway.api.parsing import FreeBody, parse_free
from gateway.api.view import GatewayView
from gateway.types import Caller, Reply


class FreeCompletion(GatewayView):
    completes = True
    serves_visitors = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """A completion with what is left of the free tier; a visitor's credential comes back."""
        chat, body = parse_free(request.read())
        presented = self.presented(request, body.visitor, body.session_id or "")
        reply = await pipeline.run(runtime.current(), presented, chat)
        if isinstance(reply, Reply):
            reply.body.update(_free_fields(reply, body))
        response = chat_response(reply)
        if credential := reply.reservation.caller.visitor:
            response[VISITOR_HEADER] = credential
        return response


def _free_fields(reply: Reply, body: FreeBody) -> dict[str, Any]:
    """What the free API's answer has beside OpenAI's fields."""
    return {
        "id": f"free_cmp_{reply.reservation.wire_id.removeprefix('req_')}",
        "model": reply.reservation.request.model,
        "free_tier": free_tier(reply.usage, reply.reservation.caller)
        | {"session_id": body.session_id},
    }


def free_tier(usage: Usage, caller: Caller) -> dict[str, Any]:
    """What is left, when it starts anew, and whether it is time to think of upgrading."""
    requests = usage.binding_requests
    block: dict[str, Any] = {
        "remaining_requests": requests.remaining,
        "remaining_tokens": usage.tokens_per_day.remaining,
        "reset_time": requests.resets_at and f"{requests.resets_at:%Y-%m-%dT%H:%M:%SZ}",
        "upgrade_prompt": bool(near_limits(usage)),
    }
    if caller.visitor:
        block["visitor"] = caller.visitor
    return block
