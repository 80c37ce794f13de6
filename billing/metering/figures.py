"""What requests came to together: the figures of roll-ups, and how rows of the ledger make them."""

from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True)
class Figures:
    """Sums over ended requests.  Tokens and price are those of charged ones; amounts in micros."""

    requests: int = 0  # charged ones, corrections taken off
    free_requests: int = 0  # ended and not charged
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0  # part of the prompt's
    cost_micros: int = 0  # whether charged or not: the provider was paid
    price_micros: int = 0
    latency_ms: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(getattr(self, name) + getattr(other, name) for name in NAMES))


NAMES: Final = tuple(field.name for field in fields(Figures))
"""The figures, each of which is a column of the roll-ups."""

COLUMNS: Final = ", ".join(NAMES)

_CHARGED: Final = "coalesce(sum({}) FILTER (WHERE charged), 0)"
# A correction ends long after the request did: its time says nothing of a latency.
_MILLISECONDS: Final = (
    "CASE WHEN status = 'correction' THEN 0"
    " ELSE round(extract(epoch FROM ended_at - admitted_at) * 1000) END"
)
_OF_ROWS: Final = {
    "requests": _CHARGED.format("requests"),
    "free_requests": "count(*) FILTER (WHERE NOT charged)",
    "prompt_tokens": _CHARGED.format("prompt_tokens"),
    "completion_tokens": _CHARGED.format("completion_tokens"),
    "cached_tokens": _CHARGED.format("cached_tokens"),
    "cost_micros": "coalesce(sum(cost_micros), 0)",
    "price_micros": "coalesce(sum(price_micros), 0)",
    "latency_ms": _CHARGED.format(_MILLISECONDS),
}

SUMS_OF_ROWS: Final = ", ".join(f"{_OF_ROWS[name]}::bigint AS {name}" for name in NAMES)
"""SQL: a SELECT's columns, over ended rows of the ledger."""

SUMS_OF_ROLLUPS: Final = ", ".join(f"coalesce(sum({n}), 0)::bigint AS {n}" for n in NAMES)
"""SQL: the same, over rows of a roll-up."""
