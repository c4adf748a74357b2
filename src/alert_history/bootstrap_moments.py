"""The part of the composition root that makes what answers for a moment, and Alertmanager's API of it.

Must not open, start or wait for anything.
"""

from collections.abc import Sequence
from datetime import timedelta

from alert_history.config import Settings
from alert_history.domain.origin import Origin, parse_origins
from alert_history.engine.moments import MomentReads, MomentStates
from alert_history.engine.silence_writes import SilenceWrites
from alert_history.ports import Clock, Store
from alert_history.service import Service
from alert_history.urls.secret import revealed
from alert_history.web.alertmanager.api import AlertmanagerApi
from alert_history.web.alertmanager.writes import SilencesApi
from alert_history.web.http.operation import Operation


def make_moment_states(settings: Settings, store: Store, *, clock: Clock) -> MomentStates:
    """What answers for a moment; `store` is the whole store, not what callers may see."""
    return MomentStates(
        MomentReads(store.moments, store.configurations, store.silence_versions),
        names=[origin.name for origin in _alertmanagers(settings)],
        witnesses=lambda: store.recorder.witnesses,
        retention=timedelta(days=settings.retention_days),
        clock=clock,
    )


def alertmanager_operations(service: Service, moments: MomentStates, *, clock: Clock) -> list[Operation]:
    """Alertmanager's API v2."""
    store, settings = service.rooms.store, service.settings
    writes = SilenceWrites(
        _alertmanagers(settings),
        store.silence_versions,
        store.reconciling,
        is_on=settings.silence_writes,
        clock=clock,
    )
    return [*AlertmanagerApi(moments, clock=clock).operations(), *SilencesApi(writes).operations()]


def _alertmanagers(settings: Settings) -> Sequence[Origin]:
    return parse_origins(urls) if (urls := revealed(settings.alertmanager_urls)) else ()
