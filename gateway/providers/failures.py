"""What providers do wrong, in our error tree."""

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from gateway.errors import ProviderFailure, ProviderRejected, ProviderUnavailable, StreamCut
from gateway.providers.reachability import SETTING

# Wrong on the caller's side: another provider would say the same.  401 to 404 are about our
# credential or our model name, which is not the caller's doing.
_CALLERS_FAULT: Final = frozenset({400, 413, 415, 422})
# Whatever the status, it is about who pays: OpenAI's codes, Anthropic's and Google's.
_ABOUT_MONEY: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"}
    | {"account_deactivated", "BILLING_DISABLED", "CONSUMER_SUSPENDED"}
)
# Said with a 400 by some: codes, Gemini's reasons, and how Anthropic's and Gemini's texts begin.
_ABOUT_US: Final = _ABOUT_MONEY | {"invalid_api_key", "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED"}
_ABOUT_US_TEXTS: Final = (
    "your credit balance is too low",
    "api key not valid",
    "api key expired",
    "your account is not active",
    "user location is not supported",
)
_MEANINGS: Final = {
    401: ("The provider refused our key.", "provider_refused_key"),
    403: ("The provider refused our key.", "provider_refused_key"),
    404: ("The provider has no such model.", "provider_lacks_model"),
    429: ("The provider is rate-limiting.", "provider_rate_limited"),
}
_BUSY: Final = frozenset({429, 503, 529})  # 529: Anthropic's "overloaded"
_TOO_LARGE: Final = "request too large"  # how OpenAI's and Groq's 429 begins in that case
_LONGEST_QUOTE: Final = 500


def failure_of(
    status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> ProviderFailure:
    """The failure that an upstream's error response stands for.

    `headers` are to be found whatever the case of their names.
    """
    is_callers = status in _CALLERS_FAULT or (status == 403 and _is_moderation(body))
    if status == 402 or _is_about_us(body, suspicious=is_callers):
        return ProviderUnavailable(
            "The provider refused our account.", code="provider_refused_account"
        )
    if is_callers:
        return _rejected(_error_in(body))
    otherwise = f"The provider answered {status}.", f"provider_{status}"
    message, code = _MEANINGS.get(status, otherwise)
    wait = _wait_in(headers or {}, body) if status in _BUSY else None
    return ProviderUnavailable(message, code=code, wait=wait)


def failure_in(answer: dict[str, Any]) -> ProviderFailure:
    """The failure that an `error` inside an answer of status 200 stands for.

    Its code is the status that it would have had, with Gemini and OpenRouter.
    """
    error = answer["error"]
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return failure_of(status, orjson.dumps(answer))


def _rejected(error: dict[str, Any]) -> ProviderRejected:
    said = (_text(error.get("message")) or "")[:_LONGEST_QUOTE]
    return ProviderRejected(
        f"The provider refused the request: {said}"
        if said
        else "The provider refused the request without saying why.",
        param=_text(error.get("param")),
        metadata={"provider_code": _text(error.get("code"))},
    )


def timed_out() -> ProviderUnavailable:
    """No answer in time."""
    return ProviderUnavailable("The provider did not answer in time.", code="provider_timeout")


def unreachable() -> ProviderUnavailable:
    """No connection, or one that broke before an answer."""
    return ProviderUnavailable("The provider can't be reached.", code="provider_unreachable")


def rubbish() -> ProviderUnavailable:
    """An answer that is no chat completion."""
    return ProviderUnavailable(
        "The provider's answer makes no sense.", code="provider_bad_response"
    )


def untranslatable() -> ProviderUnavailable:
    """A request that can't be put into this provider's form: it was never sent."""
    return ProviderUnavailable(
        "The request can't be put into this provider's form.", code="request_untranslatable"
    )


def misconfigured() -> ProviderUnavailable:
    """A deployment that can't even be called."""
    return ProviderUnavailable("The provider is misconfigured.", code="provider_misconfigured")


def gives_no_embeddings() -> ProviderUnavailable:
    """A deployment that serves a model for embeddings, and its provider's wire has none here."""
    return ProviderUnavailable(
        "Embeddings are asked for over OpenAI's wire and Gemini's; this provider has neither.",
        code="provider_misconfigured",
    )


def private_address() -> ProviderUnavailable:
    """A deployment at a private address that is not allowed.  The log has the address."""
    return ProviderUnavailable(
        f"The provider's address is not public, and {SETTING} does not allow it.",
        code="provider_misconfigured",
    )


def cut_off(failure: ProviderFailure) -> StreamCut:
    """The same failure after the first words, which are given and not charged."""
    return StreamCut(
        f"The answer was cut off, and nothing was charged: {failure.message}",
        metadata={"cause": failure.code, "tokens_charged": 0, "refunded": True},
    )


def _error_in(body: bytes) -> dict[str, Any]:
    """The error in a body, in OpenAI's form; empty where there is none."""
    error: dict[str, Any] = {}
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return error
    if isinstance(parsed, list) and parsed:  # Gemini wraps its errors in a list
        parsed = parsed[0]
    match parsed:
        case {"error": dict(inside)}:
            error = inside
        case {"error": str(text)}:  # Ollama's
            error = {"message": text}
        case {"detail": [{"msg": str(text), **more}, *_]}:  # Mistral's, of a field
            error = {"message": text, "param": ".".join(map(str, _path_in(more)))}
        case {"message": str()}:  # Mistral's otherwise, and vLLM's
            error = parsed
    return error


def _path_in(complaint: Mapping[Any, Any]) -> list[Any]:
    """Where in the body, which itself is called so first."""
    place = complaint.get("loc")
    return place[1:] if isinstance(place, list) else []


def _wait_in(headers: Mapping[str, str], body: bytes) -> float | None:
    """The seconds after which the provider says that it may be asked again, if it says so.

    OpenAI's `retry-after-ms`; HTTP's `Retry-After`, seconds or a date (RFC 9110, 10.2.3); else
    Gemini's `RetryInfo`.  What is about one request's size is no matter of time for the others.
    """
    error = _error_in(body)
    if (_text(error.get("message")) or "").lower().startswith(_TOO_LARGE):
        return None
    if (milliseconds := _seconds(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    if after := headers.get("retry-after"):
        seconds = _seconds(after)
        return _seconds_until(after) if seconds is None else seconds
    details = error.get("details")
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and (delay := _text(one.get("retryDelay"))):
            return _seconds(delay.removesuffix("s"))
    return None


def _seconds(text: str) -> float | None:
    """A number that is a time to wait."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 < seconds < math.inf else None


def _seconds_until(text: str) -> float | None:
    """To an HTTP date that is to come."""
    try:
        moment = parsedate_to_datetime(text)
        seconds = moment.timestamp() - time.time()
    except (ValueError, OverflowError, TypeError, IndexError):  # what it raises is not written down
        return None
    return seconds if seconds > 0 else None


def _is_about_us(body: bytes, *, suspicious: bool) -> bool:
    """Whether our account is refused, by the error's code.

    `suspicious`: it looks like the caller's fault.  Then it may also be our key, and the text may
    be all that says so: by how it begins, since further on a caller's own words may be quoted.
    """
    codes = _codes_in(body)
    if not suspicious:
        return bool(codes & _ABOUT_MONEY)
    said = _text(_error_in(body).get("message")) or ""
    return bool(codes & _ABOUT_US) or said.lower().startswith(_ABOUT_US_TEXTS)


def _codes_in(body: bytes) -> set[str | None]:
    """The names that an error has."""
    error = _error_in(body)
    details = error.get("details")
    reasons = [
        one.get("reason")
        for one in (details if isinstance(details, list) else ())
        if isinstance(one, dict)
    ]
    return {_text(value) for value in (error.get("code"), error.get("type"), *reasons)}


def _is_moderation(body: bytes) -> bool:
    """Whether it objects to what the caller wrote: OpenRouter says so by a 403 with the passage."""
    metadata = _error_in(body).get("metadata")
    return isinstance(metadata, dict) and "flagged_input" in metadata


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
