"""Providers that do not speak the OpenAI wire: through `litellm.acompletion`."""

from collections.abc import AsyncGenerator
from typing import Any

from gateway.errors import InvalidRequest, ProviderFailure, ProviderUnavailable, StreamCut
from gateway.providers import failures
from gateway.providers.translation import library, parameters_of
from gateway.types import ChatRequest, Target


class LitellmCall:
    """Calls by litellm, with our timeouts and without its retries."""

    def __init__(self, *, silence: float) -> None:
        self._silence = silence

    async def complete(self, target: Target, request: ChatRequest) -> dict[str, Any]:
        """The answer as a `chat.completion`; a ProviderFailure otherwise."""
        answer = await self._call(target, request)
        body: dict[str, Any] = answer.model_dump(exclude_none=False)
        return body

    async def stream(
        self, target: Target, request: ChatRequest
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The answer's chunks.  A ProviderFailure before the first, StreamCut after it."""
        chunks = await self._call(target, request)
        started = False
        try:
            async for chunk in chunks:
                yield chunk.model_dump(exclude_none=True)
                started = True
        except Exception as error:
            failure = _failure(error)
            if started:
                raise StreamCut(f"The answer was cut off: {failure.message}") from error
            raise failure from error

    async def _call(self, target: Target, request: ChatRequest) -> Any:
        _refuse_remote_attachments(request)
        try:
            return await library().acompletion(
                model=f"{target.provider}/{target.upstream_model}",
                messages=[dict(message) for message in request.messages],
                api_base=target.base_url,
                api_key=target.api_key,
                timeout=self._silence,
                num_retries=0,
                max_retries=0,
                **parameters_of(request),
            )
        except Exception as error:  # litellm raises what its providers' libraries raise, too
            raise _failure(error) from error


def _failure(error: Exception) -> ProviderFailure:
    litellm = library()
    if isinstance(error, TimeoutError | litellm.Timeout):
        return failures.timed_out()
    if isinstance(error, litellm.APIConnectionError):
        return failures.unreachable()
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        failure = failures.failure_of(status, b"")
        if not isinstance(failure, ProviderUnavailable):
            failure.message = f"The provider refused the request: {str(error)[:500]}"
        return failure
    return failures.rubbish()


def _refuse_remote_attachments(request: ChatRequest) -> None:
    """Litellm would fetch them from here, for providers that take only inline data."""
    for message in request.messages:
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            address = part.get("image_url", "")
            address = address.get("url", "") if isinstance(address, dict) else address
            if address and not str(address).startswith("data:"):
                raise InvalidRequest(
                    "This model takes images as data: URLs only.",
                    code="unsupported_image_url",
                    param="messages",
                )
