"""The JSON of Alertmanager's API v2, with all that its newest version says: older clients pass by what they don't know.

Source: `api/v2/openapi.yaml` of prometheus/alertmanager 0.34, and what 0.25 and 0.34 answered. Times are cut to the
millisecond, in UTC: an Alertmanager keeps the offset that a sender wrote, we keep the moment.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import msgspec
from msgspec import UNSET, UnsetType

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.configuration import DEFAULT_RESOLVE_TIMEOUT
from alert_history.domain.alertmanager.moment import AlertStatus, MomentAlert
from alert_history.domain.silence_matching import State

_UTC = "+00:00"


class ReceiverReference(msgspec.Struct, frozen=True, gc=False):
    """A receiver by name."""

    name: str


class GettableReceiver(msgspec.Struct, frozen=True):
    """A receiver, with its labels (0.33)."""

    name: str
    labels: Mapping[str, str]


class MutingStatus(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What mutes an alert. `muted_by` (0.28) are time intervals, and in groups alone."""

    state: str
    silenced_by: Sequence[str]
    inhibited_by: Sequence[str]
    muted_by: Sequence[str]


class GettableAlert(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One alert. Without a `generatorURL` the field is left out."""

    annotations: Mapping[str, str]
    ends_at: str
    fingerprint: str
    receivers: Sequence[ReceiverReference]
    starts_at: str
    status: MutingStatus
    updated_at: str
    labels: Mapping[str, str]
    generator_url: str | UnsetType = msgspec.field(default=UNSET, name="generatorURL")


class GettableGroup(msgspec.Struct, frozen=True, rename="camel"):
    """Alerts that one receiver is notified of together. `routeLabels` came with 0.34."""

    alerts: Sequence[GettableAlert]
    labels: Mapping[str, str]
    receiver: ReceiverReference
    route_labels: Mapping[str, str]


class SilenceState(msgspec.Struct, frozen=True):
    """Whether it is `active`, `pending` or `expired`."""

    state: State


class SilenceMatcher(msgspec.Struct, frozen=True, rename="camel"):
    """A condition on a label."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool


class GettableSilence(msgspec.Struct, frozen=True, rename="camel"):
    """One silence."""

    id: str
    status: SilenceState
    updated_at: str
    comment: str
    created_by: str
    ends_at: str
    matchers: Sequence[SilenceMatcher]
    starts_at: str


@lru_cache(maxsize=4096)  # all alerts of a post were updated at the same time, and many fire for long
def time_text(time: datetime) -> str:
    """`2026-11-27T03:00:00.000Z`. Times of ours are in UTC."""
    return f"{time.isoformat(timespec='milliseconds').removesuffix(_UTC)}Z"


def alert_form(
    alert: MomentAlert,
    status: AlertStatus,
    receivers: Sequence[ReceiverReference],
    *,
    at: datetime,
    muted_by: Sequence[str] = (),
) -> GettableAlert:
    """An alert with these receivers. Muted by time intervals, it is suppressed in the groups.

    Where nobody knows until when its sender promised it, it is as if it had been sent just then without an end.
    """
    is_muted = bool(muted_by or status.silenced_by or status.inhibited_by or status.state == "suppressed")
    return GettableAlert(
        annotations=alert.annotations,
        ends_at=time_text(alert.ends_at or at + DEFAULT_RESOLVE_TIMEOUT),
        fingerprint=alert.fingerprint,
        receivers=receivers,
        starts_at=time_text(alert.starts_at),
        status=MutingStatus("suppressed" if is_muted else "active", status.silenced_by, status.inhibited_by, muted_by),
        updated_at=time_text(alert.updated_at),
        labels=alert.labels,
        generator_url=alert.generator_url or UNSET,
    )


def silence_form(silence: Silence, state: State) -> GettableSilence:
    """A silence in that state. Of several sets of matchers, which the API can't say, the first."""
    return GettableSilence(
        id=silence.id,
        status=SilenceState(state),
        updated_at=time_text(silence.updated_at),
        comment=silence.comment,
        created_by=silence.created_by,
        ends_at=time_text(silence.ends_at),
        matchers=[_matcher(each) for each in (silence.matchers[0] if silence.matchers else ())],
        starts_at=time_text(silence.starts_at),
    )


def _matcher(matcher: Mapping[str, str]) -> SilenceMatcher:
    operator = matcher.get("op", "=")
    return SilenceMatcher(
        name=matcher.get("name", ""),
        value=matcher.get("value", ""),
        is_regex=operator in {"=~", "!~"},
        is_equal=operator in {"=", "=~"},
    )
