"""What every provider must pass, whatever its wire and whichever way it is called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway.types import ChatRequest
from tests.providers.standin import Json, Say, ToolCall

PNG: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
    "hgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER: Final = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
SCHEMA: Final = {
    "type": "json_schema",
    "json_schema": {
        "name": "river",
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        },
    },
}
PARIS: Final = ToolCall("weather", '{"city":"Paris"}')
ROME: Final = ToolCall("weather", '{"city":"Rome"}', "call_2")


def asking(content: Any = "Hello", **fields: Any) -> ChatRequest:
    """A request; `content` of the user."""
    messages = ({"role": "user", "content": content},)
    values: Json = {"messages": messages, "max_tokens": 50}
    return ChatRequest("public", **(values | fields))


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked, what the provider says to it, and what must have reached the provider."""

    say: Say
    request: ChatRequest
    reached: Callable[[str], bool] = lambda _: True
    """Of the body as text."""


_HISTORY: Final = (
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "How is it in Paris?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "Rain, 9 °C"},
)

CASES: Final = {
    "plain": Case(Say(), asking()),
    "system prompt": Case(
        Say(),
        asking(messages=({"role": "system", "content": "Be brief."}, *asking().messages)),
        lambda body: "Be brief." in body,
    ),
    "limits": Case(
        Say(finish="length"),
        asking(parameters={"stop": ["END"], "temperature": 0.5}),
        lambda body: "END" in body and "50" in body,
    ),
    "usage with a cache": Case(Say(prompt_tokens=90, cached_tokens=64), asking()),
    "reasoning": Case(Say(reasoning=("Let me ", "think. ")), asking()),
    "other scripts": Case(Say(pieces=("Grüße ", "из ", "東", "京 🗼")), asking("Üöä 日本")),
    "an image": Case(
        Say(),
        asking(
            [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": PNG}},
            ]
        ),
        lambda body: "iVBORw0KGgo" in body,
    ),
    "a tool": Case(
        Say(pieces=(), calls=(PARIS,), finish="tools"),
        asking(parameters={"tools": [WEATHER]}),
        lambda body: "The weather in a city" in body,
    ),
    "two tools at once, after a word": Case(
        Say(pieces=("I look. ",), calls=(PARIS, ROME), finish="tools"),
        asking(parameters={"tools": [WEATHER], "tool_choice": "auto"}),
    ),
    "a tool's answer": Case(
        Say(),
        asking(messages=_HISTORY, parameters={"tools": [WEATHER]}),
        lambda body: "Rain, 9" in body,
    ),
    "a JSON schema": Case(
        Say(pieces=('{"name":', '"Po"}')),
        asking(parameters={"response_format": SCHEMA}),
        lambda body: '"name"' in body,
    ),
    "filtered": Case(Say(pieces=(), finish="filter"), asking()),
}

FINISH: Final = {
    "stop": "stop",
    "length": "length",
    "tools": "tool_calls",
    "filter": "content_filter",
}
ERRORS: Final = {
    "bad request": "invalid_request",
    "account": {"provider_refused_account", "provider_refused_key"},  # the key: litellm, of Gemini
    "key": "provider_refused_key",
    "forbidden": "provider_refused_key",
    "missing": "provider_lacks_model",
    "rate": "provider_rate_limited",
    "server": "provider_500",
    "overloaded": {"provider_503", "provider_529", "provider_500"},
}
"""Our code of each refusal; several where providers differ."""
