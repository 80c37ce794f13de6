"""People who ask the product, and what each of their requests came to."""

import asyncio
import itertools
import time
import zlib
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import orjson

_PROMPT: Final = "Tell me about the river, in a few words."
_marks: Final = itertools.count()


@dataclass(slots=True)
class Asked:
    """One request and what came back.  Times are time.monotonic, in seconds."""

    mark: str
    started: float
    ended: float = 0.0
    status: int = 0  # 0: the connection broke
    provider: str = ""
    request_id: str = ""
    retry_after: int | None = None
    is_whole: bool = False
    error: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started


@dataclass
class People:
    """Clients of one product; all that they asked is in `asked`."""

    session: aiohttp.ClientSession
    base_url: str
    model: str
    asked: list[Asked] = field(default_factory=list)
    waiting: set[asyncio.Task[Asked]] = field(default_factory=set)

    async def ask(self, token: str, *, stream: bool = False) -> Asked:
        """One request; whatever comes of it is noted, and nothing raised.

        Each token's owner is at an address of their own, as the product's proxy has it.
        """
        asked = Asked(f"r{next(_marks)}", time.monotonic())
        self.asked.append(asked)
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": f"{_PROMPT} [[{asked.mark}]]"}],
            "max_tokens": 50,
            "stream": stream,
        }
        try:
            async with self.session.post(
                f"{self.base_url}/chat/completions",
                json=body,
                headers={
                    "authorization": f"Bearer {token}",
                    "x-forwarded-for": self._address_of(token),
                },
            ) as response:
                asked.status = response.status
                asked.provider = response.headers.get("x-scalix-provider", "")
                asked.request_id = response.headers.get("x-request-id", "")
                after = response.headers.get("retry-after")
                asked.retry_after = int(after) if after else None
                raw = await response.read()
                asked.is_whole = response.status == 200 and _is_whole(raw, stream=stream)
                if not asked.is_whole:
                    asked.error = raw[-300:].decode(errors="replace")
        except aiohttp.ClientError as error:
            asked.error = repr(error)
        asked.ended = time.monotonic()
        return asked

    def _address_of(self, token: str) -> str:
        number = zlib.crc32(token.encode())
        return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"

    async def ask_steadily(
        self, tokens: list[str], a_second: float, seconds: float, *, stream: bool = False
    ) -> None:
        """Starts so many requests a second, whether the ones before are answered or not."""
        begun, dealt = time.monotonic(), itertools.cycle(tokens)
        for number in range(int(a_second * seconds)):
            await asyncio.sleep(max(0.0, begun + number / a_second - time.monotonic()))
            task = asyncio.create_task(self.ask(next(dealt), stream=stream))
            self.waiting.add(task)
            task.add_done_callback(self.waiting.discard)
        await self.are_answered()

    async def are_answered(self) -> None:
        """Returns when nobody waits for an answer any more."""
        await asyncio.gather(*self.waiting)


def share(part: int, whole: int) -> float:
    """In per cent; 100 of nothing."""
    return 100.0 * part / whole if whole else 100.0


def latency_at(asked: list[Asked], quantile: float) -> float:
    """The time that this share of the requests did not exceed, in seconds."""
    times = sorted(one.seconds for one in asked)
    return times[min(int(quantile * len(times)), len(times) - 1)] if times else 0.0


def _is_whole(raw: bytes, *, stream: bool) -> bool:
    if stream:
        return raw.endswith(b"data: [DONE]\n\n")
    try:
        return bool(orjson.loads(raw)["choices"][0]["message"]["content"])
    except (orjson.JSONDecodeError, KeyError, IndexError):
        return False
