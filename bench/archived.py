"""Archives: how long a count by rule takes over all archived rows, read as the service reads them, and by DuckDB alone.

The files are as `alert-history archive` writes them, of 10 000 rows each. Some are encoded, and each of these lies
under several days: to encode all of ten million rows would take most of the run.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import psutil

from alert_history.domain.archive_tables import ALERTS, Row, day_folder
from alert_history.domain.archived_days import ArchivedDays
from alert_history.domain.query import parse_query
from alert_history.engine.day_files import CHUNK_ROWS
from alert_history.ports import HistoryFilter
from alert_history.storage.archived.conditions import conditions_of, rows_of
from alert_history.storage.archived.doubles import Doubles
from alert_history.storage.archived.duck import Duck, Question
from alert_history.storage.archived.files import ArchiveFiles
from alert_history.storage.archived.search import DuckArchivedSearch
from alert_history.storage.shared.parquet import ParquetFormat
from bench.databases import Database, Sqlite
from bench.plan import Plan
from bench.report import Measured, at_most, grouped

_FIRST_DAY = date(2025, 1, 1)
_DAYS = 365
_ENCODED = 40
_RULES, _PODS = 400, 20_000
_PROMISED_SECONDS = 2
_BY_RULE = "SELECT alertname, count(*) AS occurrences FROM {} GROUP BY alertname ORDER BY occurrences DESC, alertname"


def measure(database: Database, plan: Plan) -> list[Measured]:
    """Count the rows of an archive. It is the same for both databases, so it is measured once."""
    if not isinstance(database, Sqlite):
        return []
    folder = plan.folder / "archive"
    plan.say(f"archive: writing {grouped(plan.history)} rows")
    paths = _write(folder, plan.history // CHUNK_ROWS)
    lines = [*_counts(folder, paths, plan)]
    shutil.rmtree(folder)
    return lines


def _counts(folder: Path, paths: list[str], plan: Plan) -> Iterator[Measured]:
    rows = grouped(len(paths) * CHUNK_ROWS)
    conditions, source = conditions_of(HistoryFilter()), rows_of(ALERTS, paths)
    locked = _BY_RULE.format(f"({source.sql}) WHERE {conditions.sql}")
    question = Question(locked, [*source.values, *conditions.values], paths)
    plan.say(f"archive: counting {rows} rows")
    megabytes = sum(Path(path).stat().st_size for path in paths) / 1e6
    seconds = _timed(lambda: len(asyncio.run(Duck().ask(question, seconds=60))), _RULES, plan)
    note = f"{len(paths)} files, {megabytes:.0f} MB; in the locked DuckDB of the service"
    yield Measured("archive", f"count by rule, {rows} rows", seconds, "s", at_most(_PROMISED_SECONDS), note)
    bare = _timed(lambda: len(_bare(folder)), _RULES, plan)
    yield Measured("archive", "the same in DuckDB alone", bare, "s", note="as the how-to writes it")
    for name, query in (("a label", '{pod="web-7"}'), ("a regex", '{pod=~"web-1[0-9]"}'), ("a word", "wrong-77")):
        wanted = HistoryFilter(parse_query(query))
        counted = _timed(lambda wanted=wanted: bool(asyncio.run(_count(folder, wanted))), True, plan)  # type: ignore[misc]
        yield Measured("archive", f"count of {name}", counted, "s", note="listing of the files included")
    yield Measured("archive", "memory of this process", psutil.Process().memory_info().rss / 2**20, "MiB")


def _timed(work: Callable[[], Any], expected: Any, plan: Plan) -> float:
    """The median of the rounds; the answer has to be the same each time."""
    seconds = []
    for _ in range(plan.rounds):
        began = time.monotonic()
        answer = work()
        seconds.append(time.monotonic() - began)
        if answer != expected:
            raise AssertionError(f"{answer} is not {expected}")
    return median(seconds)


def _bare(folder: Path) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute(_BY_RULE.format(f"read_parquet('{folder}/alerts/**/*.parquet')")).fetchall()


async def _count(folder: Path, wanted: HistoryFilter) -> int | None:
    async def noted() -> list[ArchivedDays]:
        last = _FIRST_DAY + timedelta(days=_DAYS)
        return [ArchivedDays(str(folder), _FIRST_DAY, last, datetime.now(UTC))]

    files, reader = ArchiveFiles(noted, {}), Duck()
    search = DuckArchivedSearch(files, reader, Doubles(files, reader))
    return await search.count(wanted, seconds=60)


def _write(folder: Path, number: int) -> list[str]:
    """So many files of an archive, over the days of a year, as one run writes them."""
    format_, paths = ParquetFormat(), []
    contents = [format_.encode(ALERTS, _rows(file)) for file in range(min(number, _ENCODED))]
    for file in range(number):
        day = _FIRST_DAY + timedelta(days=file * _DAYS // number)
        path = folder / day_folder(ALERTS.name, day) / f"part-20260101T000000.000000Z-0badc0de-{file:05}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[file % len(contents)])
        paths.append(str(path))
    return paths


def _rows(file: int) -> list[Row]:
    began = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=file)
    return [_row(file * CHUNK_ROWS + number, began + timedelta(seconds=number * 8)) for number in range(CHUNK_ROWS)]


def _row(number: int, at: datetime) -> Row:
    pod, rule, end = f"web-{number * 7919 % _PODS}", f"Rule{number * 31 % _RULES}", at + timedelta(minutes=5)
    labels = {"alertname": rule, "namespace": f"shop-{number % 40}", "severity": "warning", "pod": pod, "cluster": "eu"}
    values: dict[str, Any] = dict.fromkeys(ALERTS.places)
    values |= {"fingerprint": f"{hash((pod, rule)) % 2**64:016x}", "starts_at": at, "timestamp": at, "labels": labels}
    values |= {name: labels[name] for name in ("alertname", "namespace", "severity")}
    values |= {"annotations": {"summary": f"{pod} is wrong-{number % 5000}", "runbook": "https://runbooks/it"}}
    values |= {"status": "resolved", "ended_by": "resolved", "ends_at": end, "last_received_at": end}
    values |= {"repeat_count": 3, "event_count": 2, "events": 2, "content_hash": number, "source": "alertmanager"}
    values |= {"receiver": "team", "generator_url": "http://prometheus:9090/graph?g0.expr=up"}
    return tuple(values.values())
