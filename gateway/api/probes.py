"""`GET /healthz`, the process is up, and `GET /readyz`, it can serve: for load balancers."""

import time

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from accounts.postgres import PostgresUnavailable
from billing.metering.quota import QuotaUnavailable
from gateway import runtime
from gateway.api.view import GatewayView, json_response


class Healthz(GatewayView):
    async def get(self, request: ASGIRequest) -> HttpResponseBase:  # noqa: ARG002
        """200 as long as the event loop turns."""
        return json_response({"status": "ok"})


class Readyz(GatewayView):
    async def get(self, request: ASGIRequest) -> HttpResponseBase:  # noqa: ARG002
        """200 when requests can be admitted, 503 with what is missing."""
        gateway = runtime.current()
        checks = {"catalogue": "ok" if gateway.catalogue.loaded else "no model is known"}
        try:
            await gateway.quota.ping()
            checks["redis"] = "ok"
        except QuotaUnavailable:
            survives = settings.REDIS_AWAY == "ledger"
            checks["redis"] = "ok" if survives else "away"
        try:
            await gateway.reads.fetch("SELECT 1")
            # Reading is not enough: rows must be written, and heartbeats.
            writes = gateway.ledger.connected and gateway.heartbeat.lived_since(time.monotonic())
            checks["postgres"] = "ok" if writes else "not written to"
        except PostgresUnavailable:
            checks["postgres"] = "away"
        ready = set(checks.values()) == {"ok"}
        response = json_response({"status": "ready" if ready else "not ready", "checks": checks})
        response.status_code = 200 if ready else 503
        return response
