"""What the double does when a script tells it to misbehave."""

import json

import httpx
import pytest

from tests.upstream.double import UpstreamDouble
from tests.upstream.raw_http import RawExchange, body_of, events_of, head_of, scripted

LAST_CHUNK = b"0\r\n\r\n"


def post(double: UpstreamDouble, body: dict[str, object]) -> httpx.Response:
    return httpx.post(f"{double.base_url}/chat/completions", json=body)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
@pytest.mark.parametrize("stream", [False, True])
def test_a_status_fault_answers_with_an_error_body(
    double: UpstreamDouble, status: int, stream: bool
) -> None:
    response = post(double, scripted(fault=status, stream=stream))

    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert double.log()[0]["outcome"] == f"failed:{status}"
    assert double.log()[0]["completion_tokens"] == 0


def test_a_429_says_when_to_come_back(double: UpstreamDouble) -> None:
    response = post(double, scripted(fault=429, retry_after=7))

    assert response.headers["retry-after"] == "7"


def test_a_fault_can_strike_only_the_first_calls_of_a_mark(double: UpstreamDouble) -> None:
    statuses = [post(double, scripted(id="a", fault=500, times=2)) for _ in range(3)]

    assert [response.status_code for response in statuses] == [500, 500, 200]
    assert post(double, scripted(id="b", fault=500, times=2)).status_code == 500


def test_a_timeout_never_answers_and_notices_the_hang_up(double: UpstreamDouble) -> None:
    with RawExchange(double.base_url, scripted(fault="timeout")):
        double.wait_until(lambda double: double.open_calls() == 1)
    double.wait_until(lambda double: double.open_calls() == 0)

    [call] = double.log()
    assert (call["outcome"], call["completion_tokens"]) == ("disconnected", 0)


def test_a_reset_closes_without_a_byte(double: UpstreamDouble) -> None:
    with RawExchange(double.base_url, scripted(fault="reset")) as exchange:
        try:
            assert exchange.read_to_end() == b""
        except ConnectionResetError:
            assert exchange.received == b""

    assert double.log()[0]["outcome"] == "failed:reset"


def test_garbage_is_a_200_that_is_not_json(double: UpstreamDouble) -> None:
    response = post(double, scripted(fault="garbage"))

    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert double.log()[0]["outcome"] == "failed:garbage"


def test_garbage_in_a_stream_comes_after_good_chunks(double: UpstreamDouble) -> None:
    with RawExchange(
        double.base_url, scripted(stream=True, fault="garbage", after=2, tokens=5)
    ) as exchange:
        events = events_of(exchange.read_until(LAST_CHUNK))

    assert len(events) == 1 + 2 + 2
    with pytest.raises(json.JSONDecodeError):
        json.loads(events[-2])
    assert double.log()[0]["completion_tokens"] == 2


def test_a_cut_stream_closes_in_the_middle(double: UpstreamDouble) -> None:
    with RawExchange(
        double.base_url, scripted(stream=True, fault="cut", after=3, tokens=5)
    ) as exchange:
        response = exchange.read_to_end()

    assert not response.endswith(LAST_CHUNK)
    assert b"[DONE]" not in response
    [call] = double.log()
    assert (call["outcome"], call["completion_tokens"]) == ("cut", 3)


def test_a_cut_unary_answer_is_shorter_than_it_said(double: UpstreamDouble) -> None:
    with RawExchange(double.base_url, scripted(fault="cut")) as exchange:
        response = exchange.read_to_end()

    _, headers = head_of(response)
    assert 0 < len(body_of(response)) < int(headers["content-length"])
    assert double.log()[0]["outcome"] == "cut"


def test_an_error_event_ends_a_stream_that_began_well(double: UpstreamDouble) -> None:
    with RawExchange(
        double.base_url, scripted(stream=True, fault="error-event", after=1)
    ) as exchange:
        *_, last = events_of(exchange.read_until(LAST_CHUNK))

    assert json.loads(last)["error"]["type"] == "server_error"
    [call] = double.log()
    assert (call["outcome"], call["completion_tokens"]) == ("failed:error-event", 1)


def test_usage_can_be_missing(double: UpstreamDouble) -> None:
    asked = {"stream_options": {"include_usage": True}}
    unary = post(double, scripted(fault="no-usage")).json()
    stream = post(double, scripted(fault="no-usage", stream=True, fields=asked)).text

    assert "usage" not in unary
    assert '"total_tokens"' not in stream
    assert [call["outcome"] for call in double.log()] == ["completed"] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_the_content_type_can_be_wrong(double: UpstreamDouble, stream: bool) -> None:
    response = post(double, scripted(fault="content-type", stream=stream))

    assert response.headers["content-type"] == "text/html"


@pytest.mark.parametrize("stream", [False, True])
def test_the_head_can_come_slowly(double: UpstreamDouble, stream: bool) -> None:
    body = scripted(fault="slow-headers", gap=0.05, stream=stream, tokens=1)
    with RawExchange(double.base_url, body) as exchange:
        first = next(exchange.reads())
        whole = exchange.read_until(LAST_CHUNK if stream else b"}}")

    assert first == b"HTTP/1.1 200 OK\r\n"
    assert head_of(whole)[0] == 200
    assert double.log()[0]["outcome"] == "completed"
