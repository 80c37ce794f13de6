"""What is kept of an answer for its `Idempotency-Key`, and for how long."""

import datetime as dt
import uuid

import httpx
import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from accounts.identifiers import decode, uuid7
from accounts.models import Visitor
from gateway.errors import AnswerNotKept
from gateway.idempotency.answers import Replay
from gateway.idempotency.pruning import prune
from gateway.models import StoredAnswer
from gateway.runtime import Gateway
from tests.api.asking import (
    COMPLETIONS,
    asking,
)
from tests.api.conftest import LedgerRows
from tests.api.repeating import KEY, ask, change, keyed
from tests.conftest import Person
from tests.upstream.double import UpstreamDouble


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_an_answer_that_is_too_large_is_not_kept_and_not_charged_again(
    gateway: Gateway,
    old_store: None,
    alice: Person,
    settings: Settings,
    upstream: UpstreamDouble,
    ledger_rows: LedgerRows,
    stream: bool,
) -> None:
    settings.GATEWAY_KEPT_ANSWER_BYTES = 300
    small = Gateway()
    await small.start()
    try:
        assert not isinstance(await ask(small, alice, stream=stream, tokens=80), Replay)
        with pytest.raises(AnswerNotKept) as raised:
            await ask(small, alice, stream=stream, tokens=80)
    finally:
        await small.stop()

    assert raised.value.metadata == {"max": 300}
    assert upstream.received() == len(await ledger_rows()) == 1
    stored = await StoredAnswer.objects.aget()
    assert stored.answer is None


async def test_after_a_day_a_key_is_new(
    client: httpx.AsyncClient, bob: Person, upstream: UpstreamDouble
) -> None:
    first = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    age = "UPDATE gateway_storedanswer SET claimed_at = claimed_at - %s::interval"
    await change(age, "23 h 59 min")
    within = await client.post(COMPLETIONS, json=asking(), headers=keyed(bob))
    await change(age, "1 min")
    after = await client.post(COMPLETIONS, json=asking("Something else"), headers=keyed(bob))

    assert within.json()["id"] == first.json()["id"]
    assert after.status_code == 200
    assert after.json()["id"] != first.json()["id"]
    assert upstream.received() == 2


def stored_at(moment: dt.datetime, account_id: uuid.UUID | None = None) -> StoredAnswer:
    return StoredAnswer.objects.create(
        account_id=account_id or uuid7(),
        key=KEY,
        digest=b"",
        request_id=uuid7(),
        process_id=uuid7(),
        claimed_at=moment,
        deadline_at=moment,
    )


@pytest.mark.django_db
def test_pruning_deletes_what_is_a_day_old_a_few_at_a_time() -> None:
    now = timezone.now()
    young = stored_at(now - dt.timedelta(hours=23, minutes=59))
    for _ in range(5):
        stored_at(now - dt.timedelta(hours=24, seconds=1))

    assert prune(connection, now, batch=2) == 5
    assert prune(connection, now, batch=2) == 0
    assert list(StoredAnswer.objects.all()) == [young]


def test_who_is_deleted_leaves_no_answers(alice: Person, bob: Person) -> None:
    visitor = Visitor.objects.create()
    for account_id in (alice.account_id, bob.account_id, visitor.id):
        stored_at(timezone.now(), account_id)

    bob.user.delete()
    visitor.delete()

    assert [row.account_id for row in StoredAnswer.objects.all()] == [alice.account_id]


async def test_without_a_key_nothing_is_stored(
    client: httpx.AsyncClient, bob: Person, ledger_rows: LedgerRows
) -> None:
    for _ in range(2):
        await client.post(COMPLETIONS, json=asking(), headers=bob.headers)

    assert not await StoredAnswer.objects.aexists()
    assert len(await ledger_rows()) == 2


async def test_of_a_prompt_only_a_digest_is_stored(client: httpx.AsyncClient, bob: Person) -> None:
    body = asking("the-prompt-of-the-house")
    first = await client.post(COMPLETIONS, json=body, headers=keyed(bob))

    stored = await StoredAnswer.objects.aget()
    assert stored.request_id == decode("req", first.headers["x-request-id"])
    assert len(stored.digest) == 32
    assert b"quick river" in bytes(stored.answer or b"")
    assert b"the-prompt-of-the-house" not in bytes(stored.answer or b"")
