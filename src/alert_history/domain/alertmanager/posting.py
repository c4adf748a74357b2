"""Alerts as Alertmanager holds them: what is posted, joined with what was posted before.

Source: `api/v2`, `provider/mem` and `alert` of prometheus/alertmanager.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

NEVER = datetime.max.replace(tzinfo=UTC)
"""The end of an alert whose end is not known."""
_CLEANING = timedelta(minutes=30)
"""Alertmanager forgets ended alerts this often (its flag `--alerts.gc-interval`)."""


class Post(msgspec.Struct, frozen=True, gc=False):
    """One alert as it was posted at a moment. Of one request the alerts come one after the other, at the same moment.

    Without `ends_at` it ends after the configuration's `resolve_timeout`, unless it is posted again; without
    `starts_at` it starts when it is posted, or at its end.
    """

    at: datetime
    fingerprint: str
    labels: Mapping[str, str]
    starts_at: datetime | None = None
    ends_at: datetime | None = None


class HeldAlert(msgspec.Struct, frozen=True, gc=False):
    """An alert as Alertmanager holds it. `ends_by_timeout`: its sender said no end."""

    fingerprint: str
    labels: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    ends_by_timeout: bool = False

    def is_resolved(self, at: datetime) -> bool:
        """Whether it has ended by then."""
        return self.ends_at <= at


class HeldAlerts:
    """All alerts that an Alertmanager holds that was started at a moment."""

    def __init__(self, *, started_at: datetime) -> None:
        self._alerts: dict[str, HeldAlert] = {}
        self._started_at = started_at

    def put(self, post: Post, *, resolve_timeout: timedelta) -> HeldAlert:
        """Take what was posted; the alert as it stands then."""
        alert = _held(post, resolve_timeout)
        old = self.get(alert.fingerprint, at=post.at)
        if old is not None and _overlap(old, alert):
            alert = _joined(old, alert, post.at)
        self._alerts[alert.fingerprint] = alert
        return alert

    def get(self, fingerprint: str, *, at: datetime) -> HeldAlert | None:
        """The alert, ended or not; None where it was never posted, or is forgotten."""
        alert = self._alerts.get(fingerprint)
        return None if alert is None or alert.ends_at <= self._cleaned(at) else alert

    def all(self, at: datetime) -> Iterator[HeldAlert]:
        """The alerts that are not forgotten yet, ended ones too; those that are take no room from then on."""
        cleaned = self._cleaned(at)
        self._alerts = {name: alert for name, alert in self._alerts.items() if alert.ends_at > cleaned}
        yield from list(self._alerts.values())

    def _cleaned(self, at: datetime) -> datetime:
        """When ended alerts were last forgotten."""
        return at - (at - self._started_at) % _CLEANING


def _held(post: Post, resolve_timeout: timedelta) -> HeldAlert:
    return HeldAlert(
        post.fingerprint,
        post.labels,
        post.starts_at or post.ends_at or post.at,
        post.ends_at or post.at + resolve_timeout,
        post.at,
        post.ends_at is None,
    )


def _overlap(old: HeldAlert, new: HeldAlert) -> bool:
    return old.starts_at < new.ends_at < old.ends_at or old.starts_at < new.starts_at < old.ends_at


def _joined(old: HeldAlert, new: HeldAlert, at: datetime) -> HeldAlert:
    """The newer word, with the earlier start. An end that its sender said stays if it is later than the new one."""
    ends_at = new.ends_at
    if old.ends_at > new.ends_at:
        keeps_end = old.is_resolved(at) if new.is_resolved(at) else not old.ends_by_timeout
        ends_at = old.ends_at if keeps_end else new.ends_at
    return msgspec.structs.replace(new, starts_at=min(old.starts_at, new.starts_at), ends_at=ends_at)
