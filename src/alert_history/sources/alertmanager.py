"""Alertmanager's webhook, version 4, as sent by 0.16 to 0.34; and Grafana's, which has the same frame.

Two ways lead to the same result: `decode_sound` is quick and takes only what is sound throughout;
`decode_each` looks at every alert on its own and keeps what it can.
Source: `notify/webhook` and `template` of prometheus/alertmanager.
"""

import re
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.alert import Alert, AlertGroup, fingerprint, is_fingerprint
from alert_history.sources import grafana_details
from alert_history.sources.alert_rules import Fault, check_order, clean, shown, text_of
from alert_history.sources.json_document import Document, too_many
from alert_history.sources.wire_alert import (
    NUL_ESCAPE,
    Build,
    Built,
    WireAlert,
    build_each,
    build_sound,
    ends_at_of,
    labels_of,
    starts_at_of,
)

_MAX_COUNT = 2**31 - 1

_escaped = re.compile(r"\\([^\w\s])")


class _Notification(msgspec.Struct, gc=False, rename="camel"):
    """The whole message. `alerts` is unset where the body is something else; the last four are Grafana's."""

    alerts: list[WireAlert] | msgspec.UnsetType = msgspec.UNSET
    receiver: str = ""
    group_key: str = ""
    external_url: str = msgspec.field(default="", name="externalURL")
    truncated_alerts: int = 0
    version: str = ""
    notification_reason: str = msgspec.field(default="", name="notification_reason")
    group_labels: dict[str, str] | None = None
    route_labels: dict[str, str] | None = None
    org_id: int | str | None = None
    title: str = ""
    state: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(_Notification).decode


def decode_sound(body: bytes, *, received_at: datetime, max_alerts: int) -> AlertGroup | None:
    """The group, if the body is a notification and nothing in it is wrong; else None.

    Raises:
        PayloadTooLarge: more than `max_alerts` alerts.
    """
    if NUL_ESCAPE in body:
        return None
    try:
        notification = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    wires = notification.alerts
    if wires is msgspec.UNSET:
        return None
    if len(wires) > max_alerts:
        raise too_many(max_alerts)
    alerts = build_sound(body, wires, build=_builder(notification), received_at=received_at)
    return None if alerts is None else _group(notification, Built(alerts, [], []))


def is_notification(document: Document) -> bool:
    """Whether the document is an object with an array of alerts."""
    return not document.is_array and document.items is not None


def decode_each(document: Document, *, received_at: datetime) -> AlertGroup:
    """The group: alerts that can be kept, cut where they are too large, and the other alerts as refused."""
    notification = _read_notification(document.fields)
    built = build_each(document.items or [], build=_builder(notification), received_at=received_at)
    return _group(notification, built)


def _read_notification(fields: dict[str, Any]) -> _Notification:
    """The frame of any JSON object: a field of a wrong type is made to fit, or left out."""
    return _Notification(
        receiver=text_of(fields.get("receiver")),
        group_key=text_of(fields.get("groupKey")),
        external_url=text_of(fields.get("externalURL")),
        truncated_alerts=_count(fields.get("truncatedAlerts")),
        version=text_of(fields.get("version")),
        notification_reason=text_of(fields.get("notification_reason")),
        group_labels=_texts(fields.get("groupLabels")),
        route_labels=_texts(fields.get("routeLabels")),
        org_id=_org_id(fields.get("orgId")),
        title=text_of(fields.get("title")),
        state=text_of(fields.get("state")),
        message=text_of(fields.get("message")),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _org_id(value: Any) -> int | str | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return text_of(value)


def _texts(value: Any) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {clean(name): text_of(text) for name, text in value.items()}


def _is_from_grafana(notification: _Notification) -> bool:
    return notification.org_id is not None or notification.version == grafana_details.VERSION


def _builder(notification: _Notification) -> Build:
    return _grafana_alert if _is_from_grafana(notification) else _alert


def _grafana_alert(wire: WireAlert, received_at: datetime) -> Alert:
    return _alert(wire, received_at, grafana_details.alert_details(wire))


def _alert(wire: WireAlert, received_at: datetime, details: dict[str, Any] | None = None) -> Alert:
    """One alert of a notification. Where its status is missing, its end says whether it is over. Raises Fault."""
    labels = labels_of(wire)
    starts_at = starts_at_of(wire)
    if starts_at is None:
        raise Fault("startsAt is not set", "times")
    ends_at = ends_at_of(wire)
    status = wire.status or ("resolved" if ends_at and ends_at <= received_at else "firing")
    identity = wire.fingerprint
    if not is_fingerprint(identity):
        identity = _usable_fingerprint(identity, labels)
    annotations = wire.annotations or {}
    if status == "firing":
        return Alert(identity, "firing", labels, annotations, starts_at, None, None, wire.generator_url, details)
    if status != "resolved":
        raise Fault(f"its status is {shown(status)}, neither firing nor resolved")
    ends_at = ends_at or max(received_at, starts_at)
    check_order(starts_at, ends_at)
    return Alert(identity, "resolved", labels, annotations, starts_at, ends_at, None, wire.generator_url, details)


def _usable_fingerprint(sent: str, labels: dict[str, str]) -> str:
    """The fingerprint sent, in lower case, or else that of the labels: versions before 0.19 send none."""
    lowered = sent.lower()
    return lowered if is_fingerprint(lowered) else fingerprint(labels)


def _group(notification: _Notification, built: Built) -> AlertGroup:
    receiver = notification.receiver
    if "\\" in receiver:
        receiver = _escaped.sub(r"\1", receiver)
    return AlertGroup(
        "grafana" if _is_from_grafana(notification) else "alertmanager",
        receiver,
        notification.group_key,
        notification.external_url,
        built.alerts,
        built.refused,
        truncated_alerts=min(max(notification.truncated_alerts, 0), _MAX_COUNT),
        details=_details(notification),
        cut=built.cut,
    )


def _details(notification: _Notification) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if notification.version:
        details["version"] = notification.version
    if notification.group_labels:
        details["groupLabels"] = notification.group_labels
    if notification.route_labels:
        details["routeLabels"] = notification.route_labels
    if notification.notification_reason:
        details["notification_reason"] = notification.notification_reason
    if _is_from_grafana(notification):
        details |= grafana_details.group_details(
            org_id=notification.org_id, title=notification.title, state=notification.state, message=notification.message
        )
    return details
