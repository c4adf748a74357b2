"""The formats of an export: each turns batches of occurrences into bytes.

None keeps more than a batch; Parquet keeps a row group.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal, Protocol

import msgspec

from alert_history.engine.export_rows import COLUMNS, csv_head, csv_rows, json_rows
from alert_history.errors import ConfigurationError
from alert_history.ports import StoredAlert

FormatName = Literal["jsonl", "csv", "parquet"]

_ROW_GROUP_ROWS = 20_000
_ROW_GROUP_BYTES = 32 * 1024 * 1024


class Writer(Protocol):
    """Writes occurrences, in order."""

    def write(self, alerts: Sequence[StoredAlert]) -> None:
        """Write a batch, or hold it until a row group is full. Raises OSError."""
        ...


@contextmanager
def open_writer(format_: FormatName, file: BinaryIO) -> Iterator[Writer]:
    """A writer on an open file, which stays open; the writer's last rows are written at the end.

    Raises: ConfigurationError if the format needs a package that isn't installed.
    """
    if format_ == "jsonl":
        yield JsonLines(file)
    elif format_ == "csv":
        yield Csv(file)
    else:
        parquet = Parquet(file)
        yield parquet
        parquet.finish()


class JsonLines:
    """One JSON object a line, with the fields of the HTTP API."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, alerts: Sequence[StoredAlert]) -> None:
        self._file.write(json_rows(alerts))


class Csv:
    """A header, then a row each, as `engine.export_rows` says."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._file.write(csv_head())

    def write(self, alerts: Sequence[StoredAlert]) -> None:
        self._file.write(csv_rows(alerts))


class Parquet:
    """Zstandard-compressed row groups: times as microseconds in UTC, labels and annotations as maps."""

    def __init__(self, file: BinaryIO) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            fault = "Parquet needs the package pyarrow: pip install 'pyarrow>=22'"
            raise ConfigurationError([fault]) from None
        self._pyarrow = pa
        self._schema = _parquet_schema(pa)
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._encode = msgspec.json.Encoder(order="deterministic").encode
        self._batches: list[Any] = []
        self._rows = 0
        self._bytes = 0

    def write(self, alerts: Sequence[StoredAlert]) -> None:
        arrays = [
            self._pyarrow.array([self._cell(getattr(alert, field.name), field.type) for alert in alerts], field.type)
            for field in self._schema
        ]
        batch = self._pyarrow.record_batch(arrays, schema=self._schema)
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _ROW_GROUP_ROWS or self._bytes >= _ROW_GROUP_BYTES:
            self._write_row_group()

    def finish(self) -> None:
        """Write the last row group and the footer, without which the file can't be read."""
        self._write_row_group()
        self._writer.close()

    def _write_row_group(self) -> None:
        if self._batches:
            self._writer.write_table(self._pyarrow.Table.from_batches(self._batches, self._schema))
        self._batches, self._rows, self._bytes = [], 0, 0

    def _cell(self, value: Any, type_: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return list(value.items()) if self._pyarrow.types.is_map(type_) else self._encode(value).decode()


def _parquet_schema(pa: Any) -> Any:
    time = pa.timestamp("us", tz="UTC")
    texts = pa.map_(pa.string(), pa.string())
    special = {
        "labels": texts,
        "annotations": texts,
        "starts_at": time,
        "ends_at": time,
        "expires_at": time,
        "timestamp": time,
        "last_received_at": time,
        "confirmed_at": time,
        "imported_at": time,
        "repeat_count": pa.int64(),
        "is_archived": pa.bool_(),
    }
    return pa.schema([(name, special.get(name, pa.string())) for name in COLUMNS])
