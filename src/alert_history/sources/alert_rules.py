"""The rules that an alert must meet to be kept: for labels, annotations and times, and for all senders.

`Fault` is the reason why one alert can't be kept. Must not know how any sender writes an alert.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from alert_history.domain.alert import Cause
from alert_history.sources.json_document import TOO_DEEP

LABEL_NAME_BYTES = 1024
LABEL_VALUE_BYTES = 64 * 1024
INDEXED_VALUE_BYTES = 1024
"""Of a value that a database index holds: PostgreSQL takes 2704 bytes, with all else that is in the entry."""
INDEXED_LABELS = frozenset({"alertname", "namespace", "severity"})
UNCHECKED_CHARACTERS = 256
"""A label name or value up to this long is within every bound above, whatever its characters."""

_LAST = datetime.max.replace(tzinfo=UTC)
_SHOWN_CHARACTERS = 60

_unstorable = re.compile("[\0\ud800-\udfff]")
_surrogate = re.compile("[\ud800-\udfff]")


class Fault(Exception):
    """Why one alert, or one event, can't be kept. The message is the reason shown in quarantine."""

    def __init__(self, reason: str, cause: Cause = "shape") -> None:
        super().__init__(reason)
        self.cause = cause


def read_labels(value: Any) -> dict[str, str]:
    """Labels of any JSON value. Raises Fault."""
    if not isinstance(value, dict):
        raise Fault(f"labels are {kind(value)}, not an object", "labels")
    for name, text in value.items():
        if not isinstance(text, str):
            raise Fault(f"the value of label {shown(name)} is {kind(text)}, not a string", "labels")
    check_labels(value)
    return value


def check_labels(labels: dict[str, str]) -> None:
    """Refuse labels that can't name an alert or can't be stored. Raises Fault."""
    if not labels:
        raise Fault("it has no labels", "labels")
    for name, value in labels.items():
        if not name:
            raise Fault("a label has an empty name", "labels")
        check_identity(name, of=f"the name of label {shown(name)}", max_bytes=LABEL_NAME_BYTES, cause="labels")
        max_bytes = INDEXED_VALUE_BYTES if name in INDEXED_LABELS else LABEL_VALUE_BYTES
        check_identity(value, of=f"the value of label {shown(name)}", max_bytes=max_bytes, cause="labels")


def check_identity(text: str, *, of: str, max_bytes: int, cause: Cause = "shape") -> None:
    """Refuse a text that names something and can't be stored as it is. Raises Fault."""
    if "\0" in text:
        raise Fault(f"{of} holds a NUL character", cause)
    if _surrogate.search(text):
        raise Fault(f"{of} is no Unicode text: it holds a lone surrogate or bytes that are not UTF-8", cause)
    size = len(text.encode())
    if size > max_bytes:
        raise Fault(f"{of} has {size} bytes, more than {max_bytes}", cause)


def read_annotations(value: Any) -> dict[str, str]:
    """Annotations of any JSON value: what is not text becomes its JSON text. Raises Fault."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Fault(f"annotations are {kind(value)}, not an object", "annotations")
    return {clean(name): _annotation(text) for name, text in value.items()}


def _annotation(value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict | list):
        raise Fault(f"an annotation is {kind(value)}, not a string", "annotations")
    return "" if value is None else msgspec.json.encode(value).decode()


def read_time(value: Any, *, of: str) -> datetime | None:
    """An aware UTC time of an RFC 3339 string; None where it is absent or Go's zero time. Raises Fault."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Fault(f"{of} is {kind(value)}, not an RFC 3339 time", "times")
    try:
        time = msgspec.convert(value, datetime)
    except ValueError:
        return _time_at_the_edge(value, of=of)
    return to_utc(time, of=of)


def _time_at_the_edge(text: str, *, of: str) -> datetime | None:
    """A time whose zone or fraction carries it out of the years 1 to 9999."""
    if text.startswith("0000-12-31T"):
        return None
    if text.startswith("9999-12-31T23:59:59."):
        return _LAST
    raise Fault(f"{of} is {shown(text)}, not an RFC 3339 time", "times")


def to_utc(time: datetime, *, of: str) -> datetime | None:
    """The same instant in UTC; None for the year 1, which is how Go writes a time that is not set. Raises Fault."""
    if time.tzinfo is None:
        raise Fault(f"{of} has no time zone", "times")
    if time.year == 1:
        return None
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return _LAST


def check_order(starts_at: datetime, ends_at: datetime) -> None:
    """Refuse an end before the start. Raises Fault."""
    if ends_at < starts_at:
        raise Fault("endsAt is before startsAt", "times")


def clean(text: str) -> str:
    """The text with U+FFFD for what no database stores: NUL and lone surrogates."""
    return _unstorable.sub("�", text)


def text_of(value: Any) -> str:
    """The text of a field that only describes: a string cleaned, a number as text, anything else empty."""
    if isinstance(value, str):
        return clean(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def kind(value: Any) -> str:
    """The value's type in JSON's words: 'a number'."""
    if value is TOO_DEEP:
        return "nested too deeply"
    if isinstance(value, bool):
        return "a boolean"
    names = {str: "a string", dict: "an object", list: "an array", type(None): "null"}
    return names.get(type(value), "a number")


def shown(text: str) -> str:
    """A text that was sent, as a reason may show it: quoted, short, printable."""
    return ascii(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")
