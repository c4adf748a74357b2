"""Files of alerts that were saved from Opsgenie: JSON as its API answers, JSON lines, and CSV.

Opsgenie has no one format of an export: people save the API's answers, or tables that scripts and reports make of them.
So the fields are those of `opsgenie_wire`, under any of their spellings. A file is read in pieces; of a JSON document
no more than one alert is in memory, where the alerts stand in an array.
"""

import ast
import csv
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import msgspec

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.errors import ImportFault
from alert_history.origins.imports.opsgenie_firings import firings_of
from alert_history.origins.imports.opsgenie_wire import BadAlert, read_alert, unwrapped
from alert_history.ports.past_origins import ImportRequest, PastBatch

_BATCH = 1000
_PIECE_CHARACTERS = 1 << 20
_MAX_ALERT_CHARACTERS = 64 << 20
_FIELD_CHARACTERS = 1 << 24
_READ = {".json": "json", ".jsonl": "lines", ".ndjson": "lines", ".csv": "csv"}

_COLUMNS = (
    "id tinyId alias message status acknowledged tags count createdAt updatedAt closedAt lastOccurredAt source owner "
    "priority entity description details notes logs integration integration.name integration.type report "
    "report.ackTime report.closeTime report.acknowledgedBy report.closedBy"
)
_NO_LETTER = re.compile(r"[^a-z0-9.]")
_FIELD_OF = {name.lower(): name for name in _COLUMNS.split()} | {
    "alertid": "id",
    "acktime": "report.ackTime",
    "closetime": "report.closeTime",
    "acknowledgedby": "report.acknowledgedBy",
    "closedby": "report.closedBy",
    "integrationname": "integration.name",
    "integrationtype": "integration.type",
    "extraproperties": "details",
}
_STRUCTURED = frozenset({"details", "tags", "notes", "logs", "integration", "report"})


class Row(NamedTuple):
    """One alert as it stands in a file; `fault` is why it can't be read, and `raw` what stands there then."""

    place: str
    value: Any
    fault: str
    raw: str


async def read_files(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """All alerts of a file, or of the files of a folder, in the order of their names. Raises: see `ReadPast`."""
    root = Path(request.text("file"))
    files = _files(root)
    total = sum(path.stat().st_size for path in files)
    before = 0
    firings: list[PastFiring] = []
    refused: list[RefusedRow] = []
    for path in files:
        for row in _rows(path, name=str(path.relative_to(root)) if path != root else path.name):
            _take(row, request, firings=firings, refused=refused)
            if len(firings) + len(refused) >= _BATCH:
                yield PastBatch(firings, refused, done=before / max(total, 1))
                firings, refused = [], []
        before += path.stat().st_size
        yield PastBatch(firings, refused, done=before / total if total else 1.0)
        firings, refused = [], []


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.suffix.lower() in _READ and each.is_file())
        if not files:
            raise ImportFault(f"{path}: the folder has no file of {', '.join(_READ)}")
        return files
    if not path.is_file():
        raise ImportFault(f"{path}: there is no such file or folder")
    return [path]


def _take(row: Row, request: ImportRequest, *, firings: list[PastFiring], refused: list[RefusedRow]) -> None:
    """Add a row to the firings or to the refused rows."""
    fault = row.fault
    if not fault:
        try:
            alert = read_alert(row.value)
            if request.wants(alert.starts_at):
                firings += firings_of(alert, place=row.place)
        except BadAlert as bad:
            fault = str(bad)
    if fault:
        raw = row.raw or json.dumps(row.value, ensure_ascii=False)
        refused.append(RefusedRow(row.place, fault, raw.encode("utf-8", "replace")))


def _rows(path: Path, *, name: str) -> Iterator[Row]:
    """The alerts of one file, which is called `name` in what is said of it. Raises: ImportFault."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _reader_of(file, kind=_READ.get(path.suffix.lower()))(name, file)
    except (OSError, UnicodeError) as error:
        raise ImportFault(f"{name}: it can't be read: {error}") from None


def _reader_of(file: TextIO, *, kind: str | None) -> Callable[[str, TextIO], Iterator[Row]]:
    """How to read a file: as its name says; where the name says JSON, or nothing, as it begins."""
    beginning = file.read(_PIECE_CHARACTERS).lstrip()
    file.seek(0)
    if kind == "csv" or (kind is None and not beginning.startswith(("[", "{"))):
        return _csv_rows
    first, is_more, rest = beginning.partition("\n")
    is_lines = kind == "lines" or (is_more and rest.strip() and first.startswith("{") and _is_json(first))
    return _line_rows if is_lines else _document_rows


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _line_rows(name: str, file: TextIO) -> Iterator[Row]:
    """An alert, or an answer of the API, a line."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        place = f"{name}, line {number}"
        try:
            value = unwrapped(json.loads(line))
        except (ValueError, RecursionError) as error:
            yield Row(place, None, f"it is no JSON: {error}", line)
            continue
        yield from (Row(place, each, "", "") for each in (value if isinstance(value, list) else [value]))


def _document_rows(name: str, file: TextIO) -> Iterator[Row]:
    """The alerts of a JSON document: an alert, an array of them, or an answer of the API that holds either."""
    document = _Document(name, file)
    number = 0
    for top in document.values():
        value = unwrapped(top)
        for each in value if isinstance(value, list) else [value]:
            number += 1
            yield Row(f"{name}, alert {number}", each, "", "")


class _Document:
    """JSON that is read value by value: the items of an array, also of `{"data": [`, and all values that follow."""

    _array = re.compile(r'\[|\{\s*"data"\s*:\s*\[')
    _between = re.compile(r"[\s,]*")
    _array_characters = 256

    def __init__(self, name: str, file: TextIO) -> None:
        self._name = name
        self._file = file
        self._text = ""
        self._at = 0
        self._before = 0

    def values(self) -> Iterator[Any]:
        """The values. Raises: ImportFault, with the place from which on the document can't be read."""
        while self._skip():
            if len(self._text) - self._at < self._array_characters:
                self._more()
            array = self._array.match(self._text, self._at)
            if array is None:
                yield self._value()
                continue
            self._at = array.end()
            yield from self._items()
            if array[0] != "[":
                self._leave()

    def _items(self) -> Iterator[Any]:
        """The items of an array, up to behind its end."""
        while True:
            if not self._skip():
                raise self._fault("it ends in the middle of an array")
            if self._text[self._at] == "]":
                self._at += 1
                return
            yield self._value()

    def _leave(self) -> None:
        """Read what stands behind the array in its object, such as the address of the next page."""
        if not self._skip():
            raise self._fault("it ends in the middle of an object")
        if self._text[self._at] == "}":
            self._at += 1
            return
        self._text = "{" + self._text[self._at :]
        self._before, self._at = self._before + self._at - 1, 0
        self._value()

    def _skip(self) -> bool:
        """Go to where the next value begins; whether there is one."""
        while True:
            between = self._between.match(self._text, self._at)
            self._at = between.end() if between else self._at
            if self._at < len(self._text):
                return True
            if not self._more():
                return False

    def _value(self) -> Any:
        """The value that begins here."""
        while True:
            try:
                value, self._at = json.JSONDecoder().raw_decode(self._text, self._at)
            except RecursionError:
                raise self._fault("it is nested too deeply") from None
            except json.JSONDecodeError as error:
                behind = error.pos - self._at
                if not self._more():
                    raise self._fault(error.msg, behind=behind) from None
            else:
                return value

    def _more(self) -> bool:
        """Read on, and drop what was read before; whether there was more."""
        left = len(self._text) - self._at
        if left > _MAX_ALERT_CHARACTERS:
            raise self._fault(f"one alert has more than {_MAX_ALERT_CHARACTERS} characters")
        piece = self._file.read(max(_PIECE_CHARACTERS, left))
        self._before += self._at
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)

    def _fault(self, reason: str, *, behind: int = 0) -> ImportFault:
        return ImportFault(f"{self._name}, character {self._before + self._at + behind}: {reason}")


def _csv_rows(name: str, file: TextIO) -> Iterator[Row]:
    """An alert a row; the first row names the columns."""
    csv.field_size_limit(_FIELD_CHARACTERS)
    rows = csv.reader(file)
    try:
        columns = [_column(title) for title in next(rows, [])]
        if "id" not in columns or "createdAt" not in columns:
            raise ImportFault(f"{name}, line 1: it names no columns id and createdAt, so it is no table of alerts")
        for cells in rows:
            if cells:
                yield _csv_row(f"{name}, line {rows.line_num}", columns, cells=cells)
    except csv.Error as error:
        raise ImportFault(f"{name}, line {rows.line_num}: {error}") from None


def _csv_row(place: str, columns: list[str], *, cells: list[str]) -> Row:
    raw = ",".join(cells)
    if len(cells) > len(columns):
        return Row(place, None, f"it has {len(cells)} cells, and there are {len(columns)} columns", raw)
    try:
        return Row(place, _alert_of(dict(zip(columns, cells, strict=False))), "", raw)
    except BadAlert as bad:
        return Row(place, None, str(bad), raw)


def _column(title: str) -> str:
    """The field that a column is: `Created At` and `created_at` are `createdAt`. Of details the name is kept."""
    part, dot, rest = title.strip().partition(".")
    if dot and part.lower() in {"details", "extraproperties"}:
        return f"details.{rest}"
    plain = _NO_LETTER.sub("", title.lower())
    return _FIELD_OF.get(plain, plain)


def _alert_of(cells: Mapping[str, str]) -> dict[str, Any]:
    """A row as the JSON object that it was made of. Raises: BadAlert."""
    alert: dict[str, Any] = {}
    for column, cell in cells.items():
        if not cell.strip() or cell.strip().lower() in {"nan", "none", "null"}:
            continue
        outer, dot, inner = column.partition(".")
        value = _structure(outer, cell) if outer in _STRUCTURED and not dot else cell
        if not dot:
            alert[outer] = {**alert.get(outer, {}), **value} if isinstance(value, dict) else value
        elif isinstance(alert.setdefault(outer, {}), dict):
            alert[outer][inner] = _whole_number(cell) if outer == "report" else cell
    if isinstance(alert.get("count"), str):
        alert["count"] = _whole_number(alert["count"])
    return alert


def _structure(column: str, cell: str) -> Any:
    """A list or an object in a cell: JSON, or as Python writes it; tags also between commas. Raises: BadAlert."""
    text = cell.strip()
    if text[0] in "[{":
        for read in (msgspec.json.decode, ast.literal_eval):
            try:
                return read(text)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                continue
        raise BadAlert(f"{column} is neither JSON nor a list or dict of Python: {text[:60]!r}")
    if column == "tags":
        return [tag.strip() for tag in re.split(r"[,;|]", text) if tag.strip()]
    return {"name": text} if column == "integration" else _no_structure(column, text)


def _no_structure(column: str, text: str) -> Any:
    raise BadAlert(f"{column} is no object: {text[:60]!r}")


def _whole_number(text: str) -> Any:
    """`60503.0`, as tables write a number of a column that has gaps, is 60503."""
    return text.strip().removesuffix(".0")
