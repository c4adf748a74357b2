"""Imports with an archive beside, as tests make them, and all that they leave: rows, files and numbers."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from alert_history.domain.archive_tables import ACTS, ALERTS, EVENTS, Row, Shape
from alert_history.domain.past_firing import PastFiring
from alert_history.engine.import_archive import ImportArchive, Maker
from alert_history.ports import Shelf, Store
from alert_history.ports.imports import ImportRecord
from alert_history.storage import is_sqlite
from alert_history.storage.shared.parquet import ParquetFormat
from alert_history.storage.shared.shelf import FolderShelf
from tests.conformance import raw
from tests.conformance.pasts import importing_into, origin_of, plan_of
from tests.conformance.samples import NOW
from tests.numbers import Labels, Numbers, fold_all, labels_of, numbers_of

KEPT_FOR = timedelta(hours=2)
"""So long history is kept in these tests."""

_STATE = """SELECT fingerprint, starts_at, began_at, ends_at, ended_by, status, repeat_count, last_received_at
    FROM alerts ORDER BY fingerprint, starts_at"""


class Left(NamedTuple):
    """All that is left of imports: rows of the database, of the archive by table, numbers and labels."""

    rows: list[tuple[Any, ...]]
    archived: dict[str, list[Row]]
    numbers: Numbers
    labels: Labels


def archive_at(store: Store, folder: Path, *, shelf: Shelf | None = None, chunk_rows: int = 4) -> ImportArchive:
    return ImportArchive(
        str(folder),
        shelf or FolderShelf(folder),
        ParquetFormat(),
        Maker("x", "1", "2"),
        files=store.import_files,
        archivable=store.archivable,
        settings=store.settings,
        clock=lambda: NOW,
        chunk_rows=chunk_rows,
    )


async def import_beside(
    store: Store,
    folder: Path,
    firings: Sequence[PastFiring],
    *,
    retention: timedelta = KEPT_FOR,
    shelf: Shelf | None = None,
    chunk_rows: int = 4,
    now: datetime = NOW,
    **fields: Any,
) -> ImportRecord:
    """Bring a past in; what is over for longer than history is kept goes to an archive in a folder."""
    importing = importing_into(store, retention=retention, now=now)
    name = fields.pop("name", "elsewhere")
    archive = archive_at(store, folder, shelf=shelf, chunk_rows=chunk_rows)
    return await importing.run(plan_of(origin_of(firings, name=name), archive=archive, **fields))


async def undo_beside(store: Store, folder: Path, import_id: str, *, shelf: Shelf | None = None) -> ImportRecord:
    importing = importing_into(store, retention=KEPT_FOR)
    return await importing.undo(import_id, open_archive=lambda _: archive_at(store, folder, shelf=shelf))


async def minute_passes(url: str) -> None:
    """So much time passes that a process which imported, and died, is taken for dead."""
    ago = "beat_at - 61000000" if is_sqlite(url) else "beat_at - interval '61 s'"
    await raw.fetch(url, f"UPDATE imports SET beat_at = {ago}")


async def left(store: Store, url: str, folder: Path) -> Left:
    await fold_all(store)
    archived = {shape.name: await rows_in(folder, shape) for shape in (ALERTS, EVENTS, ACTS)}
    return Left(await raw.fetch(url, _STATE), archived, await numbers_of(store), await labels_of(store))


def without_again(state: Left) -> Left:
    """Without whether firings began soon after another one: an undo and a kept number may differ there for an hour."""
    numbers = {
        dimension: {place: msgspec.structs.replace(tally, again=0) for place, tally in tallies.items()}
        for dimension, tallies in state.numbers.items()
    }
    return state._replace(numbers=numbers)


async def rows_in(folder: Path, shape: Shape) -> list[Row]:
    """All rows of a table of an archive, sorted, without which import brought them and when."""
    format_ = ParquetFormat()
    rows: list[Row] = []
    for path in await asyncio.to_thread(lambda: sorted(folder.glob(f"{shape.name}/**/*.parquet"))):
        rows += [_plain(shape, row) for row in format_.decode(shape, path.read_bytes())]
    return sorted(rows, key=repr)


def _plain(shape: Shape, row: Row) -> Row:
    values = dict(zip(shape.places, row, strict=True)) | dict.fromkeys({"imported_at", "import_id"} & set(shape.places))
    texts = {column.name for column in shape.columns if column.kind == "json" and values[column.name] is not None}
    return tuple(
        msgspec.json.decode(value)
        if name in texts
        else tuple(sorted(value.items()))
        if isinstance(value, dict)
        else value
        for name, value in values.items()
    )


def keys_twice(rows: Sequence[Row]) -> list[tuple[str, datetime]]:
    """The keys of occurrences that are there more than once."""
    counts = Counter((row[0], row[1]) for row in rows)
    return [key for key, number in counts.items() if number > 1]
