"""`alert-history migrate`, on SQLite and PostgreSQL.

Holds: `cli.migrate`, `storage.migrations.run`.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.commands import command, environment, lines, run
from tests.processes import free_port
from tests.servers import PostgresServer

NOBODY = "postgresql://ada:s3cret@127.0.0.1:{port}/alerts"


def migrate(url: str, *flags: str) -> subprocess.CompletedProcess[bytes]:
    return run("migrate", *flags, env={"DATABASE_URL": url})


def test_an_empty_database_is_behind(database_url: str) -> None:
    done = migrate(database_url, "--check")
    assert done.returncode == 1
    assert len(lines(done.stderr)) == 1


def test_a_check_creates_nothing(sqlite_url: str) -> None:
    migrate(sqlite_url, "--check")
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_a_migrated_database_is_at_head(database_url: str) -> None:
    assert migrate(database_url).returncode == 0
    assert migrate(database_url, "--check").returncode == 0


def test_migrating_again_changes_nothing(database_url: str) -> None:
    first, second = migrate(database_url), migrate(database_url)
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout


def test_several_may_migrate_at_once(database_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        codes = [done.returncode for done in pool.map(migrate, [database_url] * 3)]
    assert codes == [0, 0, 0]
    assert migrate(database_url, "--check").returncode == 0


def test_a_database_that_is_away_is_one_line_without_the_password() -> None:
    done = migrate(NOBODY.format(port=free_port()))
    assert done.returncode == 1
    assert len(lines(done.stderr)) == 1
    assert b"s3cret" not in done.stdout + done.stderr


def test_a_check_of_a_database_that_is_away_fails() -> None:
    assert migrate(NOBODY.format(port=free_port()), "--check").returncode == 1


def test_it_waits_for_a_database_that_starts_later(postgres_url: str, postgres_server: PostgresServer) -> None:
    postgres_server.terminate()
    waiting = subprocess.Popen(
        command("migrate", "--wait", "60"),
        env=environment({"DATABASE_URL": postgres_url}),
        stderr=subprocess.PIPE,
    )
    assert waiting.stderr is not None
    assert b"trying again" in waiting.stderr.readline()
    postgres_server.start()
    waiting.communicate(timeout=30)
    assert waiting.returncode == 0
    assert migrate(postgres_url, "--check").returncode == 0


def test_it_waits_no_longer_than_told() -> None:
    url = NOBODY.format(port=free_port())
    done = run("migrate", "--wait", "2", env={"DATABASE_URL": url})
    assert done.returncode == 1
    assert 2 <= len(lines(done.stderr)) <= 3
    assert b"s3cret" not in done.stderr
