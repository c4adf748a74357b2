"""What the test servers themselves promise, so that the tests on top of them can be believed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import processes, servers
from tests.processes import Server, find_program, wait_until

# A test run in small: it starts a Redis, says its process id and hangs until it is killed.
_RUN_THAT_HANGS = """
import signal
from tests import servers
with servers.redis_server() as redis:
    print(redis.pid, redis.folder, flush=True)
    signal.pause()
"""


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[servers.PostgresServer]:
    with servers.postgres_server() as server:
        yield server


def test_what_postgres_committed_survives_kill(own_postgres: servers.PostgresServer) -> None:
    own_postgres.execute("CREATE TABLE kept AS SELECT 7 AS n")
    own_postgres.kill()
    own_postgres.start()
    assert own_postgres.execute("SELECT n FROM kept") == "7"


def test_postgres_stops_cleanly_and_starts_again(own_postgres: servers.PostgresServer) -> None:
    assert own_postgres.terminate() == 0
    own_postgres.recover()
    assert own_postgres.execute("SELECT 1") == "1"


def test_postgres_writes_to_disk_for_real(own_postgres: servers.PostgresServer) -> None:
    assert own_postgres.execute("SHOW fsync") == "on"


def test_paused_postgres_answers_nobody_until_it_is_resumed(own_postgres: servers.PostgresServer) -> None:
    own_postgres.pause()
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([own_postgres.psql, own_postgres.url, "-c", "SELECT 1"], timeout=0.5, check=False)
    own_postgres.recover()
    assert own_postgres.execute("SELECT 1") == "1"


def test_databases_of_two_tests_are_apart(own_postgres: servers.PostgresServer) -> None:
    assert own_postgres.create_database() != own_postgres.create_database()


def test_a_database_starts_as_a_copy_of_its_template(own_postgres: servers.PostgresServer) -> None:
    template = own_postgres.create_database()
    _psql(own_postgres, template, "CREATE TABLE migrated (n int)")
    copy = own_postgres.create_database(template=template.rpartition("/")[2])
    assert _psql(own_postgres, copy, "SELECT count(*) FROM migrated") == "0"


def test_server_dies_with_a_test_run_that_is_killed() -> None:
    find_program("redis-server", package="redis-server")
    find_program("setpriv", package="util-linux")
    run = subprocess.Popen([sys.executable, "-c", _RUN_THAT_HANGS], cwd=_root(), stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pid, folder = run.stdout.readline().split()
    run.kill()
    run.communicate()
    wait_until(lambda: not processes.is_alive(int(pid)), "the orphan is gone")
    Path(folder, "server.log").unlink()
    Path(folder).rmdir()


def test_server_is_gone_after_its_block() -> None:
    with servers.redis_server() as redis:
        pid, folder = redis.pid, redis.folder
    assert (processes.is_alive(pid), folder.exists()) == (False, False)


def test_server_that_fails_to_start_shows_its_log(tmp_path: Path) -> None:
    server = Server(
        name="broken",
        command=[sys.executable, "-c", "raise SystemExit('no such luck')"],
        folder=tmp_path,
        port=0,
        url="",
        is_ready=lambda: False,
    )
    with pytest.raises(AssertionError, match="no such luck"):
        server.start()


def test_killed_server_takes_its_children_along(tmp_path: Path) -> None:
    server = _parent_of_a_sleeper(tmp_path)
    server.start()
    child = int(server.log())
    server.kill()
    assert not processes.is_alive(child)


def test_missing_program_skips_and_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install some-package"):
        find_program("no-such-program", package="some-package")


def test_missing_program_fails_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install some-package"):
        find_program("no-such-program", package="some-package")


def test_prometheus_and_alertmanager_start() -> None:
    with servers.prometheus_server("{}") as prometheus, servers.alertmanager_server(_SILENT_ALERTMANAGER) as receiver:
        assert (prometheus.is_running, receiver.is_running) == (True, True)


def _parent_of_a_sleeper(folder: Path) -> Server:
    script = "import subprocess as s; p = s.Popen(['sleep', '600']); print(p.pid); p.wait()"
    server = Server(
        name="parent",
        command=[sys.executable, "-c", script],
        folder=folder,
        port=0,
        url="",
        is_ready=lambda: server.log().endswith("\n"),
    )
    return server


def _psql(server: servers.PostgresServer, url: str, sql: str) -> str:
    done = subprocess.run([server.psql, url, "-qAtXc", sql], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


def _root() -> Path:
    return Path(__file__).parents[2]


_SILENT_ALERTMANAGER = "{route: {receiver: nobody}, receivers: [{name: nobody}]}"
