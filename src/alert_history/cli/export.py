"""`alert-history export`: history as a file. Holds the command, its progress and its destination."""

import asyncio
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from alert_history.cli.console import error_console
from alert_history.cli.export_formats import FormatName, open_writer
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.domain.query import parse_query
from alert_history.domain.times import parse_time
from alert_history.engine.united_history import with_archive
from alert_history.errors import AlertHistoryError, ConfigurationError
from alert_history.ports import History, HistoryFilter, PageRequest

_STANDARD_OUTPUT = "-"
_FORMATS: dict[str, FormatName] = {".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_TIME = "RFC 3339, a date, unix seconds, now, or how long ago: -24h"


def export(
    *,
    query: Annotated[
        str,
        Parameter(
            allow_leading_hyphen=True, show_default=False, help="Matchers and words: '{severity=\"critical\"} disk'."
        ),
    ] = "",
    start: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help=f"First received at or after: {_TIME}.")
    ] = None,
    end: Annotated[str | None, Parameter(allow_leading_hyphen=True, help=f"First received before: {_TIME}.")] = None,
    archive: Annotated[
        bool, Parameter(negative="", show_default=False, help="Also what left for an archive that was noted here.")
    ] = False,
    format_: Annotated[
        FormatName | None, Parameter(name="--format", help="Default: by the ending of PATH, else jsonl.")
    ] = None,
    output: Annotated[
        str,
        Parameter(name=["--output", "-o"], allow_leading_hyphen=True, help="The file to write; - is standard output."),
    ] = "-",
) -> None:
    """Write matching history.

    Raises: ConfigurationError, InvalidQuery, SettingLacking, StorageUnavailable, QueryTimeout, ArchiveFault, OSError.
    """
    now = datetime.now(UTC)
    wanted = HistoryFilter(
        query=parse_query(query),
        since=None if start is None else parse_time(start, now),
        until=None if end is None else parse_time(end, now),
        includes_archive=archive,
    )
    chosen = format_ or _FORMATS.get(Path(output).suffix.lower(), "jsonl")
    if chosen == "parquet" and output == _STANDARD_OUTPUT and sys.stdout.isatty():
        raise ConfigurationError(["Parquet is no text for a terminal; name a file with -o"])
    count = asyncio.run(_export(load_settings(os.environ), wanted, format_=chosen, output=output))
    if output != _STANDARD_OUTPUT:
        error_console().print(f"{count:,} occurrences in {output}", markup=False, soft_wrap=True)


async def _export(settings: Settings, wanted: HistoryFilter, *, format_: FormatName, output: str) -> int:
    """Write the export; how many occurrences it has."""
    async with using_store(settings) as store:
        await require(store, settings)
        with _destination(output) as file, open_writer(format_, file) as writer, _progress() as progress:
            count = 0
            history = with_archive(store).history
            task = progress.add_task(
                "exporting", total=await _known_total(history, wanted, is_asked=not progress.disable)
            )
            async with aclosing(history.export(wanted)) as batches:  # type: ignore[type-var]  # a generator
                async for batch in batches:
                    writer.write(batch)
                    count += len(batch)
                    progress.update(task, completed=count)
    return count


async def _known_total(history: History, wanted: HistoryFilter, *, is_asked: bool) -> int | None:
    """How many occurrences there will be; None where counting is dear."""
    if not is_asked:
        return None
    with suppress(AlertHistoryError):
        page = await history.page(wanted, PageRequest(limit=1))
        return page.total if page.is_total_exact else None
    return None


def _progress() -> Progress:
    """A bar, on standard error where that is a terminal."""
    console = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


@contextmanager
def _destination(output: str) -> Iterator[BinaryIO]:
    """The open destination. A file is written beside its place as `PATH.partial`, and moved there when it is whole."""
    if output == _STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    path = Path(output).resolve()
    if _is_special(path):
        with path.open("wb") as file:
            yield file
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _is_special(path: Path) -> bool:
    """Whether a path is a pipe or a device, which must stay one."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode)
