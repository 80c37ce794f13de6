"""Browsers for sign-up and log-in, with nothing counted against their address yet."""

import pytest
import redis
from django.test import Client


@pytest.fixture
def browser(db: None, flush: redis.Redis) -> Client:
    """A browser with no cookie."""
    return Client()
