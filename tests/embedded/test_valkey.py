"""The embedded Valkey: private, and forgetful on purpose."""

from pathlib import Path

import pytest
import redis

from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.private_server import PrivateServer
from scalix.embedded.process_identity import ProcessIdentity
from scalix.embedded.valkey import answers_ping, valkey_part


def server(paths: EmbeddedPaths) -> PrivateServer:
    return PrivateServer(valkey_part(paths), paths.logs / "valkey.log")


def test_it_is_valkey_9_and_answers_on_its_socket_only(paths: EmbeddedPaths) -> None:
    with server(paths), redis.Redis.from_url(paths.valkey_url) as client:
        assert str(client.info("server")["valkey_version"]).startswith("9.")
        assert client.config_get("port") == {"port": "0"}
        assert paths.valkey_socket.stat().st_mode & 0o777 == 0o700


def test_it_answers_an_error_rather_than_drop_a_counter(paths: EmbeddedPaths) -> None:
    with server(paths), redis.Redis.from_url(paths.valkey_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_it_starts_empty_because_old_counters_would_let_requests_through(
    paths: EmbeddedPaths, ending: str
) -> None:
    with server(paths) as valkey, redis.Redis.from_url(paths.valkey_url) as client:
        client.set("used", 9)
        getattr(valkey, ending)()
        valkey.start()
        assert client.get("used") is None
    assert [file.name for file in paths.valkey_data.iterdir()] == ["valkey.conf"]


def test_it_runs_where_the_path_needs_quoting(paths: EmbeddedPaths) -> None:
    awkward = EmbeddedPaths(paths.var / 'a "quoted" \\ name')
    with server(awkward):
        assert answers_ping(awkward.valkey_socket)


def test_it_leaves_no_process_when_stopped(paths: EmbeddedPaths) -> None:
    with server(paths) as valkey:
        running = ProcessIdentity.of(valkey.pid)
    assert running is not None
    assert not running.is_running()
    assert not answers_ping(paths.valkey_socket)


def test_nothing_answers_where_nothing_listens(tmp_path: Path) -> None:
    assert not answers_ping(tmp_path / "no.sock")
