"""The benchmark's figures: medians with their spread, held against the targets."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.rounds import Rounds

# Milliseconds of CPU of the web processes, on one core.
UNARY_TARGET: Final = 1.5
CHUNK_TARGET: Final = 0.06
TRANSLATED_CHUNK_TARGET: Final = 0.15
TRANSLATION_TARGET: Final = 0.4
"""What translating a unary request may cost beyond passing it through."""
# How many times its median a latency may be at the 99th percentile.
TAIL_TARGET: Final = 4.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity over all rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """From at least one round."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Check:
    """A target and whether it was met by the median."""

    name: str
    figure: Figure
    limit: float
    times: Figure | None = None
    """The same in multiples of the pass-through's in the same round: the machine's speed isn't in
    it."""

    @property
    def met(self) -> bool:
        """Whether the median is within the limit."""
        return self.figure.median <= self.limit


def figures(rounds: Rounds) -> dict[str, Figure]:
    """Every quantity of one server by its name; the first word of a name is its unit."""
    found: dict[str, Figure] = {}
    for title, unary in (("unary", rounds.unary), ("instant unary", rounds.instant)):
        found |= {
            f"CPU ms, {title}": Figure.of([one.cpu for one in unary]),
            f"latency p50 ms, {title}": Figure.of([one.p50 for one in unary]),
            f"latency p99 ms, {title}": Figure.of([one.p99 for one in unary]),
            f"p99 / p50, {title}": Figure.of([one.p99 / one.p50 for one in unary]),
            f"requests/s, {title}": Figure.of([one.requests_per_second for one in unary]),
        }
    for store in rounds.unary[0].beside:
        values = [one.beside[store] for one in rounds.unary]
        found[f"CPU ms of {store}, unary"] = Figure.of(values)
    found["CPU ms, stream chunk"] = Figure.of(_chunks(rounds))
    found["CPU ms, stream itself"] = Figure.of([one.cpu_per_stream for one in rounds.streams])
    return found


def checks(servers: dict[str, Rounds]) -> list[Check]:
    """The product's targets, and those of translation where it was measured."""
    found, yardstick = figures(servers["product"]), servers.get("pass-through")
    passed_through = [
        Check(
            "CPU ms, unary",
            found["CPU ms, unary"],
            UNARY_TARGET,
            _times(_unary(servers["product"]), _unary(yardstick)),
        ),
        Check(
            "CPU ms, stream chunk",
            found["CPU ms, stream chunk"],
            CHUNK_TARGET,
            _times(_chunks(servers["product"]), _chunks(yardstick)),
        ),
        Check("p99 / p50, unary", found["p99 / p50, unary"], TAIL_TARGET),
        Check("p99 / p50, instant unary", found["p99 / p50, instant unary"], TAIL_TARGET),
    ]
    if "translated" not in servers:
        return passed_through
    translated = servers["translated"]
    pairs = zip(translated.unary, servers["product"].unary, strict=True)
    more = Figure.of([one.cpu - other.cpu for one, other in pairs])
    chunk = figures(translated)["CPU ms, stream chunk"]
    return [
        *passed_through,
        Check("CPU ms, unary, translated beyond passed through", more, TRANSLATION_TARGET),
        Check(
            "CPU ms, stream chunk, translated",
            chunk,
            TRANSLATED_CHUNK_TARGET,
            _times(_chunks(translated), _chunks(yardstick)),
        ),
    ]


def _unary(rounds: Rounds | None) -> list[float]:
    return [one.cpu for one in rounds.unary] if rounds else []


def _chunks(rounds: Rounds | None) -> list[float]:
    return [one.cpu_per_chunk for one in rounds.streams] if rounds else []


def _times(ours: Sequence[float], yardstick: Sequence[float]) -> Figure | None:
    """Round by round; None where the pass-through wasn't measured, or took no time that shows."""
    if not yardstick or min(yardstick) <= 0:
        return None
    return Figure.of([one / other for one, other in zip(ours, yardstick, strict=True)])


def table(servers: dict[str, Rounds]) -> str:
    """The figures side by side, the targets below, for a person."""
    columns = {name: figures(rounds) for name, rounds in servers.items()}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    lines = [f"{'':32}" + "".join(f"{name:>28}" for name in columns)]
    for name in names:
        cells = [_cell(column.get(name)) for column in columns.values()]
        lines.append(f"{name:32}" + "".join(f"{cell:>28}" for cell in cells))
    lines.append("")
    for check in checks(servers):
        verdict = "met" if check.met else "MISSED"
        times = f" ({check.times.median:.1f} times the pass-through)" if check.times else ""
        lines.append(
            f"{check.name}: {check.figure.median:.3f}{times}, "
            f"target at most {check.limit:g}: {verdict}"
        )
    return "\n".join(lines)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    digits = 3 if figure.high < 10 else 1 if figure.high < 1000 else 0
    low, high = f"{figure.low:.{digits}f}", f"{figure.high:.{digits}f}"
    return f"{figure.median:.{digits}f} ({low} to {high})"


def as_json(servers: dict[str, Rounds]) -> dict[str, Any]:
    """The same as JSON types, with every round."""
    return {
        "servers": {
            name: {
                "figures": {title: asdict(figure) for title, figure in figures(rounds).items()},
                "rounds": asdict(rounds),
            }
            for name, rounds in servers.items()
        },
        "checks": [
            {
                "name": check.name,
                **asdict(check.figure),
                "limit": check.limit,
                "met": check.met,
                "times_the_pass_through": asdict(check.times) if check.times else None,
            }
            for check in checks(servers)
        ],
    }
