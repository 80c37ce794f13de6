"""What a provider does wrong: a mapped error, the refund, and the row that says what was tried."""

import datetime as dt
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from accounts.identifiers import encode
from gateway import pipeline
from gateway.errors import ProviderUnavailable
from gateway.runtime import Gateway
from gateway.types import ChatRequest, Presented, StreamReply
from tests.api.asking import COMPLETIONS, asking, error_of, events_of, text_of
from tests.api.conftest import CountersOf, LedgerRows, Row, Serve
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.upstream.script import marker
from tests.waiting import until

NOWHERE = "http://127.0.0.1:9/v1"  # nobody listens there

# What the upstream does, and the code of the attempt in the row.
FAILURES = {
    "401": "provider_refused_key",
    "404": "provider_lacks_model",
    "429": "provider_rate_limited",
    "500": "provider_500",
    "503": "provider_503",
    "timeout": "provider_timeout",
    "reset": "provider_unreachable",
    "garbage": "provider_bad_response",
}
UNARY_FAILURES = FAILURES | {"cut": "provider_unreachable"}
# Before its first word a stream can still be taken over by another provider.
STREAM_FAILURES = UNARY_FAILURES | {"error-event": "provider_500"}
MID_STREAM = {
    "cut": "provider_unreachable",
    "error-event": "provider_500",
    "garbage": "provider_bad_response",
}


@pytest.fixture(autouse=True)
def _impatient(settings: Settings) -> None:
    settings.GATEWAY_SILENCE_SECONDS = 1.0


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here providers fail again and again, and each failure is looked at."""
    monkeypatch.setattr("gateway.health.circuits.FEWEST_FAILURES", 1_000)
    monkeypatch.setattr("gateway.health.grudges.GRUDGE_SECONDS", 0.0)
    monkeypatch.setattr("gateway.health.rests.LONGEST_REST", 0.0)


def outcomes(row: Row) -> list[tuple[str, str]]:
    return [(attempt["deployment"], attempt["outcome"]) for attempt in row["attempts"]]


async def assert_free(counters: CountersOf, person: Person) -> None:
    used = await counters(person)
    assert (used.hour_requests, used.day_requests) == (0, 0)
    assert (used.day_tokens, used.in_flight) == (0, 0)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_when_no_provider_can_answer_it_is_a_503_that_is_not_worth_a_retry(
    client: httpx.AsyncClient,
    alice: Person,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    stream: bool,
) -> None:
    failures, ids = STREAM_FAILURES if stream else UNARY_FAILURES, []
    for fault, code in failures.items():
        body = asking(script={"fault": fault}, stream=stream)
        response = await client.post(COMPLETIONS, json=body, headers=alice.headers)

        error = error_of(response)
        assert (response.status_code, error["code"]) == (503, "server_is_overloaded"), fault
        assert error["type"] == "server_error"
        assert response.headers["x-should-retry"] == "false"
        assert 0 < int(response.headers["retry-after"]) <= 60
        assert response.headers["x-scalix-plan"] == "pro"
        assert error["metadata"]["attempts"] == [f"upstream: {code}"], fault
        assert "Nothing was charged" in error["message"]
        ids.append(error["metadata"]["request_id"])

    rows = await ledger_rows()
    assert [encode("req", row["id"]) for row in rows] == ids
    assert [outcomes(row) for row in rows] == [[("upstream", code)] for code in failures.values()]
    assert {(row["status"], row["charged"]) for row in rows} == {("failed", False)}
    assert {row["error_code"] for row in rows} == {"server_is_overloaded"}
    assert {row["price_micros"] for row in rows} == {0}
    await assert_free(counters, alice)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_another_provider_answers_in_its_place_unseen(
    client: httpx.AsyncClient,
    alice: Person,
    upstream: UpstreamDouble,
    serve: Serve,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    stream: bool,
) -> None:
    await serve("backed", deployments={"first": {}, "second": {"upstream_model": "double-small"}})
    failures = STREAM_FAILURES if stream else UNARY_FAILURES
    for fault in failures:
        script = {"id": fault, "fault": fault, "times": 1, "tokens": 3}
        body = asking(script=script, model="backed", stream=stream)
        response = await client.post(COMPLETIONS, json=body, headers=alice.headers)

        assert response.status_code == 200, fault
        assert response.headers["x-scalix-provider"] == "second"
        if stream:
            *chunks, done = events_of(response.text)
            assert (text_of(chunks), done) == (" quick river carries", "[DONE]")
            assert chunks[0]["model"] == "double-small"
        else:
            assert response.json()["model"] == "double-small"

    rows = await ledger_rows()
    assert [outcomes(row) for row in rows] == [
        [("first", code), ("second", "completed")] for code in failures.values()
    ]
    assert {(row["status"], row["deployment"]) for row in rows} == {("settled", "second")}
    assert len(upstream.log()) == 2 * len(failures)
    assert (await counters(alice)).hour_requests == len(failures)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_a_deployment_that_cannot_be_called_is_passed_over(
    client: httpx.AsyncClient,
    alice: Person,
    serve: Serve,
    ledger_rows: LedgerRows,
    stream: bool,
) -> None:
    deployments = {
        "unreachable": {"base_url": NOWHERE},
        "unknown": {"provider": "nonsense"},
        "without-a-provider": {"provider": ""},
        "good": {},
    }
    await serve("backed", deployments=deployments)
    body = asking(model="backed", stream=stream)
    response = await client.post(COMPLETIONS, json=body, headers=alice.headers)

    assert response.status_code == 200
    [row] = await ledger_rows()
    assert outcomes(row) == [
        ("unreachable", "provider_unreachable"),
        ("unknown", "provider_misconfigured"),
        ("without-a-provider", "provider_misconfigured"),
        ("good", "completed"),
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
class TestWithNoPrivateAddressAllowed:
    """But the upstream's, which the environment names."""

    @pytest.fixture(autouse=True)
    def _nothing_else(self, settings: Settings, _impatient: None) -> None:
        settings.PROVIDER_PRIVATE_HOSTS = ()
        settings.GATEWAY_SILENCE_SECONDS = 30  # litellm's first call loads it

    async def test_a_deployment_at_a_private_address_is_passed_over(
        self,
        client: httpx.AsyncClient,
        alice: Person,
        serve: Serve,
        ledger_rows: LedgerRows,
        stream: bool,
    ) -> None:
        deployments = {"private": {"base_url": NOWHERE}, "good": {}}
        await serve("backed", deployments=deployments)
        body = asking(model="backed", stream=stream)
        response = await client.post(COMPLETIONS, json=body, headers=alice.headers)

        assert response.status_code == 200
        [row] = await ledger_rows()
        assert outcomes(row) == [("private", "provider_misconfigured"), ("good", "completed")]

    async def test_where_there_is_no_other_the_caller_learns_no_address_and_pays_nothing(
        self,
        client: httpx.AsyncClient,
        bob: Person,
        serve: Serve,
        ledger_rows: LedgerRows,
        counters: CountersOf,
        stream: bool,
    ) -> None:
        providers = {"openai": NOWHERE, "gemini": "http://169.254.169.254", "nlp_cloud": NOWHERE}
        deployments = {
            provider: {"provider": provider, "base_url": base_url}
            for provider, base_url in providers.items()
        }
        await serve("private", deployments=deployments)
        body = asking(model="private", stream=stream)
        response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

        assert (response.status_code, error_of(response)["code"]) == (503, "server_is_overloaded")
        assert "127.0.0.1" not in response.text
        assert "169.254" not in response.text
        [row] = await ledger_rows()
        assert outcomes(row) == [(one, "provider_misconfigured") for one in providers]
        assert (row["status"], row["charged"]) == ("failed", False)
        await assert_free(counters, bob)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_a_request_that_the_provider_finds_wrong_is_tried_nowhere_else(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    serve: Serve,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    stream: bool,
) -> None:
    await serve("backed", deployments={"first": {}, "second": {}})
    body = asking(script={"fault": "400"}, model="backed", stream=stream)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    error = error_of(response)
    assert (response.status_code, error["code"]) == (400, "invalid_request")
    assert error["message"] == (
        "The provider refused the request: The double was told to fail with 400."
    )
    assert "x-should-retry" not in response.headers
    assert upstream.received() == 1
    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["error_code"]) == (
        "failed",
        False,
        "invalid_request",
    )
    assert outcomes(row) == [("first", "invalid_request")]
    await assert_free(counters, bob)


@pytest.mark.parametrize(("fault", "cause"), MID_STREAM.items())
async def test_a_stream_that_is_cut_ends_in_an_error_event_and_is_refunded(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    serve: Serve,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    fault: str,
    cause: str,
) -> None:
    await serve("backed", deployments={"first": {}, "second": {}})
    body = asking(script={"fault": fault, "after": 2}, model="backed", stream=True)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    assert response.status_code == 200
    *chunks, last = events_of(response.text)
    assert text_of(chunks) == " quick river"
    error = last["error"]
    assert set(error) == {"message", "type", "code", "param", "metadata"}
    assert (error["code"], error["type"]) == ("stream_cut", "server_error")
    # Python's SDK has no other way to know the id of a stream that fails.
    assert error["metadata"]["request_id"] == response.headers["x-request-id"]
    assert error["metadata"]["cause"] == cause
    assert (error["metadata"]["tokens_charged"], error["metadata"]["refunded"]) == (0, True)
    assert upstream.received() == 1  # after the first word it is too late for another
    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["error_code"]) == ("failed", False, "stream_cut")
    assert outcomes(row) == [("first", "stream_cut")]
    assert (row["price_micros"], row["estimated"]) == (0, True)
    assert row["completion_tokens"] == 2  # which the provider may well take money for
    await assert_free(counters, bob)


async def test_a_stream_that_falls_silent_is_cut(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows, upstream: UpstreamDouble
) -> None:
    body = asking(script={"stall": 2}, stream=True)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    *_, last = events_of(response.text)
    assert (last["error"]["code"], last["error"]["metadata"]["cause"]) == (
        "stream_cut",
        "provider_timeout",
    )
    assert (await ledger_rows())[0]["charged"] is False
    upstream.wait_until(lambda double: double.open_calls() == 0)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize(
    "quirk", [{"fault": "content-type"}, {"fault": "slow-headers", "gap": 0.05}]
)
async def test_a_provider_s_quirks_do_not_matter(
    client: httpx.AsyncClient, bob: Person, quirk: dict[str, Any], stream: bool
) -> None:
    body = asking(script=quirk, stream=stream)
    response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

    assert response.status_code == 200
    if stream:
        assert text_of(events_of(response.text)).startswith(" quick river")
    else:
        assert response.json()["choices"][0]["message"]["content"].startswith(" quick river")


class TestWithADeadline:
    """However alive a provider is, an answer may take so long and no longer."""

    @pytest.fixture(autouse=True)
    def _short(self, settings: Settings, _impatient: None) -> None:
        settings.GATEWAY_SILENCE_SECONDS = 30
        settings.GATEWAY_DEADLINE_SECONDS = 2.0

    async def test_an_answer_past_it_is_given_up(
        self,
        client: httpx.AsyncClient,
        bob: Person,
        upstream: UpstreamDouble,
        ledger_rows: LedgerRows,
        counters: CountersOf,
    ) -> None:
        body = asking(script={"fault": "timeout"})
        response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

        error = error_of(response)
        assert (response.status_code, error["code"]) == (504, "deadline_exceeded")
        assert response.headers["x-should-retry"] == "false"
        [row] = await ledger_rows()
        assert (row["status"], row["charged"]) == ("failed", False)
        assert row["error_code"] == "deadline_exceeded"
        assert outcomes(row) == [("upstream", "interrupted")]
        upstream.wait_until(lambda double: double.open_calls() == 0)
        await assert_free(counters, bob)

    async def test_a_stream_past_it_is_cut(
        self,
        client: httpx.AsyncClient,
        bob: Person,
        upstream: UpstreamDouble,
        ledger_rows: LedgerRows,
        counters: CountersOf,
    ) -> None:
        body = asking(script={"tokens": 1000, "gap": 0.05}, stream=True, max_tokens=1000)
        response = await client.post(COMPLETIONS, json=body, headers=bob.headers)

        *chunks, last = events_of(response.text)
        assert text_of(chunks).startswith(" quick river")
        assert last["error"]["code"] == "deadline_exceeded"
        [row] = await ledger_rows()
        assert (row["status"], row["charged"]) == ("failed", False)
        assert row["error_code"] == "deadline_exceeded"
        assert outcomes(row) == [("upstream", "deadline_exceeded")]
        upstream.wait_until(lambda double: double.open_calls() == 0)
        await assert_free(counters, bob)

    async def test_a_reader_who_comes_back_past_it_pays_for_what_was_said(
        self, gateway: Gateway, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
    ) -> None:
        message = {"role": "user", "content": f"Say something {marker(tokens=400, gap=0.005)}"}
        request = ChatRequest("scalix-free", (message,), stream=True)
        reply = await pipeline.run(gateway, Presented(bearer=bob.secret), request)
        assert isinstance(reply, StreamReply)
        await anext(reply.chunks)

        async def past_it() -> bool:
            well_past = reply.reservation.deadline_at + dt.timedelta(seconds=0.1)
            return dt.datetime.now(dt.UTC) > well_past

        await until(past_it)  # and meanwhile reads nothing
        with pytest.raises(ProviderUnavailable, match="What was sent counts"):
            _ = [chunk async for chunk in reply.chunks]
        [row] = await ledger_rows()
        assert (row["status"], row["charged"]) == ("cancelled", True)
        assert row["error_code"] == "deadline_exceeded"
        assert row["completion_tokens"] > 0
        upstream.wait_until(lambda double: double.open_calls() == 0)
