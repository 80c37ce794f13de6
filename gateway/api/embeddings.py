"""`POST /v1/embeddings`: OpenAI's, for the unmodified SDKs."""

import sys
from array import array
from base64 import b64encode
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http.response import HttpResponseBase

from gateway import pipeline, runtime
from gateway.api.chat import OpenAIShape
from gateway.api.embedding_parsing import parse_embeddings
from gateway.api.reply import response_of
from gateway.api.view import GatewayView


class Embeddings(GatewayView):
    completes = True

    async def post(self, request: ASGIRequest) -> HttpResponseBase:
        """A vector for each text."""
        raw = request.read()
        wanted, body = parse_embeddings(raw)
        reply = await pipeline.run(runtime.current(), self.presented(request, body=raw), wanted)
        return response_of(reply, EmbeddingsShape(as_base64=body.encoding_format == "base64"))


class EmbeddingsShape(OpenAIShape):
    """Vectors as numbers or, as OpenAI's SDK for Python asks by itself, as base-64."""

    def __init__(self, *, as_base64: bool) -> None:
        self._as_base64 = as_base64

    def whole(self, body: dict[str, Any]) -> dict[str, Any]:
        """The list of embeddings."""
        if not self._as_base64:
            return body
        data = [one | {"embedding": _base64_of(one["embedding"])} for one in body["data"]]
        return body | {"data": data}


def _base64_of(vector: list[float]) -> str:
    """Its numbers as 32-bit floats, little-endian, one after the other."""
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return b64encode(packed.tobytes()).decode()
