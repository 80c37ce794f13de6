"""Step 6: the answer as the caller gets it: JSON or server-sent events, and the limit headers."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, Protocol

from billing.metering.usage import LimitState, Usage
from billing.prompts import Prompt
from gateway.errors import GatewayError
from gateway.refusals import wire_duration
from gateway.token_report import usage_block
from gateway.types import Reservation, TokenUsage

logger = logging.getLogger(__name__)

_POLICIES: Final = {  # the name and the seconds of each window, in the IETF draft's headers
    "requests_per_hour": ("requests-hour", 3_600),
    "requests_per_day": ("requests-day", 86_400),
}


def completion(
    reservation: Reservation,
    body: dict[str, Any],
    model: str,
    tokens: TokenUsage,
) -> dict[str, Any]:
    """OpenAI's `chat.completion`: the provider's choices, our id, the model that answered."""
    return {
        "id": completion_id(reservation),
        "object": "chat.completion",
        "created": int(reservation.admitted_at.timestamp()),
        "model": model,
        "choices": body["choices"],
        "usage": usage_block(tokens) if tokens.estimated else body["usage"],
    }


def embeddings(body: dict[str, Any], model: str, tokens: TokenUsage) -> dict[str, Any]:
    """OpenAI's list of embeddings: the provider's vectors, and the model that made them."""
    vectors = (one["embedding"] for one in body["data"])
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens.prompt_tokens, "total_tokens": tokens.total},
    }


def with_prompt(body: dict[str, Any], prompt: Prompt | None) -> dict[str, Any]:
    """The answer, and beside it, in `scalix`, what only we say: an upgrade prompt, if any."""
    return body if prompt is None else body | {"scalix": {"upgrade_prompt": _offer(prompt)}}


def chunk_shaper(
    reservation: Reservation, model: str
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function from a provider's chunk to ours: its choices, and the same id throughout."""
    same: dict[str, Any] = {
        "id": completion_id(reservation),
        "object": "chat.completion.chunk",
        "created": int(reservation.admitted_at.timestamp()),
        "model": model,
    }
    if reservation.request.include_usage:
        same["usage"] = None  # on every chunk but the last
    return lambda chunk: same | {"choices": chunk["choices"]}


def usage_chunk(
    shape: Callable[[dict[str, Any]], dict[str, Any]], tokens: TokenUsage
) -> dict[str, Any]:
    """The last chunk of a stream whose caller asked for usage."""
    return shape({"choices": []}) | {"usage": usage_block(tokens)}


class Encoding(Protocol):
    """How one stream is written as server-sent events, in the form that its client reads."""

    @property
    def keep_alive(self) -> bytes:
        """What says nothing, but that there is more to come."""

    def chunk(self, chunk: dict[str, Any]) -> bytes:
        """The events of a `chat.completion.chunk`; empty where it comes to none."""

    def end(self) -> bytes:
        """The events that say that the answer is whole."""

    def error(self, error: GatewayError) -> bytes:
        """The last event of a stream that breaks off."""


async def write(
    chunks: AsyncGenerator[dict[str, Any], None],
    encoding: Encoding,
    put: Callable[[bytes], Awaitable[None]],
) -> None:
    """Puts a stream's server-sent events; an error in its middle is its last event.

    The chunks are closed at the end, however it comes.
    """
    encode = encoding.chunk
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                if encoded := encode(chunk):
                    await put(encoded)
            last = encoding.end()
        except GatewayError as error:
            last = encoding.error(error)
        except Exception:
            logger.exception("a stream broke off")
            last = encoding.error(GatewayError("Something went wrong here."))
        await put(last)


def _offer(prompt: Prompt) -> dict[str, str]:
    return {
        "trigger": prompt.trigger.value,
        "message": prompt.message,
        "upgrade_url": prompt.upgrade_url,
    }


def completion_id(reservation: Reservation) -> str:
    """The answer's id: the request's own, in OpenAI's form."""
    return f"chatcmpl-{reservation.wire_id.removeprefix('req_')}"


def limit_headers(usage: Usage) -> dict[str, str]:
    """What is left, in OpenAI's headers and, for requests, in the IETF draft's."""
    headers = {"x-scalix-plan": usage.limits.tier}
    requests, tokens = usage.binding_requests, usage.tokens_per_day
    headers |= _openai_headers("requests", requests) | _openai_headers("tokens", tokens)
    if requests.max is not None and requests.resets_in_seconds is not None:
        name, seconds = _POLICIES[requests.name]
        headers["ratelimit-policy"] = f'"{name}";q={requests.max};w={seconds}'
        headers["ratelimit"] = f'"{name}";r={requests.remaining};t={requests.resets_in_seconds}'
    return headers


def _openai_headers(unit: str, state: LimitState) -> dict[str, str]:
    if state.max is None or state.resets_in_seconds is None:
        return {}
    return {
        f"x-ratelimit-limit-{unit}": str(state.max),
        f"x-ratelimit-remaining-{unit}": str(state.remaining),
        f"x-ratelimit-reset-{unit}": wire_duration(state.resets_in_seconds),
    }
