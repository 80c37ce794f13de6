"""What `manage.py doctor` looks at: each part the product stands on, and what to do about it.

Values of secrets and keys are never looked at beyond whether they are there.
"""

import datetime as dt
import ssl
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import aiohttp
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from kombu.exceptions import OperationalError as BrokerError

from accounts.models import User
from accounts.postgres import PostgresUnavailable
from billing.metering.partitions import missing_partitions
from billing.metering.quota import QuotaUnavailable
from billing.metering.spent import is_behind, rolled_to
from billing.metering.standing import usage_now
from gateway.admin import with_latest_probe
from gateway.models import Deployment, PublicModel
from scalix import payments_checkup
from scalix.celery import app as celery
from scalix.embedded.state import running_state
from scalix.findings import FAIL, OK, WARN, Finding

_NOBODY: Final = uuid.UUID(int=0)
_SHORTEST_SECRET: Final = 32
_WORKER_SECONDS: Final = 1.0
_WEB_SECONDS: Final = 3.0


def examine() -> Iterator[Finding]:
    """Every check in order, those that need a store only if it answers."""
    database = _database()
    yield database
    if database.verdict == OK:
        migrations = _migrations()
        yield migrations
        if migrations.verdict == OK:
            yield from _each(_partitions, _sums, _counters, _models, _providers, _probes, _staff)
            if settings.PAYMENTS:
                yield from _each(
                    payments_checkup.prices, payments_checkup.reconciler, payments_checkup.inbox
                )
    yield payments_checkup.payments()
    if settings.PAYMENTS:
        yield payments_checkup.stripe()
    yield from _each(_web, _worker, _mail, _secret_key)


def _each(*checks: Callable[[], Finding]) -> Iterable[Finding]:
    return (check() for check in checks)


def _database() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            version = cursor.fetchone()[0]
    except DatabaseError as error:
        return Finding(
            "database",
            FAIL,
            f"can't be reached: {str(error).strip().splitlines()[0]}",
            "start it with `make run`, or set DATABASE_URL",
        )
    return Finding("database", OK, f"Postgres {version.split()[0]} answers")


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3])
        return Finding(
            "migrations", FAIL, f"{len(plan)} not applied: {names} …", "run `manage.py migrate`"
        )
    return Finding("migrations", OK, "all applied")


def _partitions() -> Finding:
    today = dt.datetime.now(dt.UTC).date()
    missing = missing_partitions(connection, today)
    if not missing:
        return Finding("partitions", OK, "the ledger has its partitions months ahead")
    now = [one for one in missing if (one.month.year, one.month.month) == (today.year, today.month)]
    return Finding(
        "partitions",
        FAIL if now else WARN,
        f"not there: {', '.join(one.name for one in missing)}",
        "start the worker and beat: they create them daily",
    )


def _sums() -> Finding:
    mark = rolled_to()
    if mark is None:
        return Finding("sums", WARN, "the ledger was never rolled up", "start the worker and beat")
    until = f"{mark:%Y-%m-%d %H:%M} UTC"
    if is_behind():
        return Finding(
            "sums",
            WARN,
            f"the ledger was last rolled up {until}: pages read ever more rows",
            "start the worker and beat: they roll up every minute",
        )
    return Finding("sums", OK, f"rolled up to {until}")


def _counters() -> Finding:
    try:
        usage_now(_NOBODY)
    except QuotaUnavailable as error:
        return Finding(
            "redis",
            FAIL,
            f"can't be reached: {error}",
            "start it with `make run`, or set REDIS_URL",
        )
    except PostgresUnavailable as error:
        return Finding("redis", FAIL, f"the ledger can't be summed: {error}", "see database")
    return Finding("redis", OK, "answers, and runs the admission script")


def _variables() -> Mapping[str, str]:
    """The provider variables as the running server has them, the demo model's address included."""
    state = running_state(settings.EMBEDDED_PATHS)
    demo = {"DEMO_MODEL_URL": state.demo_model_url} if state and state.demo_model_url else {}
    return settings.PROVIDER_VARIABLES | demo


def _models() -> Finding:
    variables = _variables()
    usable: list[str] = []
    off: list[str] = []
    for model in PublicModel.objects.filter(enabled=True).prefetch_related("deployments"):
        deployments = [one for one in model.deployments.all() if one.enabled]
        missing = [one.missing_variables(variables) for one in deployments]
        if [] in missing:
            usable.append(model.name)
        else:
            wanted = " or ".join(" and ".join(names) for names in missing)
            off.append(f"{model.name} ({f'wants {wanted}' if wanted else 'no deployment'})")
    off_text = f"; off: {', '.join(off)}" if off else ""
    if not usable:
        return Finding(
            "models",
            FAIL,
            f"none can be used{off_text}",
            "set a provider's key" if off else "run `manage.py seed_catalogue`",
        )
    return Finding("models", OK, f"usable: {', '.join(usable)}{off_text}")


def _providers() -> Finding:
    variables = _variables()
    missing = {
        name
        for deployment in Deployment.objects.filter(enabled=True)
        for name in deployment.missing_variables(variables)
    }
    found = ", ".join(sorted(variables)) or "none"
    return Finding(
        "providers", OK, f"set: {found}; not set: {', '.join(sorted(missing)) or 'none'}"
    )


def _probes() -> Finding:
    variables = _variables()
    enabled: Iterable[Any] = with_latest_probe(Deployment.objects.filter(enabled=True))
    usable = [one for one in enabled if not one.missing_variables(variables)]
    failed = [one.name for one in usable if one.answered is False]
    if failed:
        return Finding(
            "probes",
            WARN,
            f"the latest failed: {', '.join(failed)}",
            "the admin's Probes say why; routing tries these last",
        )
    never = [one.name for one in usable if one.answered is None]
    if never:
        return Finding("probes", OK, f"not probed yet: {', '.join(never)}")
    return Finding("probes", OK, "the latest of each usable deployment was answered")


def _staff() -> Finding:
    if User.objects.filter(is_staff=True, is_active=True).exists():
        return Finding("staff", OK, "somebody can enter the admin")
    return Finding("staff", WARN, "nobody can enter the admin", "run `manage.py createsuperuser`")


def _web() -> Finding:
    state = running_state(settings.EMBEDDED_PATHS)
    url = state.address if state else settings.PUBLIC_URL
    try:
        status, body = _ready(f"{url}/readyz")
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        return Finding("web", WARN, f"no answer from {url}: {reason}", "start it with `make run`")
    if status != 200:
        return Finding("web", FAIL, f"{url}/readyz answers {status}: {body[:200]}")
    return Finding("web", OK, f"ready at {url}")


@async_to_sync
async def _ready(url: str) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=_WEB_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        return response.status, await response.text(errors="replace")


def _worker() -> Finding:
    advice = "start it with `make run`: without one nothing sweeps and nothing probes"
    try:
        with celery.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0)
            answers = celery.control.ping(timeout=_WORKER_SECONDS, connection=broker)
    except BrokerError as error:
        return Finding("worker", WARN, f"the broker can't be reached: {error}", advice)
    if not answers:
        return Finding("worker", WARN, f"none answered within {_WORKER_SECONDS:g} s", advice)
    return Finding("worker", OK, f"{len(answers)} answered")


def _mail() -> Finding:
    backend: str = settings.EMAIL_BACKEND
    if backend.endswith("console.EmailBackend"):
        local = not settings.PUBLIC_URL.startswith("https://")
        return Finding(
            "mail",
            OK if local else WARN,
            "printed to the server's log, not sent",
            "" if local else "set EMAIL_URL",
        )
    try:
        with get_connection():
            return Finding("mail", OK, f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT} takes mail")
    except (OSError, ssl.SSLError) as error:
        return Finding(
            "mail",
            FAIL,
            f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}: {error}",
            "check EMAIL_URL",
        )


def _secret_key() -> Finding:
    if len(settings.SECRET_KEY) < _SHORTEST_SECRET:
        return Finding(
            "secret key",
            WARN,
            f"shorter than {_SHORTEST_SECRET} characters",
            "set SECRET_KEY to a long random text; everybody is then logged out",
        )
    return Finding("secret key", OK, "long enough")
