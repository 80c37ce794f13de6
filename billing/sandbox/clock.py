"""The sandbox's time: real time plus what it was advanced by."""

import calendar
import datetime as dt
import time

from billing.sandbox.store import Store


class Clock:
    """Seconds since 1970, as Stripe counts; remembered across restarts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def now(self) -> int:
        return int(time.time() + self._store.setting("clock_offset", 0))

    def set_to(self, moment: int) -> None:
        self._store.set_setting("clock_offset", moment - time.time())


def after(anchor: int, interval: str, count: int) -> int:
    """The moment `count` calendar months or years after; the month's last day where it's short."""
    begin = dt.datetime.fromtimestamp(anchor, dt.UTC)
    months = begin.year * 12 + begin.month - 1 + count * (12 if interval == "year" else 1)
    year, month = months // 12, months % 12 + 1
    day = min(begin.day, calendar.monthrange(year, month)[1])
    return int(begin.replace(year=year, month=month, day=day).timestamp())
