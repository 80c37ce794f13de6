"""From a token's text to its owner."""

import datetime as dt
import uuid

import pytest
from django.utils import timezone

from accounts import credentials
from accounts.identity import TokenRefused, TokenUses, find_token_holder
from accounts.models import ApiToken
from accounts.postgres import PostgresUnavailable, ReadPool
from tests.conftest import Person


async def refusal(reads: ReadPool, secret: str) -> str:
    """The code with which the token is refused."""
    with pytest.raises(TokenRefused) as refused:
        await find_token_holder(reads, secret)
    return refused.value.code


def token_of(person: Person) -> ApiToken:
    return ApiToken.objects.get(user=person.user)


@pytest.fixture
def revoked(bob: Person) -> Person:
    token_of(bob).revoke()
    return bob


@pytest.fixture
def expired(bob: Person) -> Person:
    ApiToken.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    return bob


@pytest.fixture
def expiring(bob: Person) -> Person:
    ApiToken.objects.update(expires_at=timezone.now() + dt.timedelta(hours=1))
    return bob


async def test_a_token_leads_to_its_owner(bob: Person, alice: Person, reads: ReadPool) -> None:
    holder = await find_token_holder(reads, bob.secret)
    assert (holder.user_id, holder.email) == (bob.account_id, "bob@example.com")
    assert (holder.token_name, holder.expires_at) == ("bob's laptop", None)
    assert holder.token_display == f"{bob.secret[:15]}…{bob.secret[-4:]}"


async def test_a_token_works_until_it_expires(expiring: Person, reads: ReadPool) -> None:
    holder = await find_token_holder(reads, expiring.secret)
    assert holder.expires_at is not None
    assert holder.expires_at > timezone.now()


async def test_an_expired_token_is_refused(expired: Person, reads: ReadPool) -> None:
    assert await refusal(reads, expired.secret) == "token_expired"


async def test_a_revoked_token_is_refused(revoked: Person, reads: ReadPool) -> None:
    assert await refusal(reads, revoked.secret) == "token_revoked"


async def test_a_suspended_owners_token_is_refused(charlie: Person, reads: ReadPool) -> None:
    assert await refusal(reads, charlie.secret) == "account_suspended"


async def test_a_well_formed_token_that_nobody_has_is_refused(bob: Person, reads: ReadPool) -> None:
    assert await refusal(reads, credentials.new_secret()) == "invalid_api_key"


async def test_what_is_no_token_at_all_is_refused_without_a_look_up(bob: Person) -> None:
    never_opened = ReadPool()
    assert await refusal(never_opened, "sk-something") == "invalid_api_key"


async def test_the_right_beginning_alone_opens_nothing(bob: Person, reads: ReadPool) -> None:
    body = bob.secret[7:15] + "a" * 24
    forged = f"scalix_{body}{credentials._check(body)}"
    assert credentials.lookup_prefix(forged) == credentials.lookup_prefix(bob.secret)
    assert await refusal(reads, forged) == "invalid_api_key"


# When tokens were used ------------------------------------------------------------------------


async def last_used(reads: ReadPool, token_id: uuid.UUID) -> dt.datetime | None:
    rows = await reads.fetch(
        "SELECT last_used_at FROM accounts_apitoken WHERE id = %s", (token_id,)
    )
    moment: dt.datetime | None = rows[0][0]
    return moment


@pytest.fixture
def token_id(bob: Person) -> uuid.UUID:
    return token_of(bob).id


async def test_uses_are_written_together_now_and_then(reads: ReadPool, token_id: uuid.UUID) -> None:
    uses, before = TokenUses(), timezone.now()
    uses.saw(token_id)
    assert await last_used(reads, token_id) is None
    await uses.write(reads)
    written = await last_used(reads, token_id)
    assert written is not None
    assert before <= written <= timezone.now()


async def test_a_use_that_another_process_saw_later_stays(
    reads: ReadPool, token_id: uuid.UUID
) -> None:
    uses = TokenUses()
    uses.saw(token_id)
    later = timezone.now() + dt.timedelta(minutes=1)
    await reads.fetch("UPDATE accounts_apitoken SET last_used_at = %s", (later,))
    await uses.write(reads)
    assert await last_used(reads, token_id) == later


async def test_what_cannot_be_written_is_written_next_time(
    reads: ReadPool, token_id: uuid.UUID
) -> None:
    class Away:
        async def fetch(self, query: str, parameters: object) -> list[tuple[object, ...]]:
            raise PostgresUnavailable

    uses = TokenUses()
    uses.saw(token_id)
    with pytest.raises(PostgresUnavailable):
        await uses.write(Away())  # type: ignore[arg-type]
    await uses.write(reads)
    assert await last_used(reads, token_id) is not None


async def test_without_uses_nothing_is_asked_of_postgres() -> None:
    await TokenUses().write(None)  # type: ignore[arg-type]
