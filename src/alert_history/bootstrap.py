"""The only composition root: Settings in, a running service out."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import structlog

from alert_history.config import Settings, networks_of
from alert_history.demo.replay import incident
from alert_history.domain.alert import Alert
from alert_history.domain.claim import MINUTE_US, SECOND_US
from alert_history.domain.classification import Mode
from alert_history.domain.delivery import TOLD_EVENTS, Routing
from alert_history.domain.occurrence import Event
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.routes import Routes
from alert_history.domain.standing import Rules
from alert_history.domain.target import TargetSpec
from alert_history.engine.classify import Classifying
from alert_history.engine.enrich import Enrichment, EnrichmentPolicy
from alert_history.engine.gauges import PublishingGauges, follow_checks
from alert_history.engine.ingest import Ingest
from alert_history.engine.lapse import Groups, Lapsing
from alert_history.engine.modes import Modes
from alert_history.engine.opening import Opening
from alert_history.engine.publish import Publisher
from alert_history.engine.upkeep import Retention, keep_up
from alert_history.engine.watchdog import Watchdog
from alert_history.engine.witnesses import KnownWitnesses
from alert_history.enrichers import llm_available, make_allowance, make_enricher
from alert_history.errors import AlertHistoryError, StorageUnavailable
from alert_history.ports import Discovery, RoutesSource, Signals, Store, Target
from alert_history.signals.redis import RedisSignals
from alert_history.storage import open_store
from alert_history.storage.shared.batch import new_id
from alert_history.telemetry import Metrics
from alert_history.urls.masking import masked_url
from alert_history.web.api.enrichment import EnrichmentApi
from alert_history.web.api.health import HealthApi
from alert_history.web.api.history import HistoryApi
from alert_history.web.api.publishing import PublishingApi
from alert_history.web.api.routing import RoutingApi
from alert_history.web.application import Application
from alert_history.web.ingest.webhook import Webhook
from alert_history.web.pages.classifications import ClassificationsPage

if TYPE_CHECKING:
    from alert_history.discovery.once import Found
    from alert_history.engine.reconcile import Reconcile, ReconcileObserver

_CANCEL_SECONDS = 2.0
_WAIT_FOR_TARGETS = timedelta(seconds=15)
_YOUNG_OBJECTS = 10_000
_DAY_SECONDS = 86_400
_DEMO_SETTING = "demo_replayed_at"

_log = structlog.get_logger()


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


class Service:
    """One process of the service. `application` serves HTTP; its lifespan starts and stops the rest."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.routes = make_routes(settings)
        self.discovery = make_discovery(settings)
        self._nobody_is_told = reason_for_nobody(settings)
        self.store: Store = open_store(
            settings.database_url,
            read_database_url=settings.read_database_url,
            router=self._route,
            rules=rules_of(settings),
        )
        self.groups = Groups(lambda: self.store.recorder.witnesses)
        self.lapsing = Lapsing(self.store.standings, self.groups, clock=utc_now, observer=self.metrics.state)
        self.witnesses = KnownWitnesses(self.store.recorder, self.store.settings)
        self.reconcile = make_reconcile(settings, self.store, observer=self.metrics.reconcile)
        self.publisher = Publisher(
            self.store.outbox,
            make=_target_maker(settings),
            clock=utc_now,
            observer=self.metrics.publishing,
            took=self.metrics.enrichment.told,
        )
        if self.routes is not None:
            self.publisher.routes = self.routes.state().routes
        self.signals: Signals | None = (
            RedisSignals(settings.redis_url, settings.redis_password) if settings.redis_url else None
        )
        self.enrichment = self._enrichment()
        self.classifying = Classifying(
            self.enrichment,
            self.store,
            clock=utc_now,
            make_id=new_id,
        )
        self.modes = Modes(
            settings.enrichment_mode,
            settings=self.store.settings,
            audit=self.store.audit,
            clock=utc_now,
            changed=self._take_up_mode,
            switched=self._switched,
        )
        self.opening = Opening(
            self.store, database=masked_url(settings.database_url), clock=utc_now, take_up=self._take_up_claims
        )
        self.ingest = Ingest(
            self.opening,
            max_pending_bytes=settings.max_pending_bytes,
            observe=self._committed,
        )
        self.webhook = Webhook(
            self.ingest,
            clock=utc_now,
            metrics=self.metrics.ingest,
            max_body_bytes=settings.max_body_bytes,
            max_alerts=settings.max_alerts_per_request,
            trusted=networks_of(settings.trusted_proxies) if settings.trusted_proxies else (),
            interval_of=self.groups.interval_us,
        )
        self.watchdog = Watchdog(self.store.settings, observer=self.metrics.state, clock=utc_now)
        self.application = self._application()
        self._are_targets_known = self.discovery is None
        self._have_targets_come = asyncio.Event()
        self._created_at = utc_now()
        self._committer: asyncio.Task[None] | None = None
        self._background: list[asyncio.Task[None]] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start committing, and open the store in the background: a database that is down delays only readiness."""
        _collect_rarely()
        self._committer = asyncio.create_task(self.ingest.run(), name="ingest")
        self._background = [asyncio.create_task(self._keep_up(), name="upkeep")]
        self._background.append(asyncio.create_task(self._enrich(), name="enrichment"))
        self._background.append(asyncio.create_task(follow_checks(self.checks, self.metrics.state), name="checks"))
        self._background.append(asyncio.create_task(self._watch_sources(), name="watchdog"))
        if self.signals is not None:
            self._background.append(asyncio.create_task(self.signals.follow(self._heard), name="signals"))
        if self.routes is not None:
            self._background.append(asyncio.create_task(self.routes.watch(self._take_up_routes), name="routes"))
        if self.discovery is not None:
            self._background.append(asyncio.create_task(self._publish(self.discovery), name="publishing"))

    async def stop(self) -> None:
        """Commit what has been read, hand back what is being delivered, then let go of the database."""
        self.ingest.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.shutdown_grace_seconds):
                if self._committer is not None:
                    await self._committer
        async with self.store.lifecycle.quiet():
            for task in self._background:
                task.cancel()
            handing_back = asyncio.create_task(self.publisher.stop())
            await asyncio.wait(self._background, timeout=_CANCEL_SECONDS)
        await asyncio.gather(*self._background, handing_back, return_exceptions=True)
        await self.enrichment.enricher.close()
        await self.store.lifecycle.close()
        _log.info("stopped")

    async def checks(self) -> dict[str, str]:
        """See `web.health.Readiness`."""
        checks = await self.store.lifecycle.check()
        if not self.opening.is_open.is_set():
            checks["startup"] = "not finished"
        elif self._is_waiting_for_targets():
            checks["startup"] = "the targets are not known yet"
        if self.discovery is not None:
            checks["discovery"] = self.discovery.state().fault or "ok"
        if self.routes is not None:
            checks["routes"] = "; ".join(self.routes.state().faults) or "ok"
        if self.reconcile is not None:
            checks["origins"] = self.reconcile.fault() or "ok"
        if self.signals is not None:
            checks["cache"] = self.signals.state()
        if self.settings.llm_proxy_url is not None:
            checks["llm"] = llm_available() or self.enrichment.fault() or "ok"
        return checks

    async def replay_demo(self) -> None:
        """Fill the history with the recorded incident, through the door of everything else, and explain it; once."""
        await self.opening.is_open.wait()
        if await self.store.settings.read(_DEMO_SETTING) is not None:
            return
        fingerprints: dict[str, None] = {}
        for received_at, path, body in incident(utc_now()):
            receipt = self.webhook.receipt(path, body, received_at=received_at)
            fingerprints.update((sighting.alert.fingerprint, None) for sighting in receipt.sightings)
            await self.ingest.submit(receipt)
        await self.store.settings.write(_DEMO_SETTING, utc_now().isoformat())
        try:
            for fingerprint in fingerprints:
                await self.classifying.classify(fingerprint, force=False)
        except AlertHistoryError as error:
            _log.warning("demo_not_classified", reason=str(error))
        _log.info("demo_replayed")

    def _application(self) -> Application:
        publishing = PublishingApi(
            self.publisher,
            self.store.outbox,
            discovery=self.discovery,
            nobody_is_told=self._nobody_is_told,
            clock=utc_now,
        )
        routing = RoutingApi(self.publisher, self.routes, nobody_is_told=self._nobody_is_told, clock=utc_now)
        enrichment = EnrichmentApi(self.modes, self.classifying, state=self.enrichment, clock=utc_now)
        operations = [
            *HistoryApi(
                self.store.history,
                outbox=self.store.outbox,
                classifications=self.store.classification_history,
                clock=utc_now,
            ).operations(),
            *publishing.operations(),
            *routing.operations(),
            *enrichment.operations(),
            *HealthApi(self, metrics=self.metrics).operations(),
        ]
        page = ClassificationsPage(self.modes, self.classifying, state=self.enrichment, clock=utc_now)
        return Application(
            self.webhook,
            operations,
            metrics=self.metrics.ingest,
            start=self.start,
            stop=self.stop,
            pages=page.routes(),
        )

    def _route(self, alert: Alert, event: Event) -> Routing | None:
        """Decide who is told. Until the targets are known, but not for long, the sender is asked to come again."""
        if self._nobody_is_told is not None:
            return Routing((), {}, reason=self._nobody_is_told) if event.kind in TOLD_EVENTS else None
        if self._is_waiting_for_targets():
            raise StorageUnavailable("the targets are not known yet", after_seconds=1)
        routing = self.publisher(alert, event)
        return None if routing is None else self.enrichment(routing, alert, event)

    def _take_up_routes(self, routes: Routes) -> None:
        self.publisher.routes = routes

    def _is_waiting_for_targets(self) -> bool:
        return not self._are_targets_known and utc_now() - self._created_at < _WAIT_FOR_TARGETS

    def _committed(self, receipts: Sequence[Receipt], seconds: float, outcomes: Sequence[Outcome] | None) -> None:
        self.metrics.ingest.committed(receipts, seconds, outcomes is not None)
        self.metrics.pending_bytes.set(self.ingest.pending_bytes)
        for receipt in receipts if outcomes is not None else ():
            self.watchdog.heard(receipt.group.source, receipt.received_at)
            self.groups.heard(receipt)
            self.witnesses.heard(receipt)
        if told := frozenset[str]().union(*(outcome.told for outcome in outcomes or ())):
            self.publisher.wake(told)
            self.enrichment.wake()

    def _enrichment(self) -> Enrichment:
        settings = self.settings
        policy = EnrichmentPolicy(
            deadline=timedelta(seconds=settings.enrichment_deadline_seconds),
            call_timeout=timedelta(seconds=settings.llm_timeout_seconds),
            serves_for=timedelta(seconds=settings.llm_cache_ttl_seconds),
        )
        return Enrichment(
            self.store,
            make_enricher(settings, clock=utc_now),
            policy=policy,
            allowance=make_allowance(settings),
            takes_follow_ups=self.publisher.takes_follow_ups,
            let_go=self._let_go,
            clock=utc_now,
            make_id=new_id,
            observer=self.metrics.enrichment,
        )

    def _let_go(self) -> None:
        """Deliveries are due that waited for a classification."""
        self.publisher.wake()
        self._call_out("classified")

    def _take_up_mode(self, mode: Mode) -> None:
        self.enrichment.mode = mode
        self.metrics.enrichment.mode_is(mode)

    def _switched(self, was: Mode, now: Mode) -> None:
        self.metrics.enrichment.switched(was, now)
        self._call_out("mode")

    def _call_out(self, word: str) -> None:
        if self.signals is not None:
            task = asyncio.create_task(self.signals.send(word))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    def _heard(self, word: str) -> None:
        if word == "mode":
            self.modes.look()
        elif word == "classified":
            self.enrichment.look()
            self.publisher.wake()

    async def _take_up_claims(self) -> None:
        """What is open, and what is known of its senders, before anybody says more of it."""
        await self.lapsing.open()
        await self.witnesses.refresh()

    async def _keep_up(self) -> None:
        await self.opening.run()
        retention = Retention(
            history=timedelta(days=self.settings.retention_days),
            bodies=timedelta(days=self.settings.body_retention_days),
            serves=timedelta(seconds=self.settings.llm_cache_ttl_seconds),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_up(self.store.upkeep, self.store.settings, retention=retention, clock=utc_now))
            tasks.create_task(self.lapsing.run())
            tasks.create_task(self.witnesses.run())
            if self.reconcile is not None:
                tasks.create_task(self.reconcile.run())

    async def _enrich(self) -> None:
        """Follow the mode and classify, once there is a store."""
        await self.opening.is_open.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.modes.follow())
            tasks.create_task(self.enrichment.run())
            tasks.create_task(self._take_up_follow_ups())

    async def _take_up_follow_ups(self) -> None:
        """Once the targets are known: nobody else is owed anything."""
        await self._have_targets_come.wait()
        try:
            await self.modes.refresh()
            await self.enrichment.recover()
        except AlertHistoryError as error:
            _log.warning("follow_ups_not_taken_up", reason=str(error))

    async def _watch_sources(self) -> None:
        await self.opening.is_open.wait()
        await self.watchdog.run()

    async def _publish(self, discovery: Discovery) -> None:
        """Follow the targets, once there is a store to take deliveries from."""
        await self.opening.is_open.wait()
        from alert_history.targets.preparation import Preparation

        prepared = Preparation(self._found)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(prepared.run())
            tasks.create_task(discovery.watch(prepared))
            gauges = PublishingGauges(
                self.publisher, self.store.outbox, observer=self.metrics.publishing, clock=utc_now
            )
            tasks.create_task(gauges.run())

    def _found(self, targets: Sequence[TargetSpec]) -> None:
        self.publisher.found(targets)
        self._are_targets_known = True
        self._have_targets_come.set()
        self.metrics.publishing.discovered(self.publisher.specs)
        _log.info("targets_found", targets=[target.name for target in targets])


def _collect_rarely() -> None:
    """What lives from the start on is never looked through again, and young objects less often than by default.

    A request makes hundreds of them, of which hardly any are in a cycle. Measured: a tenth of the time at full load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def rules_of(settings: Settings) -> Rules:
    """When who fell silent is believed no more."""
    stale_after = settings.stale_after_seconds
    return Rules(
        expire_after_us=settings.expire_after_seconds * SECOND_US,
        stale_after_us=None if stale_after is None else stale_after * SECOND_US,
        stale_ends_after_us=settings.stale_ends_after_seconds * SECOND_US,
        retention_us=settings.retention_days * _DAY_SECONDS * SECOND_US,
    )


def make_reconcile(settings: Settings, store: Store, *, observer: "ReconcileObserver") -> "Reconcile | None":
    """The job that compares history with what fires; None where nobody is to be asked. Imported when needed."""
    if settings.alertmanager_urls is None and settings.prometheus_urls is None:
        return None
    from alert_history.engine.asking import Asking, Origins
    from alert_history.engine.reconcile import Comparing, Reconcile

    origins = Origins.read(settings.alertmanager_urls, settings.prometheus_urls)
    comparing = Comparing(store.reconciling, store.recorder, clock=utc_now, rules=rules_of(settings))
    return Reconcile(
        store,
        Asking(
            origins,
            clock=utc_now,
            is_publishing=settings.reconcile_publishes,
            apart_us=min(2 * settings.reconcile_interval_seconds * SECOND_US, MINUTE_US),
        ),
        comparing,
        holder=new_id(utc_now()),
        interval=timedelta(seconds=settings.reconcile_interval_seconds),
        clock=utc_now,
        observer=observer,
    )


def make_routes(settings: Settings) -> RoutesSource | None:
    """The routes in `ROUTES_FILE`; None if there is none. Raises ConfigurationError with all that is wrong with it."""
    if settings.routes_file is None:
        return None
    from alert_history.discovery.routes_file import RoutesFile

    return RoutesFile(Path(settings.routes_file), clock=utc_now)


def reason_for_nobody(settings: Settings) -> str | None:
    """Why nobody is told anything at all, as settings go; None if somebody may be."""
    if not settings.publishing_enabled:
        return "publishing is off: PUBLISHING_ENABLED is false"
    if not settings.target_discovery_enabled and settings.targets_dir is None:
        return "no targets are looked for: neither TARGETS_DIR nor TARGET_DISCOVERY_ENABLED is set"
    return None


def make_discovery(settings: Settings) -> Discovery | None:
    """Where targets are looked for; None if nobody is to be told. Imported when needed: most start without."""
    if reason_for_nobody(settings) is not None:
        return None
    from alert_history.discovery.several import SeveralDiscoveries

    return SeveralDiscoveries(_places_of_targets(settings))


async def find_targets(settings: Settings, *, timeout_seconds: float) -> "Found | None":
    """Look for targets once, without telling them anything; None if nobody is to be told."""
    if reason_for_nobody(settings) is not None:
        return None
    from alert_history.discovery.once import look_once

    return await look_once(_places_of_targets(settings), make=_target_maker(settings), timeout_seconds=timeout_seconds)


def _places_of_targets(settings: Settings) -> list[Discovery]:
    discoveries: list[Discovery] = []
    if settings.target_discovery_enabled:
        from alert_history.discovery.kubernetes import KubernetesDiscovery

        kubeconfig = settings.target_discovery_kubeconfig
        discoveries.append(
            KubernetesDiscovery(
                settings.target_discovery_namespace,
                clock=utc_now,
                kubeconfig=None if kubeconfig is None else Path(kubeconfig),
            )
        )
    if settings.targets_dir is not None:
        from alert_history.discovery.directory import DirectoryDiscovery

        discoveries.append(DirectoryDiscovery(Path(settings.targets_dir), clock=utc_now))
    return discoveries


def _target_maker(settings: Settings) -> Callable[[TargetSpec], Target]:
    """Makes targets; they share one HTTP client, which is made with the first of them."""

    @cache
    def client() -> httpx.AsyncClient:
        from alert_history.targets.guard import guarded_client

        return guarded_client(allow_private=settings.allow_private_targets)

    def make(spec: TargetSpec) -> Target:
        from alert_history.targets.registry import make_target

        return make_target(spec, client())

    return make
