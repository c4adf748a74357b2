"""libpq's parameters in DATABASE_URL, before a real PostgreSQL: what is accepted works, on every connection of ours."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from alert_history.errors import StorageUnavailable
from alert_history.ports import HistoryFilter, PageRequest
from alert_history.storage import open_store
from alert_history.storage.postgres.dialer import Connection, Dialer, socket_of
from alert_history.urls.libpq import NAMES
from alert_history.urls.postgres import read_postgres_url
from tests.commands import run
from tests.conformance.samples import alert, receipt
from tests.integration.test_cli_doctor import diagnose
from tests.processes import HOST
from tests.servers import PostgresServer

ACCEPTED = [
    *("sslmode=disable", "sslmode=allow", "sslmode=prefer", "ssl=prefer", "sslnegotiation=postgres", "sslpassword=x"),
    *("ssl_min_protocol_version=TLSv1.3", "ssl_max_protocol_version=TLSv1.2", "target_session_attrs=any"),
    *("target_session_attrs=primary", "target_session_attrs=read-write", "target_session_attrs=prefer-standby"),
    *(
        "options=-c%20search_path%3Dpublic%20-c%20work_mem%3D8MB",
        "search_path=public",
        "role=postgres",
        "user=postgres",
    ),
    *("application_name=prod", "fallback_application_name=prod", "connect_timeout=10", "keepalives=1", "keepalives=0"),
    *(
        "keepalives_idle=30",
        "keepalives_interval=10",
        "keepalives_count=5",
        "keepalives_idle=0",
        "tcp_user_timeout=5000",
    ),
    *(
        "channel_binding=disable",
        "channel_binding=prefer",
        "gssencmode=disable",
        "gssencmode=prefer",
        "gssdelegation=0",
    ),
    *("sslcompression=0", "sslcertmode=allow", "sslsni=1", "load_balance_hosts=disable", "min_protocol_version=3.0"),
    *("max_protocol_version=latest", "client_encoding=UTF8", "replication=false"),
]
ELSEWHERE = {"host", "port", "password", "dbname", "passfile", "sslrootcert", "sslcert", "sslkey", "sslcrl"}
MANAGED = (
    "sslmode=prefer&channel_binding=prefer&gssencmode=disable&connect_timeout=10&keepalives=1&keepalives_idle=30"
    "&keepalives_interval=10&keepalives_count=5&application_name=prod&target_session_attrs=read-write"
    "&options=-c%20search_path%3Dhistory"
)


@pytest.fixture(scope="module")
def migrated(postgres_server: PostgresServer) -> Iterator[str]:
    """A database at head that tests share."""
    url = postgres_server.create_database()
    assert run("migrate", env={"DATABASE_URL": url}).returncode == 0
    yield url
    postgres_server.recover()
    postgres_server.drop_database(url)


def with_parameters(url: str, query: str) -> str:
    """The URL with these, and without the user where they name one."""
    return f"{url.replace('postgres@', '') if query.startswith('user=') else url}?{query}"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    connection = await Dialer(read_postgres_url(url)).connect({}, work="test", timeout_seconds=3)
    try:
        yield connection
    finally:
        connection.terminate()


def test_every_parameter_that_is_accepted_is_tried() -> None:
    assert {each.partition("=")[0] for each in ACCEPTED} | ELSEWHERE == {*NAMES, "ssl"}


@pytest.mark.parametrize("query", ACCEPTED)
async def test_what_is_accepted_works_for_writing_reading_and_upkeep(migrated: str, query: str) -> None:
    store = open_store(with_parameters(migrated, query), read_database_url=with_parameters(migrated, query))
    try:
        await store.lifecycle.open()
        assert await store.lifecycle.check() == {"database": "ok", "schema": "ok"}
        await store.recorder.commit([receipt(alert())])
        assert (await store.history.page(HistoryFilter(), PageRequest())).alerts
    finally:
        await store.lifecycle.close()


def test_a_url_as_managed_databases_give_it_migrates_and_is_well(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    subprocess.run([postgres_server.psql, postgres_url, "-c", "CREATE SCHEMA history"], check=True, capture_output=True)
    env = {"DATABASE_URL": f"{postgres_url}?{MANAGED}", "READ_DATABASE_URL": f"{postgres_url}?{MANAGED}"}
    done = run("migrate", env=env)
    assert done.returncode == 0, done.stderr
    diagnosis = diagnose(**env)
    assert (diagnosis.code, diagnosis.states("schema")) == (0, ["ok"]), diagnosis.output
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'history' AND tablename = 'alerts'"
    command = [postgres_server.psql, postgres_url, "-qAtXc", tables]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b"1\n"


async def test_people_know_our_connections_by_the_name_in_the_url(migrated: str) -> None:
    async with connected(f"{migrated}?application_name=prod&fallback_application_name=x") as connection:
        assert await connection.fetchval("SELECT current_setting('application_name')") == "prod test"
    async with connected(migrated) as connection:
        assert await connection.fetchval("SELECT current_setting('application_name')") == "alert-history test"


async def test_a_connection_is_waited_for_as_long_as_the_url_says() -> None:
    with socket.create_server((HOST, 0)) as silent:
        url = f"postgresql://ada@{HOST}:{silent.getsockname()[1]}/x?connect_timeout=1"
        async with asyncio.timeout(2.5):
            with pytest.raises(StorageUnavailable, match="no answer in time"):
                async with connected(url):
                    raise AssertionError("nobody answers")


KEPT_ALIVE = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 31, "TCP_KEEPINTVL": 11, "TCP_KEEPCNT": 6}
TIMES = "keepalives_idle=31&keepalives_interval=11&keepalives_count=6"


@pytest.mark.parametrize("start", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    "query, options",
    [
        ("", {"SO_KEEPALIVE": 0}),
        ("keepalives=1", {"SO_KEEPALIVE": 1}),
        (TIMES, KEPT_ALIVE),
        (f"keepalives=1&{TIMES}", KEPT_ALIVE),
        (f"keepalives=0&{TIMES}", {"SO_KEEPALIVE": 0}),
        ("keepalives_idle=0", {"SO_KEEPALIVE": 0}),
        ("keepalives_idle=32767&keepalives_interval=32767&keepalives_count=127", {"TCP_KEEPIDLE": 32767}),
        ("tcp_user_timeout=7000", {"SO_KEEPALIVE": 0, "TCP_USER_TIMEOUT": 7000}),
        ("tcp_user_timeout=2147483647", {"TCP_USER_TIMEOUT": 2147483647}),
    ],
)
def test_the_socket_is_kept_alive_as_the_url_says(
    migrated: str, query: str, options: dict[str, int], start: Any
) -> None:
    async def read() -> dict[str, int]:
        async with connected(f"{migrated}?{query}") as connection:
            sock = socket_of(connection)
            return {name: sock.getsockopt(*_place(name)) for name in options}

    assert start(read()) == options


def _place(name: str) -> tuple[int, int]:
    return (socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP), getattr(socket, name)


async def test_a_server_of_another_kind_is_said_in_a_word(migrated: str) -> None:
    store = open_store(f"{migrated}?target_session_attrs=standby")
    assert "target_session_attrs" in (await store.lifecycle.check())["database"]
    await store.lifecycle.close()


async def test_a_server_without_tls_is_said_in_a_word(migrated: str) -> None:
    with pytest.raises(StorageUnavailable, match="the server speaks no TLS"):
        async with connected(f"{migrated}?ssl=true"):
            raise AssertionError("it has no TLS")
