"""What is asked of admission, and what it says: frozen values."""

import time
import uuid
from dataclasses import dataclass

from billing.metering.usage import LimitState, Usage
from billing.plans import Limits


class QuotaRefused(Exception):
    """A limit forbids the request; nothing was booked."""

    def __init__(self, usage: Usage, limit: LimitState, tokens_needed: int) -> None:
        super().__init__(limit.name)
        self.usage = usage
        self.limit = limit
        self.tokens_needed = tokens_needed


@dataclass(frozen=True, slots=True)
class QuotaRequest:
    """What is to be booked.  Tokens are bounds: a prompt's, and the most that may be answered."""

    request_id: uuid.UUID
    account_id: uuid.UUID
    limits: Limits
    prompt_tokens: int
    output_tokens: int | None  # None: as many as the limits leave, or the model's own maximum
    least_output_tokens: int
    deadline_ms: int
    session: str = ""
    address: str | None = None

    @property
    def tokens_needed(self) -> int:
        """What has to be left for it to be admitted."""
        return self.prompt_tokens + self.least_output_tokens

    @property
    def counted_address(self) -> str | None:
        """The address, if the request counts against it."""
        return self.address if self.limits.by_address else None


@dataclass(frozen=True, slots=True)
class QuotaBooking:
    """A booked request."""

    usage: Usage
    output_tokens: int | None  # what it may produce; None: no limit stands in the way
    asked_at: float  # time.monotonic() before the store was asked
    generation: int
    """Of the counter store, that the row has to be committed in."""

    def may_be_forgotten(self, commit_bound: float) -> bool:
        """Whether the store could have lost this booking and been seeded without it by now."""
        return time.monotonic() - self.asked_at > commit_bound
