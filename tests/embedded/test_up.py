"""`manage.py up`, for real: every part, from an empty folder to nothing left."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scalix.embedded.demo_model import installed_model
from scalix.embedded.errors import EmbeddedError
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.process_identity import ProcessIdentity
from scalix.embedded.state import read_state

PROJECT = Path(__file__).resolve().parents[2]


def environment(paths: EmbeddedPaths) -> dict[str, str]:
    replaced = ("DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in replaced and not name.startswith("STRIPE_")
    }
    return {**kept, "SCALIX_VAR": str(paths.var), "WEB_PROCESSES": "1", "PORT": "18000"}


@contextmanager
def started(command: list[str], environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """The process, which is ended if the test fails: else that would wait for it for ever."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def test_up_starts_everything_answers_and_stops_without_a_trace(paths: EmbeddedPaths) -> None:
    try:
        installed_model([PROJECT / "var" / "models"])
    except EmbeddedError as error:
        pytest.skip(str(error))
    command = [sys.executable, str(PROJECT / "manage.py"), "up"]
    with started(command, environment(paths)) as up:
        assert up.stdout is not None
        printed: list[str] = []
        for line in up.stdout:
            printed.append(line)
            if "Ctrl-C stops everything" in line:
                break
        state = read_state(paths)
        assert state is not None, "".join(printed)
        with urllib.request.urlopen(f"{state.address}/readyz") as answer:
            assert answer.status == 200
        assert state.stripe_url
        assert "Payments are a sandbox: no money moves." in "".join(printed)
        assert {process.name for process in state.processes} == {
            *("postgres", "valkey", "demo-model", "payments", "web-1", "worker", "beat")
        }
        assert paths.admin_password.exists()

        second = subprocess.run(
            command, env=environment(paths), capture_output=True, text=True, check=False
        )
        assert second.returncode == 1
        assert state.address in second.stderr

        up.send_signal(signal.SIGINT)
        rest = up.stdout.read()
    assert up.returncode == 0, rest
    assert rest.rstrip().endswith("stopped")
    assert ProcessIdentity.of(up.pid) is None
    assert not any(process.identity.is_running() for process in state.processes)


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
@pytest.mark.parametrize(
    "beside", [{"STRIPE_SANDBOX": "1"}, {"STRIPE_API_BASE": "http://127.0.0.1:25000"}]
)
def test_up_refuses_a_sandbox_beside_a_live_key(
    paths: EmbeddedPaths, key: str, beside: dict[str, str]
) -> None:
    refused = subprocess.run(
        [sys.executable, str(PROJECT / "manage.py"), "up"],
        env={**environment(paths), "STRIPE_SECRET_KEY": key, **beside},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "STRIPE_SECRET_KEY is a live key" in refused.stderr
    assert key not in refused.stderr
    assert read_state(paths) is None
    assert not paths.sandbox_key.exists()
