"""The values that travel the request path.  Frozen: a step hands on facts, it changes none."""

import datetime as dt
import hashlib
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Final, NamedTuple

import orjson

from accounts.addresses import network_of
from accounts.identifiers import encode, uuid7
from accounts.identity import TokenHolder
from accounts.preferences import NONE, Preferences
from billing.metering.usage import Usage
from billing.plans import Limits
from billing.prompts import Channel
from gateway.idempotency.key import IdempotencyKey

LONGEST_CACHE_SECONDS: Final = 86_400
"""How long an answer may be given again, at most."""


def session_digest(name: str) -> str:
    """What a session is counted under: 16 hexadecimal digits of whatever names it."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Presented:
    """What came with a request to say who asks.  At most one of the first three decides."""

    bearer: str | None = None
    session_user_id: uuid.UUID | None = None
    visitor: str | None = None  # the signed credential
    may_become_visitor: bool = False  # where an endpoint serves people with no credential at all
    ip: str | None = None
    session: str = ""  # a digest of what names the session, or nothing
    user_agent: str = ""
    channel: Channel = Channel.API  # where its answer is read
    # Whether it is the caller who has gone, asked when the request's task is cancelled.
    is_gone: Callable[[], bool] = lambda: True
    # Every response carries it, and the ledger's row if the request comes to one.
    request_id: uuid.UUID = field(default_factory=uuid7)
    idempotency_key: IdempotencyKey | None = None
    # For how long its answer may be given again; 0: it may not, None: as its model has it.
    cache_seconds: int | None = 0

    @property
    def address(self) -> str | None:
        """What its network limits count by."""
        return network_of(self.ip)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may."""

    account_id: uuid.UUID
    limits: Limits
    token: TokenHolder | None = None
    visitor: str | None = None  # the credential to hand (back) to a visitor
    address: str | None = None  # what the network's limits count by
    session: str = ""
    is_new: bool = False  # a visitor since this very request: nobody has counted anything yet
    preferences: Preferences = NONE

    @property
    def is_visitor(self) -> bool:
        """Whether there is no account behind it."""
        return self.visitor is not None

    @property
    def token_id(self) -> uuid.UUID | None:
        """Of the token that it came with."""
        return None if self.token is None else self.token.token_id

    @property
    def counted_address(self) -> str | None:
        """The address, if requests count against it."""
        return self.address if self.limits.by_address else None


class Kind(StrEnum):
    """What is asked of a model, and what it gives."""

    CHAT = "chat"
    EMBEDDING = "embedding"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked chat completion request: whitelisted fields only."""

    kind: ClassVar[Kind] = Kind.CHAT
    prompt_field: ClassVar[str] = "messages"  # where its prompt is

    model: str
    messages: tuple[dict[str, Any], ...]
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None  # of each choice
    choices: int = 1
    parameters: dict[str, Any] | None = None  # the other fields, as the provider is to get them
    fallbacks: tuple[str, ...] = ()  # models to ask where `model` can't answer

    def prompt_texts(self) -> list[str]:
        """All that the provider reads: the messages' text and calls, the tools and schemas."""
        parameters = self.parameters or {}
        texts = [text for message in self.messages for text in _texts_of(message)]
        return texts + [_json(parameters[name]) for name in _READ_PARAMETERS if name in parameters]

    def granted(self, max_tokens: int | None) -> "ChatRequest":
        """The same, with as much of an answer as was booked."""
        return replace(self, max_tokens=max_tokens)


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """A checked request for embeddings.  It has what the steps read of a chat's, too."""

    kind: ClassVar[Kind] = Kind.EMBEDDING
    prompt_field: ClassVar[str] = "input"
    stream: ClassVar[bool] = False
    include_usage: ClassVar[bool] = False
    max_tokens: ClassVar[int] = 0  # vectors are no tokens
    choices: ClassVar[int] = 1
    fallbacks: ClassVar[tuple[str, ...]] = ()  # another model's vectors mean something else

    model: str
    texts: tuple[str, ...]
    dimensions: int | None = None  # of each vector; None: as many as the model has

    def prompt_texts(self) -> list[str]:
        """All that the provider reads."""
        return list(self.texts)

    def granted(self, max_tokens: int | None) -> "EmbeddingRequest":  # noqa: ARG002
        """The same: there is no answer to be cut short."""
        return self


Asked = ChatRequest | EmbeddingRequest
"""A checked request of any kind."""


_READ_PARAMETERS = ("tools", "functions", "response_format")


def _texts_of(message: dict[str, Any]) -> list[str]:
    """The texts of one message; images and sounds have none."""
    content = message.get("content")
    texts = [content] if isinstance(content, str) else []
    if isinstance(content, list):
        texts = [text for part in content if (text := part.get("text") or part.get("refusal"))]
    if refusal := message.get("refusal"):
        texts.append(refusal)
    calls = [message[name] for name in ("tool_calls", "function_call") if name in message]
    return texts + [_json(call) for call in calls]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


class Balancing(StrEnum):
    """How requests are shared out among a model's deployments of equal priority."""

    WEIGHT = "weight"
    LEAST_CONNECTIONS = "least-connections"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A public model as the catalogue has it."""

    name: str
    title: str
    description: str
    tier: str
    context_window: int
    max_output_tokens: int
    created: int
    balancing: str = Balancing.WEIGHT
    cache_seconds: int = 0  # how long answers are given again without being asked to
    kind: str = Kind.CHAT


class CapacityLimits(NamedTuple):
    """What a deployment's provider allows; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_per_day: int | None = None
    tokens_per_day: int | None = None
    at_once: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment that can be called: names resolved, credential in hand."""

    deployment: str
    provider: str
    upstream_model: str
    base_url: str | None
    api_key: str | None
    priority: int
    weight: int
    capacity: CapacityLimits | None = None  # None: nothing limits it
    model: str = ""  # the public model that it is asked for
    tier: str = "free"  # the lowest whose callers are sent there for it
    lacks: frozenset[str] = frozenset()  # of what a request may need
    context_window: int | None = None  # where it is smaller than the public model's
    kind: str = Kind.CHAT

    def __repr__(self) -> str:  # without the key
        return f"Target({self.deployment})"


@dataclass(frozen=True, slots=True)
class Reservation:
    """An admitted request: booked, and written in the ledger."""

    request_id: uuid.UUID
    caller: Caller
    model: ModelEntry
    request: Asked  # with the `max_tokens` that was reserved
    prompt_tokens: int  # as counted here
    prompt_bound: int  # as reserved
    usage: Usage  # at admission, this request included
    lowered_max_tokens: int | None  # when less was left than was asked for
    admitted_at: dt.datetime
    deadline_at: dt.datetime
    longest_input: int | None = None  # tokens of the longest text that is read by itself

    @property
    def window_tokens(self) -> int:
        """What a context window must hold at once: an input, or a prompt with all its answers."""
        if self.longest_input is not None:
            return self.longest_input
        return self.prompt_tokens + self.request.choices * (self.request.max_tokens or 1)

    @property
    def wire_id(self) -> str:
        """The request id as callers see it."""
        return encode("req", self.request_id)


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What a completion took."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    estimated: bool = False

    @property
    def total(self) -> int:
        """Prompt and completion."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Attempt:
    """One deployment tried: how it went, and after how long."""

    deployment: str
    outcome: str  # "completed" or an error's code
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, settled.  `body` is OpenAI's: a `chat.completion`, or a list of embeddings."""

    reservation: Reservation
    deployment: str
    usage: Usage  # after settlement
    tokens: TokenUsage
    body: dict[str, Any]
    may_be_cached: bool = False


@dataclass(frozen=True, slots=True)
class StreamReply:
    """An answer that is arriving.

    `chunks` yields OpenAI's `chat.completion.chunk`s.  It settles before it ends, raises a
    GatewayError when the provider cuts the stream (already settled then), and settles as cancelled
    when it is closed early.  It must be closed.
    """

    reservation: Reservation
    deployment: str
    chunks: AsyncGenerator[dict[str, Any], None]
    may_be_cached: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request went, to be settled: `charged` says whether it counts against the limits."""

    status: str  # settled, failed, cancelled
    charged: bool
    attempts: tuple[Attempt, ...]
    deployment: str = ""
    tokens: TokenUsage = TokenUsage(0, 0)
    error_code: str = ""
    first_token_at: dt.datetime | None = None
    model: str = ""  # the public model that answered; empty: nobody did


# Keeps an answer for whoever repeats its request.  A GatewayError: then it must not be charged.
Keep = Callable[[], Awaitable[None]]
