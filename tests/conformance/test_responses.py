"""`client.responses` of the official SDK, over models that know chat completions alone."""

import json
from typing import Any, Final

from tests.conformance.conftest import Client

WEATHER: Final = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def asking(text: str = "Hello.", **fields: Any) -> dict[str, Any]:
    return {"model": "scalix-free", "input": text, **fields}


def test_it_answers(client: Client) -> None:
    answer = client.do("respond", request=asking("Hello. [[double: tokens=3]]"))
    response = answer["response"]
    assert answer["text"] == " quick river carries"
    assert (response["object"], response["status"]) == ("response", "completed")
    assert response["usage"]["output_tokens"] == 3
    assert response["id"].startswith("resp_")
    assert answer["http_requests"] == 1


def test_it_streams_and_the_sdk_puts_the_events_together(client: Client) -> None:
    answer = client.do("respond_stream", request=asking("Hello. [[double: tokens=3]]"))
    names = answer["events"]
    assert names[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert names.count("response.output_text.delta") == 3
    assert names[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert answer["text"] == " quick river carries"
    assert answer["response"]["usage"]["output_tokens"] == 3


def test_a_round_with_a_tool(client: Client) -> None:
    request = asking("[[double: tool=weather]]", tools=[WEATHER])
    for action in ("respond", "respond_stream"):
        [call] = client.do(action, request=request)["response"]["output"]
        assert (call["type"], call["name"]) == ("function_call", "weather")
        assert isinstance(json.loads(call["arguments"]), dict)
    history = [
        {"role": "user", "content": "How is it?"},
        {name: call[name] for name in ("type", "call_id", "name", "arguments", "id", "status")},
        {"type": "function_call_output", "call_id": call["call_id"], "output": "Rain"},
        {"role": "user", "content": "And? [[double: tokens=2]]"},
    ]
    answer = client.do("respond", request=asking(tools=[WEATHER]) | {"input": history})
    assert answer["text"] == " quick river"


def test_an_answer_that_is_cut_short_is_incomplete(client: Client) -> None:
    request = asking("[[double: tokens=9]]", max_output_tokens=2)
    for action in ("respond", "respond_stream"):
        response = client.do(action, request=request)["response"]
        assert response["status"] == "incomplete"
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_stream_that_breaks_raises(client: Client) -> None:
    answer = client.do("respond_stream", request=asking("[[double: tokens=5 fault=cut after=2]]"))
    assert answer["broke"]["class"] == "APIError"
    assert answer["broke"]["code"] == "stream_cut"
    assert "nothing was charged" in answer["broke"]["message"]


def test_what_needs_memory_is_refused_by_its_name(client: Client) -> None:
    error = client.do("respond", request=asking(previous_response_id="resp_1"))["error"]
    assert (error["class"], error["status_code"]) == ("BadRequestError", 400)
    assert error["param"] == "previous_response_id"
