"""The sandbox's time: real time plus what it was advanced by."""

import calendar
import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from billing.sandbox.store import Store

_DAYS: Final = {"day": 1, "week": 7}
_MONTHS: Final = {"month": 1, "year": 12}


class Clock:
    """Seconds since 1970, as Stripe counts; remembered across restarts."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._moment: int | None = None

    def now(self) -> int:
        """The sandbox's time."""
        return int(time.time() + self.offset) if self._moment is None else self._moment

    @property
    def offset(self) -> float:
        """Seconds that it is ahead of real time."""
        offset: float = self._store.setting("clock_offset", 0)
        return offset

    def advance(self, seconds: int) -> None:
        """Moves it on."""
        self._store.set_setting("clock_offset", self.offset + seconds)

    def set_to(self, moment: int) -> None:
        """Makes it `moment` now."""
        self._store.set_setting("clock_offset", moment - time.time())

    @contextmanager
    def at(self, moment: int) -> Iterator[None]:
        """What is done here is done at that moment, as far as anybody can see."""
        self._moment = moment
        try:
            yield
        finally:
            self._moment = None


def after(anchor: int, interval: str, count: int) -> int:
    """The moment `count` days, weeks, calendar months or years after.

    The same day of the month; the month's last one where it is shorter.
    """
    begin = dt.datetime.fromtimestamp(anchor, dt.UTC)
    if interval in _DAYS:
        return int((begin + dt.timedelta(days=_DAYS[interval] * count)).timestamp())
    months = begin.year * 12 + begin.month - 1 + count * _MONTHS[interval]
    year, month = months // 12, months % 12 + 1
    day = min(begin.day, calendar.monthrange(year, month)[1])
    return int(begin.replace(year=year, month=month, day=day).timestamp())
