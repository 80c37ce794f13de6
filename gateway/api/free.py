"""`POST /api/v1/free/completion`: the free API, for people with no account and for users."""

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from accounts.visitors import HEADER as VISITOR_HEADER
from billing.metering.usage import Usage
from billing.prompts import near_limits
from gateway import pipeline, runtime
from gateway.api.chat import OpenAIShape
from gateway.api.parsing import FreeBody, parse_free
from gateway.api.reply import response_of
from gateway.api.view import GatewayView
from gateway.idempotency.answers import Replay
from gateway.types import Caller, Reply


class FreeCompletion(GatewayView):
    completes = True
    serves_visitors = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """A completion with what is left of the free tier; a visitor's credential comes back."""
        raw = request.read()
        chat, body = parse_free(raw)
        session = body.session_id or ""
        presented = self.presented(request, body=raw, visitor=body.visitor, session=session)
        reply = await pipeline.run(runtime.current(), presented, chat)
        # Of a reply and of a replay alike: who was answered, under which id.
        answered = reply if isinstance(reply, Replay) else reply.reservation
        if isinstance(reply, Reply | Replay) and reply.body is not None:
            fields = _free_fields(answered.wire_id, reply.usage, answered.caller, body)
            reply.body.update(fields)
        response = response_of(reply, OpenAIShape())
        if credential := answered.caller.visitor:
            response[VISITOR_HEADER] = credential
        return response


def _free_fields(wire_id: str, usage: Usage, caller: Caller, body: FreeBody) -> dict[str, Any]:
    """What the free API's answer has beside OpenAI's fields."""
    return {
        "id": f"free_cmp_{wire_id.removeprefix('req_')}",
        "model": body.model,
        "free_tier": free_tier(usage, caller) | {"session_id": body.session_id},
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
