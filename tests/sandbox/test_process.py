"""The sandbox as a process: what it refuses, and what it remembers when it is killed."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sandbox.receiver import Receiver
from tests.sandbox.running import KEY, NOBODY, SECRET
from tests.sandbox.shop import DECLINES_LATER, Shop


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def command(folder: Path, *more: str, key: str = KEY) -> list[str]:
    (folder / "key").write_text(key)
    (folder / "secret").write_text(SECRET)
    return [
        *(sys.executable, "-m", "billing.sandbox", "--state", str(folder / "state.sqlite3")),
        *("--key-file", str(folder / "key"), "--secret-file", str(folder / "secret")),
        *more,
    ]


@contextmanager
def started(folder: Path, port: int, webhook: str, *more: str) -> Iterator[str]:
    """Its address; at the end it is killed."""
    ready, announce = os.pipe()
    options = ("--port", str(port), "--webhook", webhook, "--ready-fd", str(announce), *more)
    process = subprocess.Popen(command(folder, *options), pass_fds=[announce])
    os.close(announce)
    said = os.read(ready, 16)
    os.close(ready)
    assert said, "the sandbox did not start"
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_killed_it_remembers_everything_and_goes_on_delivering(tmp_path: Path) -> None:
    port, pauses = free_port(), ("--retry-pauses", "0.05")
    with started(tmp_path, port, NOBODY, *pauses) as base:
        shop = Shop(base)
        subscription = shop.subscribed(DECLINES_LATER)
        shop.advance(days=32)
        before, events = shop.subscription(subscription.id), shop.happened()
    with Receiver() as receiver, started(tmp_path, port, receiver.address, *pauses):
        assert shop.subscription(subscription.id) == before
        assert shop.happened() == events
        assert sorted(receiver.next()["type"] for _ in events) == sorted(events)
        shop.advance(days=14)  # the retries go on where they were
        assert shop.subscription(subscription.id).status == "canceled"


def test_it_starts_at_the_moment_that_it_is_given(tmp_path: Path) -> None:
    with started(tmp_path, free_port(), NOBODY, "--now", "2000000000") as base:
        assert 0 <= Shop(base).now() - 2_000_000_000 < 60


@pytest.mark.parametrize("live", ["sk_live_1", "rk_live_1"])
@pytest.mark.parametrize("name", ["STRIPE_SECRET_KEY", "ANYTHING"])
def test_it_does_not_start_beside_a_live_key(tmp_path: Path, name: str, live: str) -> None:
    refused = subprocess.run(
        command(tmp_path, "--port", str(free_port()), "--webhook", NOBODY),
        env={**os.environ, name: live},
        capture_output=True,
        check=False,
    )
    assert refused.returncode == 2
    assert live.encode() not in refused.stderr
    assert not (tmp_path / "state.sqlite3").exists()


def test_it_takes_a_test_key_only(tmp_path: Path) -> None:
    refused = subprocess.run(
        command(tmp_path, "--port", str(free_port()), "--webhook", NOBODY, key="sk_live_1"),
        capture_output=True,
        check=False,
    )
    assert refused.returncode == 2
    assert not (tmp_path / "state.sqlite3").exists()
