"""`GET /openapi.json`: for whoever wants to know what can be asked, and needs no token for it."""

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from gateway.api.openapi.document import description
from gateway.api.view import GatewayView, json_response


class Description(GatewayView):
    async def get(self, request: ASGIRequest) -> HttpResponseBase:  # noqa: ARG002
        """The whole API, in OpenAPI 3.1."""
        return json_response(description())
