"""POST /v1/embeddings: vectors that depend on the text alone, and exact token counts."""

import hashlib
from typing import Any

import orjson

from tests.upstream.calls import CallLog
from tests.upstream.tokens import count_text
from tests.upstream.wire import Connection

DIMENSIONS = 8


def vector_of(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """So many numbers from -1 to 1, each of which a 32-bit float holds exactly."""
    digest = hashlib.shake_128(text.encode()).digest(dimensions)
    return [(byte - 128) / 128 for byte in digest]


def embed(log: CallLog, key: str, raw: bytes, connection: Connection) -> None:
    """Answers one request, last text first, as the order is free."""
    body: dict[str, Any] = orjson.loads(raw)
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    tokens = sum(map(count_text, texts))
    call = log.open(
        id="",
        account=key,
        key=key[-4:],
        model=body["model"],
        stream=False,
        include_usage=False,
        maximum=None,
        choices=1,
        user=body.get("user"),
        fields=sorted(body),
        prompt_tokens=tokens,
    )
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": vector_of(text, body.get("dimensions") or DIMENSIONS),
        }
        for index, text in enumerate(texts)
    ]
    answer = {
        "object": "list",
        "data": data[::-1],
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    connection.respond(200, orjson.dumps(answer))
    log.close(call, "completed")
