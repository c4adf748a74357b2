"""Parquet files with the columns that `rows` and `columns` document: those of `alert-history export`, and others'.

`labels` and `annotations` may be maps, structs or JSON. Written against pyarrow 22 and newer, which the extra `parquet`
installs. Row groups are read piece by piece.
"""

import io
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import msgspec

from alert_history.errors import ConfigurationError, ImportFault
from alert_history.origins.imports.columns import Columns, check_header
from alert_history.origins.imports.files import FILE, STANDARD_INPUT, ReadFiles, given_files, in_thread, open_file
from alert_history.origins.imports.gathering import Gathered
from alert_history.origins.imports.rows import RowFault
from alert_history.ports.past_origins import ImportRequest, PastBatch, PastOrigin

_BATCH_ROWS = 1000
_BUFFER_BYTES = 1024 * 1024


def read(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """All rows of the files. See `ports.past_origins.ReadPast`."""
    return in_thread(_batches(request))


def _pyarrow() -> Any:
    """Raises: ConfigurationError."""
    try:
        import pyarrow as pa
        import pyarrow.parquet  # so that `pa.parquet` is there
    except ImportError:
        raise ConfigurationError(["Parquet needs the package pyarrow: pip install 'pyarrow>=22'"]) from None
    return pa


def _batches(request: ImportRequest) -> Generator[PastBatch]:
    files = given_files(request)
    gathered = Gathered(request, files)
    for name in files.names:
        with open_file(name) as file, _seekable(file, name=name) as whole:
            yield from _read(whole, gathered, name=name, files=files)


@contextmanager
def _seekable(file: BinaryIO, *, name: str) -> Iterator[BinaryIO]:
    """The file, or a copy of it on the disk where it can be read only once: Parquet says at its end what is in it."""
    if name != STANDARD_INPUT:
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.seek(0)
        yield copy


def _read(file: BinaryIO, gathered: Gathered, *, name: str, files: ReadFiles) -> Iterator[PastBatch]:
    pa, number = _pyarrow(), 0
    try:
        table = pa.parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        names = _used(table.schema_arrow.names, name=name)
        columns, all_rows, all_bytes = Columns(names), table.metadata.num_rows, file.seek(0, io.SEEK_END)
        for batch in table.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
            for i, cells in enumerate(_rows_of(batch, names, pa=pa), number + 1):
                _add(columns, cells, gathered=gathered, place=f"{name}, row {i}")
            files.count(all_bytes * batch.num_rows / max(all_rows, 1))
            number += batch.num_rows
            yield gathered.batch()
    except (pa.ArrowException, OSError) as error:
        place = f"row {number + 1}" if number else "byte 0"
        raise ImportFault(f"{name}, {place}: it is no sound Parquet file: {error}") from None


def _used(names: Sequence[str], *, name: str) -> list[str]:
    """The names of the columns that are read. Raises: ImportFault."""
    try:
        check_header(names)
    except RowFault as fault:
        raise ImportFault(f"{name}, byte 0: the file has no such rows: {fault}") from None
    return [names[i] for i in Columns(names).used]


def _add(columns: Columns, cells: Sequence[Any], *, gathered: Gathered, place: str) -> None:
    try:
        gathered.add(columns.row(cells), place=place)
    except RowFault as fault:
        raw = {name: cell for name, cell in zip(columns.names, cells, strict=True) if cell is not None}
        gathered.refuse(fault, place=place, raw=msgspec.json.encode(raw, enc_hook=str))


def _rows_of(batch: Any, names: Sequence[str], *, pa: Any) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch, as Python's values, in the order of the names."""
    return zip(*(_values(batch.column(name), pa=pa) for name in names), strict=True)


def _values(column: Any, *, pa: Any) -> list[Any]:
    """The values of a column. One that Python can't hold, such as a time after the year 9999, is its text."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return f"beyond what a time can be ({scalar.value})"


ORIGIN = PastOrigin(
    name="parquet",
    title="Parquet",
    about="Parquet files with a row a firing: our own export, or a table of another program.",
    options=(FILE,),
    read=read,
)
