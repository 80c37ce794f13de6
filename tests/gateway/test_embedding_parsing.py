"""What `POST /v1/embeddings` takes, and what it says of the rest."""

from typing import Any

import orjson
import pytest

from gateway.api.embedding_parsing import parse_embeddings
from gateway.errors import InvalidRequest
from gateway.sizing.prompt import measure
from tests.upstream.tokens import encode_text as tokens


def texts(value: Any) -> tuple[str, ...]:
    request, _ = parse_embeddings(orjson.dumps({"model": "m", "input": value}))
    return request.texts


def test_a_text_or_several_in_words_or_in_tokens() -> None:
    assert texts("Hello") == ("Hello",)
    assert texts(["Hello", "Grüße"]) == ("Hello", "Grüße")
    assert texts(tokens("Hello there")) == ("Hello there",)
    assert texts([tokens("Hello there"), tokens("東京")]) == ("Hello there", "東京")


def test_it_is_as_long_as_its_texts_together_and_its_longest_by_itself() -> None:
    request, _ = parse_embeddings(orjson.dumps({"model": "m", "input": ["one two", "three"]}))

    size = measure(request)
    assert (size.tokens, size.longest, size.messages) == (3, 2, 0)


@pytest.mark.parametrize(
    "value",
    [
        *("", [], [""], ["a", ""], [[]], [["a"]], {}, None, 5, True, [None], [1.5]),
        *(["a", 5], [5, "a"], ["a", [5]], [[5], 5], [5, [5]], [-1], [[-1]], [10**6], [2**40]),
        ["a"] * 2_049,
    ],
    ids=lambda value: str(value)[:20],
)
def test_anything_else_is_refused_by_the_field_s_name(value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        texts(value)
    assert (caught.value.param or "").startswith("input")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("encoding_format", "int8"),
        ("dimensions", 0),
        ("dimensions", 1.5),
        ("model", ""),
        ("models", ["other"]),
        ("stream", True),
        ("api_base", "http://127.0.0.1"),
    ],
)
def test_other_fields_and_values_are_refused_by_name(field: str, value: Any) -> None:
    body = {"model": "m", "input": "Hello"} | {field: value}
    with pytest.raises(InvalidRequest) as caught:
        parse_embeddings(orjson.dumps(body))
    assert caught.value.param == field
