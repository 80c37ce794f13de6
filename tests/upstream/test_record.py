"""What the double remembers of the calls it received."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.upstream.double import UpstreamDouble
from tests.upstream.raw_http import RawExchange, chat, scripted
from tests.upstream.tokens import count_prompt

LAST_CHUNK = b"0\r\n\r\n"


def test_a_call_is_recorded_with_its_mark_and_its_essentials(double: UpstreamDouble) -> None:
    fields = {"max_tokens": 4, "user": "alice", "temperature": 0}
    body = scripted(id="a1", tokens=9, fields=fields)

    with RawExchange(double.base_url, body, key="sk-secret-7890") as exchange:
        exchange.read_until(b"}}")

    [call] = double.log()
    assert call["ended"] >= call["started"]
    del call["started"], call["ended"]
    assert call == {
        "sequence": 1,
        "id": "a1",
        "account": "sk-secret-7890",
        "key": "7890",
        "model": "double-small",
        "stream": False,
        "include_usage": False,
        "maximum": 4,
        "choices": 1,
        "user": "alice",
        "fields": ["max_tokens", "messages", "model", "temperature", "user"],
        "prompt_tokens": count_prompt(body["messages"]),
        "at_once": 1,
        "completion_tokens": 4,
        "outcome": "completed",
    }


def test_calls_are_in_arrival_order_and_can_be_picked_by_mark(double: UpstreamDouble) -> None:
    for mark in ("a1", "b1", "a2"):
        httpx.post(f"{double.base_url}/chat/completions", json=scripted(id=mark))

    assert [call["id"] for call in double.log()] == ["a1", "b1", "a2"]
    assert [call["id"] for call in double.log(id_prefix="a")] == ["a1", "a2"]
    assert double.received() == 3


def test_at_once_is_counted_together_and_for_each_account(double: UpstreamDouble) -> None:
    bodies = [scripted(account=name, hold="gate") for name in ("alice", "alice", "bob")]
    exchanges = [RawExchange(double.base_url, body) for body in bodies]
    double.wait_until(lambda double: double.open_calls() == 3)
    double.release("gate")
    for exchange in exchanges:
        exchange.read_until(b"}}")
        exchange.socket.close()

    assert double.max_at_once() == 3
    assert double.max_at_once("alice") == 2
    assert double.max_at_once("bob") == 1
    assert double.max_at_once("charlie") == 0
    assert double.open_calls() == 0


def test_a_hang_up_in_a_stall_is_charged_what_was_sent(double: UpstreamDouble) -> None:
    body = scripted(stream=True, tokens=10, chunks=5, stall=3)
    with RawExchange(double.base_url, body) as exchange:
        exchange.read_until(b" past")
    double.wait_until(lambda double: double.open_calls() == 0)

    [call] = double.log()
    assert (call["outcome"], call["completion_tokens"]) == ("disconnected", 6)


def test_a_stall_can_come_after_the_last_chunk(double: UpstreamDouble) -> None:
    with RawExchange(double.base_url, scripted(stream=True, tokens=2, stall=2)) as exchange:
        exchange.read_until(b" river")
    double.wait_until(lambda double: double.open_calls() == 0)

    assert double.log()[0]["completion_tokens"] == 2


def test_a_hang_up_while_held_is_recorded_with_nothing_sent(double: UpstreamDouble) -> None:
    with RawExchange(double.base_url, scripted(hold="never")):
        double.wait_until(lambda double: double.open_calls() == 1)
    double.wait_until(lambda double: double.open_calls() == 0)

    [call] = double.log()
    assert (call["outcome"], call["completion_tokens"]) == ("disconnected", 0)


def test_the_arrival_of_a_call_can_be_awaited(double: UpstreamDouble) -> None:
    with ThreadPoolExecutor() as pool:
        waiter = pool.submit(double.await_arrival, "a1")
        with RawExchange(double.base_url, scripted(id="a1", hold="gate")):
            waiter.result(timeout=5)
            double.await_arrival("a1")  # it's there already
            assert double.open_calls() == 1


def test_a_gate_that_is_open_holds_nobody(double: UpstreamDouble) -> None:
    double.release("gate")

    with RawExchange(double.base_url, scripted(hold="gate", stream=True)) as exchange:
        exchange.read_until(LAST_CHUNK)


def test_a_reset_forgets_calls_maxima_and_script(double: UpstreamDouble) -> None:
    double.script(tokens=3)
    httpx.post(f"{double.base_url}/chat/completions", json=chat())
    double.reset()

    assert (double.log(), double.received(), double.max_at_once()) == ([], 0, 0)
    httpx.post(f"{double.base_url}/chat/completions", json=chat())
    assert double.log()[0]["completion_tokens"] == 8


def test_waiting_for_what_never_comes_tells_how_things_stand(double: UpstreamDouble) -> None:
    with pytest.raises(TimeoutError, match="'open': 0"):
        double.wait_until(lambda double: double.open_calls() == 1, patience=0.02)


def test_the_file_outlives_a_double_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    double = UpstreamDouble(log_path=path)
    with httpx.Client(base_url=double.base_url) as client:
        for mark in ("a1", "a2"):
            client.post("/chat/completions", json=scripted(id=mark))
    double.wait_until(lambda double: double.open_calls() == 0)  # it writes after it answers
    double.process.kill()
    double.stop()

    calls = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(call["id"], call["outcome"]) for call in calls] == [
        ("a1", "completed"),
        ("a2", "completed"),
    ]
