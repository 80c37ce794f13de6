"""One prompt and its answer: arriving, shown, and kept in the session for the first dashboard."""

import re
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.contrib.sessions.backends.base import SessionBase

from gateway.types import ChatRequest

SAMPLE_PROMPT: Final = "Write a Python function that merges two sorted lists."
MODEL: Final = "scalix-free"
_DEMO: Final = "demo"  # the embedded model's deployment, as the catalogue is seeded
_KEY: Final = "conversation"
_FENCE: Final = re.compile(r"^```.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A prompt and what came back.  `ending`: complete, stopped (by the reader) or cut (by us)."""

    prompt: str
    answer: str = ""
    deployment: str = ""
    tokens: int | None = None
    first_token_ms: int | None = None
    ending: str = "complete"
    by_visitor: bool = False
    request_id: str = ""  # on the wire; empty in sessions of before it was kept
    rating: str = ""  # up or down, once it is given

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """The answer in pieces: `("text", …)` and, between fences, `("code", …)`."""
        return [
            ("code", piece.strip("\n")) if place % 2 else ("text", piece.strip())
            for place, piece in enumerate(_FENCE.split(self.answer))
            if piece.strip()
        ]

    @property
    def is_demo(self) -> bool:
        """Whether the embedded model said it, which is fluent and often wrong."""
        return self.deployment == _DEMO

    @property
    def first_token_seconds(self) -> str:
        """`0.6`; empty if nothing arrived."""
        return "" if self.first_token_ms is None else f"{self.first_token_ms / 1000:.1f}"


@dataclass(slots=True)
class Arrival:
    """A streamed answer so far.  Feed it every chunk."""

    prompt: str
    deployment: str
    started: float  # time.monotonic() when the prompt came
    by_visitor: bool
    request_id: str
    text: str = ""
    tokens: int | None = None
    first_token_ms: int | None = None

    def take(self, chunk: dict[str, Any]) -> str:
        """The text that this chunk adds."""
        if usage := chunk.get("usage"):
            self.tokens = usage["total_tokens"]
        added = "".join(
            choice.get("delta", {}).get("content") or "" for choice in chunk.get("choices", ())
        )
        if added and self.first_token_ms is None:
            self.first_token_ms = int((time.monotonic() - self.started) * 1000)
        self.text += added
        return added

    def conversation(self, ending: str) -> Conversation:
        """What is to be shown and kept."""
        return Conversation(
            self.prompt,
            self.text,
            self.deployment,
            self.tokens,
            self.first_token_ms,
            ending,
            self.by_visitor,
            self.request_id,
        )


def request_for(prompt: str) -> ChatRequest:
    """What the try-it box asks of the pipeline."""
    return ChatRequest(
        model=MODEL,
        messages=({"role": "user", "content": prompt},),
        stream=True,
        include_usage=True,
    )


async def kept_in(session: SessionBase) -> Conversation | None:
    """The conversation of this session, if there was one."""
    kept = await session.aget(_KEY)
    return Conversation(**kept) if kept else None


async def keep(session: SessionBase, conversation: Conversation) -> None:
    """Puts the conversation into the session, in place of an earlier one."""
    await session.aset(_KEY, asdict(conversation))


async def forget(session: SessionBase) -> None:
    """Takes the conversation out of the session."""
    await session.apop(_KEY, None)
