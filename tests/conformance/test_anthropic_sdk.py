"""What a user of Anthropic's official SDK meets, with each version of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conformance.conftest import Client, running_sdk
from tests.conformance.sdk import Sdk

MODEL = "scalix-free"
TOOL = {
    "name": "weather",
    "description": "Tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
INPUT = {"city": "Zürich", "days": 2}  # as the upstream calls it


@pytest.fixture(scope="module", params=["anthropic-0.72", "anthropic-2"])
def sdk(request: pytest.FixtureRequest) -> Iterator[Sdk]:
    """An SDK's process."""
    with running_sdk(request.param) as sdk:
        yield sdk


@pytest.fixture
def base_path() -> str:
    """None: this SDK brings its own /v1."""
    return ""


def asking(text: str = "Hello.", **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "max_tokens": 50, "messages": messages, **fields}


def test_it_completes(client: Client) -> None:
    answer = client.do("complete", request=asking("Hello. [[double: tokens=5]]"))

    message, headers = answer["message"], answer["headers"]
    assert message["id"] == f"msg_{headers['request-id'].removeprefix('req_')}"
    assert (message["type"], message["role"]) == ("message", "assistant")
    [block] = message["content"]
    assert (block["type"], block["text"]) == ("text", " quick river carries small boats")
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["output_tokens"] == 5
    assert message["usage"]["input_tokens"] > 0
    assert headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert answer["http_requests"] == 1


def test_it_streams(client: Client) -> None:
    request = asking("Hello. [[double: tokens=6 vocabulary=multibyte split=7]]")
    answer = client.do("stream", request=request)
    also = client.do("stream_async", request=asking("Hello. [[double: tokens=6]]"))

    kinds = [event["type"] for event in answer["events"]]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    message = answer["message"]
    text = " für não über können più été"
    assert [block["text"] for block in message["content"]] == [text]
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["output_tokens"] == 6
    assert message["usage"]["input_tokens"] > 0
    assert also["text"] == " quick river carries small boats past"
    assert also["message"]["usage"]["output_tokens"] == 6


def test_it_calls_tools_and_hears_of_their_results(client: Client) -> None:
    request = asking("Hello. [[double: tool=weather]]", tools=[TOOL])
    answer = client.do("use_tool", request=request, result="Sunny [[double: tokens=3]]")
    streamed = client.do("stream", request=request)["message"]

    for called in (answer["called"], streamed):
        [block] = called["content"]
        assert (block["type"], block["name"], block["input"]) == ("tool_use", "weather", INPUT)
        assert called["stop_reason"] == "tool_use"
    [block] = answer["answered"]["content"]
    assert block["text"] == " quick river carries"


def test_it_counts_tokens(client: Client) -> None:
    counted = client.do("count_tokens", request={"model": MODEL, "messages": asking()["messages"]})
    answered = client.do("complete", request=asking())

    assert counted["input_tokens"] == answered["message"]["usage"]["input_tokens"]
    # Of the ten an hour, counting took none.
    assert answered["headers"]["x-ratelimit-remaining-requests"] == "9"


@pytest.mark.parametrize("fault", ["cut", "error-event"])
def test_a_stream_that_breaks_in_the_middle_raises(client: Client, fault: str) -> None:
    request = asking(f"Hello. [[double: tokens=9 fault={fault} after=2]]")
    answer = client.do("stream", request=request)

    broke = answer["broke"]
    assert broke["class"].endswith("Error")
    assert broke["body"]["error"]["code"] == "stream_cut"
    assert broke["body"]["request_id"] == broke["request_id"]


def test_a_day_s_limit_is_refused_after_one_http_request(
    same_hour: Callable[[Callable[[Client], Any]], Any],
) -> None:
    def all_of_the_day(client: Client) -> dict[str, Any]:
        request = asking("Hello. [[double: tokens=9900]]", max_tokens=9_900)
        for _ in range(2):
            assert "message" in client.do("complete", request=request)
        return client.do("complete", request=request)

    answer = same_hour(all_of_the_day)

    error = answer["error"]
    assert error["class"] == "RateLimitError"
    assert answer["http_requests"] == 1
    assert "Daily free limit reached" in error["message"]
    body = error["body"]["error"]
    assert (body["type"], body["code"]) == ("rate_limit_error", "insufficient_quota")
    assert body["metadata"]["limit"] == "tokens_per_day"
    assert error["request_id"] == body["metadata"]["request_id"]


def test_a_refusal_is_of_its_class_and_not_repeated(client: Client) -> None:
    for kind, code, changes in (
        ("AuthenticationError", "invalid_api_key", {"token": "scalix_wrong"}),
        ("PermissionDeniedError", "model_not_in_plan", {"request": asking(model="gpt-4")}),
        ("NotFoundError", "model_not_found", {"request": asking(model="claude-none")}),
        ("BadRequestError", "invalid_request", {"request": asking(extra_body={"colour": "red"})}),
        (
            "InternalServerError",
            "server_is_overloaded",
            {"request": asking("Hello. [[double: fault=500]]")},
        ),
    ):
        answer = client.do("complete", **({"request": asking()} | changes))
        error = answer["error"]
        assert error["class"] == kind or (
            # Newer versions have a class for each status above 500.
            error["status_code"] == 503 and kind == "InternalServerError"
        )
        assert error["body"]["error"]["code"] == code
        assert answer["http_requests"] == 1, kind


def test_a_base_url_with_a_v1_is_told_the_right_one(client: Client) -> None:
    answer = client.do("complete", request=asking(), base_url=f"{client.base_url}/v1")

    assert answer["error"]["class"] == "NotFoundError"
    assert f"clients is {client.base_url}." in answer["error"]["message"]
