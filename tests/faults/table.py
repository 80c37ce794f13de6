"""The faults' table, as Markdown."""

from collections.abc import Sequence

from tests.faults.verdict import Verdict

_HEAD = (
    *("fault", "times", "offered", "answered", "refused", "503", "rows", "tokens"),
    *("overshoot", "lost", "doubled", "served again", "books in order"),
)


def table(verdicts: Sequence[Verdict]) -> str:
    """A line for each fault."""
    lines = [_HEAD, ("---", *("---:",) * (len(_HEAD) - 1)), *map(_cells, verdicts)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(one: Verdict) -> tuple[str, ...]:
    counts = (
        *(one.times, one.offered, one.answered, one.refused, one.unavailable, one.rows),
        *(one.tokens, one.overshoot, one.lost, one.doubled),
    )
    times = (f"{one.recovery:.2f} s", f"{one.settled:.1f} s")
    return (one.fault, *(f"{count:,}" for count in counts), *times)
