"""`POST /billing/webhook/`: verify, keep once, answer 200.  Stripe is never called from here."""

import logging
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.payments import inbox, tasks
from billing.payments.stripe_api import BadSignature, verified

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 1_000_000


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """400 and nothing kept for what Stripe did not sign; 503 while it can't be kept."""
    try:
        body = _body(request)
        event = verified(
            body, request.headers.get("Stripe-Signature", ""), settings.STRIPE_WEBHOOK_SECRETS
        )
        if event["livemode"] is not (settings.STRIPE_MODE == "live"):
            return _refused("the event is of the other mode")
        new = inbox.record(event, body.decode())
    except BadSignature as error:
        return _refused(str(error))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, OSError):
        return _refused("the body lacks what every event has")
    except DatabaseError:
        logger.exception("a webhook could not be kept; Stripe will deliver it again")
        return JsonResponse({"kept": False}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    if new:
        tasks.hurry()
    return JsonResponse({"kept": True})


def _body(request: HttpRequest) -> bytes:
    length = request.headers.get("Content-Length") or ""
    if length.isdecimal() and int(length) > _MOST_BYTES:
        raise BadSignature("the body is too long")
    try:
        body = request.body
    except (RequestDataTooBig, UnreadablePostError) as error:
        raise BadSignature("the body can't be read") from error
    if len(body) > _MOST_BYTES:
        raise BadSignature("the body is too long")
    return body


def _refused(reason: str) -> HttpResponse:
    logger.warning("refused a webhook: %s", reason)
    return JsonResponse({"error": reason}, status=HTTPStatus.BAD_REQUEST)
