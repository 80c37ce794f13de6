"""The addresses of the embedded servers, which every command derives for itself."""

from pathlib import Path

import pytest
import redis
from psycopg.conninfo import conninfo_to_dict

from scalix.embedded.paths import SOCKET_PATH_LIMIT, EmbeddedPaths

SHALLOW = EmbeddedPaths(Path("/srv/scalix/var"))
DEEP = EmbeddedPaths(Path("/srv") / ("d" * 90) / "var")


def test_everything_lies_below_the_state_folder() -> None:
    for place in (SHALLOW.run, SHALLOW.logs, SHALLOW.models, SHALLOW.postgres_data):
        assert place.is_relative_to(SHALLOW.var)
    for file in (SHALLOW.sandbox_state, SHALLOW.sandbox_key, SHALLOW.sandbox_secret):
        assert file.is_relative_to(SHALLOW.var)
    assert SHALLOW.valkey_socket.is_relative_to(SHALLOW.var)
    assert SHALLOW.postgres_socket_dir.is_relative_to(SHALLOW.var)


def test_a_folder_too_deep_for_sockets_gets_them_a_short_one_of_its_own() -> None:
    assert len(str(DEEP.run / "valkey.sock")) > SOCKET_PATH_LIMIT - 10
    assert len(str(DEEP.valkey_socket)) <= SOCKET_PATH_LIMIT
    assert DEEP.socket_dir == EmbeddedPaths(DEEP.var).socket_dir
    assert DEEP.socket_dir != EmbeddedPaths(DEEP.var.parent / "other").socket_dir


def test_the_longest_path_that_fits_is_used_as_it_is() -> None:
    room = SOCKET_PATH_LIMIT - len("/run/.s.PGSQL.5432")
    fits = EmbeddedPaths(Path("/" + "f" * (room - 1)))
    assert len(str(fits.postgres_socket_dir / ".s.PGSQL.5432")) == SOCKET_PATH_LIMIT
    assert fits.socket_dir == fits.run
    assert EmbeddedPaths(Path("/" + "f" * room)).socket_dir.parent == Path("/tmp")


def test_a_comma_which_postgres_takes_for_a_second_host_gets_a_short_folder_too() -> None:
    assert EmbeddedPaths(Path("/srv/a,b")).socket_dir.parent == Path("/tmp")


@pytest.mark.parametrize("var", ["/srv/scalix/var", "/srv/My Projects/50% & more/var"])
def test_the_clients_understand_the_addresses(var: str) -> None:
    paths = EmbeddedPaths(Path(var))
    assert conninfo_to_dict(paths.postgres_dsn) == {
        "host": f"{var}/run",
        "dbname": "scalix",
        "user": "scalix",
    }
    options = redis.Redis.from_url(paths.valkey_url).connection_pool.connection_kwargs
    assert options["path"] == f"{var}/run/valkey.sock"
    assert options["db"] == 0


def test_a_relative_state_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="absolute"):
        EmbeddedPaths(Path("var"))
