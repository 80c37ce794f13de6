"""The try-it box: a prompt in, an answer out, for anybody.

With JavaScript the answer streams as server-sent events, whose HTML is made by the same templates
as the whole page that everybody else gets:

    admitted {tries}          counted, and the first words are there
    text     {text}           more of the answer
    done     {answer, tries}  the finished answer's HTML
    failed   {notice, tries}  it broke off; what had come stays
"""

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.vary import vary_on_headers

from billing.models import Tier
from gateway import pipeline, runtime
from gateway.api.errors import status_of
from gateway.errors import GatewayError, InvalidRequest
from gateway.pages import code_samples, limits, plans
from gateway.pages.conversation import MODEL, Arrival, keep, kept_in, request_for
from gateway.pages.landing import render_landing, usage_for
from gateway.pages.notices import Notice, notice_of
from gateway.pages.visit import hand_back, presented_by
from gateway.types import Presented, StreamReply

logger = logging.getLogger(__name__)

_EVENT_STREAM = "text/event-stream"


@never_cache
@vary_on_headers("Accept")
async def try_it(request: HttpRequest) -> HttpResponseBase:
    """Answers a prompt: as server-sent events where they are accepted, else as the whole page."""
    if request.method != "POST":
        return redirect("landing")
    started = time.monotonic()
    prompt = request.POST.get("prompt", "").strip()
    presented = await presented_by(request)
    try:
        if not prompt:
            raise InvalidRequest("Write something first.")
        reply = await pipeline.run(runtime.current(), presented, request_for(prompt))
    except GatewayError as error:
        return await _refused(request, presented, prompt, error)
    assert isinstance(reply, StreamReply)
    # From its first chunk on, a stream settles however it ends, even if nobody reads it.
    arrival = Arrival(
        prompt,
        reply.deployment,
        started,
        by_visitor=reply.reservation.caller.is_visitor,
        request_id=reply.reservation.wire_id,
    )
    arrival.take(await anext(reply.chunks))
    await keep(request.session, arrival.conversation("stopped"))
    known = _as_known(presented, reply)
    response: HttpResponseBase
    if _wants_events(request):
        response = StreamingHttpResponse(
            _events(request, known, reply, arrival), content_type=_EVENT_STREAM
        )
        response["X-Accel-Buffering"] = "no"  # a proxy in front must not wait for more
    else:
        response = await _whole(request, known, reply, arrival)
    hand_back(response, reply.reservation.caller)
    return response


async def _events(
    request: HttpRequest, presented: Presented, reply: StreamReply, arrival: Arrival
) -> AsyncGenerator[bytes, None]:
    ending = "stopped"
    try:
        yield _event("admitted", tries=await _tries_html(presented))
        yield _event("text", text=arrival.text)
        async with aclosing(reply.chunks) as chunks:
            async for chunk in chunks:
                if added := arrival.take(chunk):
                    yield _event("text", text=added)
        ending = "complete"
        await _keep_late(request, arrival, ending)  # first: a reload may follow at once
        yield _event(
            "done",
            answer=_answer_html(request, arrival, ending),
            tries=await _tries_html(presented),
        )
    except GatewayError as error:
        ending = "cut"
        await _keep_late(request, arrival, ending)
        yield _event(
            "failed",
            notice=_notice_html(_notice(error)),
            tries=await _tries_html(presented),
        )
    finally:
        if ending == "stopped":
            await _keep_late(request, arrival, ending)


async def _whole(
    request: HttpRequest, presented: Presented, reply: StreamReply, arrival: Arrival
) -> HttpResponse:
    ending, status, context = "complete", 200, dict[str, Any]()
    try:
        async with aclosing(reply.chunks) as chunks:
            async for chunk in chunks:
                arrival.take(chunk)
    except GatewayError as error:
        ending, status, context = "cut", status_of(error), {"notice": _notice(error)}
    conversation = arrival.conversation(ending)
    await keep(request.session, conversation)
    context |= {"conversation": conversation}
    return await render_landing(request, presented, context, status)


async def _refused(
    request: HttpRequest, presented: Presented, prompt: str, error: GatewayError
) -> HttpResponse:
    """Prompt and answer stay on screen; a box says what is the matter."""
    notice, status = _notice(error), status_of(error)
    if _wants_events(request):
        html = {"notice": _notice_html(notice), "tries": await _tries_html(presented)}
        return JsonResponse(html, status=status)
    context = {
        "notice": notice,
        "prompt": prompt,
        "conversation": await kept_in(request.session),
    }
    return await render_landing(request, presented, context, status)


async def _keep_late(request: HttpRequest, arrival: Arrival, ending: str) -> None:
    """The session was saved when the stream began; now the answer is known.

    It is shown even where it can't be kept.
    """
    await keep(request.session, arrival.conversation(ending))
    try:
        await request.session.asave()
    except UpdateError:
        pass  # whoever signed up or logged in meanwhile has another session by now, with the prompt
    except DatabaseError:
        logger.warning("an answer in the try-it box was not kept", exc_info=True)


def _wants_events(request: HttpRequest) -> bool:
    return _EVENT_STREAM in request.headers.get("accept", "")


def _as_known(presented: Presented, reply: StreamReply) -> Presented:
    """The same caller, who may have become a visitor with this very request."""
    visitor = reply.reservation.caller.visitor
    return Presented(session_user_id=presented.session_user_id, visitor=visitor,
                     may_become_visitor=visitor is not None, ip=presented.ip,
                     user_agent=presented.user_agent)  # fmt: skip


def _notice(error: GatewayError) -> Notice:
    free = runtime.current().plans.limits_of(Tier.FREE.value)
    return notice_of(error, plans.allowance(free))


def _notice_html(notice: Notice) -> str:
    return render_to_string("parts/notice.html", {"notice": notice})


def _answer_html(request: HttpRequest, arrival: Arrival, ending: str) -> str:
    context = {
        "conversation": arrival.conversation(ending),
        "curl": code_samples.free_call(request, MODEL, arrival.prompt),
        "rateable": True,
    }
    return render_to_string("landing/answer.html", context)


async def _tries_html(presented: Presented) -> str:
    usage = await usage_for(presented)
    context = {"tries": usage and limits.tries(usage), "counted": usage is not None}
    return render_to_string("landing/tries.html", context)


def _event(name: str, **data: str) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
