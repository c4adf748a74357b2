"""A row of the earlier service's tables, as a firing. Must not know which database it came from. Pure.

`alert_history` has a row for each change that a webhook told: a firing row, and a resolved row of the same start. The
core makes one firing of both. `alerts` has one row a firing, or one an alert, which is updated.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.acts import is_storable
from alert_history.domain.past_firing import PastFiring
from alert_history.origins.imports.times import read_past_time

Row = Mapping[str, Any]
"""By the names of columns, in lower case."""

_ROW_A_CHANGE = "alert_history"
_SIGNS = ("updated_at", "updatedat", "received_at", "timestamp", "created_at")
"""Columns that say when the service last heard of it. Whichever is the latest counts."""


class _Kept(msgspec.Struct):
    """What of the webhook's own alert only `raw_json` holds."""

    annotations: dict[str, str] | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")


_read_kept = msgspec.json.Decoder(_Kept).decode


def firing_of(row: Row, table: str, *, now: datetime) -> PastFiring:
    """The firing, or the end of one, that a row tells of. Raises: ValueError, with the reason."""
    starts_at = _time(row, "starts_at", "startsat")
    if starts_at is None:
        raise ValueError("it has no start")
    status = str(_value(row, "status") or "").lower()
    if status not in {"firing", "resolved"}:
        raise ValueError(f"its status is {status[:60]!r}, neither firing nor resolved")
    ends_at = None
    if status == "resolved":
        ends_at = _time(row, "ends_at", "endsat") or _last_sign(row, starts_at, now=now)
        if ends_at < starts_at:
            raise ValueError("it ends before it starts")
    kept = _kept(row)
    return PastFiring(
        labels=_labels(row),
        starts_at=starts_at,
        ends_at=ends_at,
        last_seen_at=None if ends_at else _last_seen(row, table, starts_at, now=now),
        annotations=_texts(_value(row, "annotations"), "annotations") or kept.annotations or {},
        generator_url=_text(row, "generator_url", "generatorurl") or kept.generator_url,
        source=_text(row, "source"),
        place=place_of(row, table),
    )


def place_of(row: Row, table: str) -> str:
    """Where a row stands: its table, and its id or fingerprint."""
    for name in ("id", "fingerprint"):
        if row.get(name) is not None:
            return f"{table}, {name} {str(row[name])[:100]}".encode(errors="replace").decode()
    return table


def _labels(row: Row) -> dict[str, str]:
    """The labels; where a row has none of them, those that have a column of their own."""
    labels = _texts(_value(row, "labels"), "labels")
    if not labels:
        columns = {"alertname": ("alertname", "alert_name"), "namespace": ("namespace",), "severity": ("severity",)}
        labels = {label: _text(row, *names) for label, names in columns.items()}
    labels = {name: value for name, value in labels.items() if value}
    if not labels:
        raise ValueError("it has no labels")
    return labels


def _texts(value: Any, what: str) -> dict[str, str]:
    """An object of texts, given as one or as JSON."""
    if value is None or value == "":
        return {}
    if isinstance(value, str | bytes):
        try:
            value = msgspec.json.decode(value.encode() if isinstance(value, str) else value)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"its {what} are no JSON: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError(f"its {what} are no object of texts")
    return value


def _kept(row: Row) -> _Kept:
    """What `raw_json` adds; a row without it, or with something else in it, lacks only that."""
    raw = row.get("raw_json")
    if not isinstance(raw, str):
        return _Kept()
    try:
        return _read_kept(raw)
    except (ValueError, RecursionError):
        return _Kept()


def _last_seen(row: Row, table: str, starts_at: datetime, *, now: datetime) -> datetime:
    """Where each change has a row of its own, a row says only that it began: its end may be older than the row."""
    return starts_at if table == _ROW_A_CHANGE else _last_sign(row, starts_at, now=now)


def _last_sign(row: Row, starts_at: datetime, *, now: datetime) -> datetime:
    """When the service last heard of it: never before the start, and never in the future."""
    signs = []
    for name in _SIGNS:
        try:
            sign = read_past_time(row.get(name))
        except ValueError:
            continue
        if sign is not None and sign <= now:
            signs.append(sign)
    return max([starts_at, *signs])


def _time(row: Row, *names: str) -> datetime | None:
    return read_past_time(_value(row, *names))


def _text(row: Row, *names: str) -> str:
    value = _value(row, *names)
    if not isinstance(value, str):
        return ""
    if not is_storable(value):
        raise ValueError(f"its {names[0]} holds what is no text")
    return value


def _value(row: Row, *names: str) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)
