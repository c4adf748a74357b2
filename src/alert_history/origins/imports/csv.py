"""CSV files: a header with the names of the columns, then a row each, as `rows` and `columns` document them.

The form is that of RFC 4180 in UTF-8, with commas, semicolons or tabs, and any end of a line. The `'` that our export
puts before a text that a spreadsheet would run (`engine.export_rows`) is taken off.
"""

import csv
import re
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator
from typing import BinaryIO, NamedTuple

from alert_history.errors import ImportFault
from alert_history.origins.imports.columns import Columns, check_header
from alert_history.origins.imports.files import FILE, given_files, in_thread
from alert_history.origins.imports.gathering import Gathered
from alert_history.origins.imports.lines import MAX_LINE_BYTES, CutLine, read_lines
from alert_history.origins.imports.rows import RowFault
from alert_history.ports.past_origins import ImportRequest, PastBatch, PastOrigin

_DELIMITERS = (",", ";", "\t")
_BATCH_BYTES = 512 * 1024
_LINE_BYTES = 32
"""What a line of a record weighs beside its text, so that a record of empty lines has a bound, too."""

_marked = re.compile(r"'+[=+\-@\t\r]")


def read(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """All rows of the files. See `ports.past_origins.ReadPast`."""
    return in_thread(_batches(request))


def _batches(request: ImportRequest) -> Generator[PastBatch]:
    if csv.field_size_limit() <= MAX_LINE_BYTES:  # the module knows one limit for all; ours is that of a record
        csv.field_size_limit(2 * MAX_LINE_BYTES)
    files = given_files(request)
    gathered = Gathered(request, files)
    for name in files.names:
        with files.open_text(name) as file:
            yield from _read(file, gathered, name=name)


def _read(file: BinaryIO, gathered: Gathered, *, name: str) -> Iterator[PastBatch]:
    feed = _Feed(file)
    columns, delimiter = _header(feed, name=name)
    waiting_bytes = 0
    for record in _records(feed, delimiter=delimiter):
        place = f"{name}, line {record.line}"
        try:
            gathered.add(columns.row(_cells(record)), place=place)
        except RowFault as fault:
            gathered.refuse(fault, place=place, raw=feed.raw)
        waiting_bytes += feed.record_bytes
        if waiting_bytes >= _BATCH_BYTES or gathered.is_full:
            yield gathered.batch()
            waiting_bytes = 0
    yield gathered.batch()


def _header(feed: "_Feed", *, name: str) -> tuple[Columns, str]:
    """The columns, and what stands between two cells. Raises: ImportFault where the first line is no header."""
    first_fault = None
    try:
        line = next(feed).strip("\r\n")
    except StopIteration:
        raise ImportFault(f"{name}, line 1: the file is empty; a CSV file begins with a header") from None
    except RowFault as fault:
        raise ImportFault(f"{name}, line 1: {fault}") from None
    if not line:
        raise ImportFault(f"{name}, line 1: this is no header of a CSV file: it is empty")
    for delimiter in _DELIMITERS:
        try:
            names = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
            check_header(names)
        except (csv.Error, RowFault) as fault:
            first_fault = first_fault or fault
        else:
            return Columns(names), delimiter
    raise ImportFault(f"{name}, line 1: this is no header of a CSV file: {first_fault}")


class _Record(NamedTuple):
    """A record: the number of the line where it begins, and its cells, or why it can't be read."""

    line: int
    cells: list[str] | RowFault


def _cells(record: _Record) -> list[str]:
    """The cells, without the marks of our export. Raises: RowFault."""
    if isinstance(record.cells, RowFault):
        raise record.cells
    return [cell[1:] if cell[:1] == "'" and _marked.match(cell) else cell for cell in record.cells]


def _records(feed: "_Feed", *, delimiter: str) -> Iterator[_Record]:
    """All records. Of one that can't be read the first line is passed by, and the next line begins a record."""
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, RowFault) as error:
            feed.back_to_second_line()
            reader = csv.reader(feed, delimiter=delimiter, strict=True)
            yield _Record(feed.first_line, RowFault(str(error)))
        else:
            if cells:
                yield _Record(feed.first_line, cells if feed.is_utf8 else RowFault("it is no UTF-8"))


class _Feed:
    """The lines of a file as text, one by one. Those of the record at hand are held, so that a reader can go back."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = ((n, line) for block in read_lines(file) for n, line in enumerate(block.lines, block.first))
        self._again: deque[tuple[int, bytes]] = deque()
        self._record: list[tuple[int, bytes]] = []
        self.record_bytes = 0
        self.is_utf8 = True

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next line. Raises: StopIteration, RowFault where the record has too many bytes."""
        _, line = numbered = self._again.popleft() if self._again else next(self._lines)
        self._record.append(numbered)
        self.record_bytes += len(line) + _LINE_BYTES
        if self.record_bytes > MAX_LINE_BYTES or isinstance(line, CutLine):
            raise RowFault(f"it has more than {MAX_LINE_BYTES:,} bytes, or a quotation mark that is not closed")
        try:
            return f"{line.decode()}\n"
        except UnicodeDecodeError:
            self.is_utf8 = False
            return f"{line.decode(errors='replace')}\n"

    @property
    def first_line(self) -> int:
        """The number of the line where the record begins, from 1."""
        return self._record[0][0]

    @property
    def raw(self) -> bytes:
        """The record as it came."""
        return b"\n".join(line for _, line in self._record)

    def begin(self) -> None:
        """Forget the record at hand: the next line begins another one."""
        self._record, self.record_bytes, self.is_utf8 = [], 0, True

    def back_to_second_line(self) -> None:
        """Give the lines of the record again, but for its first."""
        self._again.extendleft(reversed(self._record[1:]))
        self._record = self._record[:1]


ORIGIN = PastOrigin(
    name="csv",
    title="CSV",
    about="Files with a header and a row each: our own export, or a table that a person or another program wrote.",
    options=(FILE,),
    read=read,
)
