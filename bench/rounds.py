"""All rounds against all servers."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.measure import (
    STREAMS,
    Server,
    StreamRound,
    UnaryRound,
    measure_streams,
    measure_unary,
)

LATENCY: Final = 0.005
"""The upstream's, in seconds, for the unary rounds: an answer is never there at once."""
WARM_UP_REQUESTS: Final = 1000


@dataclass(slots=True)
class Rounds:
    """What one server showed, round by round."""

    unary: list[UnaryRound] = field(default_factory=list)
    """With the upstream's latency at its fixed value."""
    instant: list[UnaryRound] = field(default_factory=list)
    """With an upstream that answers at once."""
    streams: list[StreamRound] = field(default_factory=list)


def requests_of(rounds: int, requests: int) -> int:
    """How many requests each server gets: two unary loads a round, short streams and long ones."""
    return WARM_UP_REQUESTS + rounds * 2 * (requests + STREAMS)


async def measure_all(servers: Sequence[Server], count: int, requests: int) -> dict[str, Rounds]:
    """So many rounds of so many unary requests, and streams, against each server in turn.

    A round takes a turn at each server, so that whatever else the machine does falls on all of
    them. Raises LoadError.
    """
    rounds = {server.name: Rounds() for server in servers}
    for server in servers:  # connections, caches, the interpreter's own
        await measure_unary(server, requests=WARM_UP_REQUESTS, latency=0)
    for number in range(1, count + 1):
        print(f"round {number} of {count}", file=sys.stderr, flush=True)
        for server in servers:
            kept = rounds[server.name]
            kept.unary.append(await measure_unary(server, requests=requests, latency=LATENCY))
            kept.instant.append(await measure_unary(server, requests=requests, latency=0))
            kept.streams.append(await measure_streams(server))
    return rounds
