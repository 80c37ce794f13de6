"""Times to the first token as a histogram whose buckets add up over any minutes.

Each bucket reaches a fifth further than the one before: a median read from them is within a tenth
of the true one, whatever its size.
"""

import math
from collections.abc import Mapping
from typing import Final

_FIRST_MS: Final = 10.0
_STEP: Final = 1.2
LAST: Final = 60
"""Of the buckets, which begin with 1: it takes everything from eight minutes on."""

BUCKET_SQL: Final = (
    f"least({LAST}, greatest(1, 1 + floor(ln(greatest(%(milliseconds)s, 1) / {_FIRST_MS})"
    f" / ln({_STEP}))))::smallint"
)
"""The bucket of a number of milliseconds, as SQL; `%(milliseconds)s` stands for its expression."""


def percentile(counts: Mapping[int, int], share: float) -> int | None:
    """Milliseconds within which this share of the times is; None where there are none.

    `counts`: how many there are in each bucket; 0, which is none, is left out.
    """
    known = sorted((bucket, count) for bucket, count in counts.items() if bucket and count)
    left = share * sum(count for _, count in known)
    for bucket, count in known:
        left -= count
        if left <= 0:
            return round(_FIRST_MS * math.pow(_STEP, bucket - 0.5))
    return None
