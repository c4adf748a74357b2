"""`alert-history doctor`: each fault is found, and what is well is not called a fault.

Holds: `cli.doctor`, `cli.finding`.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import pytest

from alert_history.storage.probe import sqlite_path
from tests.commands import lines, run
from tests.conftest import StartService
from tests.processes import find_program, free_port
from tests.servers import PostgresServer


class Row(NamedTuple):
    subject: str
    state: str
    finding: str
    advice: str


class Diagnosis(NamedTuple):
    code: int
    rows: list[Row]
    output: str

    def states(self, subject: str) -> list[str]:
        return [row.state for row in self.rows if row.subject == subject]


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a web server that is not ours."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def diagnose(*, under: Sequence[str] = (), **env: str) -> Diagnosis:
    done = run("doctor", env={"PORT": str(free_port()), **env}, under=under)
    rows = [[cell.strip() for cell in line.split("│")] for line in lines(done.stdout)]
    return Diagnosis(done.returncode, [Row(*row) for row in rows if len(row) == 4 and row[1]], done.stdout.decode())


def test_a_migrated_database_is_well(database_url: str) -> None:
    run("migrate", env={"DATABASE_URL": database_url})
    diagnosis = diagnose(DATABASE_URL=database_url)
    assert diagnosis.code == 0, diagnosis.output
    assert {row.subject: row.state for row in diagnosis.rows if row.subject not in {"disk", "clock"}} == {
        "configuration": "ok",
        "trust": "note",
        "database": "ok",
        "schema": "ok",
        "writing": "ok",
        "service": "note",
    }


def test_the_version_of_the_database_is_told(database_url: str) -> None:
    assert re.search(r"(SQLite 3|PostgreSQL 1)\d*\.\d+", diagnose(DATABASE_URL=database_url).output)


def test_an_empty_database_is_no_fault(database_url: str) -> None:
    diagnosis = diagnose(DATABASE_URL=database_url)
    assert diagnosis.code == 0, diagnosis.output
    assert diagnosis.states("schema") == ["note"]


def test_a_database_whose_schema_is_behind_is_a_fault(postgres_url: str, postgres_server: PostgresServer) -> None:
    run("migrate", env={"DATABASE_URL": postgres_url})
    sql = "UPDATE alembic_version SET version_num = '0000'"
    subprocess.run([postgres_server.psql, postgres_url, "-c", sql], check=True, capture_output=True)
    diagnosis = diagnose(DATABASE_URL=postgres_url)
    assert diagnosis.code == 1
    assert diagnosis.states("schema") == ["fault"]


def test_a_read_only_database_is_a_fault(postgres_url: str, postgres_server: PostgresServer) -> None:
    name = postgres_url.rpartition("/")[2]
    postgres_server.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    diagnosis = diagnose(DATABASE_URL=postgres_url)
    assert diagnosis.code == 1
    assert diagnosis.states("writing") == ["fault"]


def test_a_file_that_may_only_be_read_is_a_fault(sqlite_url: str) -> None:
    run("migrate", env={"DATABASE_URL": sqlite_url})
    sqlite_path(sqlite_url).chmod(0o444)
    without_powers = [find_program("setpriv", package="util-linux"), "--bounding-set=-all"]  # root writes to any file
    diagnosis = diagnose(DATABASE_URL=sqlite_url, under=without_powers if os.geteuid() == 0 else ())
    assert diagnosis.code == 1, diagnosis.output
    assert diagnosis.states("writing") == ["fault"]


def test_a_database_that_is_away_is_a_fault_without_its_password() -> None:
    diagnosis = diagnose(DATABASE_URL=f"postgresql://ada:s3cret@127.0.0.1:{free_port()}/alerts")
    assert diagnosis.code == 1
    assert diagnosis.states("database") == ["fault"]
    assert "s3cret" not in diagnosis.output


def test_a_replica_that_is_away_is_a_fault(postgres_url: str) -> None:
    run("migrate", env={"DATABASE_URL": postgres_url})
    away = f"postgresql://127.0.0.1:{free_port()}/alerts"
    diagnosis = diagnose(DATABASE_URL=postgres_url, READ_DATABASE_URL=away)
    assert diagnosis.code == 1
    assert diagnosis.states("replica") == ["fault"]


def test_a_replica_that_is_none_is_noted(postgres_url: str) -> None:
    diagnosis = diagnose(DATABASE_URL=postgres_url, READ_DATABASE_URL=postgres_url)
    assert diagnosis.code == 0, diagnosis.output
    assert diagnosis.states("replica") == ["note"]


def test_the_clocks_are_compared(postgres_url: str) -> None:
    assert diagnose(DATABASE_URL=postgres_url).states("clock") == ["ok"]


def test_a_folder_that_is_not_there_is_a_fault() -> None:
    diagnosis = diagnose(DATABASE_URL="sqlite:////nonexistent/alert_history.db")
    assert diagnosis.code == 1
    assert diagnosis.states("disk") == ["fault"]


def test_every_fault_of_the_configuration_is_told() -> None:
    diagnosis = diagnose(WORKERS="0", LOG_LEVEL="loud")
    assert diagnosis.code == 1
    assert diagnosis.states("configuration") == ["fault", "fault"]


def test_a_misspelt_variable_is_noted(sqlite_url: str) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, RETENTION_DAY="1")
    assert diagnosis.code == 0, diagnosis.output
    assert "RETENTION_DAY is set but means nothing here" in diagnosis.output


def test_a_service_that_runs_is_ready(service: StartService, sqlite_url: str) -> None:
    server = service({"DATABASE_URL": sqlite_url})
    diagnosis = diagnose(DATABASE_URL=sqlite_url, PORT=str(server.port))
    assert diagnosis.code == 0, diagnosis.output
    assert diagnosis.states("service") == ["ok"]


def test_another_program_on_the_port_is_a_fault(stranger: int, sqlite_url: str) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, PORT=str(stranger))
    assert diagnosis.code == 1
    assert diagnosis.states("service") == ["fault"]


def test_every_fault_says_what_to_do() -> None:
    diagnosis = diagnose(DATABASE_URL="sqlite:////nonexistent/alert_history.db", RETENTION_DAY="1")
    assert [row for row in diagnosis.rows if row.state != "ok" and not row.advice] == []
