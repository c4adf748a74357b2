"""The service: starts the objects that `bootstrap` has made, runs them, says whether they are ready, and stops them.

Must not make any of them.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import structlog
from prometheus_client import CollectorRegistry

from alert_history.config import Settings
from alert_history.domain.routes import Routes
from alert_history.engine.arrivals import Arrivals
from alert_history.engine.auditing import Auditing
from alert_history.engine.awaited_targets import AwaitedTargets
from alert_history.engine.classify import Classifying
from alert_history.engine.demonstration import Demonstration
from alert_history.engine.enrich import Enrichment
from alert_history.engine.gauges import PublishingGauges, follow_checks
from alert_history.engine.import_jobs import ImportJobs
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.engine.lapse import Groups, Lapsing
from alert_history.engine.live import Live
from alert_history.engine.modes import Modes
from alert_history.engine.publish import Publisher
from alert_history.engine.replica_calls import Calls
from alert_history.engine.rollups import keep_rollups
from alert_history.engine.router import Router
from alert_history.engine.sign_ins import SignInDesk
from alert_history.engine.store_opening import Opening
from alert_history.engine.switchboard import RoutesChanged, Switchboard, WordHeard
from alert_history.engine.telemetry.commits import CommitMetrics
from alert_history.engine.telemetry.enrichment import EnrichmentMetrics
from alert_history.engine.telemetry.publishing import PublishingMetrics
from alert_history.engine.telemetry.reconcile import ReconcileMetrics
from alert_history.engine.telemetry.state import StateMetrics
from alert_history.engine.tokens import TokenBook
from alert_history.engine.upkeep import Retention, keep_audit, keep_moments, keep_up
from alert_history.engine.watchdog import Watchdog
from alert_history.engine.witnesses import KnownWitnesses
from alert_history.enrichers import llm_available
from alert_history.errors import AlertHistoryError
from alert_history.ports import Clock, Discovery, IdentityProvider, RoutesSource, Signals, Store
from alert_history.telemetry.metrics import Exposition
from alert_history.web.http.gate import Gate
from alert_history.web.ingest.webhook import Webhook
from alert_history.web.telemetry import RequestMetrics

if TYPE_CHECKING:
    from alert_history.engine.reconcile import Reconcile
    from alert_history.targets.preparation import Preparation

_CANCEL_SECONDS = 2.0
_YOUNG_OBJECTS = 10_000

_log = structlog.get_logger()

_OPEN = (
    "AUTH_MODE is unset: whoever can connect may read all, switch modes and replay. "
    "Set AUTH_MODE=token, or AUTH_MODE=none if that is meant"
)

Job = Callable[[], Awaitable[None]]


# --- the rooms --------------------------------------------------------------------------------------------------------


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """All metrics of one process, in one registry. Each class stands beside what it measures."""

    registry: CollectorRegistry
    exposition: Exposition
    requests: RequestMetrics
    commits: CommitMetrics
    publishing: PublishingMetrics
    enrichment: EnrichmentMetrics
    state: StateMetrics
    reconcile: ReconcileMetrics


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """Takes requests in and follows the claims of their senders. `reconcile` is None where there is no origin."""

    opening: Opening
    intake: Intake
    ingest: Ingest
    webhook: Webhook
    groups: Groups
    lapsing: Lapsing
    witnesses: KnownWitnesses
    watchdog: Watchdog
    reconcile: "Reconcile | None"


class Publishing(msgspec.Struct, frozen=True, kw_only=True):
    """Notifies targets. `discovery` and `preparation` are None where the settings notify no target."""

    router: Router
    publisher: Publisher
    gauges: PublishingGauges
    targets: AwaitedTargets
    discovery: Discovery | None
    preparation: "Preparation | None"
    routes: RoutesSource | None


class Enriching(msgspec.Struct, frozen=True, kw_only=True):
    """Finds out what alerts mean."""

    arrivals: Arrivals
    enrichment: Enrichment
    classifying: Classifying
    modes: Modes


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Says who calls, and keeps what they did. `provider` is None where none says who a person is."""

    book: TokenBook
    gate: Gate
    auditing: Auditing
    sign_ins: SignInDesk
    provider: IdentityProvider | None = None


class Rooms(msgspec.Struct, frozen=True, kw_only=True):
    """All objects of one process. `signals` and `calls` are None where replicas can't call out to each other.

    Whatever answers callers reads `shown`, the store as far as it exists for them; `store` is for the service itself.
    """

    store: Store
    shown: Store
    retention: Retention
    live: Live
    switchboard: Switchboard
    metrics: Metrics
    trust: Trust
    recording: Recording
    publishing: Publishing
    enriching: Enriching
    imports: ImportJobs
    signals: Signals | None
    calls: Calls | None


# --- whether it is ready ----------------------------------------------------------------------------------------------


class Readiness:
    """See `web.api.health.Readiness`."""

    def __init__(self, settings: Settings, rooms: Rooms) -> None:
        self._asks_a_model = settings.llm_proxy_url is not None
        self._rooms = rooms

    async def checks(self) -> dict[str, str]:
        """See `web.api.health.Readiness`."""
        rooms = self._rooms
        checks = await rooms.store.lifecycle.check()
        if not rooms.recording.opening.is_open.is_set():
            checks["startup"] = "not finished"
        elif rooms.publishing.targets.are_lacking():
            checks["startup"] = "the targets are not known yet"
        if rooms.publishing.discovery is not None:
            checks["discovery"] = rooms.publishing.discovery.state().fault or "ok"
        if rooms.publishing.routes is not None:
            checks["routes"] = "; ".join(rooms.publishing.routes.state().faults) or "ok"
        if rooms.recording.reconcile is not None:
            checks["origins"] = rooms.recording.reconcile.fault() or "ok"
        if rooms.signals is not None:
            checks["cache"] = rooms.signals.state()
        if self._asks_a_model:
            checks["llm"] = llm_available() or rooms.enriching.enrichment.fault() or "ok"
        return checks


# --- the service ------------------------------------------------------------------------------------------------------


class Service:
    """One process of the service. The HTTP application starts and stops it."""

    def __init__(self, settings: Settings, rooms: Rooms, *, clock: Clock) -> None:
        self.settings = settings
        self.rooms = rooms
        self._clock = clock
        self.readiness = Readiness(settings, rooms)
        self._committing: asyncio.Task[None] | None = None
        self._background: asyncio.Task[None] | None = None
        self._is_undisturbed = asyncio.Event()
        self._is_undisturbed.set()

    async def start(self) -> None:
        """Start committing, and open the store in the background: a database that is down delays only readiness."""
        _collect_rarely()
        if self.settings.auth_mode is None:
            _log.warning("open_to_everybody", hint=_OPEN)
        self.rooms.enriching.modes.begin()
        self._committing = asyncio.create_task(self.rooms.recording.ingest.run(), name="ingest")
        self._background = asyncio.create_task(self._run_background(), name="background")

    async def stop(self) -> None:
        """Commit the requests that were read, hand back deliveries under way, then close the database."""
        self.rooms.recording.ingest.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.shutdown_grace_seconds):
                if self._committing is not None:
                    await self._committing
        if self._background is not None:
            await self._stop_background(self._background)
        await self.rooms.trust.auditing.stop()
        await self.rooms.enriching.enrichment.enricher.close()
        await self.rooms.store.lifecycle.close()
        _log.info("stopped")

    async def replay_demo(self) -> None:
        """Fill the history with the demo's past and the recorded incident, and explain it; once.

        No time passes for claims meanwhile: the end of what fired long ago is still to come.
        """
        self._is_undisturbed.clear()
        try:
            await _alone("demo", self._replay_demo)
        finally:
            self._is_undisturbed.set()

    async def _replay_demo(self) -> None:
        recording = self.rooms.recording
        await recording.opening.is_open.wait()
        demonstration = Demonstration(
            self.rooms.store,
            intake=recording.intake,
            ingest=recording.ingest,
            classifying=self.rooms.enriching.classifying,
            clock=self._clock,
        )
        if not await demonstration.is_over():
            from alert_history.demo.scenes import scenes  # imported when needed

            await demonstration.play(partial(scenes, days=self.rooms.retention.history.days))

    async def _stop_background(self, background: "asyncio.Task[None]") -> None:
        async with self.rooms.store.lifecycle.quiet():
            background.cancel()
            handing_back = asyncio.create_task(self.rooms.publishing.publisher.stop())
            await asyncio.wait([background], timeout=_CANCEL_SECONDS)
        await asyncio.gather(background, handing_back, return_exceptions=True)

    async def _run_background(self) -> None:
        """Run all jobs until cancelled. Committing is apart: it goes on until all that was read is stored."""
        async with asyncio.TaskGroup() as tasks:
            for name, job in self._jobs():
                tasks.create_task(_alone(name, job), name=name)

    def _jobs(self) -> Iterator[tuple[str, Job]]:
        rooms = self.rooms
        yield "upkeep", self._keep_up
        yield "enrichment", self._enrich
        yield "checks", lambda: follow_checks(self.readiness.checks, rooms.metrics.state)
        yield "watchdog", self._watch_sources
        yield "live", self._tell_live
        yield "tokens", self._follow_tokens
        yield "audit", self._keep_audit
        yield "sign_ins", self._forget_sign_ins
        yield "imports", self._import
        if (signals := rooms.signals) is not None:
            yield "signals", lambda: signals.follow(self._say_word)
        if rooms.calls is not None:
            yield "calls", rooms.calls.run
        if (routes := rooms.publishing.routes) is not None:
            yield "routes", lambda: routes.watch(self._say_routes)
        if rooms.publishing.discovery is not None:
            yield "publishing", self._publish

    async def _keep_up(self) -> None:
        recording, store = self.rooms.recording, self.rooms.store
        await recording.opening.run()
        await self._is_undisturbed.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_up(store.upkeep, store.settings, retention=self.rooms.retention, clock=self._clock))
            tasks.create_task(self._keep_rollups())
            tasks.create_task(
                keep_audit(store.audit_trail, store.upkeep, retention=self.rooms.retention, clock=self._clock)
            )
            tasks.create_task(
                keep_moments(
                    store.moments, store.upkeep, store.settings, retention=self.rooms.retention, clock=self._clock
                )
            )
            tasks.create_task(recording.lapsing.run())
            tasks.create_task(recording.witnesses.run())
            if recording.reconcile is not None:
                tasks.create_task(recording.reconcile.run())

    async def _keep_rollups(self) -> None:
        store = self.rooms.store
        await keep_rollups(store.rollups, retention=self.rooms.retention.rollups, clock=self._clock)

    async def _enrich(self) -> None:
        """Follow the mode and classify, once there is a store."""
        await self.rooms.recording.opening.is_open.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.rooms.enriching.modes.follow())
            tasks.create_task(self.rooms.enriching.enrichment.run())
            tasks.create_task(self._take_up_follow_ups())

    async def _take_up_follow_ups(self) -> None:
        """Take up follow-ups once the targets are known, because only known targets get one."""
        await self.rooms.publishing.targets.come()
        try:
            await self.rooms.enriching.modes.refresh()
            await self.rooms.enriching.enrichment.recover()
        except AlertHistoryError as error:
            _log.warning("follow_ups_not_taken_up", reason=str(error))

    async def _watch_sources(self) -> None:
        await self.rooms.recording.opening.is_open.wait()
        await self.rooms.recording.watchdog.run()

    async def _follow_tokens(self) -> None:
        await self.rooms.recording.opening.is_open.wait()
        await self.rooms.trust.book.run()

    async def _keep_audit(self) -> None:
        await self.rooms.recording.opening.is_open.wait()
        await self.rooms.trust.auditing.run()

    async def _forget_sign_ins(self) -> None:
        await self.rooms.recording.opening.is_open.wait()
        await self.rooms.trust.sign_ins.run()

    async def _import(self) -> None:
        await self.rooms.recording.opening.is_open.wait()
        await self.rooms.imports.run()

    async def _tell_live(self) -> None:
        await self.rooms.recording.opening.is_open.wait()
        await self.rooms.live.run()

    async def _publish(self) -> None:
        """Follow the targets, once there is a store to take deliveries from."""
        await self.rooms.recording.opening.is_open.wait()
        publishing = self.rooms.publishing
        async with asyncio.TaskGroup() as tasks:
            if publishing.discovery is not None and publishing.preparation is not None:
                tasks.create_task(publishing.preparation.run())
                tasks.create_task(publishing.discovery.watch(publishing.preparation))
            tasks.create_task(publishing.gauges.run())

    def _say_word(self, word: str) -> None:
        self.rooms.switchboard.say(WordHeard(word))

    def _say_routes(self, routes: Routes) -> None:
        self.rooms.switchboard.say(RoutesChanged(routes))


async def _alone(name: str, job: Job) -> None:
    """Do a job. A fault of ours that ends the job is logged, and the other jobs go on."""
    try:
        await job()
    except Exception:  # noqa: BLE001  # recording must go on, and so must the other jobs
        _log.exception("job_ended", job=name)


def _collect_rarely() -> None:
    """Collect garbage rarely: objects of the start never, and young objects less often than by default.

    A request makes hundreds of objects, of which hardly any are in a cycle. Measured: a tenth of the time at full load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
