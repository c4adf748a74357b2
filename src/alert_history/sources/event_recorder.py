"""Alertmanager's event recorder (0.33 and newer): one event or an array of them, as protojson.

Holds what each type of event means to us; the messages that events are made of are in `protojson`. A firing
alert of the recorder has no `expires_at`: Alertmanager keeps refreshing the alert and sends `alertResolved` at its end.
Source: `eventrecorder` and `notify/event.go` of prometheus/alertmanager.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.alert import Alert, AlertGroup, Cut, Note, NoteKind, Refused, Silence
from alert_history.sources import protojson
from alert_history.sources.alert_rules import Fault, kind, read_time, shown, text_of
from alert_history.sources.annotation_limit import within_limit
from alert_history.sources.json_document import Document, Item, too_many

_REASONS = (
    "unspecified",
    "first_notification",
    "new_alerts_in_group",
    "new_resolved_alerts",
    "all_alerts_resolved",
    "repeat_interval_elapsed",
)
_REASON_PREFIX = "NOTIFY_REASON_"
_LIFECYCLE = frozenset({"alertmanagerStartupEvent", "alertmanagerShutdownEvent"})


class _Event(msgspec.Struct, frozen=True):
    """One event: when and where it happened, its type and its message."""

    at: datetime
    instance: str
    position: int
    type: str
    payload: dict[str, Any]


class _Contents(msgspec.Struct):
    """What the events of one request hold, sorted by kind."""

    alerts: list[Alert] = []
    notes: list[Note] = []
    silences: list[Silence] = []
    refused: list[Refused] = []
    cut: list[Cut] = []
    lifecycle: list[dict[str, str]] = []

    @property
    def count(self) -> int:
        return len(self.alerts) + len(self.notes) + len(self.silences) + len(self.refused)


Thing = Alert | Note | Silence


def is_events(document: Document) -> bool:
    """Whether the document is an event, or an array that is empty or holds an event."""
    if not document.is_array:
        return document.items is None and "alerts" not in document.fields and _looks_like_event(document.fields)
    items = document.items or []
    return not items or any(_looks_like_event(item.value) for item in items)


def _looks_like_event(value: Any) -> bool:
    return isinstance(value, dict) and ("@timestamp" in value or isinstance(value.get("data"), dict))


def decode_events(document: Document, *, max_things: int) -> AlertGroup:
    """The group of all that the events hold. Starts and stops of Alertmanager are listed in the group's `details`.

    Raises:
        PayloadTooLarge: more than `max_things` alerts, notes and silences.
    """
    items = (document.items or []) if document.is_array else [document.whole]
    contents = _Contents()
    for position, item in enumerate(items):
        _add(contents, item, position=position)
        if contents.count > max_things:
            raise too_many(max_things)
    return AlertGroup(
        "event_recorder",
        "",
        "",
        "",
        contents.alerts,
        contents.refused,
        contents.notes,
        contents.silences,
        details={"lifecycle": contents.lifecycle} if contents.lifecycle else {},
        cut=contents.cut,
    )


def _add(contents: _Contents, item: Item, *, position: int) -> None:
    """Add what one event holds. What stands before a fault is added, too."""
    try:
        event = _read_event(item.value, position)
        if event.type in _LIFECYCLE:
            contents.lifecycle.append(_lifecycle(event))
            return
        for thing in _reader(event.type)(event):
            match thing:
                case Alert():
                    _add_alert(contents, thing, position=position, raw=item.raw)
                case Note():
                    contents.notes.append(thing)
                case Silence():
                    contents.silences.append(thing)
    except Fault as fault:
        contents.refused.append(Refused(position, str(fault), item.raw, fault.cause))


def _add_alert(contents: _Contents, alert: Alert, *, position: int, raw: bytes) -> None:
    alert, cut = within_limit(alert, position=position, raw=raw)
    contents.alerts.append(alert)
    contents.cut += [] if cut is None else [cut]


def _read_event(value: Any, position: int) -> _Event:
    if not isinstance(value, dict):
        raise Fault(f"an event is an object; this is {kind(value)}")
    at = read_time(value.get("@timestamp"), of="@timestamp")
    if at is None:
        raise Fault("@timestamp is not set", "times")
    data = protojson.message(value, "data")
    name = next((name for name in data if name in _READERS or name in _LIFECYCLE), None) or next(iter(data), None)
    if name is None:
        raise Fault("the event holds no data")
    return _Event(at, text_of(value.get("instance")), position, name, protojson.message(data, name))


def _reader(name: str) -> Callable[[_Event], Iterator[Thing]]:
    reader = _READERS.get(name)
    if reader is None:
        raise Fault(f"unknown event type {shown(name)}")
    return reader


def _lifecycle(event: _Event) -> dict[str, str]:
    entry = {
        "event": event.type,
        "at": event.at.isoformat(),
        "instance": event.instance,
        "version": text_of(event.payload.get("version")),
    }
    return {name: text for name, text in entry.items() if text}


def _alert_created(event: _Event) -> Iterator[Thing]:
    alert = protojson.alert(protojson.message(event.payload, "alert"), at=event.at)
    yield msgspec.structs.replace(alert, reporter=event.instance)


def _alert_resolved(event: _Event) -> Iterator[Thing]:
    details = protojson.grouped(protojson.message(event.payload, "alert"))
    alert = protojson.alert(details, at=event.at, is_resolved=True)
    yield msgspec.structs.replace(alert, reporter=event.instance)


def _alert_grouped(event: _Event) -> Iterator[Thing]:
    details = protojson.grouped(protojson.message(event.payload, "alert"))
    yield _note_of_alert(event, "grouped", details, detail=_group_detail(event.payload))


def _notification(event: _Event) -> Iterator[Thing]:
    """A note for each alert of the notification. An alert without more than its hash is a fault."""
    payload = event.payload
    integration = protojson.message(payload, "integration", is_optional=True)
    detail = _group_detail(payload) | {
        "integration": text_of(integration.get("name")),
        "integration_index": protojson.unsigned(integration.get("index")) or 0,
        "reason": _reason(payload.get("reason")),
        "flush_id": str(protojson.unsigned(payload.get("flushId")) or 0),
        "muted_alerts": len(protojson.messages(payload, "mutedAlerts")),
    }
    roles = _roles(payload)
    faults: Counter[str] = Counter()
    for entry in protojson.messages(payload, "alerts"):
        try:
            details = protojson.grouped(entry)
            role = roles.get(protojson.mark(entry)) or _own_role(details)
            yield _note_of_alert(event, "notified", details, detail=detail | {"role": role})
        except Fault as fault:
            faults[str(fault)] += 1
    if faults:
        raise Fault("; ".join(f"{count} alerts of the notification: {reason}" for reason, count in faults.items()))
    if not protojson.messages(payload, "alerts"):
        raise Fault("the notification names no alert")


def _roles(payload: dict[str, Any]) -> dict[int | None, str]:
    """The role that the notification gives each alert, by the alert's mark: firing, resolved, or muted."""
    lists = {"firingAlerts": "firing", "resolvedAlerts": "resolved", "mutedAlerts": "muted"}
    return {protojson.mark(entry): role for name, role in lists.items() for entry in protojson.messages(payload, name)}


def _own_role(details: dict[str, Any]) -> str:
    return "resolved" if details.get("resolved") is True else "firing"


def _reason(value: Any) -> str:
    if isinstance(value, int) and 0 <= value < len(_REASONS):
        return _REASONS[value]
    return text_of(value).removeprefix(_REASON_PREFIX).lower() or _REASONS[0]


def _group_detail(payload: dict[str, Any]) -> dict[str, Any]:
    group = protojson.message(payload, "groupInfo", is_optional=True)
    return {"receiver": text_of(group.get("receiverName")), "group_key": text_of(group.get("groupKey"))}


def _note_of_alert(event: _Event, kind_: NoteKind, details: dict[str, Any], *, detail: dict[str, Any]) -> Note:
    fingerprint = protojson.fingerprint_of(details)
    starts_at = read_time(details.get("startsAt"), of="startsAt")
    return Note(fingerprint, starts_at, kind_, event.at, event.instance, detail, event.position)


def _silence_changed(event: _Event) -> Iterator[Thing]:
    yield protojson.silence(protojson.message(event.payload, "silence"), at=event.at)


def _silence_muted(event: _Event) -> Iterator[Thing]:
    silence = protojson.message(event.payload, "silence")
    ends_at = read_time(silence.get("endsAt"), of="the silence's endsAt")
    detail = {
        "silence_id": text_of(silence.get("id")),
        "created_by": text_of(silence.get("createdBy")),
        "comment": text_of(silence.get("comment")),
        "ends_at": ends_at.isoformat() if ends_at else None,
    }
    yield _note_of_muted(event, "silenced", detail)


def _inhibition_muted(event: _Event) -> Iterator[Thing]:
    payload = event.payload
    prints = protojson.unsigned_list(payload, "inhibitingFingerprints")
    rules = map(protojson.inhibit_rule_name, protojson.messages(payload, "inhibitRules"))
    detail = {"inhibited_by": sorted(map(protojson.hex_fingerprint, prints)), "rules": list(rules)}
    yield _note_of_muted(event, "inhibited", detail)


def _note_of_muted(event: _Event, kind_: NoteKind, detail: dict[str, Any]) -> Note:
    """A note about an alert that comes with labels and fingerprint alone: its newest occurrence is meant."""
    fingerprint = protojson.fingerprint_of(protojson.message(event.payload, "mutedAlert"))
    return Note(fingerprint, None, kind_, event.at, event.instance, detail, event.position)


_READERS: dict[str, Callable[[_Event], Iterator[Thing]]] = {
    "alertCreated": _alert_created,
    "alertResolved": _alert_resolved,
    "alertGrouped": _alert_grouped,
    "notification": _notification,
    "silenceCreated": _silence_changed,
    "silenceUpdated": _silence_changed,
    "silenceMutedAlert": _silence_muted,
    "inhibitionMutedAlert": _inhibition_muted,
}
