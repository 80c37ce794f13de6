"""What the parts print, on the console and in files."""

import io
import os
import re
from pathlib import Path

import pytest

from scalix.embedded import output
from scalix.embedded.output import Console, PartLog


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(screen: io.StringIO) -> Console:
    return Console(["web-1", "demo-model"], screen)


def test_every_line_carries_its_part_in_a_column(console: Console, screen: io.StringIO) -> None:
    console.show("web-1", "one\ntwo")
    console.say("hello")
    assert screen.getvalue() == (
        "web-1      | one\n"  #
        "web-1      | two\n"
        "scalix     | hello\n"
    )


def test_output_cut_anywhere_comes_out_in_whole_lines(
    console: Console, screen: io.StringIO, tmp_path: Path
) -> None:
    log = PartLog("web-1", tmp_path, console)
    for piece in (b"first li", b"ne\nsecond \xc3", b"\xa9\r\nunfini", b"shed"):
        log.feed(piece)
    log.end()
    log.close()
    assert screen.getvalue().splitlines() == [
        "web-1      | first line",
        "web-1      | second \u00e9",
        "web-1      | unfinished",
    ]
    assert log.path.read_bytes() == b"first line\nsecond \xc3\xa9\r\nunfinished\n"


def test_bytes_that_are_no_text_do_no_harm(
    console: Console, screen: io.StringIO, tmp_path: Path
) -> None:
    log = PartLog("web-1", tmp_path, console)
    log.feed(b"\xff\xfe\n")
    assert screen.getvalue() == "web-1      | \ufffd\ufffd\n"


def test_lines_that_matter_to_nobody_stay_in_the_file(
    console: Console, screen: io.StringIO, tmp_path: Path
) -> None:
    log = PartLog("postgres", tmp_path, console, re.compile("^PANIC"))
    log.feed(b"LOG: routine\nPANIC: disk\n")
    assert screen.getvalue() == "postgres   | PANIC: disk\n"
    assert log.path.read_text() == "LOG: routine\nPANIC: disk\n"
    assert log.last_lines() == "LOG: routine\nPANIC: disk"


def test_a_file_is_bounded_and_its_predecessor_kept(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_MAX_LOG_BYTES", 1000)
    log = PartLog("web-1", tmp_path, console)
    for number in range(500):
        log.feed(b"line %d\n" % number)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["web-1.log", "web-1.log.1"]
    assert sum(file.stat().st_size for file in files) < 2100
    assert "line 499" in log.last_lines()


def test_an_endless_line_is_cut(console: Console, screen: io.StringIO, tmp_path: Path) -> None:
    log = PartLog("web-1", tmp_path, console)
    for _ in range(40):
        log.feed(b"x" * 1024)
    assert len(screen.getvalue().splitlines()) == 2


def test_a_new_process_starts_with_no_last_lines(console: Console, tmp_path: Path) -> None:
    log = PartLog("web-1", tmp_path, console)
    log.feed(b"why the last one died\n")
    log.forget()
    assert log.last_lines() == ""


class _Closed(io.StringIO):
    def write(self, _: str) -> int:
        raise BrokenPipeError


def test_a_console_that_nobody_reads_any_more_stops_nothing(tmp_path: Path) -> None:
    console = Console(["web-1"], _Closed())
    log = PartLog("web-1", tmp_path, console)
    log.feed(b"one\ntwo\n")
    log.end()
    assert log.path.read_text() == "one\ntwo\n"


def test_a_full_disk_costs_lines_in_the_file_and_nothing_else(
    console: Console, screen: io.StringIO, tmp_path: Path
) -> None:
    (tmp_path / "web-1.log").symlink_to("/dev/full")
    log = PartLog("web-1", tmp_path, console)
    log.feed(b"one\ntwo\n")
    log.end()
    log.close()
    assert screen.getvalue() == "web-1      | one\nweb-1      | two\n"
    assert log.last_lines() == "one\ntwo"


def test_a_console_on_a_full_disk_does_not_stop_us() -> None:
    with Path("/dev/full").open("w") as full:
        console = Console(["web-1"], full)
        console.say("nobody reads this")
        console.say("nor this")
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())  # room again, for its last flush
