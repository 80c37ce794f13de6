"""`manage.py doctor`: what is there, what is missing, and what to do about it."""

import datetime as dt
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.metering.rollups import roll_up
from billing.metering.spent import BEHIND
from billing.models import RollupMark
from gateway.catalogue.seed import seed
from gateway.models import Deployment, ProbeResult
from tests.commands.doctor import examine
from tests.commands.shell import manage
from tests.gateway_server import GatewayServer


@pytest.fixture(autouse=True)
def _catalogue(db: None, redis_url: str, settings: Settings) -> None:
    """A seeded catalogue, whose demo is switched on.  Payments have tests of their own."""
    settings.PAYMENTS = False
    settings.PROVIDER_VARIABLES = {"DEMO_MODEL_URL": "http://127.0.0.1:9/v1"}
    seed()


def test_stores_and_catalogue_that_work_are_ok() -> None:
    findings, status = examine()
    assert status == 0
    for check in ("database", "migrations", "partitions", "redis", "models", "secret key"):
        assert findings[check]["verdict"] == "OK", findings[check]


def test_a_running_product_is_ready_and_has_a_worker(gateway_server: GatewayServer) -> None:
    product = gateway_server.product
    lines: dict[str, str] = {}

    def worker_answers() -> bool:  # it starts last, after the web is ready
        lines.clear()
        for line in manage(product.paths.var, "doctor").stdout.splitlines():
            verdict, check, rest = line.split(maxsplit=2)
            lines[check] = f"{verdict} {rest}"
        return lines["worker"].startswith("OK")

    product.wait_until(worker_answers, "the worker answers the doctor")
    assert lines["web"] == f"OK ready at {gateway_server.base_url}"
    assert lines["redis"].startswith("OK")


def test_every_check_is_one_line_with_its_verdict() -> None:
    out = StringIO()
    call_command("doctor", stdout=out, no_color=True)
    for line in out.getvalue().splitlines():
        assert line.split()[0] in ("OK", "WARN", "FAIL")


def test_no_web_server_and_no_worker_are_warned_of_with_what_to_do(settings: Settings) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:9"
    findings, status = examine()
    assert status == 0
    for check in ("web", "worker"):
        assert findings[check]["verdict"] == "WARN"
        assert "make run" in findings[check]["advice"]


def test_with_no_usable_model_it_fails_and_names_the_variables(settings: Settings) -> None:
    settings.PROVIDER_VARIABLES = {}
    findings, status = examine()
    assert status == 1
    assert findings["models"]["verdict"] == "FAIL"
    assert "gpt-4 (wants OPENAI_API_KEY)" in findings["models"]["message"]
    assert (
        "free-deepseek (wants DEEPSEEK_API_KEY or OPENROUTER_API_KEY)"
        in findings["models"]["message"]
    )


def test_keys_are_named_and_never_shown(settings: Settings) -> None:
    settings.PROVIDER_VARIABLES = {"OPENAI_API_KEY": "sk-very-secret"}
    findings, _ = examine()
    assert "OPENAI_API_KEY" in findings["providers"]["message"]
    assert "sk-very-secret" not in json.dumps(findings)


def test_a_deployment_whose_latest_probe_failed_is_warned_of() -> None:
    demo = Deployment.objects.get(name="demo")
    ProbeResult.objects.create(deployment=demo, succeeded=False, latency_ms=9)
    findings, _ = examine()
    assert (findings["probes"]["verdict"], "demo" in findings["probes"]["message"]) == (
        "WARN",
        True,
    )
    ProbeResult.objects.create(deployment=demo, succeeded=True, latency_ms=9)
    assert examine()[0]["probes"]["verdict"] == "OK"


def test_an_admin_that_nobody_can_enter_is_warned_of() -> None:
    assert examine()[0]["staff"]["verdict"] == "WARN"
    User.objects.create_superuser("staff@example.com")
    assert examine()[0]["staff"]["verdict"] == "OK"


def test_a_redis_that_is_away_fails(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    findings, status = examine()
    assert status == 1
    assert findings["redis"]["verdict"] == "FAIL"
    assert "REDIS_URL" in findings["redis"]["advice"]


def test_a_migration_that_was_not_applied_fails() -> None:
    (last,) = MigrationLoader(connection).graph.leaf_nodes("gateway")
    MigrationRecorder(connection).record_unapplied(*last)
    findings, status = examine()
    assert status == 1
    assert ".".join(last) in findings["migrations"]["message"]
    assert "models" not in findings  # their tables may not be what the code expects


@pytest.fixture
def dropped_month(transactional_db: None) -> Iterator[str]:
    """The partition of a month to come, gone for the length of a test."""
    month = (dt.datetime.now(dt.UTC).replace(day=1) + dt.timedelta(days=70)).strftime("%Y_%m")
    table = f"billing_ledgerentry_{month}"
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE billing_ledgerentry DETACH PARTITION {table}")
        cursor.execute(f"DROP TABLE {table}")
    yield table
    from billing.metering.partitions import create_partitions

    create_partitions(connection, dt.datetime.now(dt.UTC).date())


def test_a_month_to_come_without_a_partition_is_warned_of(dropped_month: str) -> None:
    finding = examine()[0]["partitions"]
    assert finding["verdict"] == "WARN"
    assert dropped_month in finding["message"]


def test_sums_that_nobody_brings_up_to_now_are_warned_of(transactional_db: None) -> None:
    assert examine()[0]["sums"]["verdict"] == "WARN"  # never yet
    roll_up()
    assert examine()[0]["sums"]["verdict"] == "OK"
    RollupMark.objects.update(rolled_to=timezone.now() - BEHIND)
    finding = examine()[0]["sums"]
    assert finding["verdict"] == "WARN"
    assert "worker" in finding["advice"]


def test_mail_that_only_reaches_the_log_is_warned_of_on_a_public_site(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert examine()[0]["mail"]["verdict"] == "OK"
    settings.PUBLIC_URL = "https://scalix.example"
    assert examine()[0]["mail"]["verdict"] == "WARN"


def test_a_mail_server_that_is_away_fails(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    findings, status = examine()
    assert status == 1
    assert findings["mail"]["verdict"] == "FAIL"


def test_with_no_database_it_says_so_and_still_looks_at_the_rest(tmp_path: Path) -> None:
    done = manage(tmp_path, "doctor")
    assert done.returncode == 1
    assert done.stdout.startswith("FAIL  database")
    assert "secret key" in done.stdout
    assert "Traceback" not in done.stderr
