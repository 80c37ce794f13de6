"""Everything that can go wrong on the request path: one tree, and no HTTP in it.

    GatewayError
    ├── InvalidRequest              the request itself is wrong
    │   ├── RequestTooLarge
    │   ├── ContentRefused          it breaks a content rule, which is named
    │   ├── UnknownModel            with the nearest names
    │   └── UnknownRequest          none of this account's that was answered
    ├── KeyInUse                    another request with the same idempotency key is running
    ├── KeyReused                   the idempotency key was used for another request
    ├── AnswerNotKept               it was answered, and the answer was too large to be kept
    ├── NotAuthenticated            no, bad, revoked or expired credential
    ├── BlockedForAbuse             the account, or the network address that it comes from
    ├── ModelNotInPlan
    ├── LimitReached                a quota or concurrency limit, with all figures
    ├── ProviderFailure             what a provider did to us
    │   ├── ProviderRejected        it found the caller's request wrong: nobody else is tried
    │   ├── ProviderUnavailable     down, slow, rate-limiting, our credential, rubbish: try the next
    │   └── StreamCut               it stopped after the first token: too late for another
    ├── ProvidersExhausted          every deployment was tried
    │   └── ProvidersBusy           none is ill, and by our own count one is free in a known time
    └── StoreUnavailable            Postgres or Redis is away: nothing may be admitted

`gateway.api.errors` is the only place that turns these into statuses and bodies.
"""

from dataclasses import dataclass, field
from typing import Any

from billing.metering.usage import LimitState, Usage


@dataclass(slots=True, eq=False)
class GatewayError(Exception):
    """The root.  `message` stands alone: some SDKs print nothing else."""

    message: str
    code: str = "internal_error"
    param: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.message


@dataclass(slots=True, eq=False)
class InvalidRequest(GatewayError):
    code: str = "invalid_request"


@dataclass(slots=True, eq=False)
class RequestTooLarge(InvalidRequest):
    code: str = "request_too_large"


@dataclass(slots=True, eq=False)
class ContentRefused(InvalidRequest):
    code: str = "content_refused"
    param: str | None = "messages"


@dataclass(slots=True, eq=False)
class UnknownModel(InvalidRequest):
    code: str = "model_not_found"
    param: str | None = "model"


@dataclass(slots=True, eq=False)
class UnknownRequest(InvalidRequest):
    code: str = "request_not_found"
    param: str | None = "request_id"


@dataclass(slots=True, eq=False)
class KeyInUse(GatewayError):
    code: str = "idempotency_key_in_use"


@dataclass(slots=True, eq=False)
class KeyReused(GatewayError):
    code: str = "idempotency_key_reused"


@dataclass(slots=True, eq=False)
class AnswerNotKept(GatewayError):
    code: str = "idempotent_answer_not_kept"


@dataclass(slots=True, eq=False)
class NotAuthenticated(GatewayError):
    code: str = "invalid_api_key"


@dataclass(slots=True, eq=False)
class BlockedForAbuse(GatewayError):
    code: str = "account_blocked_for_abuse"


@dataclass(slots=True, eq=False)
class ModelNotInPlan(GatewayError):
    code: str = "model_not_in_plan"
    param: str | None = "model"


@dataclass(slots=True, kw_only=True, eq=False)
class LimitReached(GatewayError):
    usage: Usage
    limit: LimitState


@dataclass(slots=True, eq=False)
class ProviderFailure(GatewayError):
    code: str = "provider_error"
    wait: float | None = None
    """Seconds after which it may be asked again, where that is known."""


@dataclass(slots=True, eq=False)
class ProviderRejected(ProviderFailure):
    code: str = "invalid_request"


@dataclass(slots=True, eq=False)
class ProviderUnavailable(ProviderFailure):
    code: str = "provider_unavailable"


@dataclass(slots=True, eq=False)
class StreamCut(ProviderFailure):
    code: str = "stream_cut"


@dataclass(slots=True, eq=False)
class ProvidersExhausted(GatewayError):
    code: str = "server_is_overloaded"


@dataclass(slots=True, eq=False)
class ProvidersBusy(ProvidersExhausted):
    pass


@dataclass(slots=True, eq=False)
class StoreUnavailable(GatewayError):
    code: str = "server_is_overloaded"
