"""Fixtures that every test may ask for: fresh databases, and our service as a process of its own."""

import gc
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from xdist.remote import Producer

from tests import servers
from tests.commands import run
from tests.e2e import image
from tests.processes import Server
from tests.workers import ByModule

_YOUNG_OBJECTS = 10_000


class StartService(Protocol):
    """Starts one more service; it is ended with the test."""

    def __call__(self, env: Mapping[str, str], args: Sequence[str] = ()) -> Server:
        """See `servers.service`."""


def pytest_configure(config: pytest.Config) -> None:
    """Lets hypothesis draw the same in each run, and settles what signals do, in the run and in each of its workers.

    What is drawn is the same on each machine, however slow it is and whichever tests run with it: by itself hypothesis
    also draws the constants of the local modules loaded by then, `derandomize` or not (seen with 6.170).

    SIGTERM, which is how CI cancels, ends the run as Ctrl-C does: fixtures tidy up. SIGHUP is still ignored under
    `nohup`, but by a function: what is ignored stays so in every process that is started, and there it is tested.
    A worker ends when the run does, which then interrupts it.

    Garbage is searched for rarely: collecting ten thousand tests makes millions of objects, and hardly any garbage.
    """
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
    hypothesis.settings.load_profile("ci")  # no deadline, no chance
    providers._get_local_constants = Constants  # noqa: SLF001  # there is no setting for it
    is_worker = hasattr(config, "workerinput")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if is_worker:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if is_worker or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def pytest_collection_finish() -> None:
    """Leaves what was collected out of each later search for garbage: it stays as long as the run."""
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as there are cores: most tests wait for another process."""
    return 2 * len(os.sched_getaffinity(0))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByModule | None:
    """Deals tests as `workers` says, unless the command line asks for another way."""
    return ByModule(config, log) if config.option.dist == "loadscope" else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[servers.PostgresServer]:
    """One PostgreSQL for the whole run, or for all that one worker runs. It does not wait for the disk.

    What a test kills or pauses, the next one finds well. Tests of durability take `servers.postgres_server()`.
    """
    with servers.postgres_server(servers.QUICK) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: servers.PostgresServer) -> str:
    """The name of a migrated database, to copy: that takes a tenth of the time of a migration."""
    url = postgres_server.create_database()
    _migrate(url)
    return url.rpartition("/")[2]


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "alert_history.db"
    _migrate(f"sqlite:///{path}")
    return path


def _migrate(url: str) -> None:
    done = run("migrate", env={"DATABASE_URL": url})  # not here: some tests are inside an event loop
    assert done.returncode == 0, done.stderr


def _is_migrated(request: pytest.FixtureRequest) -> bool:
    marker = request.node.get_closest_marker("migrated")
    return marker is not None and marker.args != (False,)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest, postgres_server: servers.PostgresServer) -> Iterator[str]:
    """The URL of a fresh PostgreSQL database: empty, or migrated where the test is marked so."""
    template = request.getfixturevalue("migrated_postgres") if _is_migrated(request) else "template1"
    url = postgres_server.create_database(template=template)
    yield url
    postgres_server.recover()
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an SQLite database that does not exist yet, or is migrated where the test is marked so."""
    path = tmp_path / "alert_history.db"
    if _is_migrated(request):
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
    return f"sqlite:///{path}"


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


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> image.Stage:
    """What the Dockerfile builds, once for all that look at it or run it."""
    folder = tmp_path_factory.mktemp("image")
    image.require_overlays(folder)
    return image.build(folder / "build")
