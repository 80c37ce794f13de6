"""What providers do wrong, in our error tree."""

from typing import Any, Final

import orjson

from gateway.errors import ProviderFailure, ProviderRejected, ProviderUnavailable, StreamCut
from gateway.providers.reachability import SETTING

# Wrong on the caller's side: another provider would say the same.  401 to 404 are about our
# credential or our model name, which is not the caller's doing.
_CALLERS_FAULT: Final = frozenset({400, 413, 415, 422})
# Said with a 400 by some, though it is about who pays: OpenAI's codes, Gemini's reasons, and how
# Anthropic's and Gemini's texts begin.
_ABOUT_US: Final = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "account_deactivated",
    }
    | {"invalid_api_key", "billing_error", "API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED"}
)
_ABOUT_US_TEXTS: Final = (
    "your credit balance is too low",
    "api key not valid",
    "api key expired",
    "your account is not active",
    "user location is not supported",
)
_LONGEST_QUOTE: Final = 500


def failure_of(status: int, body: bytes) -> ProviderFailure:
    """The failure that an upstream's error response stands for."""
    said = _message_in(body)
    if status in _CALLERS_FAULT and _is_about_us(body, said):
        return ProviderUnavailable(
            "The provider refused our account.", code="provider_refused_account"
        )
    if status in _CALLERS_FAULT:
        return ProviderRejected(
            f"The provider refused the request: {said}"
            if said
            else "The provider refused the request without saying why.",
            param=_text(_error_in(body).get("param")),
            metadata={"provider_code": _text(_error_in(body).get("code"))},
        )
    if status == 429:
        return ProviderUnavailable("The provider is rate-limiting.", code="provider_rate_limited")
    if status in (401, 403):
        return ProviderUnavailable("The provider refused our key.", code="provider_refused_key")
    if status == 404:
        return ProviderUnavailable("The provider has no such model.", code="provider_lacks_model")
    return ProviderUnavailable(f"The provider answered {status}.", code=f"provider_{status}")


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
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(parsed, list) and parsed:  # Gemini wraps its errors in a list
        parsed = parsed[0]
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}


def _is_about_us(body: bytes, said: str) -> bool:
    """Whether a refusal is about our account or key; by its code, or how its text begins.

    Not by what stands inside the text: there a caller's own words may be quoted.
    """
    error = _error_in(body)
    details = error.get("details")
    reasons = [one.get("reason") for one in details if isinstance(one, dict)] if (
        isinstance(details, list)
    ) else []  # fmt: skip
    codes = {_text(value) for value in (error.get("code"), error.get("type"), *reasons)}
    return bool(codes & _ABOUT_US) or said.lower().startswith(_ABOUT_US_TEXTS)


def _message_in(body: bytes) -> str:
    return (_text(_error_in(body).get("message")) or "")[:_LONGEST_QUOTE]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
