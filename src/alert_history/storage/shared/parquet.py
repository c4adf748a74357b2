"""An archive's files as Parquet: zstandard, times as microseconds in UTC, labels and annotations as maps."""

import io
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from alert_history.domain.archive_tables import Column, Kind, Row, Shape
from alert_history.domain.microseconds import from_us
from alert_history.errors import ArchiveFault, ConfigurationError

_BATCH_ROWS = 500


class ParquetFormat:
    """See `ports.RowFormat`. Raises ConfigurationError when it is made without pyarrow."""

    suffix = ".parquet"

    def __init__(self) -> None:
        self._pyarrow = require_pyarrow()

    def encode(self, shape: Shape, rows: Sequence[Row]) -> bytes:
        """See `ports.RowFormat.encode`."""
        import pyarrow.parquet as pq

        schema = self._schema(shape)
        arrays = [
            self._pyarrow.array([_cell(row[place]) for row in rows], field.type) for place, field in enumerate(schema)
        ]
        file = io.BytesIO()
        pq.write_table(self._pyarrow.Table.from_arrays(arrays, schema=schema), file, compression="zstd")
        return file.getvalue()

    def decode(self, shape: Shape, data: bytes, *, only: Sequence[str] = ()) -> Iterator[Row]:
        """See `ports.RowFormat.decode`."""
        import pyarrow.parquet as pq

        wanted = [shape.columns[shape.places[name]] for name in only] or list(shape.columns)
        try:
            file = pq.ParquetFile(self._pyarrow.BufferReader(data))
            there = set(file.schema_arrow.names)
            file_columns = [column for column in wanted if column.name in there or not column.is_nullable]
            for batch in file.iter_batches(_BATCH_ROWS, columns=[column.name for column in file_columns]):
                values = {column.name: self._values(batch.column(column.name), column) for column in file_columns}
                nothing = [None] * batch.num_rows  # the file of an earlier release has no such column
                yield from zip(*(values.get(column.name, nothing) for column in wanted), strict=True)
        except (self._pyarrow.ArrowException, KeyError, OSError) as error:
            raise ArchiveFault(f"no file of our {shape.name}: {error}") from error

    def _schema(self, shape: Shape) -> Any:
        pa = self._pyarrow
        types: dict[Kind, Any] = {
            "text": pa.string(),
            "time": pa.timestamp("us", tz="UTC"),
            "integer": pa.int64(),
            "truth": pa.bool_(),
            "json": pa.string(),
            "texts": pa.map_(pa.string(), pa.string()),
            "bytes": pa.binary(),
        }
        return pa.schema([pa.field(c.name, types[c.kind], nullable=c.is_nullable) for c in shape.columns])

    def _values(self, array: Any, column: Column) -> list[Any]:
        if column.kind == "time":  # by the number, because Python's own conversion needs a time zone database
            return [None if us is None else from_us(us) for us in array.cast("int64").to_pylist()]
        values: list[Any] = array.to_pylist()
        return [dict(value) for value in values] if column.kind == "texts" else values


def require_pyarrow() -> ModuleType:
    """The package. Raises ConfigurationError that says how to install it."""
    try:
        import pyarrow as pa
    except ImportError:
        fault = "an archive needs the package pyarrow: pip install 'pyarrow>=22'"
        raise ConfigurationError([fault]) from None
    module: ModuleType = pa
    return module


def _cell(value: Any) -> Any:
    """A value of a column; a map as sorted pairs, because databases return other orders."""
    return sorted(value.items()) if isinstance(value, dict) else value
