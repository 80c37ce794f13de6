"""What a user of the official SDK meets, with each version of it."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.conftest import Client

MODEL = "scalix-free"
FREE_REQUESTS_AN_HOUR = 10


def asking(text: str = "Hello.", **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(
        choice["delta"]["content"] or "" for chunk in chunks for choice in chunk["choices"]
    )


# Answers.


def test_it_completes(client: Client) -> None:
    answer = client.do("complete", request=asking("Hello. [[double: tokens=5]]"))

    completion = answer["completion"]
    assert completion["object"] == "chat.completion"
    [choice] = completion["choices"]
    assert choice["message"]["content"] == " quick river carries small boats"
    assert choice["finish_reason"] == "stop"
    assert completion["usage"]["completion_tokens"] == 5
    assert completion["usage"]["total_tokens"] == completion["usage"]["prompt_tokens"] + 5
    assert answer["http_requests"] == 1


def test_every_answer_carries_its_id_and_what_is_left(client: Client) -> None:
    headers = client.do("complete", request=asking())["headers"]

    assert headers["x-request-id"].startswith("req_")
    assert headers["x-ratelimit-limit-requests"] == str(FREE_REQUESTS_AN_HOUR)
    assert headers["x-ratelimit-remaining-requests"] == str(FREE_REQUESTS_AN_HOUR - 1)
    assert headers["x-scalix-plan"] == "free"


def test_a_maximum_is_kept(client: Client) -> None:
    request = asking("Hello. [[double: tokens=9]]", max_tokens=4)

    completion = client.do("complete", request=request)["completion"]

    assert completion["choices"][0]["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] == 4


def test_several_choices_come_back(client: Client) -> None:
    completion = client.do("complete", request=asking("Hello. [[double: tokens=3]]", n=2))[
        "completion"
    ]

    assert [choice["index"] for choice in completion["choices"]] == [0, 1]
    assert completion["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize("action", ["complete", "stream"])
def test_a_key_that_is_sent_again_gives_the_same_answer(client: Client, action: str) -> None:
    request = asking(extra_headers={"Idempotency-Key": "order-66"})

    first, again = (client.do(action, request=request) for _ in range(2))

    if action == "stream":
        assert text_of(again["chunks"]) == text_of(first["chunks"])
        assert again["chunks"][0]["id"] == first["chunks"][0]["id"]
    else:
        assert again["completion"]["choices"] == first["completion"]["choices"]
        assert again["completion"]["id"] == first["completion"]["id"]
        assert again["headers"]["idempotent-replayed"] == "true"
    left = client.do("complete", request=asking())["headers"]["x-ratelimit-remaining-requests"]
    assert left == str(FREE_REQUESTS_AN_HOUR - 2)


# Streams.


@pytest.mark.parametrize("action", ["stream", "stream_async"])
def test_it_streams_with_usage(client: Client, action: str) -> None:
    request = asking(
        "Hello. [[double: tokens=12 chunks=4]]", stream_options={"include_usage": True}
    )

    chunks = client.do(action, request=request)["chunks"]

    assert text_of(chunks).split()[:3] == ["quick", "river", "carries"]
    assert len(text_of(chunks).split()) == 12
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    *parts, totals = chunks
    assert [part["usage"] for part in parts] == [None] * len(parts)
    assert totals["choices"] == []
    assert totals["usage"]["completion_tokens"] == 12


def test_it_streams_without_usage_unasked(client: Client) -> None:
    chunks = client.do("stream", request=asking("Hello. [[double: tokens=3]]"))["chunks"]

    assert text_of(chunks) == " quick river carries"
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_text_that_arrives_split_inside_a_character_is_whole(client: Client) -> None:
    request = asking("Hello. [[double: tokens=6 vocabulary=multibyte split=7]]")

    assert text_of(client.do("stream", request=request)["chunks"]) == (
        " für não über können più été"
    )


@pytest.mark.parametrize("fault", ["cut", "error-event", "garbage"])
def test_a_stream_that_breaks_in_the_middle_raises(client: Client, fault: str) -> None:
    """The SDK takes a stream that merely ends for a whole answer, so an error event must come."""
    request = asking(f"Hello. [[double: tokens=9 fault={fault} after=2]]")

    answer = client.do("stream", request=request)

    assert text_of(answer["chunks"]) == " quick river"
    assert answer["broke"]["class"] == "APIError"
    assert answer["broke"]["code"]
    assert answer["broke"]["message"]


def test_leaving_a_stream_leaves_the_account_usable(client: Client) -> None:
    request = asking("Hello. [[double: tokens=9 stall=2]]")

    # Twice: as many as a free account may have open at once.
    assert [client.do("leave", request=request)["heard"] for _ in range(2)] == [" quick"] * 2
    client.server.product.wait_until(
        lambda: "completion" in client.do("complete", request=asking()),
        "the slots of the streams that were left are free again",
    )


# Models.


def test_it_lists_the_models_that_its_plan_may_use(client: Client) -> None:
    assert MODEL in client.do("models")["models"]


def test_it_retrieves_a_model(client: Client) -> None:
    assert client.do("model", model=MODEL)["model"]["id"] == MODEL


def test_an_unknown_model_is_not_found(client: Client) -> None:
    for answer in (
        client.do("model", model="scalix-fre"),
        client.do("complete", request={**asking(), "model": "scalix-fre"}),
    ):
        error = answer["error"]
        assert error["class"] == "NotFoundError"
        assert error["code"] == "model_not_found"
        assert MODEL in error["message"]
        assert answer["http_requests"] == 1


# Refusals.


def test_a_bad_token_is_refused(client: Client) -> None:
    answer = client.do("complete", request=asking(), token="scalix_wrong")

    assert answer["error"]["class"] == "AuthenticationError"
    assert answer["error"]["code"] == "invalid_api_key"
    assert answer["http_requests"] == 1


def test_the_eleventh_request_of_an_hour_is_refused_after_one_http_request(
    same_hour: Callable[[Callable[[Client], Any]], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def eleven(client: Client) -> dict[str, Any]:
        for _ in range(FREE_REQUESTS_AN_HOUR):
            assert "completion" in client.do("complete", request=asking())
        return client.do("complete", request=asking())

    answer = same_hour(eleven)

    error = answer["error"]
    assert error["class"] == "RateLimitError"
    assert answer["http_requests"] == 1
    assert error["code"] == error["type"] == "insufficient_quota"
    metadata = error["body"]["metadata"]
    assert metadata["limit"] == "requests_per_hour"
    assert (metadata["used"], metadata["max"]) == (FREE_REQUESTS_AN_HOUR, FREE_REQUESTS_AN_HOUR)
    assert dt.datetime.fromisoformat(metadata["resets_at"]).minute == 0
    with capsys.disabled():
        print(f" [RateLimitError after {answer['seconds'] * 1000:.0f} ms]", end="")


def test_a_prompt_above_the_plans_length_is_a_bad_request(client: Client) -> None:
    answer = client.do("complete", request=asking("x" * 10_001))

    assert answer["error"]["class"] == "BadRequestError"
    assert answer["error"]["code"] == "prompt_too_long"
    assert answer["http_requests"] == 1


def test_a_field_of_the_wrong_type_is_a_bad_request_that_names_it(client: Client) -> None:
    answer = client.do("complete", request={**asking(), "temperature": "hot"})

    assert answer["error"]["class"] == "BadRequestError"
    assert answer["error"]["param"] == "temperature"


def test_providers_that_fail_are_not_asked_again_by_the_sdk(client: Client) -> None:
    answer = client.do("complete", request=asking("Hello. [[double: fault=500]]"))

    assert answer["error"]["class"] == "InternalServerError"
    assert answer["error"]["code"] == "server_is_overloaded"
    assert answer["http_requests"] == 1


@pytest.mark.parametrize("suffix", ["", "/v1/chat/completions"])
def test_a_wrong_base_url_is_told_the_right_one(client: Client, suffix: str) -> None:
    root = client.base_url.removesuffix("/v1")

    answer = client.do("complete", request=asking(), base_url=f"{root}{suffix}")

    assert answer["error"]["class"] == "NotFoundError"
    assert client.base_url in answer["error"]["message"]
