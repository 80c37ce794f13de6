"""The API's addresses.  None ends in a slash: a redirect would turn a POST into a GET."""

from django.urls import path

from gateway.api.account import Check, Key, Limits
from gateway.api.chat import ChatCompletions
from gateway.api.embeddings import Embeddings
from gateway.api.feedback import SendFeedback
from gateway.api.free import FreeCompletion
from gateway.api.messages import CountTokens, Messages
from gateway.api.models import Models, OneModel
from gateway.api.openapi.view import Description
from gateway.api.preferences import Preferences
from gateway.api.probes import Healthz, Readyz
from gateway.api.responses import Responses
from gateway.api.usage import Usage

urlpatterns = [
    path("v1/chat/completions", ChatCompletions.as_view()),
    path("v1/embeddings", Embeddings.as_view()),
    path("v1/responses", Responses.as_view()),
    path("v1/messages", Messages.as_view()),
    path("v1/messages/count_tokens", CountTokens.as_view()),
    path("v1/models", Models.as_view()),
    path("v1/models/<path:name>", OneModel.as_view()),
    path("v1/key", Key.as_view()),
    path("api/v1/free/completion", FreeCompletion.as_view()),
    path("api/v1/feedback", SendFeedback.as_view()),
    path("api/v1/limits", Limits.as_view()),
    path("api/v1/limits/check", Check.as_view()),
    path("api/v1/preferences", Preferences.as_view()),
    path("api/v1/usage", Usage.as_view()),
    path("openapi.json", Description.as_view()),
    path("healthz", Healthz.as_view()),
    path("readyz", Readyz.as_view()),
]
