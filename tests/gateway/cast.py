"""Values of the request path, made up."""

import datetime as dt
from typing import Any

from accounts.identifiers import uuid7
from billing.metering.usage import Counters, Usage
from billing.plans import Limits
from gateway.types import Caller, ChatRequest, ModelEntry, Reservation, Target

FREE = Limits("free", 10, 50, 10_000, 2, 32_768, 10_000, 1_024)
PRO = Limits("pro", None, None, None, 20, None, None, None)


def usage(limits: Limits = FREE, **counters: int) -> Usage:
    """An account's usage now, nothing used but what is named."""
    held = {"hour_requests": 0, "day_requests": 0, "day_tokens": 0, "in_flight": 0} | counters
    return Usage(limits, Counters(int(dt.datetime.now(dt.UTC).timestamp() * 1000), **held))


def reservation(model: str = "m", **request: Any) -> Reservation:
    """An admitted request for a model."""
    now = dt.datetime.now(dt.UTC)
    return Reservation(
        request_id=uuid7(),
        caller=Caller(uuid7(), FREE),
        model=ModelEntry(model, model, "", "free", 32_768, 8_192, 0),
        request=ChatRequest(model, ({"role": "user", "content": "Hello"},), **request),
        prompt_tokens=8,
        prompt_bound=60,
        usage=usage(hour_requests=1, day_requests=1, day_tokens=100, in_flight=1),
        lowered_max_tokens=None,
        admitted_at=now,
        deadline_at=now + dt.timedelta(minutes=5),
    )


def target(name: str, priority: int = 1, weight: int = 1, **fields: Any) -> Target:
    """A deployment that can be called."""
    values = {"provider": "openai", "upstream_model": "m", "base_url": "http://127.0.0.1:9/v1"}
    return Target(
        deployment=name,
        api_key=fields.pop("api_key", "sk-theirs"),
        priority=priority,
        weight=weight,
        **(values | fields),
    )
