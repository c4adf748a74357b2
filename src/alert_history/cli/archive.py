"""`alert-history archive` and `restore`: old history to Parquet files, and back."""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from alert_history import __version__
from alert_history.cli.console import error_console, print_line
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.domain.archive_tables import BODIES, SHAPES, Manifest, Shape
from alert_history.domain.times import parse_time
from alert_history.engine.archive import Archiver, Observer
from alert_history.engine.archives import note_archived
from alert_history.engine.restore import Restorer
from alert_history.errors import NotFound
from alert_history.storage import is_sqlite
from alert_history.storage.shared.parquet import ParquetFormat
from alert_history.storage.shared.shelf import open_shelf
from alert_history.storage.shared.tables import SCHEMA_HEAD

_TIME = "RFC 3339, a date, unix seconds, or how long ago: -90d"
_MAX_DAYS = 36_500


def archive(
    *,
    before: Annotated[str, Parameter(allow_leading_hyphen=True, help=f"Last received before: {_TIME}.")],
    to: Annotated[str, Parameter(help="A folder, or s3://bucket/prefix.")],
    with_bodies: Annotated[
        bool, Parameter(negative="", show_default=False, help="Raw bodies of requests, too, as far as they are kept.")
    ] = False,
) -> None:
    """Print how many rows were moved. Raises: ConfigurationError, InvalidQuery, Unavailable, ArchiveFault."""
    limit = parse_time(before, _now())
    manifest = asyncio.run(_archive(load_settings(os.environ), limit, to=to, with_bodies=with_bodies))
    for shape in (*SHAPES, BODIES):
        if shape.name in manifest.removed:
            print_line(_sentence(manifest, shape.name))
    print_line(f"{sum(manifest.removed.values()):,} rows moved to {_shown(to)} in run {manifest.run}")


def restore(
    from_: Annotated[str, Parameter(name="from", help="The folder or s3://bucket/prefix that was archived to.")],
    /,
    *,
    start: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help=f"First received at or after: {_TIME}.")
    ] = None,
    end: Annotated[str | None, Parameter(allow_leading_hyphen=True, help=f"First received before: {_TIME}.")] = None,
    keep_days: Annotated[
        int | None,
        Parameter(validator=Number(gte=1, lte=_MAX_DAYS), help="How long retention spares what is older than it."),
    ] = None,
) -> None:
    """Print what came back. Raises: ConfigurationError, InvalidQuery, WouldBeForgotten, Unavailable, ArchiveFault."""
    now = _now()
    counts = asyncio.run(
        _restore(
            load_settings(os.environ),
            from_,
            start=None if start is None else parse_time(start, now),
            end=None if end is None else parse_time(end, now),
            keep=None if keep_days is None else timedelta(days=keep_days),
        )
    )
    for table, (new, read) in counts.items():
        print_line(f"{table}: {new:,} restored, {read - new:,} there already")


async def _archive(settings: Settings, before: datetime, *, to: str, with_bodies: bool) -> Manifest:
    shelf, format_ = open_shelf(to, os.environ), ParquetFormat()
    async with using_store(settings) as store:
        await require(store, settings)
        totals = {shape.name: await store.archivable.count(shape, before=before) for shape in SHAPES}
        with _progress("archiving", totals) as observe:
            archiver = Archiver(store.archivable, shelf, format_=format_, clock=_now, observe=observe)
            manifest = await archiver.run(
                before,
                database="sqlite" if is_sqlite(settings.database_url.reveal()) else "postgresql",
                schema_version=SCHEMA_HEAD,
                service_version=__version__,
                with_bodies=with_bodies,
            )
        await note_archived(store.settings, manifest, place=archive_address(to), now=_now())
        return manifest


async def _restore(
    settings: Settings, place: str, *, start: datetime | None, end: datetime | None, keep: timedelta | None
) -> dict[str, tuple[int, int]]:
    shelf, format_ = open_shelf(place, os.environ), ParquetFormat()
    async with using_store(settings) as store:
        await require(store, settings)

        def restorer(observe: Observer) -> Restorer:
            return Restorer(
                store.archivable,
                store.settings,
                shelf=shelf,
                format_=format_,
                clock=_now,
                observe=observe,
            )

        totals = await restorer(lambda _shape, _rows: None).rows(start=start, end=end)
        with _progress("restoring", totals) as observe:
            retention = timedelta(days=settings.retention_days)
            try:
                return await restorer(observe).run(start=start, end=end, retention=retention, keep=keep)
            except NotFound as error:
                raise NotFound(f"{_shown(place)}: {error}") from None


def _sentence(manifest: Manifest, table: str) -> str:
    """One table's line of the result."""
    removed, left, known = (count.get(table, 0) for count in (manifest.removed, manifest.left, manifest.found))
    notes = [f"{known:,} were archived before" if known else "", f"{left:,} changed meanwhile and stay" if left else ""]
    remark = "; ".join(note for note in notes if note)
    return f"{table}: {removed:,} moved" + (f" ({remark})" if remark else "")


def _shown(place: str) -> str:
    """The place without its options."""
    return place.partition("?")[0]


def archive_address(place: str) -> str:
    """The place as it is found from any folder, without its options."""
    return _shown(place).rstrip("/") if "://" in place else str(Path(place).absolute())


@contextmanager
def _progress(work: str, totals: Mapping[str, int | None]) -> Iterator[Callable[[Shape, int], None]]:
    """A bar for each table, on standard error where that is a terminal."""
    console = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        tasks = {name: progress.add_task(f"{work} {name}", total=total) for name, total in totals.items()}

        def observe(shape: Shape, rows: int) -> None:
            if shape.name not in tasks:
                tasks[shape.name] = progress.add_task(f"{work} {shape.name}", total=None)
            progress.advance(tasks[shape.name], rows)

        yield observe


def _now() -> datetime:
    return datetime.now(UTC)
