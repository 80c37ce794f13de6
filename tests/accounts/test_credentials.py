"""A token's text: unguessable, checkable without a look-up, and stored nowhere."""

import hashlib
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts import credentials
from accounts.models import ApiToken
from tests.conftest import Person

DIGITS = "abcdefghijklmnopqrstuvwxyz234567"


def test_a_secret_has_the_form_that_scanners_are_told() -> None:
    secret = credentials.new_secret()
    assert re.fullmatch(r"scalix_[a-z2-7]{38}", secret)
    assert credentials.is_well_formed(secret)


def test_secrets_differ_in_their_look_up_part_already() -> None:
    secrets = {credentials.new_secret() for _ in range(1_000)}
    assert len({credentials.lookup_prefix(secret) for secret in secrets}) == 1_000


@given(place=st.integers(0, 37), digit=st.sampled_from(DIGITS))
def test_any_single_slip_is_noticed(place: int, digit: str) -> None:
    secret = credentials.new_secret()
    at = len(credentials.PREFIX) + place
    slipped = secret[:at] + digit + secret[at + 1 :]
    assert credentials.is_well_formed(slipped) == (slipped == secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scalix_",
        "sk-" + "a" * 42,
        "scalix_" + "a" * 38,
        "scalix_" + "A" * 38,
        "scalix_" + "ı" * 38,
        "scalix_" + "\0" * 38,
        "scalix_" + "\ud800" * 38,
        "x" * 100_000,
    ],
    ids=repr,
)
def test_what_is_no_token_is_refused_without_a_look_up(text: str) -> None:
    assert not credentials.is_well_formed(text)


@pytest.mark.parametrize("change", [str.upper, lambda secret: secret + "a", lambda s: s[:-1]])
def test_a_token_in_another_form_is_another_text(change: Callable[[str], str]) -> None:
    assert not credentials.is_well_formed(change(credentials.new_secret()))


@given(st.text())
def test_no_text_breaks_the_check(text: str) -> None:
    assert credentials.is_well_formed(text) in (True, False)


def test_what_is_stored_is_a_digest_and_the_part_that_lists_show(bob: Person) -> None:
    token, secret = ApiToken.objects.issue(user=bob.user, name="ci")
    stored = ApiToken.objects.values().get(pk=token.pk)
    assert bytes(stored["digest"]) == hashlib.sha256(secret.encode()).digest()
    assert not [value for value in stored.values() if secret in str(value)]
    assert secret.startswith(stored["prefix"])
    assert token.display == f"{secret[:15]}…{secret[-4:]}"


def test_a_token_is_revoked_once_and_the_first_time_is_kept(bob: Person) -> None:
    token, _ = ApiToken.objects.issue(user=bob.user, name="ci")
    assert (token.state, token.revoke()) == ("active", True)
    first = token.revoked_at
    again = ApiToken.objects.get(pk=token.pk)
    assert (again.revoke(), again.state) == (False, "revoked")
    assert ApiToken.objects.get(pk=token.pk).revoked_at == first
