"""The only composition root: Settings in, a service out. It makes and connects; `service` runs.

Must not open, start or wait for anything.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import msgspec

from alert_history.bootstrap_mcp import make_endpoint, make_toolbox
from alert_history.bootstrap_moments import alertmanager_operations, make_moment_states
from alert_history.bootstrap_pages import make_acting, make_inventory, make_pages, make_targets
from alert_history.bootstrap_statistics import make_explaining, make_statistics, make_tracing, statistics_operations
from alert_history.bootstrap_trust import make_trust
from alert_history.config import Settings, networks_of
from alert_history.domain.acts import ActSource
from alert_history.domain.claim import MINUTE_US, SECOND_US
from alert_history.domain.permission import Permission
from alert_history.domain.standing import Rules
from alert_history.domain.target import TargetSpec
from alert_history.engine.arrivals import Arrivals
from alert_history.engine.auditing import Auditing
from alert_history.engine.awaited_targets import AwaitedTargets
from alert_history.engine.breaker import Breaker
from alert_history.engine.classify import Classifying
from alert_history.engine.enrich import Enrichment, EnrichmentPolicy
from alert_history.engine.gauges import PublishingGauges
from alert_history.engine.import_jobs import ImportJobs
from alert_history.engine.importing import Importing, ImportNeeds
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.engine.lapse import Groups, Lapsing
from alert_history.engine.live import Live
from alert_history.engine.modes import Modes
from alert_history.engine.notifications import Notifications
from alert_history.engine.publish import Publisher
from alert_history.engine.questions import EnrichmentObserver
from alert_history.engine.reaching.store import store_within_reach
from alert_history.engine.replica_calls import Calls
from alert_history.engine.router import Router
from alert_history.engine.store_opening import Opening
from alert_history.engine.switchboard import Listeners, Switchboard, connect
from alert_history.engine.telemetry.commits import CommitMetrics
from alert_history.engine.telemetry.enrichment import EnrichmentMetrics
from alert_history.engine.telemetry.publishing import PublishingMetrics
from alert_history.engine.telemetry.reconcile import ReconcileMetrics
from alert_history.engine.telemetry.state import StateMetrics
from alert_history.engine.tokens import TokenDesk
from alert_history.engine.united_history import with_archive
from alert_history.engine.upkeep import Retention
from alert_history.engine.vendor_acts import VendorActs
from alert_history.engine.watchdog import Watchdog
from alert_history.engine.witnesses import KnownWitnesses
from alert_history.enrichers import make_allowance, make_enricher
from alert_history.ids import new_id, process_name
from alert_history.mcp.endpoint import Endpoint
from alert_history.ports import Discovery, RoutesSource, Store, Target
from alert_history.service import Enriching, Metrics, Publishing, Recording, Rooms, Service, Trust
from alert_history.signals.redis import RedisSignals
from alert_history.storage import open_store
from alert_history.storage.spool import open_spool
from alert_history.telemetry.metrics import Exposition, process_registry
from alert_history.urls.secret import Secret, revealed
from alert_history.web.api.acts import ActsApi
from alert_history.web.api.audit import AuditApi
from alert_history.web.api.enrichment import EnrichmentApi
from alert_history.web.api.health import HealthApi
from alert_history.web.api.history import HistoryApi
from alert_history.web.api.imports import ImportsApi
from alert_history.web.api.notifications import NotificationsApi
from alert_history.web.api.publishing import PublishingApi
from alert_history.web.api.quarantine import QuarantineApi
from alert_history.web.api.routing import RoutingApi
from alert_history.web.api.silences import SilencesApi
from alert_history.web.api.stream import StreamApi
from alert_history.web.api.tokens import TokensApi
from alert_history.web.api.why import WhyApi
from alert_history.web.application import Application
from alert_history.web.http.mounted import Mounted
from alert_history.web.http.operation import Operation
from alert_history.web.ingest.signed_senders import SignedSenders
from alert_history.web.ingest.vendors import VendorWebhooks
from alert_history.web.ingest.webhook import KnownSenders, Webhook
from alert_history.web.telemetry import RequestMetrics

if TYPE_CHECKING:
    from alert_history.discovery.once import Found
    from alert_history.engine.reconcile import Reconcile, ReconcileObserver
    from alert_history.targets.preparation import Preparation

_LLM_FAILURES = 5
_LLM_PAUSE = timedelta(seconds=30)
_DAY_SECONDS = 86_400
_IMPORT_REST = 1.0
"""An import leaves the database to others for as long as it took itself."""


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


def make_service(settings: Settings) -> Service:
    """All rooms of one process, each connected with those that it needs. Nothing is opened or started.

    Raises: ConfigurationError with all faults of `ROUTES_FILE`, or where an extra that a setting needs is missing.
    """
    metrics, switchboard = make_metrics(), Switchboard()
    routes, discovery = make_routes(settings), make_discovery(settings)
    targets = AwaitedTargets(are_known=discovery is None, clock=utc_now)
    arrivals = make_arrivals(settings, observer=metrics.enrichment)
    router = Router(
        nobody=reason_for_nobody(settings),
        awaited=targets,
        arrivals=arrivals,
        routes=None if routes is None else routes.state().routes,
    )
    store = open_store(
        settings.database_url.reveal(),
        read_database_url=revealed(settings.read_database_url),
        router=router,
        rules=rules_of(settings),
    )
    auditing = Auditing(store.audit_trail, replica=process_name(), clock=utc_now)
    store = msgspec.structs.replace(store, audit=auditing)
    make = _target_maker(settings)
    publisher = Publisher(store.outbox, router=router, make=make, clock=utc_now, switchboard=switchboard)
    enrichment = Enrichment(
        store,
        make_enricher(settings, clock=utc_now),
        arrivals=arrivals,
        policy=_policy_of(settings),
        allowance=make_allowance(settings),
        takes_follow_ups=publisher.takes_follow_ups,
        clock=utc_now,
        make_id=new_id,
        observer=metrics.enrichment,
        switchboard=switchboard,
    )
    signals = _make_signals(settings)
    trust = make_trust(settings, store, auditing=auditing, clock=utc_now)
    shown = store_within_reach(with_archive(store))
    rooms = Rooms(
        store=store,
        shown=shown,
        retention=_retention_of(settings),
        live=Live(store.feed, clock=utc_now),
        switchboard=switchboard,
        metrics=metrics,
        trust=trust,
        recording=_make_recording(settings, store, trust=trust, metrics=metrics, switchboard=switchboard),
        publishing=Publishing(
            router=router,
            publisher=publisher,
            gauges=PublishingGauges(publisher, store.delivery_log, observer=metrics.publishing, clock=utc_now),
            targets=targets,
            discovery=discovery,
            preparation=None if discovery is None else _make_preparation(publisher),
            routes=routes,
        ),
        enriching=_make_enriching(
            settings, store, shown=shown, arrivals=arrivals, enrichment=enrichment, switchboard=switchboard
        ),
        imports=_make_import_jobs(settings, store),
        signals=signals,
        calls=None if signals is None else Calls(signals),
    )
    connect(switchboard, _listeners(rooms))
    return Service(settings, rooms, clock=utc_now)


def make_application(service: Service) -> Application:
    """The application that serves a service over HTTP; its lifespan starts and stops the service."""
    rooms, metrics = service.rooms, service.rooms.metrics
    enriching = rooms.enriching
    statistics = make_statistics(service.settings, rooms.shown, clock=utc_now)
    notifications = Notifications(rooms.shown.notifications, rooms.shown.history, clock=utc_now)
    moments = make_moment_states(service.settings, rooms.store, clock=utc_now)
    explaining = make_explaining(service.settings, rooms.shown, whole=rooms.store, clock=utc_now)
    toolbox = make_toolbox(statistics, moments, rooms.shown, explaining=explaining, clock=utc_now)
    endpoint = make_endpoint(service.settings, toolbox)
    return Application(
        rooms.recording.webhook,
        [
            *_history_operations(service),
            *StreamApi(rooms.live).operations(),
            *alertmanager_operations(service, moments, clock=utc_now),
            *QuarantineApi(rooms.shown.history).operations(),
            *SilencesApi(make_inventory(rooms.shown, clock=utc_now), clock=utc_now).operations(),
            *ActsApi(make_acting(service, clock=utc_now)).operations(),
            *_vendor_webhooks(service).operations(),
            *statistics_operations(statistics, clock=utc_now),
            *PublishingApi(make_targets(service, clock=utc_now), rooms.shown.delivery_log).operations(),
            *NotificationsApi(notifications, clock=utc_now).operations(),
            *_routing_api(service).operations(),
            *EnrichmentApi(
                enriching.modes, enriching.classifying, state=enriching.enrichment, clock=utc_now
            ).operations(),
            *TokensApi(
                TokenDesk(rooms.shown.tokens, clock=utc_now, audit=rooms.store.audit), clock=utc_now
            ).operations(),
            *AuditApi(rooms.store.audit_trail).operations(),
            *ImportsApi(rooms.imports, max_file_bytes=service.settings.max_import_bytes).operations(),
            *HealthApi(
                service.readiness,
                exposition=metrics.exposition,
                are_metrics_public=service.settings.metrics_auth == "open",
            ).operations(),
        ],
        gate=rooms.trust.gate,
        metrics=metrics.requests,
        start=service.start,
        stop=lambda: _stop(endpoint, service),
        pages=[
            *make_pages(service, statistics, moments, clock=utc_now),
            Mounted(path="/mcp", method="POST", app=endpoint, needs=Permission.READ),
        ],
    )


async def _stop(endpoint: Endpoint, service: Service) -> None:
    await endpoint.stop()
    await service.stop()


def make_metrics() -> Metrics:
    """All metrics, in a registry of their own."""
    registry = process_registry()
    return Metrics(
        registry=registry,
        exposition=Exposition(registry),
        requests=RequestMetrics(registry),
        commits=CommitMetrics(registry),
        publishing=PublishingMetrics(registry),
        enrichment=EnrichmentMetrics(registry),
        state=StateMetrics(registry),
        reconcile=ReconcileMetrics(registry),
    )


# --- its rooms --------------------------------------------------------------------------------------------------------


def _make_signals(settings: Settings) -> RedisSignals | None:
    if settings.redis_url is None:
        return None
    return RedisSignals(settings.redis_url.reveal(), revealed(settings.redis_password))


def _make_preparation(publisher: Publisher) -> "Preparation":
    """The preparation is imported when needed."""
    from alert_history.targets.preparation import Preparation

    return Preparation(publisher.take_up)


def _policy_of(settings: Settings) -> EnrichmentPolicy:
    return EnrichmentPolicy(
        deadline=timedelta(seconds=settings.enrichment_deadline_seconds),
        call_timeout=timedelta(seconds=settings.llm_timeout_seconds),
        serves_for=timedelta(seconds=settings.llm_cache_ttl_seconds),
    )


def _make_enriching(
    settings: Settings,
    store: Store,
    *,
    shown: Store,
    arrivals: Arrivals,
    enrichment: Enrichment,
    switchboard: Switchboard,
) -> Enriching:
    classifying = Classifying(
        enrichment,
        shown,
        clock=utc_now,
        make_id=new_id,
    )
    modes = Modes(
        settings.enrichment_mode,
        settings=store.settings,
        audit=store.audit,
        clock=utc_now,
        switchboard=switchboard,
    )
    return Enriching(arrivals=arrivals, enrichment=enrichment, classifying=classifying, modes=modes)


def _make_recording(
    settings: Settings, store: Store, *, trust: Trust, metrics: Metrics, switchboard: Switchboard
) -> Recording:
    groups = Groups(lambda: store.recorder.witnesses)
    lapsing = Lapsing(store.standings, groups, clock=utc_now, observer=metrics.state)
    witnesses = KnownWitnesses(store.recorder, store.settings)
    database = str(settings.database_url)
    opening = Opening(store, database=database, clock=utc_now, rooms=(lapsing, witnesses))
    ingest = Ingest(opening, max_pending_bytes=settings.max_pending_bytes, switchboard=switchboard)
    intake = Intake(max_alerts=settings.max_alerts_per_request, interval_of=groups.interval_us)
    return Recording(
        opening=opening,
        intake=intake,
        ingest=ingest,
        webhook=_make_webhook(settings, ingest, intake=intake, trust=trust, metrics=metrics),
        groups=groups,
        lapsing=lapsing,
        witnesses=witnesses,
        watchdog=Watchdog(store.settings, observer=metrics.state, clock=utc_now),
        reconcile=make_reconcile(settings, store, observer=metrics.reconcile),
    )


def _make_webhook(settings: Settings, ingest: Ingest, *, intake: Intake, trust: Trust, metrics: Metrics) -> Webhook:
    return Webhook(
        ingest,
        intake=intake,
        gate=trust.gate,
        clock=utc_now,
        metrics=metrics.requests,
        max_body_bytes=settings.max_body_bytes,
        senders=KnownSenders(
            signed=SignedSenders(_listed(settings.webhook_hmac_secret)),
            proxies=networks_of(settings.trusted_proxies),
        ),
    )


def _make_import_jobs(settings: Settings, store: Store) -> ImportJobs:
    needs = ImportNeeds(
        imports=store.imports,
        settings=store.settings,
        reconciling=store.reconciling,
        open_spool=open_spool,
        clock=utc_now,
        retention=_retention_of(settings).history,
        files=store.import_files,
        alone=store.archivable.alone,
        rest=_IMPORT_REST,
    )
    return ImportJobs(Importing(needs), store.imports, settings=store.settings, audit=store.audit, clock=utc_now)


def _retention_of(settings: Settings) -> Retention:
    return Retention(
        history=timedelta(days=settings.retention_days),
        bodies=timedelta(days=settings.body_retention_days),
        serves=timedelta(seconds=settings.llm_cache_ttl_seconds),
        rollups=timedelta(days=settings.rollup_retention_days),
        audit=timedelta(days=settings.audit_retention_days),
    )


def _listeners(rooms: Rooms) -> Listeners:
    return Listeners(
        commit_metrics=rooms.metrics.commits,
        publishing_metrics=rooms.metrics.publishing,
        enrichment_metrics=rooms.metrics.enrichment,
        watchdog=rooms.recording.watchdog,
        groups=rooms.recording.groups,
        witnesses=rooms.recording.witnesses,
        router=rooms.publishing.router,
        publisher=rooms.publishing.publisher,
        arrivals=rooms.enriching.arrivals,
        enrichment=rooms.enriching.enrichment,
        modes=rooms.enriching.modes,
        targets=rooms.publishing.targets,
        calls=rooms.calls,
    )


# --- its HTTP ---------------------------------------------------------------------------------------------------------


def _history_operations(service: Service) -> list[Operation]:
    store, whole = service.rooms.shown, service.rooms.store
    explaining = make_explaining(service.settings, store, whole=whole, clock=utc_now)
    return [
        *HistoryApi(store.history, make_tracing(store, clock=utc_now), clock=utc_now).operations(),
        *WhyApi(explaining).operations(),
    ]


def _vendor_webhooks(service: Service) -> VendorWebhooks:
    store, settings = service.rooms.store, service.settings
    secrets: dict[ActSource, Secret | None] = {
        "pagerduty": settings.pagerduty_webhook_secret,
        "rootly": settings.rootly_webhook_secret,
    }
    return VendorWebhooks(
        VendorActs(store.history, store.acts, events=store.vendor_events, clock=utc_now),
        secrets={source: _listed(secret) for source, secret in secrets.items()},
    )


def _listed(secret: Secret | None) -> list[str]:
    """The secrets of a setting that may hold several."""
    return [part for part in (revealed(secret) or "").split(",") if part]


def _routing_api(service: Service) -> RoutingApi:
    publishing = service.rooms.publishing
    return RoutingApi(publishing.router, publishing.routes, clock=utc_now)


# --- objects of commands, too -----------------------------------------------------------------------------------------


def rules_of(settings: Settings) -> Rules:
    """The rules for claims of senders that fell silent."""
    stale_after = settings.stale_after_seconds
    return Rules(
        expire_after_us=settings.expire_after_seconds * SECOND_US,
        stale_after_us=None if stale_after is None else stale_after * SECOND_US,
        stale_ends_after_us=settings.stale_ends_after_seconds * SECOND_US,
        retention_us=settings.retention_days * _DAY_SECONDS * SECOND_US,
    )


def make_arrivals(settings: Settings, *, observer: EnrichmentObserver) -> Arrivals:
    """The arrivals: alerts that wait for their classification."""
    return Arrivals(
        deadline=timedelta(seconds=settings.enrichment_deadline_seconds),
        breaker=Breaker(failures=_LLM_FAILURES, pause=_LLM_PAUSE, clock=utc_now),
        observer=observer,
    )


def make_reconcile(settings: Settings, store: Store, *, observer: "ReconcileObserver") -> "Reconcile | None":
    """The job that compares history with what fires; None where there is no origin. Imported when needed."""
    if settings.alertmanager_urls is None and settings.prometheus_urls is None:
        return None
    from alert_history.domain.alertmanager.masking import masked
    from alert_history.engine.origins import Asking, Origins
    from alert_history.engine.reconcile import Comparing, Reconcile

    origins = Origins.read(revealed(settings.alertmanager_urls), revealed(settings.prometheus_urls))
    comparing = Comparing(store.reconciling, store.recorder, clock=utc_now, rules=rules_of(settings))
    return Reconcile(
        store,
        Asking(
            origins,
            clock=utc_now,
            is_publishing=settings.reconcile_publishes,
            apart_us=min(2 * settings.reconcile_interval_seconds * SECOND_US, MINUTE_US),
            mask=masked,
        ),
        comparing,
        holder=new_id(utc_now()),
        interval=timedelta(seconds=settings.reconcile_interval_seconds),
        clock=utc_now,
        observer=observer,
    )


def make_routes(settings: Settings) -> RoutesSource | None:
    """The routes in `ROUTES_FILE`; None where it is unset. Raises ConfigurationError with all faults of the file."""
    if settings.routes_file is None:
        return None
    from alert_history.discovery.routes_file import RoutesFile

    return RoutesFile(Path(settings.routes_file), clock=utc_now)


def reason_for_nobody(settings: Settings) -> str | None:
    """Why the settings notify no target at all; None where targets may be notified."""
    if not settings.publishing_enabled:
        return "publishing is off: PUBLISHING_ENABLED is false"
    if not settings.target_discovery_enabled and settings.targets_dir is None:
        return "no targets are looked for: neither TARGETS_DIR nor TARGET_DISCOVERY_ENABLED is set"
    return None


def make_discovery(settings: Settings) -> Discovery | None:
    """The discovery of targets; None where `reason_for_nobody` has a reason. Imported when needed."""
    if reason_for_nobody(settings) is not None:
        return None
    from alert_history.discovery.several import SeveralDiscoveries

    return SeveralDiscoveries(_places_of_targets(settings))


async def find_targets(settings: Settings, *, timeout_seconds: float) -> "Found | None":
    """Look for targets once, and send nothing to them; None where `reason_for_nobody` has a reason."""
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
    """A maker of targets, which share one HTTP client; the first target makes the client."""

    @cache
    def client() -> httpx.AsyncClient:
        from alert_history.targets.guard import guarded_client

        return guarded_client(allow_private=settings.allow_private_targets)

    def make(spec: TargetSpec) -> Target:
        from alert_history.targets.registry import make_target

        return make_target(spec, client())

    return make
