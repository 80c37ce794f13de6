"""The forms of what the API answers, for its description.  A test holds real answers against them.

Answers are made elsewhere, as dictionaries: building these first would cost a copy each.
"""

from typing import Any, Literal

import msgspec

from gateway.api.parsing import CalledFunction, ToolCall


class CachedTokens(msgspec.Struct):
    """Of the prompt."""

    cached_tokens: int


class ReasoningTokens(msgspec.Struct):
    """Of the answer."""

    reasoning_tokens: int


class TokenCounts(msgspec.Struct, kw_only=True):
    """What an answer took, as it is charged."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens | None = None
    completion_tokens_details: ReasoningTokens | None = None


class AnswerMessage(msgspec.Struct, kw_only=True):
    """What a model says."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: CalledFunction | None = None
    reasoning_content: str | None = None


Finish = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class Choice(msgspec.Struct, kw_only=True):
    """One of the answers that were asked for."""

    index: int
    message: AnswerMessage
    finish_reason: Finish
    logprobs: Any = None


class UpgradePrompt(msgspec.Struct):
    """Why a larger plan may be of use just now."""

    trigger: str
    message: str
    upgrade_url: str


class OurWords(msgspec.Struct):
    """What only Scalix says."""

    upgrade_prompt: UpgradePrompt


class ChatCompletion(msgspec.Struct, kw_only=True):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: TokenCounts
    scalix: OurWords | None = None


class FreeTier(msgspec.Struct, kw_only=True):
    """What is left; `visitor` is the credential to send again."""

    remaining_requests: int | None
    remaining_tokens: int | None
    reset_time: str | None
    upgrade_prompt: bool
    session_id: str | None
    visitor: str | None = None


class FreeCompletionAnswer(ChatCompletion, kw_only=True):
    """A whole answer, with what is left of the free tier."""

    free_tier: FreeTier


class ToolCallDelta(msgspec.Struct, kw_only=True):
    """A piece of a call: the first has its id and name."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: dict[str, Any] | None = None


class Delta(msgspec.Struct, kw_only=True):
    """A piece of what a model says."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    reasoning_content: str | None = None


class ChunkChoice(msgspec.Struct, kw_only=True):
    """A piece of one of the answers."""

    index: int
    delta: Delta
    finish_reason: Finish | None = None
    logprobs: Any = None


class ChatCompletionChunk(msgspec.Struct, kw_only=True):
    """One event of a stream; the last has the usage and no choices, where that was asked for."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: TokenCounts | None = None


class EmbeddingItem(msgspec.Struct):
    """One text's vector: numbers, or 32-bit floats, little-endian, in base-64."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingCounts(msgspec.Struct):
    """What the texts took."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """A vector for each text, in their order."""

    object: Literal["list"]
    data: list[EmbeddingItem]
    model: str
    usage: EmbeddingCounts
    scalix: OurWords | None = None


class ContentBlock(msgspec.Struct, kw_only=True):
    """A text, a thought, or a tool that is called."""

    type: Literal["text", "thinking", "tool_use"]
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None


class MessageCounts(msgspec.Struct):
    """What a message took; tokens out of a cache are counted apart, as Anthropic does."""

    input_tokens: int
    output_tokens: int


class AnthropicMessage(msgspec.Struct, kw_only=True):
    """A whole answer in Anthropic's form."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[ContentBlock]
    stop_reason: str
    stop_sequence: str | None = None
    usage: MessageCounts


class CountedTokens(msgspec.Struct):
    """What a prompt is counted as."""

    input_tokens: int


class ResponseObject(msgspec.Struct, kw_only=True):
    """A whole answer in the form of OpenAI's Responses."""

    id: str
    object: Literal["response"]
    created_at: int
    status: str
    model: str
    output: list[dict[str, Any]]
    usage: dict[str, Any] | None = None


class ModelObject(msgspec.Struct):
    """A model; `locked`: it is above the caller's plan."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    title: str
    description: str
    kind: Literal["chat", "embedding"]
    context_window: int
    max_output_tokens: int | None
    plan: str
    locked: bool


class ModelList(msgspec.Struct):
    """The models."""

    object: Literal["list"]
    data: list[ModelObject]


class LimitObject(msgspec.Struct):
    """One limit: null is none, or no reset."""

    scope: str
    used: int
    max: int | None
    remaining: int | None
    resets_at: str | None
    resets_in_seconds: int | None


class LimitsAnswer(msgspec.Struct, kw_only=True):
    """The plan and each of its limits, with the one that will stop the caller first."""

    object: Literal["limits"]
    plan: str
    binding_limit: str | None
    limits: dict[str, LimitObject]


class TokenLabel(msgspec.Struct):
    """Which token it is; nobody can be shown its secret again."""

    name: str
    display: str
    expires_at: str | None


class KeyAnswer(msgspec.Struct, kw_only=True):
    """The token, and what is used and left."""

    object: Literal["key"]
    token: TokenLabel | None
    account: str | None
    plan: str
    binding_limit: str | None
    limits: dict[str, LimitObject]


class CheckAnswer(msgspec.Struct, kw_only=True):
    """Whether it would be admitted; if not, the status and error that it would get."""

    object: Literal["limits.check"]
    admitted: bool
    prompt_tokens: int | None = None
    max_tokens: int | None = None
    status: int | None = None
    error: dict[str, Any] | None = None
    plan: str
    binding_limit: str | None
    limits: dict[str, LimitObject]


class UsageFigures(msgspec.Struct, kw_only=True):
    """Sums; `price_micros` in millionths of $1."""

    requests: int
    uncharged_requests: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    price_micros: int
    average_latency_ms: int


class UsageRow(UsageFigures, kw_only=True):
    """Of one hour, day, model or token."""

    hour: str | None = None
    day: str | None = None
    model: str | None = None
    token_id: str | None = None
    name: str | None = None
    display: str | None = None


class UsageAnswer(msgspec.Struct, kw_only=True, rename={"first": "from"}):
    """What the account used."""

    object: Literal["usage"]
    by: Literal["hour", "day", "model", "token"]
    first: str
    to: str
    data: list[UsageRow]
    total: UsageFigures


class PreferencesAnswer(msgspec.Struct, kw_only=True):
    """The models that are asked first, and those that are never asked."""

    object: Literal["preferences"]
    preferred_models: list[str]
    avoided_models: list[str]


class FeedbackAnswer(msgspec.Struct, kw_only=True):
    """The rating as it was taken."""

    object: Literal["feedback"]
    request_id: str
    rating: Literal["up", "down"]


class HealthAnswer(msgspec.Struct):
    """The process is up."""

    status: Literal["ok"]


class ReadyAnswer(msgspec.Struct):
    """Whether requests can be admitted, and what each part says."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]


class ErrorMetadata(msgspec.Struct, kw_only=True):
    """What is known of an error; limits, models and attempts are named here."""

    request_id: str
    docs_url: str


class ErrorObject(msgspec.Struct, kw_only=True):
    """An error; `message` stands alone."""

    message: str
    type: str
    code: str
    param: str | None
    metadata: ErrorMetadata


class ErrorAnswer(msgspec.Struct):
    """Every error but those of `/v1/messages`."""

    error: ErrorObject


class AnthropicErrorAnswer(msgspec.Struct):
    """An error in Anthropic's form."""

    type: Literal["error"]
    error: ErrorObject
    request_id: str


class MessageEvent(msgspec.Struct):
    """One event of a message's stream; what it has beside its type, Anthropic documents."""

    type: Literal[
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    ]


class ResponseEvent(msgspec.Struct):
    """One event of a response's stream; what it has beside its type, OpenAI documents."""

    type: str
    sequence_number: int


class Description(msgspec.Struct):
    """OpenAPI 3.1."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
