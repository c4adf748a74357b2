"""Files with one JSON object a line: those of `alert-history export`, and those of Alertmanager's forms.

A line is a row as `rows` documents it, an alert of Alertmanager's API v2 (as of 0.25), an alert of a webhook message
or the whole message (version 4), or a list of such on one line. The schemas are `api/v2/openapi.yaml` and
`notify/webhook` of prometheus/alertmanager 0.25.0.
"""

from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, BinaryIO

import msgspec

from alert_history.errors import ImportFault
from alert_history.origins.imports.columns import Columns, kind
from alert_history.origins.imports.files import FILE, given_files, in_thread
from alert_history.origins.imports.gathering import Gathered
from alert_history.origins.imports.lines import MAX_LINE_BYTES, CutLine, Lines, read_lines
from alert_history.origins.imports.rows import Row, RowFault
from alert_history.ports.past_origins import ImportRequest, PastBatch, PastOrigin

_TOO_LONG = f"it has more than {MAX_LINE_BYTES:,} bytes"

_OWN_COLUMNS = (b'"label.', b'"labels.', b'"annotation.', b'"annotations.')
"""A line with one of these may have labels or annotations as columns of their own, where it has no such object."""

_decode = msgspec.json.Decoder(Row).decode
_decode_any = msgspec.json.Decoder().decode
_DECODE_FAULTS = (ValueError, RecursionError)  # msgspec.DecodeError and UnicodeDecodeError are ValueErrors


def read(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """All rows of the files. See `ports.past_origins.ReadPast`."""
    return in_thread(_batches(request))


def _batches(request: ImportRequest) -> Generator[PastBatch]:
    files = given_files(request)
    gathered = Gathered(request, files)
    for name in files.names:
        with files.open_text(name) as file:
            yield from _File(name, gathered).batches(file)


class _File:
    """One file, line by line."""

    def __init__(self, name: str, gathered: Gathered) -> None:
        self._name = name
        self._gathered = gathered
        self._has_json = False

    def batches(self, file: BinaryIO) -> Iterator[PastBatch]:
        """Raises: ImportFault where no line of the first block is JSON."""
        for block in read_lines(file):
            yield from self._read(block)
            self._check(block)
            yield self._gathered.batch()

    def _check(self, block: Lines) -> None:
        """Raises: ImportFault where there were lines, and none was JSON."""
        if not self._has_json and any(line.strip() for line in block.lines):
            raise ImportFault(
                f"{self._name}, line {block.first}: neither this line nor one of the next is a JSON object; "
                "the file must have one object a line (`jq -c` writes it so)"
            )

    def _read(self, block: Lines) -> Iterator[PastBatch]:
        gathered, before = self._gathered, f"{self._name}, line "
        for number, line in enumerate(block.lines, block.first):
            try:
                row = _decode(line)
                if _is_whole(row, line):
                    gathered.add(row, place=f"{before}{number}")
                    self._has_json = True
                    continue
            except (*_DECODE_FAULTS, RowFault):
                pass
            yield from self._read_slowly(line, place=f"{before}{number}")

    def _read_slowly(self, line: bytes, *, place: str) -> Iterator[PastBatch]:
        """A line that is no sound row: a message or a list of alerts, a row that needs care, or one to refuse."""
        if isinstance(line, CutLine):
            self._gathered.refuse(_TOO_LONG, place=place, raw=line)
        elif line.strip():
            try:
                value = _decode_any(line)
            except _DECODE_FAULTS as error:
                self._gathered.refuse(f"it is no JSON: {error}", place=place, raw=line)
            else:
                yield from self._read_value(value, line, place=place)

    def _read_value(self, value: Any, line: bytes, *, place: str) -> Iterator[PastBatch]:
        self._has_json = self._has_json or isinstance(value, dict | list)
        alerts = _alerts_of(value)
        if alerts is None:
            self._add(value, line, place=place)
            return
        for number, alert in enumerate(alerts, 1):
            self._add(alert, msgspec.json.encode(alert), place=f"{place}, alert {number}")
            yield from self._gathered.full()

    def _add(self, value: Any, raw: bytes, *, place: str) -> None:
        if not isinstance(value, dict):
            self._gathered.refuse(f"it is {kind(value)}, not an object", place=place, raw=raw)
            return
        try:
            self._gathered.add(Columns(list(value)).row(list(value.values())), place=place)
        except RowFault as fault:
            self._gathered.refuse(fault, place=place, raw=raw)


def _is_whole(row: Row, line: bytes) -> bool:
    """Whether the row has all that its line says of labels and annotations."""
    return bool(row.labels and row.annotations) or not any(mark in line for mark in _OWN_COLUMNS)


def _alerts_of(value: Any) -> list[Any] | None:
    """The alerts of a list or of a webhook message, which names their receiver; None for any other value."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("alerts"), list):
        return None
    receiver = value.get("receiver", "")
    return [{"receiver": receiver, **alert} if isinstance(alert, dict) else alert for alert in value["alerts"]]


ORIGIN = PastOrigin(
    name="jsonl",
    title="JSON lines",
    about="Files with a JSON object a line: our own export, or alerts in a form of Alertmanager's.",
    options=(FILE,),
    read=read,
)
