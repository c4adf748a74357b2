"""An alert as Alertmanager, Grafana and Prometheus write it: camelCase JSON. Must not know what they mean by it.

`WireAlert` is what the strict decoders make of sound JSON; `read_alert` makes the same of an alert that they refuse,
if it can be kept at all.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from alert_history.domain.alert import Alert, Cut, Refused
from alert_history.sources.alert_rules import (
    UNCHECKED_CHARACTERS,
    Fault,
    check_labels,
    kind,
    read_annotations,
    read_labels,
    read_time,
    text_of,
    to_utc,
)
from alert_history.sources.annotation_limit import ANNOTATIONS_BYTES, is_over_limit, within_limit
from alert_history.sources.json_document import TOO_DEEP, Item

NUL_ESCAPE = b"\\u0000"


class WireAlert(msgspec.Struct, gc=False, rename="camel"):
    """One alert. What is absent is empty; times are as sent, any zone, maybe none. The last six are Grafana's."""

    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    status: str = ""
    generator_url: str = msgspec.field(default="", name="generatorURL")
    fingerprint: str = ""
    values: dict[str, Any] | None = None
    value_string: str = ""
    silence_url: str = msgspec.field(default="", name="silenceURL")
    dashboard_url: str = msgspec.field(default="", name="dashboardURL")
    panel_url: str = msgspec.field(default="", name="panelURL")
    image_url: str = msgspec.field(default="", name="imageURL")


Build = Callable[[WireAlert, datetime], Alert]
"""What a source makes of a wire alert and the time it was received. Raises Fault."""


def build_sound(body: bytes, wires: Sequence[WireAlert], *, build: Build, received_at: datetime) -> list[Alert] | None:
    """All alerts of a body that was decoded strictly; None if one of them can't be kept as it is.

    The body holds no NUL: one with NUL_ESCAPE in it has to be read item by item.
    """
    if len(body) > ANNOTATIONS_BYTES and any(is_over_limit(wire.annotations or {}) for wire in wires):
        return None
    try:
        return [build(wire, received_at) for wire in wires]
    except Fault:
        return None


class Built(NamedTuple):
    """The alerts that can be kept, the cuts that this took, and the refused alerts with their reasons."""

    alerts: list[Alert]
    refused: list[Refused]
    cut: list[Cut]


def build_each(items: Sequence[Item], *, build: Build, received_at: datetime) -> Built:
    """Each alert on its own."""
    built = Built([], [], [])
    for position, item in enumerate(items):
        try:
            alert = build(read_alert(item.value), received_at)
        except Fault as fault:
            built.refused.append(Refused(position, str(fault), item.raw, fault.cause))
            continue
        alert, cut = within_limit(alert, position=position, raw=item.raw)
        built.alerts.append(alert)
        if cut is not None:
            built.cut.append(cut)
    return built


def read_alert(value: Any) -> WireAlert:
    """A wire alert of any JSON value. Fields that only describe are made to fit. Raises Fault."""
    if value is TOO_DEEP:
        raise Fault("it is nested too deeply")
    if not isinstance(value, dict):
        raise Fault(f"an alert is an object; this is {kind(value)}")
    values = value.get("values")
    return WireAlert(
        labels=read_labels(value.get("labels")),
        annotations=read_annotations(value.get("annotations")),
        starts_at=read_time(value.get("startsAt"), of="startsAt"),
        ends_at=read_time(value.get("endsAt"), of="endsAt"),
        status=text_of(value.get("status")),
        generator_url=text_of(value.get("generatorURL")),
        fingerprint=text_of(value.get("fingerprint")),
        values=values if isinstance(values, dict) else None,
        value_string=text_of(value.get("valueString")),
        silence_url=text_of(value.get("silenceURL")),
        dashboard_url=text_of(value.get("dashboardURL")),
        panel_url=text_of(value.get("panelURL")),
        image_url=text_of(value.get("imageURL")),
    )


def labels_of(wire: WireAlert) -> dict[str, str]:
    """The alert's labels, checked: quickly where all are short, else one by one. Raises Fault."""
    labels = wire.labels
    if (
        not labels
        or "" in labels
        or max(map(len, labels)) > UNCHECKED_CHARACTERS
        or max(map(len, labels.values())) > UNCHECKED_CHARACTERS
    ):
        check_labels(labels)
    return labels


def starts_at_of(wire: WireAlert) -> datetime | None:
    """When the alert began, in UTC; None if the time is unset. Raises Fault."""
    time = wire.starts_at
    if time is None or (time.tzinfo is UTC and time.year > 1):
        return time
    return to_utc(time, of="startsAt")


def ends_at_of(wire: WireAlert) -> datetime | None:
    """When the alert ended or will end, in UTC; None if the time is unset. Raises Fault."""
    time = wire.ends_at
    if time is None or (time.tzinfo is UTC and time.year > 1):
        return time
    return to_utc(time, of="endsAt")
