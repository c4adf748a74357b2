"""The part of the composition root that makes the pages people see. One function makes the pages of one noun.

Must not open, start or wait for anything.
"""

import os
from collections.abc import Awaitable, Callable

from alert_history.bootstrap_statistics import Statistics, make_alertmanager_explaining, make_stories
from alert_history.config import effective_settings, networks_of
from alert_history.domain.permission import Permission
from alert_history.engine.acknowledged import Acknowledged
from alert_history.engine.acts import Acting
from alert_history.engine.archives import Archives
from alert_history.engine.firing_then import FiringThen
from alert_history.engine.moments import MomentStates
from alert_history.engine.notifications import Notifications
from alert_history.engine.provider_sign_ins import ProviderSignIns
from alert_history.engine.saved_views import SavedViews
from alert_history.engine.sender_overview import Losses, SenderOverview
from alert_history.engine.silence_inventory import SilenceInventory, SilenceReads
from alert_history.engine.targets import Targets
from alert_history.engine.tokens import TokenDesk
from alert_history.ids import new_id
from alert_history.ports import Clock, Store
from alert_history.service import Service
from alert_history.storage.database_version import DatabaseVersion
from alert_history.storage.shared.tables import SCHEMA_HEAD
from alert_history.web.http.throttle import Throttle
from alert_history.web.pages.assets import PATH as ASSETS
from alert_history.web.pages.assets import serve_asset
from alert_history.web.pages.audit import AuditPages
from alert_history.web.pages.classifications import ClassificationsPage
from alert_history.web.pages.frame import Firing, Frames
from alert_history.web.pages.history import HistoryCounting, HistoryPage
from alert_history.web.pages.imports import ImportsPages
from alert_history.web.pages.lately import Counting, Lately
from alert_history.web.pages.live import LivePage
from alert_history.web.pages.login import LoginPages
from alert_history.web.pages.night import NightPage
from alert_history.web.pages.notifications import NotificationsPage
from alert_history.web.pages.now import NowPage
from alert_history.web.pages.oidc import OidcPages
from alert_history.web.pages.page import Page
from alert_history.web.pages.quarantine import QuarantinePages
from alert_history.web.pages.rule import RuleAnswers, RulePage
from alert_history.web.pages.rules import RulesPage
from alert_history.web.pages.saved_views import SavedViewForms
from alert_history.web.pages.settings import Configured, Reach, SettingsPage
from alert_history.web.pages.silences import SilencesPage
from alert_history.web.pages.sources import SourcesPage
from alert_history.web.pages.story import PATH as STORY
from alert_history.web.pages.story import StoryPage
from alert_history.web.pages.story_acts import StoryActs
from alert_history.web.pages.targets import TargetPlaces, TargetsPage
from alert_history.web.pages.tokens import TokensPage
from alert_history.web.pages.zone import zone_page

_BEGUN_OF_ONE = 60
_BEGUN_OF_ALL = 1000
"""So many sign-ins may be begun a minute, of one address and of all: each is kept for ten minutes."""


def make_pages(service: Service, statistics: Statistics, moments: MomentStates, *, clock: Clock) -> list[Page]:
    """All pages, and the files that they load."""
    frames = Frames(clock=clock, count_firing=_make_count(statistics))
    return [
        Page(path=ASSETS, handle=serve_asset, needs=Permission.PUBLIC, is_measured=False),
        *_now(service, statistics, frames, moments=moments),
        zone_page(),
        *_login(service, clock),
        *_classifications(service, frames, clock),
        *NightPage(statistics.nights, series=statistics.series, frames=frames).pages(),
        *_rules(service, statistics, frames),
        *_silences(service, frames, clock),
        *_sources(service, frames, clock),
        *_settings(service, frames),
        *_tokens(service, frames, clock),
        *_notifications(service, statistics, frames, clock=clock),
        *_targets(service, statistics, frames, clock=clock),
        *QuarantinePages(service.rooms.shown.history, imports=service.rooms.shown.imports, frames=frames).pages(),
        *ImportsPages(service.rooms.imports, max_file_bytes=service.settings.max_import_bytes, frames=frames).pages(),
        *AuditPages(service.rooms.store.audit_trail, frames=frames).pages(),
        *_history(service, statistics, frames, clock=clock),
        *_story(service, statistics, frames, clock=clock),
        *LivePage(service.rooms.live, frames=frames, clock=clock).pages(),
    ]


def _make_count(statistics: Statistics) -> Callable[[], Awaitable[Firing | None]]:
    async def count() -> Firing | None:
        numbers = await statistics.firing.by_severity()
        return None if numbers is None else Firing(numbers)

    return count


def _now(service: Service, statistics: Statistics, frames: Frames, *, moments: MomentStates) -> list[Page]:
    lately = Lately(
        Counting(
            series=statistics.series,
            heatmap=statistics.heatmap,
            noise=statistics.noise,
            flapping=statistics.flapping,
            flap_rule=statistics.flap_rules[statistics.flap_default],
            deliveries=statistics.deliveries,
            changes=statistics.changes,
        )
    )
    store = service.rooms.shown
    acknowledged = Acknowledged(store.acts)
    page = NowPage(
        statistics.firing,
        store.history,
        then=FiringThen(moments, acknowledged),
        acknowledged=acknowledged,
        lately=lately,
        frames=frames,
    )
    return page.pages()


def make_acting(service: Service, *, clock: Clock) -> Acting:
    """What takes the acts of people, for calls and pages."""
    store, publisher = service.rooms.shown, service.rooms.publishing.publisher
    return Acting(store.history, store.acts, targets=publisher, clock=clock, make_id=new_id)


def _story(service: Service, statistics: Statistics, frames: Frames, *, clock: Clock) -> list[Page]:
    store = service.rooms.shown
    stories = make_stories(store, clock=clock)
    alertmanagers = make_alertmanager_explaining(service.settings, service.rooms.store)
    archives = Archives(store.settings, retention=service.rooms.retention.history, clock=clock)
    page = StoryPage(stories, statistics.neighbours, alertmanagers=alertmanagers, archives=archives, frames=frames)
    return [*page.pages(), *StoryActs(make_acting(service, clock=clock), path=STORY).pages()]


def _login(service: Service, clock: Clock) -> list[Page]:
    trust, settings = service.rooms.trust, service.settings
    page = LoginPages(
        trust.sign_ins,
        Throttle(),
        clock=clock,
        trusted=networks_of(settings.trusted_proxies),
        is_open=trust.gate.is_open,
        provider=trust.provider,
    )
    return [*page.pages(), *_provider_pages(service, clock)]


def _provider_pages(service: Service, clock: Clock) -> list[Page]:
    trust, settings = service.rooms.trust, service.settings
    if trust.provider is None:
        return []
    pages = OidcPages(
        ProviderSignIns(trust.provider, service.rooms.store.sign_ins, trust.sign_ins, clock=clock),
        Throttle(most_of_one=_BEGUN_OF_ONE, most_of_all=_BEGUN_OF_ALL),
        clock=clock,
        trusted=networks_of(settings.trusted_proxies),
        is_secure=(settings.public_url or "").startswith("https:"),
    )
    return pages.pages()


def _tokens(service: Service, frames: Frames, clock: Clock) -> list[Page]:
    desk = TokenDesk(service.rooms.store.tokens, clock=clock, audit=service.rooms.store.audit)
    is_open = service.settings.ingest_auth == "open"
    return TokensPage(desk, service.rooms.trust.sign_ins, is_ingest_open=is_open, frames=frames).pages()


def _classifications(service: Service, frames: Frames, clock: Clock) -> list[Page]:
    enriching = service.rooms.enriching
    page = ClassificationsPage(
        enriching.modes, enriching.classifying, state=enriching.enrichment, frames=frames, clock=clock
    )
    return page.pages()


def _rules(service: Service, statistics: Statistics, frames: Frames) -> list[Page]:
    answers = RuleAnswers(
        noise=statistics.noise,
        durations=statistics.durations,
        heatmap=statistics.heatmap,
        series=statistics.series,
        together=statistics.together,
        response=statistics.response,
        history=service.rooms.shown.history,
        labels=statistics.labels,
    )
    return RulesPage(statistics.rules, statistics.series, RulePage(answers), frames=frames).pages()


def make_inventory(store: Store, *, clock: Clock) -> SilenceInventory:
    """What lists silences, for calls and pages."""
    reads = SilenceReads(store.silences, store.silence_versions, store.history, store.moments)
    return SilenceInventory(reads, clock=clock)


def _silences(service: Service, frames: Frames, clock: Clock) -> list[Page]:
    store, recording = service.rooms.shown, service.rooms.recording
    page = SilencesPage(
        make_inventory(store, clock=clock), heard=recording.watchdog, polled=recording.reconcile, frames=frames
    )
    return page.pages()


def _sources(service: Service, frames: Frames, clock: Clock) -> list[Page]:
    store, recording = service.rooms.shown, service.rooms.recording
    overview = SenderOverview(
        store.senders,
        groups=recording.groups.seen,
        witnesses=lambda: store.recorder.witnesses,
        clock=clock,
    )
    losses = Losses(
        store.senders,
        reconciling=store.reconciling,
        standings=store.standings,
        analytics=store.analytics,
        clock=clock,
    )
    page = SourcesPage(overview, losses, heard=recording.watchdog, polled=recording.reconcile, frames=frames)
    return page.pages()


def _settings(service: Service, frames: Frames) -> list[Page]:
    settings, rooms = service.settings, service.rooms
    configured = Configured(
        settings=effective_settings(settings, os.environ),
        schema=SCHEMA_HEAD,
        deadline_seconds=settings.enrichment_deadline_seconds,
        database=DatabaseVersion(settings.database_url.reveal()).text,
        reach=lambda: _reach_of(service),
    )
    page = SettingsPage(
        configured,
        modes=rooms.enriching.modes,
        readiness=service.readiness,
        rollups=rooms.shown.rollups,
        checks=rooms.shown.rollup_checks,
        frames=frames,
    )
    return page.pages()


def _reach_of(service: Service) -> Reach:
    """Whom a switch of the mode affects now."""
    publishing, settings = service.rooms.publishing, service.settings
    usable = [spec for spec in publishing.publisher.specs if spec.fault is None and spec.is_enabled]
    asks_a_model = settings.llm_proxy_url is not None
    classifies = f"The model {settings.llm_model} classifies" if asks_a_model else "Rules classify, no model is asked"
    return Reach(len(usable), publishing.router.nobody, classifies)


def make_targets(service: Service, *, clock: Clock) -> Targets:
    """What shows and tries the targets, for calls and pages."""
    publishing = service.rooms.publishing
    return Targets(
        publishing.publisher,
        service.rooms.shown.delivery_log,
        discovery=publishing.discovery,
        nobody=publishing.router.nobody,
        clock=clock,
        make_id=new_id,
    )


def _notifications(service: Service, statistics: Statistics, frames: Frames, *, clock: Clock) -> list[Page]:
    store = service.rooms.shown
    notifications = Notifications(store.notifications, store.history, clock=clock)
    targets = make_targets(service, clock=clock)
    return NotificationsPage(notifications, targets, counting=statistics.deliveries, frames=frames).pages()


def _targets(service: Service, statistics: Statistics, frames: Frames, *, clock: Clock) -> list[Page]:
    settings = service.settings
    places = TargetPlaces(
        is_publishing=settings.publishing_enabled,
        looks_in_kubernetes=settings.target_discovery_enabled,
        namespace=settings.target_discovery_namespace,
        folder=None if settings.targets_dir is None else str(settings.targets_dir),
    )
    targets = make_targets(service, clock=clock)
    return TargetsPage(targets, places, counting=statistics.deliveries, frames=frames).pages()


def _history(service: Service, statistics: Statistics, frames: Frames, *, clock: Clock) -> list[Page]:
    store = service.rooms.shown
    views = SavedViews(store.settings, clock=clock)
    counting = HistoryCounting(
        analysis=statistics.analysis, facets=statistics.facets, series=statistics.series, rules=statistics.groups
    )
    acknowledged = Acknowledged(store.acts)
    page = HistoryPage(store.history, counting, views=views, acknowledged=acknowledged, frames=frames)
    return [*page.pages(), *SavedViewForms(views).pages()]
