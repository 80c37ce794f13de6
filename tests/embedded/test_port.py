"""Ports that are free."""

import socket
from pathlib import Path

import pytest

from scalix.embedded.errors import EmbeddedError
from scalix.embedded.port import demo_model_port, listen_near


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


def test_each_folder_looks_for_its_demo_models_port_elsewhere() -> None:
    ports = {demo_model_port(Path(f"/srv/{name}/var")) for name in "abcdef"}
    assert len(ports) == 6
    assert all(20_000 <= port < 30_100 for port in ports)
