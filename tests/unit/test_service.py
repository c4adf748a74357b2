"""A service is made without touching anything, runs job beside job, and stops. Holds `service` and `bootstrap`."""

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

import alert_history
from alert_history import service as module
from alert_history.bootstrap import make_service, rules_of
from alert_history.config import load_settings
from alert_history.domain.claim import SECOND_US
from alert_history.domain.standing import DEFAULT_RULES
from alert_history.engine.demonstration import Demonstration
from alert_history.errors import StorageUnavailable
from alert_history.service import Service

pytestmark = pytest.mark.timeout(30)

_SOURCE = Path(alert_history.__file__).parent


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """One that is made and not started; it is stopped at the end."""
    monkeypatch.setattr(module, "_collect_rarely", lambda: None)  # it would hold for all tests of this process
    made = make_service(load_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/history.db"}))
    yield made
    await made.stop()


async def test_what_is_made_has_opened_nothing(service: Service, tmp_path: Path) -> None:
    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []
    assert len(asyncio.all_tasks()) == 1  # this test
    assert not service.rooms.recording.opening.is_open.is_set()


async def test_a_service_that_has_opened_its_store_is_ready(service: Service) -> None:
    await service.start()
    await service.rooms.recording.opening.is_open.wait()
    assert set((await service.readiness.checks()).values()) == {"ok"}


async def test_the_mode_of_the_settings_is_in_force_before_the_database_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_collect_rarely", lambda: None)
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/history.db", "ENRICHMENT_MODE": "enriched"}
    service = make_service(load_settings(settings))
    await service.start()
    assert "alert_history_enrichment_mode_status 1.0" in service.rooms.metrics.exposition.text("")[1].decode()
    await service.stop()


async def test_a_job_that_fails_is_logged_and_ends_no_other(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(service.rooms.recording.watchdog, "run", fail)
    with capture_logs() as logs:
        await service.start()
        await service.rooms.recording.opening.is_open.wait()
        while not any(log["event"] == "job_ended" for log in logs):
            await asyncio.sleep(0)
    assert [log["job"] for log in logs if log["event"] == "job_ended"] == ["watchdog"]
    running = {task.get_name() for task in asyncio.all_tasks()}
    assert running >= {"ingest", "background", "upkeep", "enrichment", "checks"}


async def test_no_time_passes_for_claims_while_the_demo_is_replayed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end, passes = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def play(_demonstration: Demonstration, _make: object) -> None:
        begun.set()
        await may_end.wait()

    async def let_pass() -> None:
        passes.set()

    monkeypatch.setattr(Demonstration, "play", play)
    monkeypatch.setattr(service.rooms.recording.lapsing, "run", let_pass)
    replaying = asyncio.create_task(service.replay_demo())
    await service.start()
    await begun.wait()
    assert set((await service.readiness.checks()).values()) == {"ok"}
    assert not passes.is_set()
    may_end.set()
    await passes.wait()
    await replaying


async def test_a_demo_that_fails_is_logged_and_time_goes_on(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = asyncio.Event()

    async def play(_demonstration: Demonstration, _make: object) -> None:
        raise StorageUnavailable("no database")

    async def let_pass() -> None:
        passes.set()

    monkeypatch.setattr(Demonstration, "play", play)
    monkeypatch.setattr(service.rooms.recording.lapsing, "run", let_pass)
    with capture_logs() as logs:
        replaying = asyncio.create_task(service.replay_demo())
        await service.start()
        await replaying
    assert [log["job"] for log in logs if log["event"] == "job_ended"] == ["demo"]
    await passes.wait()


async def test_nothing_runs_after_a_stop(service: Service) -> None:
    await service.start()
    await service.rooms.recording.opening.is_open.wait()
    await service.stop()
    assert {task.get_name() for task in asyncio.all_tasks()} & {"ingest", "background", "upkeep", "checks"} == set()


def _set_in_another(tree: ast.AST) -> Iterator[str]:
    """What is assigned to an attribute of what an object holds, as in `self.publisher.routes = routes`."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Attribute)
        ):
            yield ast.unparse(node)


def test_no_room_sets_an_attribute_of_another() -> None:
    modules = [_SOURCE / "bootstrap.py", _SOURCE / "service.py", *(_SOURCE / "engine").rglob("*.py")]
    assignments = {f"{path.name}: {name}" for path in modules for name in _set_in_another(ast.parse(path.read_text()))}
    assert assignments == set()


def test_what_settings_leave_open_is_what_the_rules_say() -> None:
    settings = load_settings({"DATABASE_URL": "sqlite:///x.db"})
    day_us = 86_400 * SECOND_US
    assert rules_of(settings) == msgspec.structs.replace(DEFAULT_RULES, retention_us=settings.retention_days * day_us)
