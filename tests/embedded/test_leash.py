"""Commands that end with the process that started them."""

import signal
import subprocess
import sys

import pytest

from scalix.embedded.leash import leashed
from scalix.embedded.process_identity import ProcessIdentity
from tests.embedded.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has death signals")

OWNER = """
import subprocess, sys, time
from scalix.embedded.leash import leashed
print(subprocess.Popen(leashed(sys.argv[1:])).pid, flush=True)
time.sleep(60)
"""


def test_the_command_dies_with_its_owner_even_by_kill_9() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, "sleep", "60"], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        leashed_process = ProcessIdentity.of(int(owner.stdout.readline()))
        assert leashed_process is not None
        assert leashed_process.is_running()
        owner.kill()
    eventually(lambda: not leashed_process.is_running(), "the command to follow its owner")


def test_a_command_whose_owner_died_before_the_leash_was_on_never_starts() -> None:
    *leash, _, number, user, command = leashed(["true"])
    nobody = "1"
    assert subprocess.run([*leash, nobody, number, user, command], check=False).returncode == 1


def test_the_command_itself_is_what_runs_in_the_end() -> None:
    said = subprocess.run(leashed(["echo", "hello"]), capture_output=True, text=True, check=True)
    assert said.stdout == "hello\n"
    killed = subprocess.run(leashed(["sh", "-c", "kill -TERM $$"]), check=False)
    assert killed.returncode == -signal.SIGTERM
