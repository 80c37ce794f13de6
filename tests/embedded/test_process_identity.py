"""Which process is meant by a number."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from scalix.embedded.process_identity import ProcessIdentity
from tests.embedded.waiting import eventually


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_process_is_running_until_it_ends(sleeper: "subprocess.Popen[bytes]") -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    assert identity.is_running()
    sleeper.kill()
    sleeper.wait()
    assert not identity.is_running()
    assert ProcessIdentity.of(sleeper.pid) is None


def test_a_process_that_ended_but_was_not_waited_for_is_not_running(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    sleeper.kill()
    eventually(lambda: not identity.is_running(), "the zombie to count as ended")
    assert sleeper.returncode is None


def test_a_signal_reaches_the_process(sleeper: "subprocess.Popen[bytes]") -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    identity.signal(signal.SIGTERM)
    assert sleeper.wait() == -signal.SIGTERM


def test_a_process_that_was_given_a_dead_ones_number_is_left_alone(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    earlier = ProcessIdentity(sleeper.pid, "in an earlier life")
    assert not earlier.is_running()
    earlier.signal(signal.SIGKILL)
    assert sleeper.poll() is None


def test_no_process_has_a_number_that_was_never_given() -> None:
    assert ProcessIdentity.of(2**22 + 1) is None
    assert ProcessIdentity.of(os.getpid()) is not None
