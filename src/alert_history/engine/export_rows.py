"""Occurrences as rows of a file: JSON, one object a line, or CSV. Pure: batches in, bytes out."""

import csv
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.ports import StoredAlert

COLUMNS = StoredAlert.__struct_fields__
_LINE_END = "\r\n"  # the writer quotes a cell only for a character that is in here
_FORMULA = re.compile(r"'*[=+\-@\t\r]")

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

    A text that a spreadsheet would run as a formula gets a `'` before it: labels come from strangers. So does one that
    begins with such a mark itself; taking one off gives every text back.
    """
    return _csv([[_cell(getattr(alert, name)) for name in COLUMNS] for alert in alerts])


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    lines = _Lines()
    csv.writer(lines, lineterminator=_LINE_END).writerows(rows)
    return "".join(lines.rows).encode()


class _Lines:
    """What the writer of the standard library writes, a row at a time, with a line feed at the end of each."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def write(self, row: str) -> None:
        self.rows.append(f"{row.removesuffix(_LINE_END)}\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return _encode(value).decode()
