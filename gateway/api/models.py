"""`GET /v1/models` and `GET /v1/models/{id}`: what the token may use."""

from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from billing.gates import may_use
from gateway import runtime
from gateway.api.view import GatewayView, json_response
from gateway.errors import UnknownModel
from gateway.types import Kind, ModelEntry


class Models(GatewayView):
    async def get(self, request: ASGIRequest) -> HttpResponseBase:
        """The models that the caller may use now; `?include=locked` adds those above the plan."""
        _, usage = await self.who_and_usage(request)
        tier = usage.limits.tier
        locked_too = request.GET.get("include") == "locked"
        data = [
            _model(row.entry, tier)
            for row in runtime.current().catalogue.usable()
            if locked_too or may_use(tier, row.entry.tier)
        ]
        return json_response({"object": "list", "data": data}, usage)


class OneModel(GatewayView):
    async def get(self, request: ASGIRequest, name: str) -> HttpResponseBase:
        """One model, locked or not."""
        _, usage = await self.who_and_usage(request)
        catalogue = runtime.current().catalogue
        row = catalogue.find(name)
        if row is None or not row.targets:
            nearest = catalogue.nearest(name, usage.limits.tier)
            meant = f" Did you mean {' or '.join(nearest)}?" if nearest else ""
            raise UnknownModel(
                f"There is no model {name!r}.{meant}", metadata={"did_you_mean": nearest}
            )
        return json_response(_model(row.entry, usage.limits.tier), usage)


def _model(entry: ModelEntry, tier: str) -> dict[str, Any]:
    return {
        "id": entry.name,
        "object": "model",
        "created": entry.created,
        "owned_by": "scalix",
        "title": entry.title,
        "description": entry.description,
        "context_window": entry.context_window,
        "max_output_tokens": entry.max_output_tokens if entry.kind == Kind.CHAT else None,
        "kind": entry.kind,
        "plan": entry.tier,
        "locked": not may_use(tier, entry.tier),
    }
