"""What fired at a past moment, as the first page shows it: by severity and by rule, with who had acknowledged it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.alertmanager.moment import AlertStatus, MomentAlert
from alert_history.engine.acknowledged import Acknowledged
from alert_history.engine.firing_alerts import FiringAlert, of_then
from alert_history.engine.firing_now import FiringView, view_of
from alert_history.ports import FiringGroup, Mute

MOST_ACKNOWLEDGED = 1_000
"""Of so many of the newest alerts it is looked up who had acknowledged them."""


class HeldThen(Protocol):
    """What was held at a moment; see `engine.moments.MomentState`."""

    @property
    def alerts(self) -> Sequence[tuple[MomentAlert, AlertStatus]]:
        """The alerts, each with what became of it."""
        ...

    @property
    def unknown(self) -> Sequence[str]:
        """What can't be known for the moment, in sentences."""
        ...


class States(Protocol):
    """Knows what was held at a moment, as far as it exists for who calls: `engine.moments.MomentStates`."""

    async def state(self, at: datetime | None) -> HeldThen:
        """What was held. Raises InvalidQuery, StorageUnavailable or QueryTimeout."""
        ...


class FiredThen(msgspec.Struct, frozen=True):
    """What fired: added up, the alerts from the newest on, and what can't be known of then."""

    view: FiringView
    alerts: Sequence[FiringAlert]
    unknown: Sequence[str]


class FiringThen:
    """Answers what fired at a past moment."""

    def __init__(self, states: States, acknowledged: Acknowledged) -> None:
        self._states = states
        self._acknowledged = acknowledged

    async def view(self, at: datetime) -> FiredThen:
        """What fired then. Raises as `States.state`."""
        state = await self._states.state(at)
        newest_first = sorted(state.alerts, key=lambda each: each[0].starts_at, reverse=True)
        ids = [alert.occurrence_id for alert, _ in newest_first[:MOST_ACKNOWLEDGED]]
        takers = await self._acknowledged.takers(ids, by=at)
        groups = [_group(alert, status, takers) for alert, status in newest_first]
        return FiredThen(view_of(groups), [of_then(alert) for alert, _ in newest_first], state.unknown)


def _group(alert: MomentAlert, status: AlertStatus, taken: Collection[str]) -> FiringGroup:
    return FiringGroup(
        alertname=alert.labels.get("alertname", ""),
        severity=alert.labels.get("severity", ""),
        is_unconfirmed=alert.is_unconfirmed,
        muted=_mute(alert, status),
        number=1,
        oldest_at=alert.starts_at,
        newest_at=alert.starts_at,
        is_acknowledged=alert.occurrence_id in taken,
    )


def _mute(alert: MomentAlert, status: AlertStatus) -> Mute | None:
    """What muted it, by the silences and rules of then, or else as events say."""
    if status.silenced_by:
        return "silenced"
    if status.inhibited_by:
        return "inhibited"
    return None if alert.muted is None else alert.muted[0]
