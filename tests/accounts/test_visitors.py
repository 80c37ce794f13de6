"""Visitors prove who they are with what we signed, and with nothing else."""

import uuid
from collections.abc import Callable

import pytest
from django.core.signing import Signer

from accounts import visitors
from accounts.identifiers import encode, uuid7
from accounts.postgres import ReadPool


def test_the_credential_proves_the_visitor() -> None:
    visitor_id = uuid7()
    assert visitors.visitor_id_of(visitors.credential_for(visitor_id)) == visitor_id


@pytest.mark.parametrize(
    "forge",
    [
        lambda visitor_id: encode("vis", visitor_id),
        str,
        lambda visitor_id: visitors.credential_for(visitor_id)[:-1],
        lambda visitor_id: visitors.credential_for(visitor_id) + "A",
        lambda visitor_id: visitors.credential_for(visitor_id).lower(),
        lambda visitor_id: Signer(salt="something else").sign(encode("vis", visitor_id)),
        lambda visitor_id: Signer(key="guessed", salt="accounts.visitors").sign("vis_0"),
        lambda visitor_id: visitors._signer.sign(encode("req", visitor_id)),
        lambda visitor_id: visitors._signer.sign("no identifier"),
        lambda visitor_id: "",
        lambda visitor_id: ":",
        lambda visitor_id: "\0" * 100,
    ],
)
def test_what_we_did_not_sign_proves_nothing(forge: Callable[[uuid.UUID], str]) -> None:
    assert visitors.visitor_id_of(forge(uuid7())) is None


def test_another_visitors_signature_proves_nothing() -> None:
    mine, theirs = visitors.credential_for(uuid7()), visitors.credential_for(uuid7())
    mixed = f"{theirs.partition(':')[0]}:{mine.partition(':')[2]}"
    assert visitors.visitor_id_of(mixed) is None


async def row(reads: ReadPool, visitor_id: uuid.UUID) -> tuple[object, ...]:
    rows = await reads.fetch(
        "SELECT host(ip), user_agent, created_at <= last_request_at"
        "  FROM accounts_visitor WHERE id = %s",
        (visitor_id,),
    )
    assert len(rows) == 1
    return rows[0]


async def test_a_visitor_is_written_down_once_and_remembered(reads: ReadPool) -> None:
    visitor_id = uuid7()
    await visitors.remember(reads, visitor_id, "203.0.113.7", "curl/8")
    assert await row(reads, visitor_id) == ("203.0.113.7", "curl/8", True)
    await visitors.remember(reads, visitor_id, "2001:db8::1", "curl/9")
    assert await row(reads, visitor_id) == ("2001:db8::1", "curl/8", True)


async def test_a_visitor_without_an_address_and_with_too_much_to_say_is_written_down_too(
    reads: ReadPool,
) -> None:
    visitor_id = uuid7()
    await visitors.remember(reads, visitor_id, None, "x" * 5_000)
    assert await row(reads, visitor_id) == (None, "x" * 300, True)
