"""Thumbs under the answer in the try-it box: a form's buttons, which scripts press in place."""

import dataclasses

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.vary import vary_on_headers

from accounts.identifiers import decode
from accounts.postgres import PostgresUnavailable
from gateway import pipeline, runtime
from gateway.errors import GatewayError
from gateway.health.ratings import Feedback, rate
from gateway.pages.conversation import Conversation, keep, kept_in
from gateway.pages.visit import presented_by

RATINGS = ("up", "down")
PIECE = "text/x-scalix-piece"
"""What a script accepts that wants the thumbs alone, and not the page around them."""


@never_cache
@vary_on_headers("Accept")
async def rate_answer(request: HttpRequest) -> HttpResponse:
    """Rates this session's last answer; the landing page, or the thumbs alone.

    Which answer that is the session says, and not the form.
    """
    in_place = request.headers.get("accept", "").startswith(PIECE)
    rating = request.POST.get("rating", "")
    conversation = await kept_in(request.session)
    if request.method != "POST" or rating not in RATINGS or conversation is None:
        return HttpResponse(status=400) if in_place else redirect("landing")
    if await _rated(request, conversation, rating):
        conversation = dataclasses.replace(conversation, rating=rating)
        await keep(request.session, conversation)
    elif in_place:
        return HttpResponse(status=503)
    else:
        messages.error(request, "Your rating could not be kept. Try again in a moment.")
    if in_place:
        html = render_to_string("landing/thumbs.html", {"conversation": conversation})
        return HttpResponse(html)
    return redirect(f"{reverse('landing')}#shown")


async def _rated(request: HttpRequest, conversation: Conversation, rating: str) -> bool:
    gateway = runtime.current()
    try:
        caller, _ = await pipeline.usage_of(gateway, await presented_by(request))
        feedback = Feedback(decode("req", conversation.request_id), rating == "up")
        return await rate(gateway.reads, caller.account_id, feedback)
    except (GatewayError, PostgresUnavailable, ValueError):
        return False
