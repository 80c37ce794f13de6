"""What a fault came to: rows, upstream's log and replies held against each other, as figures."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.identifiers import decode
from tests.faults.books import Difference, Row, use_by_window, windows_of
from tests.faults.crowd import Account
from tests.faults.pressure import Sent

Call = Mapping[str, Any]


@dataclass(slots=True)
class Verdict:
    """A line of the table; `details` says what each figure that is not zero is made of."""

    fault: str = ""
    times: int = 0
    offered: int = 0
    answered: int = 0
    refused: int = 0
    """By a limit: the load has pressed against it."""
    unavailable: int = 0
    rows: int = 0
    tokens: int = 0
    overshoot: int = 0
    lost: int = 0
    doubled: int = 0
    recovery: float = 0.0
    """Seconds from the fault to the next answer, at most."""
    settled: float = 0.0
    """Seconds from the fault until every row had ended and every slot was free, at most."""
    details: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was overshot, lost or doubled."""
        return not (self.overshoot or self.lost or self.doubled)

    def add(self, other: "Verdict") -> None:
        """Takes in another round of the same fault."""
        for name in (
            *("times", "offered", "answered", "refused", "unavailable", "rows", "tokens"),
            *("overshoot", "lost", "doubled", "details"),
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.recovery = max(self.recovery, other.recovery)
        self.settled = max(self.settled, other.settled)


def judge(
    accounts: Sequence[Account],
    sent: Sequence[Sent],
    rows: Sequence[Row],
    calls: Sequence[Call],
    wrong_counters: Sequence[Difference],
) -> Verdict:
    """The figures of a load that is over.  `calls`: the upstream's."""
    verdict = Verdict(
        offered=len(sent),
        answered=sum(one.is_answered for one in sent),
        refused=sum(one.reply.status == 429 for one in sent),
        unavailable=sum(one.reply.status == 503 for one in sent),
        rows=len(rows),
        tokens=sum(row.tokens for row in rows if row.charged),
    )
    _find_overshoot(verdict, accounts, rows, calls)
    _Matching(verdict, sent, rows, calls).judge()
    for one in wrong_counters:
        if one.counted > one.recorded and one.counter != "concurrent_requests":
            verdict.doubled += 1
        else:
            verdict.lost += 1
        verdict.details.append(f"counter: {one}")
    return verdict


def _find_overshoot(
    verdict: Verdict, accounts: Sequence[Account], rows: Sequence[Row], calls: Sequence[Call]
) -> None:
    limits = {(one.limit, one.limited): one.most for one in accounts if one.limit}
    for (limit, who, since), used in use_by_window(rows, accounts).items():
        most = limits.get((limit, who))
        if most is not None and used > most:
            verdict.overshoot += used - most
            verdict.details.append(f"overshoot: {limit} of {who} since {since}: {used} of {most}")
    at_once: Counter[str] = Counter()
    for call in calls:
        at_once[call["account"]] = max(at_once[call["account"]], call["at_once"])
    for account in accounts:
        over = at_once[account.email] - account.most
        if account.limit == "concurrent_requests" and over > 0:
            verdict.overshoot += over
            verdict.details.append(f"overshoot: {over} more of {account.email} at once")


class _Matching:
    """Rows, calls and replies of the same requests, by their marks."""

    def __init__(
        self, verdict: Verdict, sent: Iterable[Sent], rows: Iterable[Row], calls: Iterable[Call]
    ) -> None:
        self.verdict = verdict
        self.sent = {one.ask.mark: one for one in sent}
        self.marks = {_session(mark): mark for mark in self.sent}
        self.by_request_id = {
            decode("req", one.reply.headers["x-request-id"]): mark
            for mark, one in self.sent.items()
            if "x-request-id" in one.reply.headers
        }
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self.unmarked: dict[str, list[Row]] = defaultdict(list)  # by email
        for row in rows:
            mark = self.by_request_id.get(row.id) or self.marks.get(row.session)
            if mark:
                self.rows[mark].append(row)
            else:  # one session has all of an account's requests, and no head of this one came
                self.unmarked[row.email].append(row)
        self.calls: dict[str, list[Call]] = defaultdict(list)
        for call in calls:
            self.calls[call["id"]].append(call)

    def judge(self) -> None:
        for mark in {*self.rows, *self.calls, *self.sent}:
            self._judge_one(mark)
        without_row = Counter(
            self.sent[mark].ask.account.email
            for mark, calls in self.calls.items()
            if calls and not self.rows[mark]
        )
        for email, count in without_row.items():
            missing = count - len(self.unmarked.get(email, ()))
            if missing > 0:
                self._lost(f"{missing} calls of {email} without a row", missing)
        for email, rows in self.unmarked.items():
            for row in rows:
                self._judge_end(row)
            asked = sum(
                one.ask.account.email == email and not self.rows[mark]
                for mark, one in self.sent.items()
            )
            if len(rows) > asked:
                self._doubled(f"{len(rows)} rows of {email} for {asked} requests")

    def _judge_one(self, mark: str) -> None:
        rows, calls, sent = self.rows[mark], self.calls[mark], self.sent.get(mark)
        if len(rows) > 1 or len(calls) > 1:
            self._doubled(f"{mark}: {len(rows)} rows, {len(calls)} calls: {rows}")
        answered = sent is not None and sent.is_answered
        if answered and not any(row.charged and row.status == "settled" for row in rows):
            self._lost(f"{mark} was answered and not charged: {rows}")
        for row in rows:
            self._judge_end(row)
            if not row.charged or row.status == "reserved":
                continue
            if not calls or not _is_of(row, calls[0]):
                self._lost(f"{mark}: {row} is not {calls}")
            if sent is not None and sent.reply.whole and sent.reply.status != 200:
                self._doubled(f"{mark} is charged and was told {sent.reply.body!r}")

    def _judge_end(self, row: Row) -> None:
        if row.status == "reserved":
            self._lost(f"still reserved: {row}")

    def _lost(self, what: str, count: int = 1) -> None:
        self.verdict.lost += count
        self.verdict.details.append(f"lost: {what}")

    def _doubled(self, what: str) -> None:
        self.verdict.doubled += 1
        self.verdict.details.append(f"doubled: {what}")


def _is_of(row: Row, call: Call) -> bool:
    """Whether a charged row has what the upstream said: all of it, or as far as it was heard."""
    if row.prompt_tokens != call["prompt_tokens"]:
        return False
    if row.status == "settled":
        return bool(row.completion_tokens == call["completion_tokens"])
    return bool(row.completion_tokens <= call["completion_tokens"])


def _session(mark: str) -> str:
    """What the ledger has of a session that is labelled so."""
    return hashlib.sha256(mark.encode()).hexdigest()[:16]


def note_rude_ends(verdict: Verdict, sent: Iterable[Sent], rows: Iterable[Row]) -> None:
    """Counts as lost what an orderly stop must not leave: abandoned rows, streams that just end."""
    for row in rows:
        if row.status == "abandoned":
            verdict.lost += 1
            verdict.details.append(f"lost: abandoned: {row}")
    for one in sent:
        began = one.ask.stream and one.reply.status == 200 and one.ask.hangs_up_after is None
        if began and "fault" not in one.ask.script and not _says_how_it_ended(one.reply.body):
            verdict.lost += 1
            verdict.details.append(f"lost: a stream just ended: {one.ask.mark} {one.reply.body!r}")


def _says_how_it_ended(stream: bytes) -> bool:
    return stream.endswith(b"data: [DONE]\n\n") or b'"error":' in stream.splitlines()[-2]


def in_windows(rows: Iterable[Row], limit: str) -> set[Any]:
    """The windows of this limit that charged rows are in."""
    return {windows_of(row)[limit] for row in rows if row.charged}
