"""When requests come: how regular, how steady, how dense.  Plain figures from moments of time."""

import uuid
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Final, NamedTuple

from gateway.safety.facts import Seen

_ONE_OCCASION_SECONDS: Final = 10.0  # requests closer than that are one: a program that sends three
_FEWEST_OCCASIONS: Final = 21
_STILL_AT_WORK_SECONDS: Final = 300.0
_BY_THE_CLOCK_SECONDS: Final = 15.0  # into a minute: what a scheduler starts


class Regularity(NamedTuple):
    """How much alike the pauses are."""

    share: float  # of the pauses that are as long as the middle one, give or take 2 %
    seconds: float  # the middle one
    by_the_clock: bool  # whether nearly all begin with a minute, as what a scheduler starts does


def regularity(requests: Sequence[Seen]) -> Regularity | None:
    """Of the pauses between occasions; None where there are too few of them."""
    starts = [requests[0].at] if requests else []
    last = starts[0] if starts else 0.0
    for one in requests:
        if one.at - last >= _ONE_OCCASION_SECONDS:
            starts.append(one.at)
        last = one.at
    if len(starts) < _FEWEST_OCCASIONS:
        return None
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    middle = median(pauses)
    tolerance = min(max(1.5, 0.02 * middle), 15.0)
    share = sum(abs(pause - middle) <= tolerance for pause in pauses) / len(pauses)
    on_time = sum(start % 60 < _BY_THE_CLOCK_SECONDS for start in starts) / len(starts)
    return Regularity(share, middle, on_time >= 0.9)


def hours_active(requests: Sequence[Seen]) -> int:
    """In how many clock hours there was any."""
    return len({one.at // 3600 for one in requests})


def densest_minute(requests: Sequence[Seen]) -> tuple[int, float]:
    """The most requests within any sixty seconds, and when those began."""
    most, begun, within, first = 0, 0.0, 0, 0
    for one in requests:
        within += one.weight
        while one.at - requests[first].at >= 60:
            within -= requests[first].weight
            first += 1
        if within > most:
            most, begun = within, requests[first].at
    return most, begun


def most_at_once(requests: Sequence[Seen]) -> int:
    """The most accounts that are at work at the same moment.

    An account is at work from one request to its next, if that is not long in coming.
    """
    working, changes = dict[uuid.UUID, float](), list[tuple[float, int]]()
    for one in requests:
        until = working.get(one.account)
        if until is None or one.at - until > _STILL_AT_WORK_SECONDS:
            if until is not None:
                changes.append((until, -1))
            changes.append((one.at, 1))
        working[one.account] = one.at
    changes += [(until, -1) for until in working.values()]
    # Who ends at the moment at which another begins is there no more; it takes both to be there.
    return max(accumulate(change for _, change in sorted(changes)), default=0)
