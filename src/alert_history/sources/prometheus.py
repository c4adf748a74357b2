"""`POST /api/v2/alerts`: what Prometheus, vmalert and amtool send to Alertmanager.

Missing times are filled in and alerts are checked as Alertmanager does it.
Source: `api/v2` (`postAlertsHandler`) of prometheus/alertmanager.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from alert_history.domain.alert import Alert, AlertGroup, fingerprint
from alert_history.errors import MalformedPayload
from alert_history.sources.alert_rules import Fault, check_order, to_utc
from alert_history.sources.json_document import read_document, too_many
from alert_history.sources.wire_alert import (
    NUL_ESCAPE,
    Built,
    WireAlert,
    build_each,
    build_sound,
    ends_at_of,
    labels_of,
    starts_at_of,
)

RESOLVE_TIMEOUT = timedelta(minutes=5)
"""How long an alert without `endsAt` stays firing unless it is sent again: Alertmanager's default `resolve_timeout`."""

_decode = msgspec.json.Decoder(list[WireAlert]).decode


def decode_prometheus(body: bytes, *, received_at: datetime, max_alerts: int) -> AlertGroup:
    """Decode an array of alerts. Each is firing until its `endsAt`, and expires then if it is not sent again.

    Raises:
        MalformedPayload: nothing in the body can be used; the message says what is wrong, and where.
        PayloadTooLarge: more than `max_alerts` alerts.
    """
    group = decode_sound(body, received_at=received_at, max_alerts=max_alerts)
    return group or decode_each(body, received_at=received_at, max_alerts=max_alerts)


class _WirePost(msgspec.Struct, gc=False, rename="camel"):
    """As much of an alert as Alertmanager shows of the newest post."""

    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    ends_at: datetime | None = None
    generator_url: str = msgspec.field(name="generatorURL", default="")


class Posted(NamedTuple):
    """What a post said of one alert: its end, named or by `resolve_timeout`, and how it describes it."""

    labels: dict[str, str]
    ends_at: datetime
    annotations: dict[str, str]
    generator_url: str


_decode_posts = msgspec.json.Decoder(list[_WirePost]).decode


def read_posted(body: bytes, *, received_at: datetime) -> list[Posted]:
    """What a body that was accepted said of each alert; nothing of a body that is not sound."""
    try:
        wires = _decode_posts(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [posted for wire in wires if (posted := _posted(wire, received_at)) is not None]


def _posted(wire: _WirePost, received_at: datetime) -> Posted | None:
    """None of an alert that was refused."""
    labels = wire.labels
    if "" in labels.values():
        labels = {name: value for name, value in labels.items() if value}
    try:
        given = None if wire.ends_at is None else to_utc(wire.ends_at, of="endsAt")
    except Fault:
        return None
    return Posted(labels, given or received_at + RESOLVE_TIMEOUT, wire.annotations or {}, wire.generator_url)


def decode_sound(body: bytes, *, received_at: datetime, max_alerts: int) -> AlertGroup | None:
    """The group, if nothing in the body is wrong; else None."""
    if NUL_ESCAPE in body:
        return None
    try:
        wires = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(wires) > max_alerts:
        raise too_many(max_alerts)
    alerts = build_sound(body, wires, build=_alert, received_at=received_at)
    return None if alerts is None else _group(Built(alerts, [], []))


def decode_each(body: bytes, *, received_at: datetime, max_alerts: int) -> AlertGroup:
    """The group: alerts that can be kept, cut where they are too large, and the other alerts as refused."""
    document = read_document(body, max_items=max_alerts)
    if not document.is_array or document.items is None:
        raise MalformedPayload("$ is an object; expected an array of alerts")
    return _group(build_each(document.items, build=_alert, received_at=received_at))


def _group(built: Built) -> AlertGroup:
    return AlertGroup("prometheus", "", "", "", built.alerts, built.refused, cut=built.cut)


def _alert(wire: WireAlert, received_at: datetime) -> Alert:
    """One alert. Labels without a value are no labels. Raises Fault."""
    labels = labels_of(wire)
    if "" in labels.values():
        labels = {name: value for name, value in labels.items() if value}
        if not labels:
            raise Fault("it has no labels with a value", "labels")
    ends_at = ends_at_of(wire)
    given = starts_at_of(wire)
    starts_at = given or ends_at or received_at
    ends_at = ends_at or received_at + RESOLVE_TIMEOUT
    check_order(starts_at, ends_at)
    annotations = wire.annotations or {}
    identity = fingerprint(labels)
    is_firing = ends_at > received_at
    return Alert(
        identity,
        "firing" if is_firing else "resolved",
        labels,
        annotations,
        starts_at,
        ends_at=None if is_firing else ends_at,
        expires_at=ends_at if is_firing else None,
        generator_url=wire.generator_url,
        is_start_given=given is not None,
    )
