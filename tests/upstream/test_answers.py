"""What the double says when it behaves."""

import json
from typing import Any

import httpx
import pytest

from tests.upstream.double import UpstreamDouble
from tests.upstream.raw_http import (
    RawExchange,
    body_of,
    chat,
    events_of,
    head_of,
    scripted,
)
from tests.upstream.tokens import count_prompt, count_text

DONE = b"[DONE]\n\n\r\n0\r\n\r\n"


def ask(double: UpstreamDouble, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = (
        httpx.post(f"{double.base_url}/chat/completions", json=body).raise_for_status().json()
    )
    return answer


def test_a_unary_answer_reports_the_exact_usage(double: UpstreamDouble) -> None:
    body = scripted(tokens=12)

    answer = ask(double, body)

    [choice] = answer["choices"]
    assert count_text(choice["message"]["content"]) == 12
    assert choice["finish_reason"] == "stop"
    prompt = count_prompt(body["messages"])
    assert answer["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": 12,
        "total_tokens": prompt + 12,
    }


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_requests_maximum_cuts_the_answer_short(double: UpstreamDouble, field: str) -> None:
    answer = ask(double, scripted(tokens=12, fields={field: 5}))

    [choice] = answer["choices"]
    assert choice["finish_reason"] == "length"
    assert count_text(choice["message"]["content"]) == 5


def test_each_of_several_choices_is_charged(double: UpstreamDouble) -> None:
    answer = ask(double, scripted(tokens=6, fields={"n": 3}))

    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert answer["usage"]["completion_tokens"] == 18


def test_a_stream_is_chunked_as_told_and_ends_in_usage_and_done(double: UpstreamDouble) -> None:
    fields = {"stream_options": {"include_usage": True}}
    body = scripted(stream=True, tokens=9, chunks=4, fields=fields)

    with RawExchange(double.base_url, body) as exchange:
        response = exchange.read_until(DONE)

    status, headers = head_of(response)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    *chunks, totals, done = events_of(response)
    parsed = [json.loads(chunk) for chunk in chunks]
    assert done == "[DONE]"
    assert [chunk["choices"][0]["finish_reason"] for chunk in parsed] == [None] * 5 + ["stop"]
    assert all(chunk["usage"] is None for chunk in parsed)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in parsed)
    assert count_text(text) == 9
    assert json.loads(totals)["choices"] == []
    assert json.loads(totals)["usage"]["completion_tokens"] == 9


def test_a_stream_says_nothing_of_usage_unasked(double: UpstreamDouble) -> None:
    with RawExchange(double.base_url, scripted(stream=True, tokens=3)) as exchange:
        response = exchange.read_until(DONE)

    assert b"usage" not in response


def test_a_stream_of_several_choices_sends_each_its_own_events(double: UpstreamDouble) -> None:
    body = scripted(stream=True, tokens=2, fields={"n": 2})

    with RawExchange(double.base_url, body) as exchange:
        response = exchange.read_until(DONE)

    *chunks, _ = events_of(response)
    indexes = [json.loads(chunk)["choices"][0]["index"] for chunk in chunks]
    assert indexes == [0, 1] * 4
    assert double.log()[0]["completion_tokens"] == 4


def test_multibyte_text_can_be_split_inside_its_characters(double: UpstreamDouble) -> None:
    body = scripted(stream=True, tokens=6, vocabulary="multibyte", split=1)

    with RawExchange(double.base_url, body) as exchange:
        reads = []
        for piece in exchange.reads():
            reads.append(piece)
            if DONE in exchange.received:
                break

    assert any(piece[-1] >= 0xC0 for piece in reads), "no read ended inside a character"
    *chunks, _ = events_of(exchange.received)
    text = "".join(json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == " für não über können più été"


def test_one_connection_serves_request_after_request(double: UpstreamDouble) -> None:
    with httpx.Client(base_url=double.base_url) as client:
        for body in (scripted(tokens=1), scripted(tokens=1, fault="500"), chat()):
            client.post("/chat/completions", json=body)
        client.get("/models")

        [connection] = client._transport._pool.connections  # type: ignore[attr-defined]
        assert connection.is_idle()


def test_the_default_script_applies_where_the_marker_is_silent(double: UpstreamDouble) -> None:
    double.script(tokens=3)

    ask(double, chat())
    ask(double, scripted(tokens=4))

    assert [call["completion_tokens"] for call in double.log()] == [3, 4]


def test_models_are_listed_and_retrieved(double: UpstreamDouble) -> None:
    listed = httpx.get(f"{double.base_url}/models").json()
    retrieved = httpx.get(f"{double.base_url}/models/double-large").json()

    assert [model["id"] for model in listed["data"]] == ["double-small", "double-large"]
    assert retrieved["id"] == "double-large"
    assert httpx.get(f"{double.base_url}/models/other").status_code == 404


def test_a_double_with_a_key_refuses_every_other() -> None:
    with UpstreamDouble(api_key="sk-right") as guarded:
        answers = [
            httpx.get(f"{guarded.base_url}/models", headers={"authorization": f"Bearer {key}"})
            for key in ("sk-right", "sk-wrong")
        ]

    assert [answer.status_code for answer in answers] == [200, 401]


@pytest.mark.parametrize(
    "body",
    [
        chat("[[double: tokens=many]]"),
        chat("[[double: colour=red]]"),
        chat("[[double: fault=earthquake]]"),
        chat("[[double: tokens=1"),
        chat("[[double: tokens]]"),
        chat(max_tokens=-1),
        {"model": "double-small"},
    ],
)
def test_a_request_it_cannot_understand_is_a_400(
    double: UpstreamDouble, body: dict[str, object]
) -> None:
    response = httpx.post(f"{double.base_url}/chat/completions", json=body)

    assert response.status_code == 400
    assert double.log() == []


def test_a_wrong_default_script_is_refused_before_it_is_sent(double: UpstreamDouble) -> None:
    with pytest.raises(ValueError, match="colour"):
        double.script(colour="red")


def test_the_body_of_a_unary_answer_is_the_same_each_time(double: UpstreamDouble) -> None:
    bodies = []
    for _ in range(2):
        double.reset()
        with RawExchange(double.base_url, scripted(tokens=2)) as exchange:
            bodies.append(body_of(exchange.read_until(b"}}")))

    assert bodies[0] == bodies[1]


def test_a_tool_is_called_with_the_same_input_whole_and_in_pieces(double: UpstreamDouble) -> None:
    [choice] = ask(double, scripted(tool="weather"))["choices"]
    [call] = choice["message"]["tool_calls"]
    with RawExchange(double.base_url, scripted(stream=True, tool="weather")) as exchange:
        *events, done = events_of(exchange.read_until(DONE))

    _, *chunks, last = [json.loads(event) for event in events]
    assert (call["function"]["name"], choice["finish_reason"]) == ("weather", "tool_calls")
    assert (last["choices"][0]["finish_reason"], done) == ("tool_calls", "[DONE]")
    pieces = [chunk["choices"][0]["delta"]["tool_calls"][0]["function"] for chunk in chunks]
    assert len(pieces) > 2
    assert "".join(piece["arguments"] for piece in pieces) == call["function"]["arguments"]
