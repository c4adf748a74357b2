"""One performance for all of e2e: the scenes of all modules that are run, played at once on one set of servers.

Its servers are gone before the next folder's tests, which stop the database that they all share.
"""

from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from tests.e2e.history import Tell
from tests.e2e.stage import Played, Scene, played
from tests.servers import PostgresServer


@pytest.fixture(scope="package")
def performance(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Played]:
    """All that `SCENES` of the collected modules name."""
    modules = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    scenes: list[Scene] = [scene for module in modules for scene in getattr(module, "SCENES", [])]
    folder = tmp_path_factory.mktemp("stage")
    databases = {"sqlite": f"sqlite:///{folder / 'alert_history.db'}", "postgres": postgres_server.create_database()}
    with played(scenes, databases, folder) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def story(request: pytest.FixtureRequest, performance: Played) -> Tell:
    """`story(scene, alertname, **labels)`: what became of an alert, on each database in turn."""
    return partial(performance.story, request.param)


@pytest.fixture
def vmalert_errors(performance: Played) -> list[str]:
    """What vmalert counts as errors of sending: a sample a notifier."""
    url = performance.stage.senders["vmalert"].url
    samples = httpx.get(f"{url}/metrics", trust_env=False, timeout=10).text.splitlines()
    return [line for line in samples if line.startswith("vmalert_alerts_send_errors_total")]
