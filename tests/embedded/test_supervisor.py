"""The supervisor's promises, kept with parts that misbehave on purpose."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.process_identity import ProcessIdentity
from scalix.embedded.state import read_state
from tests.embedded.waiting import eventually

IN_ORDER = [[{"name": "store"}], [{"name": "web-1"}, {"name": "web-2"}], [{"name": "beat"}]]


class Product:
    """A supervisor in a process of its own, and what its parts wrote down."""

    def __init__(self, paths: EmbeddedPaths, stages: Sequence[Sequence[dict[str, Any]]]) -> None:
        self._events = paths.var / "events"
        self._printed = paths.var / "printed"
        with self._printed.open("w") as printed:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.embedded.fake_product",
                    paths.var,
                    json.dumps(stages),
                ],
                stdout=printed,
                stderr=subprocess.STDOUT,
            )

    def printed(self) -> str:
        return self._printed.read_text()

    def events(self) -> list[str]:
        """Such as `web-1 ready`, in the order in which they happened."""
        return [line.rpartition(" ")[0] for line in self._lines()]

    def processes(self) -> list[ProcessIdentity]:
        """The parts that run now."""
        pids = [int(line.rpartition(" ")[2]) for line in self._lines() if " started " in line]
        return [identity for pid in pids if (identity := ProcessIdentity.of(pid)) is not None]

    def pid(self, name: str) -> int:
        """The process that the part was started as last."""
        return int(
            [line for line in self._lines() if line.startswith(f"{name} started")][-1].split()[-1]
        )

    def wait_until_printed(self, text: str) -> None:
        eventually(lambda: text in self.printed(), f"{text!r} in:\n{self.printed()}")

    def wait_until(self, event: str, times: int = 1) -> None:
        eventually(lambda: self.events().count(event) >= times, f"{event!r} {times} times")

    def _lines(self) -> list[str]:
        return self._events.read_text().splitlines() if self._events.exists() else []


Start = Callable[..., Product]


@pytest.fixture(autouse=True)
def _no_nohup() -> Iterator[None]:
    """Whatever runs the tests may ignore SIGHUP, which its children would take for meant."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def start(paths: EmbeddedPaths) -> Iterator[Start]:
    started: list[Product] = []

    def start(stages: Sequence[Sequence[dict[str, Any]]] = IN_ORDER) -> Product:
        started.append(Product(paths, stages))
        return started[-1]

    yield start
    for product in started:
        product.process.kill()
        product.process.wait()
        for part in product.processes():
            part.signal(signal.SIGKILL)


def test_parts_start_in_order_each_stage_when_the_one_before_is_ready(start: Start) -> None:
    product = start()
    product.wait_until_printed("all ready")
    events = product.events()
    assert events[:2] == ["store started", "store ready"]
    assert sorted(events[2:6]) == ["web-1 ready", "web-1 started", "web-2 ready", "web-2 started"]
    assert events[6:] == ["beat started", "beat ready"]
    for name in ("store", "web-1", "web-2", "beat"):
        assert f"{name} ready in " in product.printed()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops_all_in_reverse_order(start: Start, number: signal.Signals) -> None:
    product = start()
    product.wait_until_printed("all ready")
    product.process.send_signal(number)
    assert product.process.wait() == 0
    events = product.events()[8:]
    assert events[:2] == ["beat asked to stop", "beat stopped"]
    assert sorted(events[2:6]) == [
        "web-1 asked to stop",
        "web-1 stopped",
        "web-2 asked to stop",
        "web-2 stopped",
    ]
    assert events[6:] == ["store asked to stop", "store stopped"]
    assert product.processes() == []


def test_ctrl_c_in_a_terminal_reaches_the_parts_through_the_supervisor_only(start: Start) -> None:
    product = start()
    product.wait_until_printed("all ready")
    assert all(os.getpgid(part.pid) == part.pid for part in product.processes())


def test_a_second_ctrl_c_kills_at_once_what_doesnt_stop(start: Start) -> None:
    product = start([[{"name": "store"}], [{"name": "web", "options": ["--stubborn"]}]])
    product.wait_until_printed("all ready")
    product.process.send_signal(signal.SIGINT)
    product.wait_until("web asked to stop")
    product.process.send_signal(signal.SIGINT)
    assert product.process.wait() == 0
    assert "web stopped" not in product.events()
    assert product.processes() == []


def test_ctrl_c_during_the_start_stops_what_was_started(start: Start) -> None:
    product = start([[{"name": "store"}], [{"name": "slow", "step": ["sleep", "60"]}]])
    product.wait_until_printed("store ready")
    product.process.send_signal(signal.SIGINT)
    assert product.process.wait() == 0
    assert product.events()[-1] == "store stopped"


def test_a_part_that_is_killed_is_started_again_and_the_others_stay(start: Start) -> None:
    product = start()
    product.wait_until_printed("all ready")
    store = product.pid("store")
    os.kill(product.pid("web-1"), signal.SIGKILL)
    product.wait_until_printed("web-1 ready again in ")
    assert "web-1 was killed by SIGKILL; starting it again in 0.25 s." in product.printed()
    assert product.pid("store") == store
    assert product.events().count("web-2 started") == 1


def test_a_part_that_keeps_dying_is_tried_ever_more_slowly_and_says_so(start: Start) -> None:
    product = start([[{"name": "worker", "options": ["--dies", "4"]}]])
    product.wait_until("worker ready", times=5)
    printed = product.printed()
    for delay in ("0.25", "0.5", "1", "2"):
        assert f"worker ended with exit status 4; starting it again in {delay} s." in printed
    assert "It keeps dying, 4 times so far." in printed
    assert "scalix | out of luck" in printed


def test_a_part_that_is_never_ready_ends_the_start_with_the_reason(start: Start) -> None:
    product = start([[{"name": "store"}], [{"name": "web", "options": ["--never-ready"]}]])
    assert product.process.wait() == 1
    assert "web ended with exit status 3 before it was ready, 3 times" in product.printed()
    assert product.printed().rstrip().endswith("the config makes no sense")
    assert product.events()[-1] == "store stopped"


def test_a_step_that_fails_ends_the_start_with_its_last_words(start: Start) -> None:
    step = {"name": "database", "step": ["sh", "-c", "echo no such column; exit 2"]}
    product = start([[{"name": "store"}], [step], [{"name": "web"}]])
    assert product.process.wait() == 1
    assert "database ended with exit status 2. Its last lines:\nno such column" in product.printed()
    assert product.events()[-1] == "store stopped"
    assert "web started" not in product.events()


def test_kill_9_of_the_supervisor_leaves_no_process(start: Start) -> None:
    product = start()
    product.wait_until_printed("all ready")
    assert len(product.processes()) == 4
    product.process.kill()
    eventually(lambda: not product.processes(), "the parts to follow their supervisor")


def test_it_starts_again_after_kill_9(start: Start, paths: EmbeddedPaths) -> None:
    first = start()
    first.wait_until_printed("all ready")
    first.process.kill()
    first.process.wait()
    assert paths.supervisor_state.exists()
    second = start()
    second.wait_until_printed("all ready")
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait() == 0
    assert not paths.supervisor_state.exists()


def test_a_second_one_in_the_same_folder_says_where_the_first_answers(start: Start) -> None:
    first = start()
    first.wait_until_printed("all ready")
    second = start()
    assert second.process.wait() == 1
    assert "already running in" in second.printed()
    assert "http://127.0.0.1:8000" in second.printed()
    assert f"kill {first.process.pid}" in second.printed()
    assert first.process.poll() is None


def test_the_state_names_every_running_part(start: Start, paths: EmbeddedPaths) -> None:
    product = start()
    product.wait_until_printed("all ready")
    state = read_state(paths)
    assert state is not None
    assert {process.name for process in state.processes} == {"store", "web-1", "web-2", "beat"}
    assert all(process.identity.is_running() for process in state.processes)
