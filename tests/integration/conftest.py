"""One running service for all tests that only talk to it: on SQLite and on PostgreSQL in turn."""

from collections.abc import Iterator

import httpx
import pytest

from tests import servers
from tests.processes import Server


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that lives as long as the run. Tests share its history, so each uses alerts of its own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('live') / 'alert_history.db'}"
        with servers.service({"DATABASE_URL": url}) as server:
            yield server
        return
    with servers.postgres_server() as postgres, servers.service({"DATABASE_URL": postgres.url}) as server:
        yield server


@pytest.fixture(scope="session")
def client(live: Server) -> Iterator[httpx.Client]:
    """A client of that service."""
    with httpx.Client(base_url=live.url, trust_env=False, timeout=30) as made:
        yield made
