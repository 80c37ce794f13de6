"""What is left, in the headers that Anthropic's clients read, beside our own."""

from billing.metering.usage import LimitState, Usage
from gateway.steps.respond import limit_headers


def anthropic_limit_headers(usage: Usage) -> dict[str, str]:
    """`anthropic-ratelimit-*`, with resets as points in time, and the headers of every response."""
    return (
        limit_headers(usage)
        | _headers("requests", usage.binding_requests)
        | _headers("tokens", usage.tokens_per_day)
    )


def _headers(unit: str, state: LimitState) -> dict[str, str]:
    if state.max is None or state.resets_at is None:
        return {}
    return {
        f"anthropic-ratelimit-{unit}-limit": str(state.max),
        f"anthropic-ratelimit-{unit}-remaining": str(state.remaining),
        f"anthropic-ratelimit-{unit}-reset": f"{state.resets_at:%Y-%m-%dT%H:%M:%SZ}",
    }
