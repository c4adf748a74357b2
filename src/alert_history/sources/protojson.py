"""The messages inside the event recorder's events, as protojson writes them.

Fields of default value are left out, a uint64 is a decimal string (or a number), an enum a name (or a number).
Must not know which event a message came in. After 0.34 Alertmanager writes labels as plain mappings, and an alert of
a group as the alert itself (its schema `events/v2`); both ways are read. Source: `eventrecorder.proto` and
`events/v2/events.proto` of prometheus/alertmanager.
"""

from datetime import datetime
from typing import Any

from alert_history.domain.alert import Alert, Silence, fingerprint
from alert_history.sources.alert_rules import (
    Fault,
    check_identity,
    check_order,
    kind,
    read_annotations,
    read_labels,
    read_time,
    shown,
    text_of,
)

_UINT64_DIGITS = 20
SILENCE_ID_BYTES = 1024
PATTERN_BYTES = 64 * 1024
_OPERATORS = {
    "TYPE_EQUAL": "=",
    "TYPE_REGEXP": "=~",
    "TYPE_NOT_EQUAL": "!=",
    "TYPE_NOT_REGEXP": "!~",
    1: "=",
    2: "=~",
    3: "!=",
    4: "!~",
}


def message(parent: dict[str, Any], name: str, *, is_optional: bool = False) -> dict[str, Any]:
    """The message in this field. Raises Fault where it is of another type, or missing though it is needed."""
    value = parent.get(name)
    if value is None and is_optional:
        return {}
    if not isinstance(value, dict):
        raise Fault(f"{shown(name)} is missing" if value is None else f"{shown(name)} is {kind(value)}, not an object")
    return value


def messages(parent: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The messages in this field; none where it is left out. Raises Fault."""
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Fault(f"{shown(name)} is no array of objects")
    return value


def unsigned(value: Any) -> int | None:
    """A uint64; None where it is left out or 0. Raises Fault."""
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _UINT64_DIGITS:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise Fault(f"{shown(value) if isinstance(value, str) else kind(value)} where a uint64 was expected")
    return value or None


def unsigned_list(parent: dict[str, Any], name: str) -> list[int]:
    """The uint64s in this field; none where it is left out. Raises Fault."""
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Fault(f"{shown(name)} is {kind(value)}, not an array")
    return [unsigned(item) or 0 for item in value]


def hex_fingerprint(value: int) -> str:
    """A fingerprint as everyone else writes it: 16 hex digits."""
    return f"{value:016x}"


def fingerprint_of(fields: dict[str, Any]) -> str:
    """The fingerprint of an Alert or MutedAlert: its own, or else that of its labels. Raises Fault."""
    value = unsigned(fields.get("fingerprint"))
    return fingerprint(read_labels(_pairs(fields, "labels"))) if value is None else hex_fingerprint(value)


def alert(fields: dict[str, Any], *, at: datetime, is_resolved: bool = False) -> Alert:
    """An Alert as it was at `at`: over if it or `is_resolved` says so, or if its end has passed. Raises Fault."""
    labels = read_labels(_pairs(fields, "labels"))
    annotations = read_annotations(_pairs(fields, "annotations"))
    starts_at = read_time(fields.get("startsAt"), of="startsAt")
    if starts_at is None:
        raise Fault("startsAt is not set", "times")
    ends_at = read_time(fields.get("endsAt"), of="endsAt")
    identity = fingerprint_of(fields)
    if not (is_resolved or fields.get("resolved") is True or (ends_at and ends_at <= at)):
        return Alert(identity, "firing", labels, annotations, starts_at)
    ends_at = ends_at or max(at, starts_at)
    check_order(starts_at, ends_at)
    return Alert(identity, "resolved", labels, annotations, starts_at, ends_at)


def _pairs(parent: dict[str, Any], name: str) -> dict[str, Any]:
    """Labels as a mapping. They come as a mapping, or as a LabelSet, whose one field is an array. Raises Fault."""
    labels = message(parent, name, is_optional=True)
    if not isinstance(labels.get("labels"), list):
        return labels
    return {_text(pair, "key"): pair.get("value", "") for pair in messages(labels, "labels")}


def grouped(entry: dict[str, Any]) -> dict[str, Any]:
    """The Alert of a GroupedAlert, or the Alert that came instead of one. Raises Fault."""
    return entry if "labels" in entry else message(entry, "details")


def mark(entry: dict[str, Any]) -> int | None:
    """How an event names an alert of a group: by a GroupedAlert's hash, or an Alert's fingerprint. Raises Fault."""
    return unsigned(entry.get("hash", entry.get("fingerprint")))


def silence(fields: dict[str, Any], *, at: datetime) -> Silence:
    """A Silence. The event's time stands for a start or update that is left out; an end is required. Raises Fault."""
    silence_id = _text(fields, "id")
    check_identity(silence_id, of="the silence's id", max_bytes=SILENCE_ID_BYTES)
    if not silence_id:
        raise Fault("the silence has no id")
    ends_at = read_time(fields.get("endsAt"), of="the silence's endsAt")
    if ends_at is None:
        raise Fault("the silence's endsAt is not set", "times")
    return Silence(
        silence_id,
        _matcher_sets(fields),
        read_time(fields.get("startsAt"), of="the silence's startsAt") or at,
        ends_at,
        read_time(fields.get("updatedAt"), of="the silence's updatedAt") or at,
        text_of(fields.get("createdBy")),
        text_of(fields.get("comment")),
    )


def _matcher_sets(fields: dict[str, Any]) -> list[list[dict[str, str]]]:
    """All sets of matchers. `matchers` repeats the first set; a silence that can have just one holds it there alone."""
    sets = messages(fields, "matcherSets") or [fields]
    return [[_matcher(matcher) for matcher in messages(matcher_set, "matchers")] for matcher_set in sets]


def _matcher(matcher: dict[str, Any]) -> dict[str, str]:
    """`{"name", "op", "value"}`, the operator as PromQL writes it. Raises Fault."""
    name, value = _text(matcher, "name"), _text(matcher, "pattern")
    check_identity(name, of="a matcher's name", max_bytes=PATTERN_BYTES)
    check_identity(value, of="a matcher's pattern", max_bytes=PATTERN_BYTES)
    type_ = matcher.get("type")
    operator = _OPERATORS.get(type_) if isinstance(type_, str | int) else None
    if operator is None:
        raise Fault("a matcher is of an unknown type")
    return {"name": name, "op": operator, "value": value}


def inhibit_rule_name(rule: dict[str, Any]) -> str:
    """The name of an InhibitRule; without a name, the matchers of its source and target. Raises Fault."""
    name = text_of(rule.get("name"))
    if name:
        return name
    source, target = (
        ", ".join(text_of(matcher.get("rendered")) for matcher in messages(rule, field))
        for field in ("sourceMatchers", "targetMatchers")
    )
    return f"{{{source}}} → {{{target}}}"


def _text(parent: dict[str, Any], name: str) -> str:
    """The string in this field; empty where the field is left out. Raises Fault."""
    value = parent.get(name, "")
    if not isinstance(value, str):
        raise Fault(f"{shown(name)} is {kind(value)}, not a string")
    return value
