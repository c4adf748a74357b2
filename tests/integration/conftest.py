"""One running service for all tests that only talk to it: on SQLite and on PostgreSQL in turn."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import httpx
import pytest

from tests import servers
from tests.processes import Server
from tests.vendors.webhooks import PAGERDUTY_KEY, ROOTLY_KEY

_SECRETS = {"PAGERDUTY_WEBHOOK_SECRET": f"an-older-one,{PAGERDUTY_KEY}", "ROOTLY_WEBHOOK_SECRET": ROOTLY_KEY}


@pytest.fixture(scope="session")
def live_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """The running service on that kind of database; it is started for the first test that asks, and kept."""
    with ExitStack() as stack:

        @cache
        def service_on(kind: str) -> Server:
            url = f"sqlite:///{tmp_path_factory.mktemp('live') / 'alert_history.db'}"
            if kind == "postgres":
                url = stack.enter_context(servers.postgres_server(servers.QUICK)).url
            return stack.enter_context(servers.service({"DATABASE_URL": url, **_SECRETS}))

        yield service_on


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def live(request: pytest.FixtureRequest, live_on: Callable[[str], Server]) -> Server:
    """A service that lives as long as the run. Tests share its history, so each uses alerts of its own."""
    return live_on(request.param)


@pytest.fixture(scope="session")
def client(live: Server) -> Iterator[httpx.Client]:
    """A client of that service."""
    with httpx.Client(base_url=live.url, trust_env=False, timeout=30) as made:
        yield made
