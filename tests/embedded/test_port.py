"""Ports that are free."""

import socket
from pathlib import Path

import pytest

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.port import demo_model_port, listen_near, payments_port


def number(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def test_a_port_that_is_taken_gives_the_next_one() -> None:
    with listen_near(28_000) as first, listen_near(number(first)) as second:
        assert number(first) < number(second) < number(first) + 100


def test_it_listens_on_loopback_only() -> None:
    with listen_near(28_000) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_connections_wait_in_its_queue_while_nobody_accepts() -> None:
    with (
        listen_near(28_000) as listener,
        socket.create_connection(("127.0.0.1", number(listener))) as visitor,
    ):
        visitor.sendall(b"early")
        served, _ = listener.accept()
        with served:
            assert served.recv(5) == b"early"


def test_a_port_that_no_ordinary_user_may_have_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(EmbeddedError, match="port 80: Permission denied"):
        listen_near(80)


def test_each_folder_looks_for_its_parts_ports_elsewhere() -> None:
    folders = [Path(f"/srv/{name}/var") for name in "abcdef"]
    ports = {find(var) for var in folders for find in (demo_model_port, payments_port)}
    assert len(ports) == 12
    assert all(20_000 <= port < 30_000 for port in ports)


def test_a_folder_finds_the_same_port_again() -> None:
    var = Path("/srv/again/var")
    assert payments_port(var) == payments_port(var)


def test_the_parts_of_a_folder_look_in_places_that_never_meet() -> None:
    for var in [Path(f"/srv/{number}/var") for number in range(50)]:
        assert demo_model_port(var) < 25_000 <= payments_port(var)
