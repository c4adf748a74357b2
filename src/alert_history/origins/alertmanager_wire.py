"""What an Alertmanager answers of its alerts and silences: API v2, 0.16 and newer. Must not know who asked, or why.

Source: `api/v2/openapi.yaml` of prometheus/alertmanager. Fields that are not used are passed by.
"""

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.poll import AlertState, PolledAlert
from alert_history.origins.wire import read_time, without_empty

ALERTS = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"
"""All that it holds, muted or not."""
SILENCES = "/api/v2/silences"
"""All that it lists, expired ones too."""

_OPERATORS = {(False, True): "=", (True, True): "=~", (False, False): "!=", (True, False): "!~"}


class _Receiver(msgspec.Struct):
    name: str


class _AlertStatus(msgspec.Struct, rename="camel"):
    state: AlertState
    silenced_by: list[str] | None = None
    inhibited_by: list[str] | None = None
    muted_by: list[str] | None = None


class _Alert(msgspec.Struct, rename="camel"):
    fingerprint: str
    labels: dict[str, str]
    starts_at: str
    ends_at: str
    updated_at: str
    status: _AlertStatus
    annotations: dict[str, str] = {}
    receivers: list[_Receiver] = []
    generator_url: str = msgspec.field(default="", name="generatorURL")


class _Matcher(msgspec.Struct, rename="camel"):
    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class _Silence(msgspec.Struct, rename="camel"):
    id: str
    matchers: list[_Matcher]
    starts_at: str
    ends_at: str
    updated_at: str
    created_by: str = ""
    comment: str = ""


def read_alerts(body: bytes) -> list[PolledAlert]:
    """The alerts of an answer to `ALERTS`. Raises: ValueError, RecursionError."""
    return list(map(_alert, msgspec.json.decode(body, type=list[_Alert])))


def read_silences(body: bytes) -> list[Silence]:
    """The silences of an answer to `SILENCES`. Raises: ValueError, RecursionError."""
    return list(map(_silence, msgspec.json.decode(body, type=list[_Silence])))


def _alert(wire: _Alert) -> PolledAlert:
    return PolledAlert(
        fingerprint=wire.fingerprint,
        labels=without_empty(wire.labels),
        annotations=wire.annotations,
        starts_at=read_time(wire.starts_at),
        ends_at=read_time(wire.ends_at),
        updated_at=read_time(wire.updated_at),
        generator_url=wire.generator_url,
        receivers=[receiver.name for receiver in wire.receivers],
        state=wire.status.state,
        silenced_by=wire.status.silenced_by or [],
        inhibited_by=wire.status.inhibited_by or [],
        muted_by=wire.status.muted_by or [],
    )


def _silence(wire: _Silence) -> Silence:
    return Silence(
        id=wire.id,
        matchers=[list(map(_matcher, wire.matchers))],
        starts_at=read_time(wire.starts_at),
        ends_at=read_time(wire.ends_at),
        updated_at=read_time(wire.updated_at),
        created_by=wire.created_by,
        comment=wire.comment,
    )


def _matcher(wire: _Matcher) -> dict[str, str]:
    return {"name": wire.name, "op": _OPERATORS[wire.is_regex, wire.is_equal], "value": wire.value}
