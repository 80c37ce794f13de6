"""`GET` and `PUT /api/v1/preferences`: the models that a user prefers and those they avoid."""

from typing import Annotated, Final

import msgspec
from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from accounts import preferences
from accounts.postgres import PostgresUnavailable
from billing.metering.usage import Usage
from gateway import runtime
from gateway.api.parsing import ModelName, decode
from gateway.api.view import GatewayView, json_response
from gateway.errors import InvalidRequest, StoreUnavailable, UnknownModel

_ModelNames = Annotated[list[ModelName], msgspec.Meta(max_length=preferences.MOST_MODELS)]


class PreferencesBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a PUT: both lists, whole; a list that is left out becomes empty."""

    preferred_models: _ModelNames = msgspec.field(default_factory=list)
    avoided_models: _ModelNames = msgspec.field(default_factory=list)


_decoder: Final = msgspec.json.Decoder(PreferencesBody)


class Preferences(GatewayView):
    async def get(self, request: ASGIRequest) -> HttpResponseBase:
        """What the token's user prefers.  Consumes nothing."""
        caller, usage = await self.who_and_usage(request)
        return _response(caller.preferences, usage)

    async def put(self, request: ASGIRequest) -> HttpResponseBase:
        """Puts these in place of the earlier ones; they act within a second."""
        caller, usage = await self.who_and_usage(request)
        wanted = _checked(decode(_decoder, request.read()))
        try:
            await preferences.save_preferences(runtime.current().reads, caller.account_id, wanted)
        except PostgresUnavailable as error:
            raise StoreUnavailable("The account database is away. Try again shortly.") from error
        return _response(wanted, usage)


def _checked(body: PreferencesBody) -> preferences.Preferences:
    catalogue = runtime.current().catalogue
    for field in ("preferred_models", "avoided_models"):
        for name in getattr(body, field):
            if catalogue.find(name) is None:
                raise UnknownModel(f"There is no model {name!r} (in {field}).", param=field)
    if both := set(body.preferred_models) & set(body.avoided_models):
        raise InvalidRequest(
            f"{min(both)} can't be preferred and avoided at once.", param="avoided_models"
        )
    return preferences.Preferences(
        tuple(dict.fromkeys(body.preferred_models)), tuple(dict.fromkeys(body.avoided_models))
    )


def _response(known: preferences.Preferences, usage: Usage) -> HttpResponseBase:
    body = {
        "object": "preferences",
        "preferred_models": list(known.preferred),
        "avoided_models": list(known.avoided),
    }
    return json_response(body, usage)
