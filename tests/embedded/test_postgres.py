"""The embedded Postgres: complete or absent, on its socket only, and hard to lose."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from scalix.embedded.errors import EmbeddedError, PartFailedError
from scalix.embedded.paths import EmbeddedPaths
from scalix.embedded.postgres import postgres_part
from scalix.embedded.postgres_account import nobody_account
from scalix.embedded.private_server import PrivateServer
from scalix.embedded.process_identity import ProcessIdentity
from tests.embedded.waiting import eventually


@pytest.fixture(scope="module")
def fresh_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unused cluster to copy, for the tests that aren't about making one."""
    var = tmp_path_factory.mktemp("postgres") / "var"
    postgres_part(EmbeddedPaths(var), durable=False).prepare()
    return var / "postgres"


@pytest.fixture
def with_cluster(paths: EmbeddedPaths, fresh_cluster: Path) -> EmbeddedPaths:
    shutil.copytree(fresh_cluster, paths.postgres_data)
    return paths


def server(paths: EmbeddedPaths, *, durable: bool = False) -> PrivateServer:
    return PrivateServer(postgres_part(paths, durable=durable), paths.logs / "postgres.log")


def ask(paths: EmbeddedPaths, question: str) -> object:
    with psycopg.connect(paths.postgres_dsn, autocommit=True) as connection:
        answer = connection.execute(question)
        row = answer.fetchone() if answer.description else None
        return row[0] if row else None


def test_a_new_folder_gets_a_durable_postgres_18_with_the_products_database(
    paths: EmbeddedPaths,
) -> None:
    with server(paths, durable=True):
        assert str(ask(paths, "SHOW server_version")).startswith("18.")
        assert ask(paths, "SELECT current_database()") == "scalix"
        assert [ask(paths, f"SHOW {name}") for name in ("fsync", "synchronous_commit")] == [
            "on",
            "on",
        ]
        assert ask(paths, "SHOW server_encoding") == "UTF8"


def test_it_listens_on_no_network_address(with_cluster: EmbeddedPaths) -> None:
    with server(with_cluster):
        assert ask(with_cluster, "SHOW listen_addresses") == ""
        assert ask(with_cluster, "SHOW unix_socket_permissions") == "0700"


def test_it_leaves_no_process_and_no_lock_when_stopped(with_cluster: EmbeddedPaths) -> None:
    with server(with_cluster) as postgres:
        running = ProcessIdentity.of(postgres.pid)
    assert running is not None
    assert not running.is_running()
    assert not (with_cluster.postgres_data / "postmaster.pid").exists()


def test_it_starts_again_after_kill_9_with_every_committed_row(with_cluster: EmbeddedPaths) -> None:
    with server(with_cluster, durable=True) as postgres:
        ask(with_cluster, "CREATE TABLE paid (amount int)")
        ask(with_cluster, "INSERT INTO paid SELECT generate_series(1, 1000)")
        postgres.kill()
        postgres.start()
        assert ask(with_cluster, "SELECT count(*) FROM paid") == 1000


def test_a_database_that_was_dropped_is_made_again(with_cluster: EmbeddedPaths) -> None:
    with server(with_cluster) as postgres:
        with psycopg.connect(
            host=str(with_cluster.postgres_socket_dir),
            user="scalix",
            dbname="postgres",
            autocommit=True,
        ) as connection:
            connection.execute("DROP DATABASE scalix")
        postgres.stop()
        postgres.start()
        assert ask(with_cluster, "SELECT current_database()") == "scalix"


def test_an_initdb_that_was_killed_halfway_is_done_again(paths: EmbeddedPaths) -> None:
    prepare = (
        "import sys; from pathlib import Path\n"
        "from scalix.embedded.paths import EmbeddedPaths\n"
        "from scalix.embedded.postgres import postgres_part\n"
        "postgres_part(EmbeddedPaths(Path(sys.argv[1]))).prepare()"
    )
    with subprocess.Popen([sys.executable, "-c", prepare, str(paths.var)]) as preparing:
        halfway = paths.var / "postgres.new" / "base"
        eventually(halfway.exists, "initdb to be in the middle of its work")
        preparing.kill()
    assert not paths.postgres_data.exists()
    with server(paths):
        assert ask(paths, "SELECT 1") == 1
    assert not (paths.var / "postgres.new").exists()


def test_a_lock_file_that_names_some_other_program_is_not_believed(
    with_cluster: EmbeddedPaths,
) -> None:
    for lock in (
        with_cluster.postgres_data / "postmaster.pid",
        with_cluster.postgres_socket_dir / ".s.PGSQL.5432.lock",
    ):
        lock.write_text(f"{os.getppid()}\n{with_cluster.postgres_data}\n1\n5432\n")
    with server(with_cluster):
        assert ask(with_cluster, "SELECT 1") == 1


def test_a_postgres_left_on_the_same_folder_is_ended_first(with_cluster: EmbeddedPaths) -> None:
    left_behind = server(with_cluster)
    left_behind.start()
    stray = ProcessIdentity.of(left_behind.pid)
    assert stray is not None
    with server(with_cluster) as postgres:
        assert not stray.is_running()
        assert postgres.pid != stray.pid
        assert ask(with_cluster, "SELECT 1") == 1
    left_behind.stop()


def test_backends_that_outlived_their_postmaster_are_ended_first(
    with_cluster: EmbeddedPaths,
) -> None:
    with server(with_cluster) as postgres, psycopg.connect(with_cluster.postgres_dsn) as connection:
        backend = ProcessIdentity.of(connection.info.backend_pid)
        assert backend is not None
        os.kill(backend.pid, signal.SIGSTOP)  # it cannot notice that its postmaster dies
        postgres.kill()
        assert backend.is_running()
        postgres.start()
        assert not backend.is_running()
        assert ask(with_cluster, "SELECT 1") == 1


def test_it_runs_in_a_folder_too_deep_for_sockets(
    paths: EmbeddedPaths, fresh_cluster: Path
) -> None:
    deep = EmbeddedPaths(paths.var / ("deep" * 20) / "with a space, and a comma")
    shutil.copytree(fresh_cluster, deep.postgres_data)
    with server(deep):
        assert ask(deep, "SELECT current_database()") == "scalix"
    shutil.rmtree(deep.socket_dir)


def test_data_of_another_postgres_version_is_refused_with_a_way_out(
    with_cluster: EmbeddedPaths,
) -> None:
    (with_cluster.postgres_data / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedError, match=r"Postgres 17.*Dump it"):
        server(with_cluster).start()


def test_a_start_that_fails_ends_with_postgress_own_words(with_cluster: EmbeddedPaths) -> None:
    (with_cluster.postgres_data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(PartFailedError, match="no_such_setting"):
        server(with_cluster).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_without_user_namespaces_runs_it_as_nobody(paths: EmbeddedPaths) -> None:
    part = postgres_part(paths, durable=False, account=nobody_account)
    with PrivateServer(part, paths.logs / "postgres.log") as postgres:
        owner = Path(f"/proc/{postgres.pid}").stat().st_uid
        assert owner == 65534
        assert ask(paths, "SELECT current_database()") == "scalix"
        home = paths.postgres_data.resolve().parent
        assert home.stat().st_mode & 0o777 == 0o700
    with PrivateServer(part, paths.logs / "postgres.log"):
        assert ask(paths, "SELECT 1") == 1
    shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make somebody else's folder")
def test_root_is_told_whose_the_data_is_when_only_nobody_may_run(
    with_cluster: EmbeddedPaths,
) -> None:
    part = postgres_part(with_cluster, durable=False, account=nobody_account)
    with pytest.raises(EmbeddedError, match="made by another user"):
        part.prepare()
