"""What is watched: silence of sources, over replicas and restarts; queues, dead letters and pauses of targets."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from alert_history.domain.delivery import Routing
from alert_history.domain.target import Message, Sent, TargetSpec
from alert_history.engine import gauges
from alert_history.engine.gauges import PublishingGauges, follow_checks, is_paused
from alert_history.engine.publish import Publisher
from alert_history.engine.router import Router
from alert_history.engine.switchboard import Switchboard
from alert_history.engine.watchdog import Watchdog
from alert_history.engine.worker import TargetHealth
from alert_history.errors import StorageUnavailable
from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, receipt


class Seen:
    """Remembers the last value of everything that is shown."""

    def __init__(self) -> None:
        self.silence: dict[str, float] = {}
        self.queues: dict[str, tuple[int, float]] = {}
        self.pauses: dict[str, bool] = {}
        self.letters: dict[str, int] = {}

    def silent(self, source: str, *, seconds: float) -> None:
        self.silence[source] = seconds

    def queued(self, target: str, *, waiting: int, oldest_seconds: float) -> None:
        self.queues[target] = (waiting, oldest_seconds)

    def paused(self, target: str, *, is_paused: bool) -> None:
        self.pauses[target] = is_paused

    def dead(self, target: str, *, letters: int) -> None:
        self.letters[target] = letters


class Clock:
    """Time as a test sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Silent:
    """A target that is never called."""

    speaks_of_groups = False
    takes_follow_ups = False
    default_rate_per_minute = 60.0

    async def send(self, _: Message) -> Sent:
        raise AssertionError

    def url_shown(self) -> str:
        return ""


# --- silence of sources -----------------------------------------------------------------------------------------------


def _watchdog(store: Store, clock: Clock) -> tuple[Watchdog, Seen]:
    seen = Seen()
    return Watchdog(store.settings, observer=seen, clock=clock), seen


async def test_silence_is_measured_from_the_newest_request_of_a_source(store: Store) -> None:
    clock = Clock()
    watchdog, seen = _watchdog(store, clock)
    watchdog.heard("alertmanager", NOW)
    watchdog.heard("alertmanager", NOW - MINUTE)
    watchdog.heard("grafana", NOW - MINUTE)
    clock.now += 10 * SECOND
    watchdog.show()
    assert seen.silence == {"alertmanager": 10, "grafana": 70}


async def test_what_another_replica_heard_is_no_silence(store: Store, open_replica: OpenReplica) -> None:
    clock = Clock()
    hearing, _ = _watchdog(store, clock)
    deaf, seen = _watchdog(await open_replica(), clock)
    hearing.heard("alertmanager", NOW)
    await hearing.share()
    clock.now += MINUTE
    await deaf.share()
    deaf.show()
    assert seen.silence == {"alertmanager": 60}


async def test_a_restart_forgets_no_source(store: Store) -> None:
    clock = Clock()
    before, _ = _watchdog(store, clock)
    before.heard("alertmanager", NOW)
    await before.share()
    after, seen = _watchdog(store, clock)
    after.heard("grafana", NOW)
    clock.now += 90 * MINUTE
    await after.share()
    after.show()
    assert seen.silence == {"alertmanager": 5400, "grafana": 5400}


async def test_the_times_are_written_once_a_minute_at_most(store: Store) -> None:
    clock = Clock()
    watchdog, _ = _watchdog(store, clock)
    texts = []
    for seconds in (0, 30, 59, 60):
        watchdog.heard("alertmanager", NOW + seconds * SECOND)
        await watchdog.share()
        texts.append((await store.settings.read("sources_last_heard"))["alertmanager"])
    written = [datetime.fromisoformat(text) - NOW for text in texts]
    assert written == [timedelta(0), timedelta(0), timedelta(0), MINUTE]


async def test_a_source_that_only_another_release_knows_is_kept(store: Store) -> None:
    await store.settings.write("sources_last_heard", {"carrier_pigeon": NOW.isoformat()})
    watchdog, seen = _watchdog(store, Clock())
    watchdog.heard("alertmanager", NOW)
    await watchdog.share()
    watchdog.show()
    assert seen.silence == {"alertmanager": 0, "carrier_pigeon": 0}


# --- queues, dead letters, pauses -------------------------------------------------------------------------------------


@pytest.fixture
async def told_store(database_url: str) -> AsyncIterator[Store]:
    """A store that queues every event for the target `slack`."""
    opened = open_store(database_url, router=lambda *_: Routing(("slack",), {}))
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


def _gauges(store: Store, clock: Clock, specs: Sequence[TargetSpec]) -> tuple[PublishingGauges, Publisher, Seen]:
    seen = Seen()
    publisher = Publisher(
        store.outbox, router=Router(), make=lambda _: Silent(), clock=clock, switchboard=Switchboard()
    )
    publisher.take_up(specs)
    return PublishingGauges(publisher, store.delivery_log, observer=seen, clock=clock), publisher, seen


async def test_queues_are_shown_with_the_age_of_the_oldest_and_empty_ones_with_nothing(told_store: Store) -> None:
    clock = Clock()
    first, second = receipt(alert("One"), at=NOW), receipt(alert("Two"), at=NOW + MINUTE)
    await told_store.recorder.commit([msgspec.structs.replace(request, publish=True) for request in (first, second)])
    clock.now += 2 * MINUTE
    measuring, _, seen = _gauges(told_store, clock, [TargetSpec("rootly", "rootly", {}, is_enabled=False)])
    await measuring.measure_queues()
    assert seen.queues == {"slack": (2, 120), "rootly": (0, 0)}


async def test_a_target_that_is_gone_is_shown_with_nothing(told_store: Store) -> None:
    measuring, publisher, seen = _gauges(told_store, Clock(), [TargetSpec("rootly", "rootly", {}, is_enabled=False)])
    await measuring.measure_queues()
    await measuring.measure_dead()
    publisher.take_up([])
    seen.queues.clear()
    seen.letters.clear()
    await measuring.measure_queues()
    await measuring.measure_dead()
    assert (seen.queues, seen.pauses, seen.letters) == ({"rootly": (0, 0)}, {"rootly": False}, {"rootly": 0})


@pytest.mark.parametrize(
    "health, expected",
    [
        (TargetHealth(), False),
        (TargetHealth(is_paused_until=NOW + SECOND), True),
        (TargetHealth(is_paused_until=NOW), False),
        (TargetHealth(gone="410 Gone"), True),
    ],
)
def test_a_target_is_paused_while_it_asks_for_time_and_for_good_when_it_is_gone(
    health: TargetHealth, *, expected: bool
) -> None:
    assert is_paused(health, NOW) is expected


# --- checks -----------------------------------------------------------------------------------------------------------


class Checks:
    """What `/readyz` says, one look after the other; the last one stays."""

    def __init__(self, *looks: dict[str, str]) -> None:
        self.looks = list(looks)
        self.shown: list[dict[str, bool]] = [{}]
        self.is_over = asyncio.Event()

    async def __call__(self) -> dict[str, str]:
        if not self.looks:
            self.is_over.set()
            await asyncio.Event().wait()
        self.shown.append(dict(self.shown[-1]))
        return self.looks.pop(0)

    def checked(self, check: str, *, is_ok: bool) -> None:
        self.shown[-1][check] = is_ok


async def test_a_measure_that_fails_is_taken_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "_CHECK_SECONDS", 0)
    looks: Iterator[Exception | dict[str, str]]
    looks = iter([RuntimeError("a bug"), StorageUnavailable("down"), {"database": "ok"}])
    shown = asyncio.Event()

    async def look() -> dict[str, str]:
        result = next(looks)
        if isinstance(result, Exception):
            raise result
        return result

    class Observer:
        def checked(self, check: str, *, is_ok: bool) -> None:
            assert (check, is_ok) == ("database", True)
            shown.set()

    following = asyncio.create_task(follow_checks(look, Observer()))
    async with asyncio.timeout(60):
        await shown.wait()
    following.cancel()


async def test_each_check_is_shown_and_one_that_is_not_made_any_more_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "_CHECK_SECONDS", 0)
    checks = Checks({"database": "refused", "startup": "not finished"}, {"database": "ok", "cache": "refused"})
    following = asyncio.create_task(follow_checks(checks, checks))
    async with asyncio.timeout(60):
        await checks.is_over.wait()
    following.cancel()
    assert checks.shown[1:] == [
        {"database": False, "startup": False},
        {"database": True, "startup": True, "cache": False},
    ]
