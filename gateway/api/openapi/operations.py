"""What can be asked at each path, for the API's description."""

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from gateway.api.anthropic.parsing import MessagesBody, Prompt
from gateway.api.embedding_parsing import EmbeddingsBody
from gateway.api.feedback import FeedbackBody
from gateway.api.openai_responses.parsing import ResponsesBody
from gateway.api.openapi import answers, headers
from gateway.api.parsing import ChatBody, FreeBody
from gateway.api.preferences import PreferencesBody
from gateway.api.usage import MOST_DAYS, MOST_DAYS_OF_HOURS

Who = Literal["token", "visitors too", "anybody"]

_LOOKS_UP: Final = (400, 401, 403, 405, 500, 503)
_READS_A_BODY: Final = (*_LOOKS_UP, 413)
_COMPLETES: Final = (*_READS_A_BODY, 404, 409, 410, 422, 429, 504)
_ASKED_AGAIN: Final = (headers.IDEMPOTENCY, headers.CACHE)
_HELLO: Final = [{"role": "user", "content": "What is the capital of France?"}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path."""

    path: str
    method: str
    name: str  # its operationId
    tag: str
    summary: str
    description: str = ""
    who: Who = "token"
    body: type[msgspec.Struct] | None = None
    example: dict[str, Any] | None = None  # of the body
    answer: type[msgspec.Struct]
    stream: type[msgspec.Struct] | None = None  # what each event is, where it can be streamed
    events: str = ""  # how a stream goes
    errors: tuple[int, ...] = _LOOKS_UP
    in_anthropics_form: bool = False
    answer_headers: dict[str, str] = field(default_factory=dict)
    request_headers: tuple[tuple[str, str], ...] = ()
    query: tuple[dict[str, Any], ...] = ()
    path_parameter: str = ""  # what it is
    csv: bool = False


def _parameter(name: str, said: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": said, "schema": schema}


_DAY: Final = {"type": "string", "format": "date"}

OPERATIONS: Final = (
    Operation(
        path="/v1/chat/completions",
        method="post",
        name="createChatCompletion",
        tag="Answers",
        summary="An answer, whole or as it is written",
        description="OpenAI's chat completions. Fields that are not named here are refused. A "
        "request that is refused or fails costs nothing.",
        body=ChatBody,
        example={"model": "scalix-free", "messages": _HELLO},
        answer=answers.ChatCompletion,
        stream=answers.ChatCompletionChunk,
        events="With `stream`: `data:` and a chunk, again and again, then `data: [DONE]`. A line "
        "that begins with a colon only says that there is more to come. What breaks off after its "
        "beginning ends with `data:` and an error (`stream_cut`), and is not charged.",
        errors=_COMPLETES,
        answer_headers=headers.ANSWER,
        request_headers=_ASKED_AGAIN,
    ),
    Operation(
        path="/v1/responses",
        method="post",
        name="createResponse",
        tag="Answers",
        summary="An answer in the form of OpenAI's Responses",
        description="Nothing is kept between two requests: what would need that is refused by its "
        "name, as are tools that OpenAI runs itself.",
        body=ResponsesBody,
        example={"model": "scalix-free", "input": "What is the capital of France?"},
        answer=answers.ResponseObject,
        stream=answers.ResponseEvent,
        events="With `stream`: named events, from `response.created` to `response.completed`; one "
        "that breaks off ends with `error`.",
        errors=_COMPLETES,
        answer_headers=headers.ANSWER,
        request_headers=_ASKED_AGAIN,
    ),
    Operation(
        path="/v1/messages",
        method="post",
        name="createMessage",
        tag="Answers",
        summary="An answer in the form of Anthropic's Messages",
        description="The base URL of Anthropic's clients has no `/v1`.",
        body=MessagesBody,
        example={"model": "scalix-free", "max_tokens": 100, "messages": _HELLO},
        answer=answers.AnthropicMessage,
        stream=answers.MessageEvent,
        events="With `stream`: named events, from `message_start` to `message_stop`, with a `ping` "
        "while there is nothing to say; one that breaks off ends with `error`.",
        errors=_COMPLETES,
        in_anthropics_form=True,
        answer_headers=headers.ANSWER,
        request_headers=_ASKED_AGAIN,
    ),
    Operation(
        path="/v1/messages/count_tokens",
        method="post",
        name="countTokens",
        tag="Answers",
        summary="How many tokens a prompt is counted as",
        description="Consumes nothing.",
        body=Prompt,
        example={"model": "scalix-free", "messages": _HELLO},
        answer=answers.CountedTokens,
        errors=_READS_A_BODY,
        in_anthropics_form=True,
    ),
    Operation(
        path="/v1/embeddings",
        method="post",
        name="createEmbeddings",
        tag="Answers",
        summary="Texts as vectors",
        description="By the models whose `kind` is `embedding`. Tokens are those of cl100k_base.",
        body=EmbeddingsBody,
        example={"model": "free-gemini-embedding", "input": ["A text", "Another one"]},
        answer=answers.EmbeddingList,
        errors=_COMPLETES,
        answer_headers=headers.ANSWER,
        request_headers=_ASKED_AGAIN,
    ),
    Operation(
        path="/api/v1/free/completion",
        method="post",
        name="createFreeCompletion",
        tag="Answers",
        summary="An answer, with no account",
        description="Whoever has neither token nor credential becomes a visitor, whose credential "
        "comes with the answer.",
        who="visitors too",
        body=FreeBody,
        example={"messages": _HELLO},
        answer=answers.FreeCompletionAnswer,
        stream=answers.ChatCompletionChunk,
        events="With `stream`: as `/v1/chat/completions`.",
        errors=_COMPLETES,
        answer_headers=headers.ANSWER,
        request_headers=(*_ASKED_AGAIN, headers.VISITOR),
    ),
    Operation(
        path="/v1/models",
        method="get",
        name="listModels",
        tag="Models",
        summary="The models that the token may use",
        query=(
            _parameter(
                "include",
                "`locked` adds those above the plan.",
                {"type": "string", "enum": ["locked"]},
            ),
        ),
        answer=answers.ModelList,
    ),
    Operation(
        path="/v1/models/{name}",
        method="get",
        name="getModel",
        tag="Models",
        summary="One model, locked or not",
        path_parameter="The model's name.",
        answer=answers.ModelObject,
        errors=(*_LOOKS_UP, 404),
    ),
    Operation(
        path="/api/v1/preferences",
        method="get",
        name="getPreferences",
        tag="Models",
        summary="The models that are asked first, and those that are never asked",
        answer=answers.PreferencesAnswer,
    ),
    Operation(
        path="/api/v1/preferences",
        method="put",
        name="putPreferences",
        tag="Models",
        summary="Puts others in their place",
        description="A list that is left out becomes empty.",
        body=PreferencesBody,
        example={"preferred_models": ["free-gemini-flash"], "avoided_models": []},
        answer=answers.PreferencesAnswer,
        errors=(*_READS_A_BODY, 404),
    ),
    Operation(
        path="/v1/key",
        method="get",
        name="getKey",
        tag="Limits and usage",
        summary="The token, its plan, and what is used and left of each limit",
        description="Consumes nothing, and answers at 100 % of every limit.",
        answer=answers.KeyAnswer,
    ),
    Operation(
        path="/api/v1/limits",
        method="get",
        name="getLimits",
        tag="Limits and usage",
        summary="What is used and left of each limit, for visitors too",
        who="visitors too",
        answer=answers.LimitsAnswer,
        request_headers=(headers.VISITOR,),
    ),
    Operation(
        path="/api/v1/limits/check",
        method="post",
        name="checkLimits",
        tag="Limits and usage",
        summary="Whether a request would be admitted now, and if not why",
        description="Takes a completion's body, and consumes nothing.",
        who="visitors too",
        body=FreeBody,
        example={"messages": _HELLO},
        answer=answers.CheckAnswer,
        errors=_READS_A_BODY,
        request_headers=(headers.VISITOR,),
    ),
    Operation(
        path="/api/v1/usage",
        method="get",
        name="getUsage",
        tag="Limits and usage",
        summary="What the account used, up to this moment",
        query=(
            _parameter(
                "by",
                "What the rows are about.",
                {"type": "string", "enum": ["hour", "day", "model", "token"], "default": "day"},
            ),
            _parameter(
                "from",
                f"The first UTC day: at most {MOST_DAYS} days before the last, and "
                f"{MOST_DAYS_OF_HOURS} by hour.",
                _DAY,
            ),
            _parameter("to", "The last UTC day; today if left out.", _DAY),
            _parameter(
                "format", "", {"type": "string", "enum": ["json", "csv"], "default": "json"}
            ),
        ),
        answer=answers.UsageAnswer,
        answer_headers=headers.FILE,
        csv=True,
    ),
    Operation(
        path="/api/v1/feedback",
        method="post",
        name="sendFeedback",
        tag="Answers",
        summary="A thumb for an answer",
        who="visitors too",
        body=FeedbackBody,
        example={"request_id": "req_01M8EVEAFEFF0TT7X49YDAY71X", "rating": "up"},
        answer=answers.FeedbackAnswer,
        errors=(*_READS_A_BODY, 404),
        request_headers=(headers.VISITOR,),
    ),
    Operation(
        path="/healthz",
        method="get",
        name="isUp",
        tag="Operation",
        summary="The process is up",
        who="anybody",
        answer=answers.HealthAnswer,
        errors=(405,),
    ),
    Operation(
        path="/readyz",
        method="get",
        name="isReady",
        tag="Operation",
        summary="Requests can be admitted; 503 says what is missing",
        who="anybody",
        answer=answers.ReadyAnswer,
        errors=(405,),
    ),
    Operation(
        path="/openapi.json",
        method="get",
        name="getDescription",
        tag="Operation",
        summary="This description",
        who="anybody",
        answer=answers.Description,
        errors=(405,),
    ),
)
