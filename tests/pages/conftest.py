"""Browsers without a browser: one that is nobody, and one each for the cast."""

import uuid

import pytest
from django.test import AsyncClient

from accounts import visitors
from gateway.runtime import Gateway
from tests.conftest import Person


@pytest.fixture
def somebody(gateway: Gateway) -> AsyncClient:
    """A browser with no cookie."""
    return AsyncClient()


@pytest.fixture
async def as_bob(gateway: Gateway, bob: Person) -> AsyncClient:
    """Bob's browser: free plan, logged in."""
    return await logged_in(bob)


@pytest.fixture
async def as_alice(gateway: Gateway, alice: Person) -> AsyncClient:
    """Alice's browser: pro plan, logged in."""
    return await logged_in(alice)


async def logged_in(person: Person) -> AsyncClient:
    """A browser in which this person has just logged in."""
    browser = AsyncClient()
    await browser.aforce_login(person.user)
    return browser


async def visitor_of(browser: AsyncClient) -> uuid.UUID:
    """Which visitor the browser's cookie says it is."""
    credential = browser.cookies[visitors.COOKIE].value
    visitor_id = visitors.visitor_id_of(credential)
    assert visitor_id is not None
    return visitor_id
