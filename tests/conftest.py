"""Fixtures that every test may ask for: fresh databases, and our service as a process of its own."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from tests import servers
from tests.processes import Server


class StartService(Protocol):
    """Starts one more service; it is ended with the test."""

    def __call__(self, env: Mapping[str, str], args: Sequence[str] = ()) -> Server:
        """See `servers.service`."""


def pytest_configure() -> None:
    """Lets SIGTERM, which is how CI cancels, end the run as Ctrl-C does: fixtures tidy up.

    And lets Hypothesis draw the same in each run, on each machine, however slow it is and whichever tests run with it:
    by itself it also draws the constants of the local modules loaded by then, `derandomize` or not (seen with 6.170).
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings.load_profile("ci")
    providers._get_local_constants = Constants  # noqa: SLF001  # there is no setting for it


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """One PostgreSQL for the whole run. What a test kills or pauses, the next one finds well."""
    with servers.postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: servers.PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    url = postgres_server.create_database()
    yield url
    postgres_server.recover()
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'alert_history.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database, of both kinds in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def service() -> Iterator[StartService]:
    """Starts services: `service({"DATABASE_URL": url})` returns a ready one."""
    with ExitStack() as stack:
        yield lambda env, args=(): stack.enter_context(servers.service(env, args))
