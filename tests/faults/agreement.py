"""Do the ledger and the upstream's log tell the same story, request by request?"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.identifiers import decode
from bench.connection import Reply
from bench.ledger import LedgerRow


@dataclass(frozen=True, slots=True)
class Facts:
    """What both sides know of one request."""

    status: str
    charged: bool
    prompt_tokens: int
    completion_tokens: int


def promised(call: Mapping[str, Any]) -> Facts:
    """The ledger's side of a call that the upstream logged.

    An answer is settled; what a caller heard before hanging up is charged; what the upstream
    failed at, or gave nobody, is not.
    """
    spoken = (call["prompt_tokens"], call["completion_tokens"])
    if call["outcome"] == "completed":
        return Facts("settled", True, *spoken)
    status = "cancelled" if call["outcome"] == "disconnected" else "failed"
    if not call["completion_tokens"]:
        return Facts(status, False, 0, 0)
    return Facts(status, status == "cancelled", *spoken)


def recorded(row: LedgerRow) -> Facts:
    """The same facts as the ledger has them."""
    return Facts(row.status, row.charged, row.prompt_tokens, row.completion_tokens)


@dataclass(slots=True)
class Comparison:
    """The rows and calls of one load, matched by the request id in the reply's head.

    A caller that hung up before the head came, or whose server was killed, never learned the id:
    of those, rows and calls are left over.
    """

    mismatches: list[str]
    """Rows that say anything else than their call, abandoned ones excepted."""
    rows_left: list[LedgerRow]
    calls_left: list[Mapping[str, Any]]

    def left_over(self) -> tuple[Counter[Facts], Counter[Facts]]:
        """What the left-over rows say, abandoned ones excepted, and what their calls promise."""
        return (
            Counter(recorded(row) for row in self.rows_left if row.status != "abandoned"),
            Counter(promised(call) for call in self.calls_left),
        )


def compare(
    rows: Iterable[LedgerRow], calls: Sequence[Mapping[str, Any]], replies: Mapping[str, Reply]
) -> Comparison:
    """Hold each row against the call of the same request. `replies` are by correlation mark."""
    rows_by_id = {row.id: row for row in rows}
    calls_by_mark = {call["id"]: call for call in calls}
    mismatches = []
    if len(calls_by_mark) != len(calls):
        mismatches.append(f"{len(calls)} calls for {len(calls_by_mark)} requests")
    for mark, reply in replies.items():
        if "x-request-id" not in reply.headers:
            continue
        row = rows_by_id.pop(decode("req", reply.headers["x-request-id"]), None)
        call = calls_by_mark.pop(mark, None)
        if row is None or call is None or not _agree(row, call):
            mismatches.append(f"{mark}: {row} for {call}, answered {reply.status}")
    return Comparison(mismatches, list(rows_by_id.values()), list(calls_by_mark.values()))


def _agree(row: LedgerRow, call: Mapping[str, Any]) -> bool:
    return row.status == "abandoned" or recorded(row) == promised(call)
