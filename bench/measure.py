"""One round of the benchmark against one server: what it cost and how long it took."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.cpu import family_seconds, own_seconds
from bench.load import Outcome, Target, stream_load, unary_load

CONNECTIONS: Final = 32
STREAMS: Final = 64
SHORT_STREAM: Final = 20
LONG_STREAM: Final = 120
CHUNK_GAP: Final = 0.02
"""Seconds between two chunks of a stream: 50 tokens a second, an ordinary provider's pace."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, and whose CPU time counts."""

    name: str
    target: Target
    web: Sequence[int]
    """Its web processes, each measured alone: what they start isn't the request path."""
    beside: Mapping[str, int] = field(default_factory=dict)
    """Stores that the request path uses, by name: root process, measured with its children."""


class Meter:
    """CPU seconds of a server's processes since `start`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before: dict[str, float] = {}

    def start(self) -> None:
        """Take the reading that later ones are relative to."""
        self._before = self._read()

    def spent(self) -> dict[str, float]:
        """CPU seconds since then: `web`, and each store by its name."""
        return {name: value - self._before[name] for name, value in self._read().items()}

    def _read(self) -> dict[str, float]:
        stores = {name: family_seconds(pid) for name, pid in self._server.beside.items()}
        return {"web": sum(own_seconds(pid) for pid in self._server.web), **stores}


@dataclass(frozen=True, slots=True)
class UnaryRound:
    """Unary requests back to back. CPU in milliseconds a request, latencies in milliseconds."""

    cpu: float
    beside: Mapping[str, float]
    p50: float
    p99: float
    requests_per_second: float


@dataclass(frozen=True, slots=True)
class StreamRound:
    """Paced streams. CPU in milliseconds."""

    cpu_per_chunk: float
    """The slope between short and long streams, so that a stream's own cost isn't in it."""
    cpu_per_stream: float
    """What is left: the cost of a stream with no chunks."""


async def measure_unary(server: Server, *, requests: int, latency: float) -> UnaryRound:
    """One round of unary requests; `latency` is the upstream's in seconds. Raises LoadError."""
    meter = Meter(server)
    outcome = await unary_load(
        server.target,
        connections=CONNECTIONS,
        requests=requests,
        latency=latency,
        connected=meter.start,
    )
    spent = {name: 1000 * value / outcome.requests for name, value in meter.spent().items()}
    return UnaryRound(
        cpu=spent.pop("web"),
        beside=spent,
        p50=1000 * outcome.latency_at(0.5),
        p99=1000 * outcome.latency_at(0.99),
        requests_per_second=outcome.requests / outcome.seconds,
    )


async def measure_streams(server: Server) -> StreamRound:
    """One round of short and one of long streams. Raises LoadError."""
    short = await _cpu_per_stream(server, SHORT_STREAM)
    long = await _cpu_per_stream(server, LONG_STREAM)
    per_chunk = (long - short) / (LONG_STREAM - SHORT_STREAM)
    return StreamRound(cpu_per_chunk=per_chunk, cpu_per_stream=short - per_chunk * SHORT_STREAM)


async def _cpu_per_stream(server: Server, chunks: int) -> float:
    meter = Meter(server)
    outcome: Outcome = await stream_load(
        server.target, streams=STREAMS, chunks=chunks, gap=CHUNK_GAP, connected=meter.start
    )
    return 1000 * meter.spent()["web"] / outcome.requests
