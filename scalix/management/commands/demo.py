"""`manage.py demo`: three walks through the running server, printed as a person would read them."""

import asyncio
import json
import secrets
from argparse import ArgumentParser
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import aiohttp
from django.conf import settings
from django.core.management.base import CommandError

from accounts.database_command import DatabaseCommand
from accounts.models import ApiToken, User
from billing.models import Subscription, Tier
from scalix.embedded.state import running_state
from scalix.walks import Client, Tell, WalkFailedError, check_ready, free_user, pro_user, rate_limit

_PATIENCE: Final = 120.0  # seconds; a busy machine's demo model takes its time
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody made for one demo, and the token that they were given."""

    email: str
    token: ApiToken
    secret: str


class Command(DatabaseCommand):
    help = (
        "Shows a free user, a pro user and the free plan's hourly limit against the running "
        "server. Makes fresh users each time and revokes their tokens at the end. Exit status 1 "
        "if the server is away or does something else than it should."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", help="the server (default: the one that `make run` started)")
        parser.add_argument("--json", action="store_true", help="print one JSON object at the end")

    def handle(self, *, url: str | None, **options: Any) -> None:
        url = (url or _running_server()).rstrip("/")
        say: Tell = (lambda _: None) if options["json"] else self.stdout.write
        _run(url, _checked(url))
        guests = [_invite(Tier.FREE), _invite(Tier.PRO), _invite(Tier.FREE)]
        try:
            seen = _run(url, _walk(url, guests, say))
        finally:
            for guest in guests:
                guest.token.revoke()
        if options["json"]:
            self.stdout.write(json.dumps({"url": url} | seen))


def _run(url: str, walk: Coroutine[Any, Any, _Result]) -> _Result:
    """What the coroutine gives; CommandError with what a person can do where it fails."""
    try:
        return asyncio.run(walk)
    except aiohttp.ClientConnectionError as error:
        raise CommandError(
            f"Nothing answers at {url}. Start Scalix with `make run`, or name its address with "
            "--url."
        ) from error
    except TimeoutError as error:
        raise CommandError(f"{url} took longer than {_PATIENCE:g} s for one answer.") from error
    except WalkFailedError as error:
        raise CommandError(str(error)) from error


def _running_server() -> str:
    state = running_state(settings.EMBEDDED_PATHS)
    return state.address if state else str(settings.PUBLIC_URL)


def _invite(tier: Tier) -> Guest:
    email = f"demo-{tier.value}-{secrets.token_hex(4)}@scalix.localhost"
    user = User.objects.create_user(email)
    if tier is Tier.PRO:
        Subscription.objects.create(user=user, tier=tier, source=Subscription.Source.STAFF)
    token, secret = ApiToken.objects.issue(user=user, name="manage.py demo")
    return Guest(email, token, secret)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE))


async def _checked(url: str) -> None:
    async with _session() as session:
        await check_ready(session, url)


async def _walk(url: str, guests: list[Guest], say: Tell) -> dict[str, Any]:
    free_guest, pro_guest, limited_guest = guests
    async with _session() as session:
        free, pro, limited = (Client(session, url, guest.secret) for guest in guests)
        tell = _indented(say)
        say(f"Scalix at {url}\n\n1. A free user, {free_guest.email}")
        seen = {"free_user": await free_user(free, tell)}
        say(f"\n2. A pro user, {pro_guest.email}")
        seen["pro_user"] = await pro_user(pro, tell)
        say(f"\n3. The free plan's hourly limit, {limited_guest.email}")
        seen["rate_limit"] = await rate_limit(limited, pro, tell)
    return seen


def _indented(say: Tell) -> Callable[[str], None]:
    return lambda line: say(f"   {line}")
