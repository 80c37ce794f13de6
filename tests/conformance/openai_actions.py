"""What `sdk_child` can do with `openai`, and nothing that only one version of it has."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import openai
import pydantic

VERSION = openai.__version__
SENT: list[object] = []


def count(request: object) -> None:
    """Notes that the SDK is about to send a request."""
    SENT.append(request)


async def count_async(request: object) -> None:
    """The same for the asynchronous client."""
    count(request)


def client(order: dict[str, Any]) -> openai.OpenAI:
    """A client as a user would make it, but for the hook that counts its HTTP requests."""
    return _client(order["base_url"], order["token"])


@functools.cache  # as programs do: a client of its own for each call costs more than the call
def _client(base_url: str, token: str) -> openai.OpenAI:
    http = openai.DefaultHttpxClient(event_hooks={"request": [count]})
    return openai.OpenAI(base_url=base_url, api_key=token, http_client=http)


def complete(order: dict[str, Any]) -> dict[str, Any]:
    """One unary completion, with its headers."""
    raw = client(order).chat.completions.with_raw_response.create(**order["request"])
    completion = raw.parse()
    return {"completion": completion.model_dump(), "headers": dict(raw.headers)}


def stream(order: dict[str, Any]) -> dict[str, Any]:
    """One streamed completion, chunk by chunk; an error in the middle keeps the chunks."""
    chunks: list[dict[str, Any]] = []
    with client(order).chat.completions.create(**order["request"], stream=True) as events:
        try:
            chunks.extend(event.model_dump() for event in events)
        except Exception as error:  # noqa: BLE001 (whatever a user would see)
            return {"chunks": chunks, "broke": error}
    return {"chunks": chunks}


def leave(order: dict[str, Any]) -> dict[str, Any]:
    """Starts a stream and closes it after the first words."""
    with client(order).chat.completions.create(**order["request"], stream=True) as events:
        for event in events:
            if event.choices and event.choices[0].delta.content:
                return {"heard": event.choices[0].delta.content}
    return {"heard": ""}


def stream_async(order: dict[str, Any]) -> dict[str, Any]:
    """One streamed completion with the asynchronous client."""

    async def run() -> list[dict[str, Any]]:
        http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [count_async]})
        asynchronous = openai.AsyncOpenAI(
            base_url=order["base_url"], api_key=order["token"], http_client=http
        )
        async with asynchronous:
            events = await asynchronous.chat.completions.create(**order["request"], stream=True)
            return [event.model_dump() async for event in events]

    return {"chunks": asyncio.run(run())}


def parse(order: dict[str, Any]) -> dict[str, Any]:
    """An answer in the form of a class, which the SDK makes into a schema and reads again."""
    river: Any = pydantic.create_model("river", name=(str, ...))
    ours = client(order).chat.completions
    completion = ours.parse(**order["request"], response_format=river)
    [choice] = completion.choices
    return {"parsed": choice.message.parsed and choice.message.parsed.model_dump()}


def respond(order: dict[str, Any]) -> dict[str, Any]:
    """One whole response, with the SDK's own reading of its text."""
    response = client(order).responses.create(**order["request"])
    return {"response": response.model_dump(), "text": response.output_text}


def respond_stream(order: dict[str, Any]) -> dict[str, Any]:
    """One response by the SDK's stream helper: the events' names, and what it makes of them."""
    arrived: list[Any] = []
    with client(order).responses.stream(**order["request"]) as events:
        try:
            arrived.extend(events)
        except Exception as error:  # noqa: BLE001 (whatever a user would see)
            return {"events": [event.type for event in arrived], "broke": error}
    final = arrived[-1].response
    names = [event.type for event in arrived]
    return {"events": names, "response": final.model_dump(), "text": final.output_text}


def respond_parsed(order: dict[str, Any]) -> dict[str, Any]:
    """A response in the form of a class."""
    river: Any = pydantic.create_model("river", name=(str, ...))
    parsed = client(order).responses.parse(**order["request"], text_format=river).output_parsed
    return {"parsed": parsed and parsed.model_dump()}


def embed(order: dict[str, Any]) -> dict[str, Any]:
    """Vectors, as the SDK asks for them by itself: in base-64, which it reads."""
    made = client(order).embeddings.create(**order["request"])
    return {"vectors": [list(one.embedding) for one in made.data], "usage": made.usage.model_dump()}


def models(order: dict[str, Any]) -> dict[str, Any]:
    """The names of the models listed."""
    return {"models": [model.id for model in client(order).models.list()]}


def model(order: dict[str, Any]) -> dict[str, Any]:
    """One model by name."""
    return {"model": client(order).models.retrieve(order["model"]).model_dump()}


ACTIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    action.__name__: action
    for action in (
        *(complete, stream, leave, stream_async, parse, embed, models, model),
        *(respond, respond_stream, respond_parsed),
    )
}
