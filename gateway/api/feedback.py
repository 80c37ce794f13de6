"""`POST /api/v1/feedback`: a thumb for an answer, by the account that asked.  Consumes nothing."""

import uuid
from typing import Annotated, Literal

import msgspec
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from accounts.identifiers import decode as decode_id
from accounts.postgres import PostgresUnavailable
from gateway import pipeline, runtime
from gateway.api.parsing import decode
from gateway.api.view import GatewayView, json_response
from gateway.errors import InvalidRequest, StoreUnavailable, UnknownRequest
from gateway.health.ratings import LONGEST_COMMENT, Feedback, rate

_ANSWER_PREFIXES = ("chatcmpl-", "free_cmp_")  # an answer's id is its request's, in another form


class FeedbackBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a POST."""

    request_id: str
    rating: Literal["up", "down"]
    comment: Annotated[str, msgspec.Meta(max_length=LONGEST_COMMENT)] = ""
    visitor: str | None = None


_decoder = msgspec.json.Decoder(FeedbackBody)


class SendFeedback(GatewayView):
    serves_visitors = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """Rates an answer, or rates it differently; UnknownRequest for any that isn't theirs."""
        body = decode(_decoder, request.read())
        feedback = Feedback(_request_of(body.request_id), body.rating == "up", body.comment)
        gateway = runtime.current()
        presented = self.presented(request, visitor=body.visitor)
        caller, usage = await pipeline.usage_of(gateway, presented)
        try:
            rated = await rate(gateway.reads, caller.account_id, feedback)
        except PostgresUnavailable as error:
            raise StoreUnavailable("The ledger is away. Try again shortly.") from error
        if not rated:
            raise UnknownRequest(f"You have no answered request {body.request_id}.")
        answer = {"object": "feedback", "request_id": body.request_id, "rating": body.rating}
        return json_response(answer, usage)


def _request_of(text: str) -> uuid.UUID:
    """The request that an `x-request-id` or an answer's id names; InvalidRequest."""
    for prefix in _ANSWER_PREFIXES:
        text = text.replace(prefix, "req_", 1) if text.startswith(prefix) else text
    try:
        return decode_id("req", text)
    except ValueError as error:
        raise InvalidRequest(
            "`request_id` must be the x-request-id of a response, such as req_01K….",
            param="request_id",
        ) from error
