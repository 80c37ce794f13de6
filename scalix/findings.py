"""What the doctor's checks come to."""

from dataclasses import dataclass
from typing import Final

OK: Final = "OK"
WARN: Final = "WARN"
FAIL: Final = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: OK, WARN (it runs, but) or FAIL (it can't serve)."""

    check: str
    verdict: str
    message: str
    advice: str = ""
