"""What no Stripe offers: paying without a browser, moving the clock, breaking things.  For tests.

Every route takes the API's key, and JSON.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from billing.sandbox import checkout, cycle, disputes, dunning, faults, subscriptions
from billing.sandbox import deliveries as delivering
from billing.sandbox.api import Api
from billing.sandbox.deliveries import Deliveries
from billing.sandbox.errors import ApiError
from billing.sandbox.params import Params
from billing.sandbox.sandbox import shown

Answer = dict[str, Any]
_TEN_YEARS: Final = 10 * 366 * 86400
_STATUSES: Final = (
    "active",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "past_due",
    "paused",
    "trialing",
    "unpaid",
)


class _Control:
    def __init__(self, api: Api, deliveries: Deliveries) -> None:
        self._api, self._sandbox, self._deliveries = api, api.sandbox, deliveries

    def pay(self, params: Params) -> Answer:
        """Pays a session as its page would, with any test card."""
        return asdict(
            checkout.pay(
                self._sandbox,
                params.text("session"),
                params.text("number"),
                params.optional("expiry") or "12/40",
                params.optional("cvc") or "123",
            )
        )

    def authenticate(self, params: Params) -> Answer:
        """Answers the bank's question."""
        approved = params.flag("approved") is not False
        return asdict(
            checkout.authenticate(self._sandbox, params.text("session"), approved=approved)
        )

    def clock(self, _: Params) -> Answer:
        """The sandbox's time, and how far it is ahead."""
        clock = self._sandbox.clock
        return {"now": clock.now(), "ahead": round(clock.offset)}

    def advance(self, params: Params) -> Answer:
        """Lets seconds pass, and everything happen that falls due in them."""
        self._sandbox.clock.advance(params.whole("advance", 0, _TEN_YEARS))
        cycle.catch_up(self._sandbox)
        return self.clock(params)

    def set_faults(self, params: Params) -> Answer:
        """Puts the API out of order, or in."""
        found = self._api.faults
        found.mode = params.choice("mode", *faults.MODES) or found.mode
        seconds = params.optional_whole("seconds", 0, 3600)
        found.seconds = found.seconds if seconds is None else seconds
        return asdict(found)

    def set_settings(self, params: Params) -> Answer:
        """What becomes of a subscription whose retries have all failed."""
        then = params.choice("after_retries", *dunning.AFTER_RETRIES) or "cancel"
        self._sandbox.store.set_setting("after_retries", then)
        return {"after_retries": then}

    def set_deliveries(self, params: Params) -> Answer:
        """Holds webhooks back, loses them, or sends them."""
        self._deliveries.set_mode(params.choice("mode", *delivering.MODES) or "ok")
        return {"mode": self._deliveries.mode}

    def list_deliveries(self, _: Params) -> Answer:
        """What became of each event."""
        return {"mode": self._deliveries.mode, "data": self._deliveries.every()}

    def redeliver(self, params: Params) -> Answer:
        """Sends an event once more."""
        event = params.text("event")
        self._deliveries.again(event)
        return {"event": event}

    def dispute(self, params: Params) -> Answer:
        """Opens or decides a charge's dispute."""
        charge = self._sandbox.need("charge", params.text("charge"), "charge")
        status = params.choice("status", *disputes.STATUSES) or "needs_response"
        return shown(disputes.dispute(self._sandbox, charge, status))

    def subscription(self, params: Params) -> Answer:
        """Puts a subscription into a status."""
        found = self._sandbox.need("subscription", params.text("id"))
        status = params.choice("status", *_STATUSES) or "active"
        return shown(subscriptions.set_status(self._sandbox, found, status))


def add_control(app: web.Application, api: Api, deliveries: Deliveries) -> None:
    """Serves the control routes."""
    control = _Control(api, deliveries)

    def add(method: str, name: str, act: Callable[[Params], Answer]) -> None:
        async def handle(request: web.Request) -> web.Response:
            try:
                api.authorize(request)
                params = Params(await _sent(request))
                with api.sandbox.store.transaction():
                    answer = act(params)
                    params.done()
            except ApiError as error:
                return web.json_response(error.body(), status=error.status)
            return web.json_response(answer)

        app.router.add_route(method, f"/sandbox/{name}", handle)

    add("POST", "pay", control.pay)
    add("POST", "authenticate", control.authenticate)
    add("GET", "clock", control.clock)
    add("POST", "clock", control.advance)
    add("POST", "faults", control.set_faults)
    add("POST", "settings", control.set_settings)
    add("GET", "deliveries", control.list_deliveries)
    add("POST", "deliveries", control.set_deliveries)
    add("POST", "redeliver", control.redeliver)
    add("POST", "dispute", control.dispute)
    add("POST", "subscription", control.subscription)


async def _sent(request: web.Request) -> dict[str, Any]:
    """The body's JSON; nothing for no body."""
    try:
        text = (await request.read()).decode() or "{}"
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise ApiError("The body has to be JSON.") from error
    if not isinstance(found, dict):
        raise ApiError("The body has to be a JSON object.")
    return found
