"""`alert-history rollup`: the numbers of the history, shown or counted anew."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from alert_history.cli.console import error_console, print_line
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.ports import RollupSize, Store

_EPOCH = date(1970, 1, 1)


def rollup(
    *,
    rebuild: Annotated[
        bool, Parameter(negative="", show_default=False, help="Count the whole history anew, while the service runs.")
    ] = False,
) -> None:
    """Print what there is, or how much was counted. Raises: ConfigurationError, StorageUnavailable, Busy."""
    lines = asyncio.run((_rebuild if rebuild else _show)(load_settings(os.environ)))
    for line in lines:
        print_line(line)


async def _show(settings: Settings) -> list[str]:
    async with using_store(settings) as store:
        await require(store, settings)
        return described(await store.rollup_checks.size())


async def _rebuild(settings: Settings) -> list[str]:
    async with using_store(settings) as store:
        await require(store, settings)
        with _progress(await _about(store)) as progress:
            number = await store.rollups.count_anew(progress=progress)
        size = await store.rollup_checks.size()
    stay = "" if size.whole_from is None else f"; the numbers of days before {size.whole_from} stay as they were"
    return [f"{number:,} occurrences counted{stay}"]


async def _about(store: Store) -> int | None:
    """About how many occurrences there are, as the numbers tell; None where they do not."""
    size = await store.rollup_checks.size()
    if not size.is_counted or size.first_day is None or size.last_day is None:
        return None
    days = {"first_day": (size.first_day - _EPOCH).days, "last_day": (size.last_day - _EPOCH).days}
    return sum(sums.begun for sums in (await store.analytics.sums("all", **days)).values())


def described(size: RollupSize) -> list[str]:
    """What there is, a line each."""
    if size.is_counting:
        counted = "a process counts the history anew now"
    else:
        counted = "the whole history is counted" if size.is_counted else "the history is not counted yet"
    days = "no days" if size.first_day is None else f"{size.first_day} to {size.last_day}"
    whole = "all days" if size.whole_from is None else f"{size.whole_from} on"
    return [
        f"state: {counted}",
        f"days with numbers: {days}",
        f"rows: {size.rows:,}",
        f"changes that wait to be added up: {size.waiting:,}",
        f"can be counted anew: {whole}",
    ]


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal."""
    console = error_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("counting occurrences", total=total)
        yield lambda rows: progress.advance(task, rows)
