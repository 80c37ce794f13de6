"""What a killed supervisor left is ended, and nothing else is."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from scalix.embedded.errors import AlreadyRunningError
from scalix.embedded.orphans import end_orphans
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.process_identity import ProcessIdentity
from scalix.embedded.state import (
    StartedProcess,
    SupervisorState,
    folder_lock,
    read_state,
    running_state,
    write_state,
)

DEAD_SUPERVISOR = ProcessIdentity(os.getpid(), "in an earlier life")


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


def left_behind(identity: ProcessIdentity) -> SupervisorState:
    part = StartedProcess("web-1", identity, signal.SIGTERM)
    return SupervisorState(DEAD_SUPERVISOR, "http://127.0.0.1:8000", "", (part,))


def test_a_part_that_was_left_running_is_ended(
    paths: EmbeddedPaths, process: "subprocess.Popen[bytes]"
) -> None:
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    write_state(paths, left_behind(identity))
    assert end_orphans(paths) == ["web-1"]
    assert process.wait() == -signal.SIGTERM
    assert read_state(paths) is None


def test_a_program_that_was_given_a_dead_parts_number_is_left_alone(
    paths: EmbeddedPaths, process: "subprocess.Popen[bytes]"
) -> None:
    write_state(paths, left_behind(ProcessIdentity(process.pid, "in an earlier life")))
    assert end_orphans(paths) == []
    assert process.poll() is None


@pytest.mark.parametrize("text", ["", "no json", '{"address": 1}', "[]"])
def test_a_state_that_makes_no_sense_is_nobodys(paths: EmbeddedPaths, text: str) -> None:
    paths.supervisor_state.write_text(text)
    assert end_orphans(paths) == []
    assert not paths.supervisor_state.exists()


def test_a_dead_supervisors_state_is_not_a_running_ones(paths: EmbeddedPaths) -> None:
    write_state(paths, left_behind(DEAD_SUPERVISOR))
    assert read_state(paths) is not None
    assert running_state(paths) is None


def test_a_lock_is_held_by_one_and_free_after_it(paths: EmbeddedPaths) -> None:
    with folder_lock(paths), pytest.raises(AlreadyRunningError), folder_lock(paths):
        pass
    with folder_lock(paths):
        pass
