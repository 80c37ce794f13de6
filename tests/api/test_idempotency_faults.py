"""`Idempotency-Key` where things go wrong: who may ask anew, and who gets the charged answer."""

import json
import time

import httpx
import pytest

from accounts.identifiers import uuid7
from accounts.postgres import connect
from billing.metering.ledger import Ended, Ending, LedgerUnavailable
from billing.metering.processes import Heartbeat
from billing.metering.sweeper import Sweeper
from gateway.errors import StoreUnavailable
from gateway.idempotency.claims import Claim, Claims
from gateway.idempotency.key import key_for
from gateway.idempotency.once import Held
from gateway.models import StoredAnswer
from gateway.runtime import Gateway
from tests.api.asking import (
    COMPLETIONS,
    arrival,
    asking,
    error_of,
    events_of,
    in_background,
)
from tests.api.conftest import PATIENCE, CountersOf, LedgerRows, Untouched
from tests.api.raw_http import RawConnection
from tests.api.repeating import KEY, ask, change, keyed, kind_of_reply
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble
from tests.waiting import not_at_all, until

# What frees a key ---------------------------------------------------------------------------


async def test_a_refusal_frees_the_key_for_any_request(
    client: httpx.AsyncClient, bob: Person, untouched: Untouched
) -> None:
    refused = await client.post(COMPLETIONS, json=asking(model="none"), headers=keyed(bob))
    assert refused.status_code == 404
    await untouched(bob)
    assert not await StoredAnswer.objects.aexists()

    answered = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    assert answered.status_code == 200


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("fault", ["500", "cut"])
async def test_a_provider_s_failure_frees_the_key(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    fault: str,
    stream: bool,
) -> None:
    script = {"id": "once", "fault": fault, "after": 2, "times": 1}
    body = asking(script=script, stream=stream)
    await client.post(COMPLETIONS, json=body, headers=keyed(bob))
    again = await client.post(COMPLETIONS, json=body, headers=keyed(bob))

    assert again.status_code == 200
    assert "idempotent-replayed" not in again.headers
    rows = await ledger_rows()
    assert [(row["status"], row["charged"]) for row in rows] == [
        ("failed", False),
        ("settled", True),
    ]
    assert upstream.received() == 2


async def test_whoever_hangs_up_in_a_stream_pays_for_what_they_got_and_may_ask_anew(
    client: httpx.AsyncClient, address: str, bob: Person, ledger_rows: LedgerRows
) -> None:
    body = json.dumps(asking(script={"tokens": 5, "stall": 3}, stream=True)).encode()
    async with RawConnection(address) as raw:
        await raw.post(COMPLETIONS, keyed(bob), body)
        await raw.read_until(b" carries")

    async def ended() -> bool:
        return [row["status"] for row in await ledger_rows()] == ["cancelled"]

    await until(ended)
    other = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))

    assert other.status_code == 200
    assert "idempotent-replayed" not in other.headers
    assert [row["charged"] for row in await ledger_rows()] == [True, True]


async def test_whoever_hangs_up_before_the_first_word_frees_the_key(
    client: httpx.AsyncClient,
    address: str,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
) -> None:
    body = json.dumps(asking(script={"id": "held", "hold": "gate"})).encode()
    async with RawConnection(address) as raw:
        await raw.post(COMPLETIONS, keyed(bob), body)
        await arrival(upstream, "held")

    async def freed() -> bool:
        return not await StoredAnswer.objects.aexists()

    await until(freed)
    assert (await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))).status_code == 200
    assert [row["charged"] for row in await ledger_rows()] == [False, True]


# Processes that die -------------------------------------------------------------------------

NO_ROW = "DELETE FROM billing_ledgerentry"
NO_ANSWER = "UPDATE gateway_storedanswer SET answer = NULL, answered_at = NULL"
DEAD = "UPDATE gateway_storedanswer SET process_id = gen_random_uuid()"
LATE = "UPDATE gateway_storedanswer SET deadline_at = now()"


def row_is(status: str, *, charged: bool = False) -> str:
    return f"UPDATE billing_ledgerentry SET status = '{status}', charged = {charged}"


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        pytest.param([NO_ROW, NO_ANSWER], "in use", id="claimed-and-alive"),
        pytest.param([NO_ROW, NO_ANSWER, DEAD], "answer", id="claimed-and-dead"),
        pytest.param([NO_ROW, NO_ANSWER, LATE], "answer", id="claimed-and-never-admitted"),
        pytest.param([row_is("reserved"), NO_ANSWER, DEAD, LATE], "in use", id="reserved"),
        pytest.param([row_is("abandoned"), NO_ANSWER], "answer", id="swept"),
        pytest.param([row_is("reserved"), DEAD, LATE], "in use", id="stored"),
        pytest.param([row_is("abandoned"), DEAD], "answer", id="stored-and-swept"),
        pytest.param([row_is("failed")], "answer", id="stored-and-failed"),
        pytest.param([DEAD, LATE], "replay", id="settled"),
        pytest.param([row_is("cancelled", charged=True)], "answer", id="hung-up"),
    ],
)
async def test_wherever_a_process_dies_the_ledger_says_what_the_key_is_worth(
    gateway: Gateway,
    old_store: None,
    alice: Person,
    upstream: UpstreamDouble,
    left: list[str],
    expected: str,
) -> None:
    """Only the database outlives a `kill -9`: this is what it holds after each step."""
    await ask(gateway, alice)
    for statement in left:
        await change(statement)

    assert await kind_of_reply(gateway, alice) == expected
    assert upstream.received() == (2 if expected == "answer" else 1)
    if expected != "in use":
        assert await kind_of_reply(gateway, alice) == "replay"


async def test_a_dead_process_s_key_is_free_once_it_is_swept(
    gateway: Gateway, old_store: None, alice: Person, ledger_rows: LedgerRows
) -> None:
    await ask(gateway, alice)
    await change(
        "UPDATE billing_ledgerentry SET status = 'reserved', process_id = gen_random_uuid()"
    )
    await change(NO_ANSWER)
    assert await kind_of_reply(gateway, alice) == "in use"

    await Sweeper(gateway.reads, gateway.quota, sleep=not_at_all).sweep()

    assert await kind_of_reply(gateway, alice) == "answer"
    rows = await ledger_rows()
    assert [(row["status"], row["charged"]) for row in rows] == [
        ("abandoned", False),
        ("settled", True),
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_an_answer_whose_key_was_taken_over_is_not_charged(
    client: httpx.AsyncClient,
    bob: Person,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    stream: bool,
) -> None:
    """As by a process that was frozen, taken for dead, and woke up."""
    body = asking(script={"id": "held", "hold": "gate"}, stream=stream)
    headers = keyed(bob)
    async with in_background(client.post(COMPLETIONS, json=body, headers=headers)) as first:
        await arrival(upstream, "held")
        await change("UPDATE gateway_storedanswer SET request_id = %s", uuid7())
        upstream.release("gate")
        response = await first

    error = events_of(response.text)[-1]["error"] if stream else error_of(response)
    assert error["code"] == "idempotency_key_in_use"
    [row] = await ledger_rows()
    assert (row["status"], row["charged"], row["price_micros"]) == ("failed", False, 0)
    assert (await counters(bob)).day_tokens == 0


async def test_an_answer_that_can_t_be_kept_is_not_charged(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble, ledger_rows: LedgerRows
) -> None:
    body = asking(script={"id": "held", "hold": "gate"})
    headers = keyed(bob)
    async with in_background(client.post(COMPLETIONS, json=body, headers=headers)) as first:
        await arrival(upstream, "held")
        other = await connect(PATIENCE)
        async with other.transaction():
            await other.execute("LOCK TABLE gateway_storedanswer")
            upstream.release("gate")
            response = await first
        await other.close()

    error = error_of(response)
    assert (response.status_code, error["code"]) == (503, "server_is_overloaded")
    assert error["metadata"]["refunded"] is True
    [row] = await ledger_rows()
    assert (row["status"], row["charged"]) == ("failed", False)
    upstream.release("gate")

    async def answered() -> bool:
        again = await client.post(COMPLETIONS, json=body, headers=headers)
        return again.status_code == 200

    await until(answered)
    assert [row["charged"] for row in await ledger_rows()] == [False, True]


async def test_no_provider_hears_of_a_request_whose_key_may_have_been_taken_over(
    gateway: Gateway,
) -> None:
    claim = Claim(uuid7(), key_for(KEY, COMPLETIONS, b""), uuid7())
    claims = Claims(gateway.reads, gateway.process_id)
    now = time.monotonic()

    async def nothing() -> None:
        """What this heart does besides."""

    frozen = Heartbeat(gateway.reads, uuid7(), nothing, clock=lambda: time.monotonic() + 11)
    await frozen.beat()  # eleven seconds ago, by the clock that it is asked by next
    frozen._clock = lambda: time.monotonic() + 22

    Held(claims, claim, now, gateway.heartbeat, 100).require()
    with pytest.raises(StoreUnavailable):
        Held(claims, claim, now - 26, gateway.heartbeat, 100).require()
    with pytest.raises(StoreUnavailable):
        Held(claims, claim, now, frozen, 100).require()


async def test_an_answer_that_was_taken_back_is_not_given_again(
    client: httpx.AsyncClient,
    bob: Person,
    gateway: Gateway,
    ledger_rows: LedgerRows,
    counters: CountersOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was kept and charged, and Postgres' word of that was lost: its caller was refused it."""
    really_end = gateway.ledger.end

    async def end_unheard(ending: Ending, *, patience: float) -> Ended:
        await really_end(ending, patience=patience)
        raise LedgerUnavailable("its answer was lost")

    monkeypatch.setattr(gateway.ledger, "end", end_unheard)
    refused = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    assert refused.status_code == 503
    assert refused.json()["error"]["metadata"]["refunded"] is True
    monkeypatch.undo()

    async def taken_back() -> bool:
        # Both ids carry the same millisecond, so they come in either order.
        return sorted(row["requests"] for row in await ledger_rows()) == [-1, 1]

    await until(taken_back)
    again = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    assert again.status_code == 200
    assert "idempotent-replayed" not in again.headers
    assert (await counters(bob)).hour_requests == 1
