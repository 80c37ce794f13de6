"""The geometry of the dashboard's bars, as SVG attributes in per cent (the CSP forbids styles)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.pages.history import Day

_FILLED: Final = 0.66  # of a day's width; the rest is the gap
_HEADROOM: Final = 12.0  # per cent above the tallest bar, for the figure at the top line


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of one day's bar: SVG x, y, width, height, in per cent."""

    kind: str  # counted, today or uncharged
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All bars, and the figure that the top line stands for."""

    bars: tuple[Bar, ...]
    top: int
    top_y: str
    days: tuple[Day, ...]

    @property
    def any_uncharged(self) -> bool:
        """Whether the legend is needed."""
        return any(day.uncharged for day in self.days)


def draw(days: Sequence[Day]) -> Chart:
    """Stacked bars, one a day: charged below, not charged on top."""
    top = max(day.total for day in days)
    scale = (100 - _HEADROOM) / max(1, top)
    step = 100 / len(days)
    bars = []
    for place, day in enumerate(days):
        x, width = place * step + step * (1 - _FILLED) / 2, step * _FILLED
        charged, uncharged = day.charged * scale, day.uncharged * scale
        kind = "today" if place == len(days) - 1 else "counted"
        if charged:
            bars.append(_bar(kind, x, 100 - charged, width, charged))
        if uncharged:
            bars.append(_bar("uncharged", x, 100 - charged - uncharged, width, uncharged))
    return Chart(tuple(bars), top, f"{_HEADROOM:g}%", tuple(days))


def _bar(kind: str, x: float, y: float, width: float, height: float) -> Bar:
    return Bar(kind, *(f"{value:.2f}%" for value in (x, y, width, height)))
