"""When a provider may be asked again, out of what it says; whatever it says."""

import datetime as dt
from email.utils import format_datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.errors import ProviderUnavailable
from gateway.providers.failures import failure_of

GEMINI = orjson.dumps(
    {
        "error": {
            "code": 429,
            "details": [
                {"@type": "type.googleapis.com/google.rpc.Help"},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"},
            ],
        }
    }
)


def wait(status: int = 429, body: bytes = b"{}", **headers: str) -> float | None:
    named = CIMultiDict({name.replace("_", "-"): said for name, said in headers.items()})
    failure = failure_of(status, body, named)
    assert isinstance(failure, ProviderUnavailable)
    return failure.wait


@pytest.mark.parametrize("status", [429, 503, 529])
def test_it_says_so_in_seconds(status: int) -> None:
    assert wait(status, Retry_After="7") == 7.0


def test_it_says_so_in_milliseconds_which_are_more_exact() -> None:
    assert wait(Retry_After="1", Retry_After_Ms="350") == 0.35


def test_it_says_so_by_a_date() -> None:
    soon = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1), usegmt=True)
    found = wait(Retry_After=soon)
    assert found is not None
    assert 3_000 < found <= 3_600


def test_gemini_says_so_in_the_error_s_details() -> None:
    assert wait(body=GEMINI) == 34.07
    assert wait(body=b"[" + GEMINI + b"]", Retry_After="5") == 5.0


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Request too large for gpt-5 on tokens per min (TPM)", "type": "tokens"},
        {"message": "You exceeded your current quota.", "code": "insufficient_quota"},
    ],
    ids=["one request's size", "our account"],
)
def test_a_429_that_time_does_not_heal_names_none(error: dict[str, str]) -> None:
    assert wait(body=orjson.dumps({"error": error}), Retry_After="7") is None


@pytest.mark.parametrize("status", [401, 404, 500, 502])
def test_what_has_other_reasons_is_no_matter_of_time(status: int) -> None:
    assert wait(status, GEMINI, Retry_After="7") is None


@pytest.mark.parametrize(
    "said",
    [
        *("", "0", "-3", "soon", "nan", "inf", "1e999"),
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 99999 07:28:00 GMT",
        "Wed, 99 Oct 2030 99:99:99 +9999999999999999",
    ],
)
def test_what_is_no_time_to_come_is_nothing(said: str) -> None:
    assert wait(Retry_After=said) is None
    in_body = orjson.dumps({"error": {"details": [{"retryDelay": said}, {"retryDelay": 7}, "x"]}})
    assert wait(body=in_body) is None


@given(st.text())
def test_nothing_that_it_says_makes_us_fail(said: str) -> None:
    for found in (wait(Retry_After=said), wait(Retry_After_Ms=said)):
        assert found is None or found > 0
