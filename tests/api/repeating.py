"""Requests that carry an `Idempotency-Key`, and what outlives the process that ran one."""

import json
from typing import Any, Final

from accounts.postgres import connect
from gateway import pipeline
from gateway.errors import KeyInUse
from gateway.idempotency.answers import Replay
from gateway.idempotency.key import key_for
from gateway.runtime import Gateway
from gateway.types import ChatRequest, Presented, Reply, StreamReply
from tests.api.asking import COMPLETIONS, Json
from tests.api.conftest import PATIENCE
from tests.conftest import Person
from tests.upstream.script import marker

KEY: Final = "order-66"


def keyed(person: Person | None = None, key: str = KEY, **more: str) -> dict[str, str]:
    """The headers of a request with a key."""
    return (person.headers if person else {}) | {"Idempotency-Key": key} | more


async def change(query: str, *parameters: Any) -> None:
    """One committed statement, as somebody else's."""
    other = await connect(PATIENCE)
    await other.execute(query, parameters)
    await other.close()


async def ask(
    gateway: Gateway, person: Person, key: str = KEY, *, stream: bool = False, **script: Any
) -> Reply | StreamReply | Replay:
    """Asks a process's pipeline itself, and hears a stream out."""
    message: Json = {"role": "user", "content": f"Say something {marker(**script)}"}
    request = ChatRequest("scalix-free", (message,), stream=stream)
    digest = json.dumps(message).encode()
    presented = Presented(bearer=person.secret, idempotency_key=key_for(key, COMPLETIONS, digest))
    reply = await pipeline.run(gateway, presented, request)
    if isinstance(reply, StreamReply):
        async for _ in reply.chunks:
            pass
    return reply


async def kind_of_reply(*args: Any, **script: Any) -> str:
    """What `ask` comes to: "answer", "replay" or "in use"."""
    try:
        reply = await ask(*args, **script)
    except KeyInUse:
        return "in use"
    return "replay" if isinstance(reply, Replay) else "answer"
