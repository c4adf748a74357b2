"""The columns of a file by their names, and the rows that their cells make.

A cell is a text, as CSV has it, or what JSON or Parquet has. `labels` and `annotations` may be objects, maps or their
JSON. Where a row has none, the columns `label.NAME`, `labels.NAME` and `annotations.NAME` are. Columns of other names
are passed by.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from alert_history.domain.standing import EndedBy
from alert_history.domain.times import parse_time
from alert_history.errors import InvalidQuery
from alert_history.origins.imports.rows import AlertStatus, Receiver, Row, RowFault, shown

_STARTS = frozenset({"starts_at", "startsAt"})
_LABEL = ("label.", "labels.")
_ANNOTATION = ("annotation.", "annotations.")
_FIRST_UNIX_SECOND = 10**8
_FIRST_UNIX_MILLISECOND = 10**11
_ENDED_BY = frozenset(EndedBy.__args__)  # type: ignore[attr-defined]  # a Literal has them
_EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC)

_decode_texts = msgspec.json.Decoder(dict[str, str]).decode

Cell = Callable[[Any, str], Any]
"""What a cell says, from its value and the name of its column. Raises: RowFault."""


class Columns:
    """The columns of a file or of one row."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._fields = [(i, name, *_FIELDS[name]) for i, name in enumerate(names) if name in _FIELDS]
        self._labels = _parts(names, _LABEL)
        self._annotations = _parts(names, _ANNOTATION)

    @property
    def used(self) -> list[int]:
        """The places of the columns that are read, from 0."""
        return sorted([field[0] for field in self._fields] + [i for i, _ in self._labels + self._annotations])

    def row(self, cells: Sequence[Any]) -> Row:
        """The row that some cells make. Raises: RowFault."""
        if len(cells) != len(self.names):
            raise RowFault(f"it has {len(cells)} cells, and there are {len(self.names)} columns")
        row = Row()
        for i, name, field, read in self._fields:
            cell = cells[i]
            if cell is not None and cell != "":
                setattr(row, field, read(cell, name))
        if self._labels and not row.labels:
            row.labels = _texts_of(cells, self._labels)
        if self._annotations and not row.annotations:
            row.annotations = _texts_of(cells, self._annotations)
        return row


def check_header(names: Sequence[str]) -> None:
    """Raises: RowFault where two columns are the same, or none says when an alert began."""
    if _STARTS.isdisjoint(names):
        raise RowFault("no column is called starts_at")
    known = [name for name in names if name in _FIELDS or name.startswith((*_LABEL, *_ANNOTATION))]
    twice = [name for name in known if known.count(name) > 1]
    if twice:
        raise RowFault(f"two columns are called {shown(twice[0])}")


def _parts(names: Sequence[str], prefixes: tuple[str, ...]) -> list[tuple[int, str]]:
    """The places of the columns with one of these prefixes, and what stands behind it."""
    return [(i, name.partition(".")[2]) for i, name in enumerate(names) if name.startswith(prefixes)]


def _texts_of(cells: Sequence[Any], places: Sequence[tuple[int, str]]) -> dict[str, str]:
    pairs = ((name, _label_value(cells[i], name)) for i, name in places)
    return {name: value for name, value in pairs if value}


# --- cells ------------------------------------------------------------------------------------------------------------


def _labels(value: Any, column: str) -> dict[str, str]:
    texts = _texts(value)
    if texts is not None:
        return texts
    pairs = _pairs(value)
    if pairs is None:
        raise RowFault(f"{column} is {kind(value)}, not an object of texts")
    return {name: text for name, text in ((name, _label_value(cell, name)) for name, cell in pairs.items()) if text}


def _label_value(value: Any, name: str) -> str:
    """A label's value: a text or a whole number; empty where there is none."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RowFault(f"the value of label {shown(name)} is {kind(value)}, not a text")


def _annotations(value: Any, _: str) -> dict[str, str]:
    """Annotations: what is no text becomes its JSON; what is no object is none."""
    texts = _texts(value)
    if texts is not None:
        return texts
    return {name: _annotation(cell) for name, cell in (_pairs(value) or {}).items() if cell is not None}


def _annotation(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _details(value: Any, _: str) -> dict[str, Any] | None:
    return _pairs(value)


def _texts(value: Any) -> dict[str, str] | None:
    """Texts by name, as they nearly always are: the quick way."""
    try:
        return _decode_texts(value) if isinstance(value, str) else None
    except (ValueError, RecursionError):
        return None


def _pairs(value: Any) -> dict[str, Any] | None:
    """An object: as it is, as the pairs of a map, or as JSON; None for anything else."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return None
    elif isinstance(value, list) and all(isinstance(pair, tuple) for pair in value):
        return dict(value)
    return value if isinstance(value, dict) else None


def _time(value: Any, column: str) -> datetime:
    """A time: RFC 3339 with any offset, a date, unix seconds or milliseconds; without a zone it is UTC."""
    try:
        time = _read_time(value)
    except (ValueError, OverflowError, InvalidQuery):
        time = None
    if time is None:
        text = value if isinstance(value, str) else kind(value)
        raise RowFault(f"{column} is {shown(text)}, no time: write RFC 3339, as in 2026-01-31T12:00:00Z")
    return time


def _read_time(value: Any) -> datetime | None:
    if isinstance(value, str):
        return _time_of_text(value.strip())
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _unix_time(repr(value))
    return None


def _time_of_text(text: str) -> datetime | None:
    try:
        return msgspec.convert(text, datetime)
    except ValueError:
        if text.replace(".", "", 1).isdecimal():
            return _unix_time(text)
        return parse_time(text, _EPOCH_DAY) if text[4:5] == "-" else None


def _unix_time(text: str) -> datetime | None:
    """A number this large is unix milliseconds; one this small is something else, such as 20260131."""
    number = float(text)
    if number >= _FIRST_UNIX_MILLISECOND:
        whole, _, fraction = text.partition(".")
        text = f"{whole[:-3]}.{whole[-3:]}{fraction}"
    return parse_time(text, _EPOCH_DAY) if number >= _FIRST_UNIX_SECOND else None


def _text(value: Any, _: str) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _status(value: Any, column: str) -> str | AlertStatus:
    if isinstance(value, dict):
        return AlertStatus()
    if isinstance(value, str):
        return value
    raise RowFault(f"{column} is {kind(value)}, not a text")


def _count(value: Any, column: str) -> int:
    if isinstance(value, str) and value.isdecimal() and value.isascii():
        value = int(value[:30])
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 2**63 - 1:
        raise RowFault(f"{column} is no whole number from 0 on")
    return value


def _ended_by(value: Any, column: str) -> Any:
    if not isinstance(value, str) or value not in _ENDED_BY:
        raise RowFault(f"{column} is {shown(str(value))}, none of {', '.join(sorted(_ENDED_BY))}")
    return value


def _receivers(value: Any, _: str) -> list[Receiver] | None:
    first = value[0] if isinstance(value, list) and value else None
    name = first.get("name") if isinstance(first, dict) else first
    return [Receiver(name)] if isinstance(name, str) else None


def kind(value: Any) -> str:
    """The kind of a value, in words."""
    if isinstance(value, bool):
        return "a boolean"
    kinds = {str: "a text", dict: "an object", list: "a list", int: "a number", float: "a number"}
    return kinds.get(type(value), "something else")


_FIELDS: dict[str, tuple[str, Cell]] = {
    "labels": ("labels", _labels),
    "annotations": ("annotations", _annotations),
    "starts_at": ("starts_at", _time),
    "ends_at": ("ends_at", _time),
    "status": ("status", _status),
    "alertname": ("alertname", _label_value),
    "severity": ("severity", _label_value),
    "namespace": ("namespace", _label_value),
    "instance": ("instance", _label_value),
    "last_received_at": ("last_received_at", _time),
    "confirmed_at": ("confirmed_at", _time),
    "repeat_count": ("repeat_count", _count),
    "generator_url": ("generator_url", _text),
    "source": ("source", _text),
    "receiver": ("receiver", _text),
    "details": ("details", _details),
    "scope": ("scope", _text),
    "ended_by": ("ended_by", _ended_by),
    "startsAt": ("starts_at_wire", _time),
    "endsAt": ("ends_at_wire", _time),
    "updatedAt": ("updated_at_wire", _time),
    "generatorURL": ("generator_url_wire", _text),
    "receivers": ("receivers", _receivers),
}
