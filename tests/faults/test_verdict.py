"""The faults' table can say something else than zero: each kind of harm is seen."""

import datetime as dt
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from accounts.identifiers import encode, uuid7
from bench.connection import Reply
from tests.faults.books import Difference, Row
from tests.faults.crowd import Account
from tests.faults.pressure import Ask, Sent
from tests.faults.verdict import Verdict, judge, note_rude_ends

NOON = dt.datetime(2026, 11, 27, 12, 0, tzinfo=dt.UTC)
BOB = Account("bob@example.com", "token", "requests_per_hour", 1)


def sent(mark: str, *, account: Account = BOB, reply: Reply | None = None, **ask: Any) -> Sent:
    answered = Reply(0.0, status=200, headers={}, body=b"{}", whole=True)
    return Sent(Ask(mark, account, **ask), reply or answered)


def row(mark: str, **facts: Any) -> Row:
    return replace(
        Row(
            id=uuid7(),
            email=BOB.email,
            session=hashlib.sha256(mark.encode()).hexdigest()[:16],
            status="settled",
            charged=True,
            requests=1,
            error_code="",
            admitted_at=NOON,
            address=None,
            address_counted=False,
            prompt_tokens=7,
            completion_tokens=10,
            tokens=17,
        ),
        **facts,
    )


def call(mark: str, **facts: Any) -> dict[str, Any]:
    whole = {"prompt_tokens": 7, "completion_tokens": 10, "at_once": 1, "outcome": "completed"}
    return {"id": mark, "account": BOB.email} | whole | facts


def harm(verdict: Verdict) -> tuple[int, int, int]:
    return verdict.overshoot, verdict.lost, verdict.doubled


def test_a_request_that_all_agree_on_is_no_harm() -> None:
    verdict = judge([BOB], [sent("a")], [row("a")], [call("a")], [])
    assert harm(verdict) == (0, 0, 0)
    assert (verdict.offered, verdict.answered, verdict.rows, verdict.tokens) == (1, 1, 1, 17)


def test_one_more_than_the_hour_allows_is_overshot_and_in_the_next_hour_it_is_not() -> None:
    asked, calls = [sent("a"), sent("b")], [call("a"), call("b")]
    assert harm(judge([BOB], asked, [row("a"), row("b")], calls, [])) == (1, 0, 0)
    later = row("b", admitted_at=NOON + dt.timedelta(hours=1))
    assert harm(judge([BOB], asked, [row("a"), later], calls, [])) == (0, 0, 0)


@pytest.mark.parametrize(
    ("limit", "most", "overshoot"),
    [
        ("requests_per_day", 1, 1),
        ("tokens_per_day", 30, 4),
        ("requests_per_session", 1, 1),
        ("address_requests_per_minute", 1, 1),
        ("address_requests_per_hour", 1, 1),
    ],
)
def test_every_limit_can_be_overshot(limit: str, most: int, overshoot: int) -> None:
    account = replace(BOB, limit=limit, most=most, address="192.0.2.7")
    rows = [row(mark, address="192.0.2.7", address_counted=True) for mark in "ab"]
    asked = [sent(mark, account=account) for mark in "ab"]
    verdict = judge([account], asked, rows, [call("a"), call("b")], [])
    assert harm(verdict) == (overshoot, 0, 0)


def test_one_account_too_many_from_an_address_is_overshot() -> None:
    limited = {"limit": "address_accounts_per_hour", "most": 1, "address": "192.0.2.7"}
    accounts = [replace(BOB, **limited), replace(BOB, email="eve@example.com", **limited)]
    rows = [
        row(mark, email=one.email, address="192.0.2.7", address_counted=True)
        for mark, one in zip("ab", accounts, strict=True)
    ]
    asked = [sent(mark, account=one) for mark, one in zip("ab", accounts, strict=True)]
    assert harm(judge(accounts, asked, rows, [call("a"), call("b")], [])) == (1, 0, 0)


def test_one_too_many_at_once_is_overshot() -> None:
    account = replace(BOB, limit="concurrent_requests", most=2)
    asked = [sent("a", account=account)]
    assert harm(judge([account], asked, [row("a")], [call("a", at_once=3)], [])) == (1, 0, 0)


def test_a_call_without_a_row_is_lost() -> None:
    hung_up = sent("a", reply=Reply(0.0))
    assert harm(judge([BOB], [hung_up], [], [call("a")], [])) == (0, 1, 0)


@pytest.mark.parametrize(
    "facts",
    [{"status": "abandoned", "charged": False}, {"completion_tokens": 9}, {"prompt_tokens": 8}],
)
def test_an_answer_that_is_not_charged_or_not_as_it_was_is_lost(facts: dict[str, Any]) -> None:
    assert harm(judge([BOB], [sent("a")], [row("a", **facts)], [call("a")], [])) == (0, 1, 0)


def test_a_row_that_never_ends_is_lost() -> None:
    hung_up = sent("a", reply=Reply(0.0))
    assert harm(judge([BOB], [hung_up], [row("a", status="reserved")], [], [])) == (0, 1, 0)


def test_two_rows_and_two_calls_of_one_request_are_doubled() -> None:
    roomy = replace(BOB, most=9)
    asked = [sent("a", account=roomy)]
    assert harm(judge([roomy], asked, [row("a"), row("a")], [call("a")], [])) == (0, 0, 1)
    assert harm(judge([roomy], asked, [row("a")], [call("a"), call("a")], [])) == (0, 0, 1)


def test_whoever_was_told_of_a_failure_and_is_charged_pays_twice_when_they_ask_again() -> None:
    refused = sent("a", reply=Reply(0.0, status=503, body=b"{}", whole=True))
    assert harm(judge([BOB], [refused], [row("a")], [call("a")], [])) == (0, 0, 1)


def test_counters_that_differ_are_doubled_or_lost() -> None:
    differences = [
        Difference(BOB.email, "requests_per_hour", 2, 1),
        Difference(BOB.email, "tokens_per_day", 0, 17),
        Difference(BOB.email, "concurrent_requests", 1, 0),
    ]
    assert harm(judge([BOB], [], [], [], differences)) == (0, 2, 1)


def test_rows_of_one_session_are_told_apart_by_the_replies_heads() -> None:
    account = replace(BOB, limit="requests_per_session", most=5)
    rows = [row("the session") for _ in range(2)]
    heads = [{"x-request-id": encode("req", one.id)} for one in rows]
    asked = [
        sent(mark, account=account, reply=Reply(0.0, status=200, headers=head, whole=True))
        for mark, head in zip("ab", heads, strict=True)
    ]
    calls = [call("a"), call("b")]
    assert harm(judge([account], asked, rows, calls, [])) == (0, 0, 0)
    assert harm(judge([account], asked[:1], rows, calls[:1], [])) == (0, 0, 1)


def test_an_orderly_stop_abandons_no_row_and_lets_no_stream_just_end() -> None:
    ends = (b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n", b'data: {"error":{}}\n\n')
    streams = [
        sent(f"s{number}", stream=True, reply=Reply(0.0, status=200, body=body))
        for number, body in enumerate(ends)
    ]
    verdict = Verdict()
    note_rude_ends(verdict, streams, [row("a", status="abandoned", charged=False)])
    assert verdict.lost == 2
