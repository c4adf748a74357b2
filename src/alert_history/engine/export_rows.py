"""Occurrences as rows of a file: JSON, one object a line, or CSV. Pure: batches in, bytes out."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.ports import StoredAlert

COLUMNS = StoredAlert.__struct_fields__
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

Rows = Callable[[Sequence[StoredAlert]], bytes]
"""Makes bytes of a batch."""

_encode_lines = msgspec.json.Encoder().encode_lines
_encode = msgspec.json.Encoder(order="deterministic").encode


def json_rows(alerts: Sequence[StoredAlert]) -> bytes:
    """One JSON object a line, with the fields of the HTTP API."""
    return _encode_lines(alerts)


def csv_head() -> bytes:
    """The first row: the names of the columns."""
    return _csv([COLUMNS])


def csv_rows(alerts: Sequence[StoredAlert]) -> bytes:
    """A row each: times in RFC 3339, labels, annotations and details as JSON, empty where unknown.

    A text that a spreadsheet would run as a formula gets a `'` before it: labels come from strangers.
    """
    return _csv([[_cell(getattr(alert, name)) for name in COLUMNS] for alert in alerts])


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return _encode(value).decode()
