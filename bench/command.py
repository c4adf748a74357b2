"""The command line: what to measure, on which database, how much; and the table, also into the documents."""

import argparse
import io
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr
from pathlib import Path

import pytest

from alert_history.telemetry.logs import configure_logging
from bench import (
    alertmanager_api,
    analysis,
    archived,
    browsing,
    disk,
    history,
    importing,
    ingest,
    live,
    moments,
    muting,
    peers,
    publishing,
    retention,
    routing,
    stages,
    start,
    trust,
    workers,
)
from bench.databases import Database, Sqlite, postgres
from bench.plan import Plan
from bench.raw import write_json
from bench.report import Measured, conditions, grouped, markdown, print_table
from bench.watch import neighbours

Measure = Callable[[Database, Plan], Sequence[Measured]]

MEASURES: dict[str, Measure] = {
    "ingest": ingest.measure,
    "start": start.measure,
    "history": history.measure,
    "retention": retention.measure,
    "publishing": publishing.measure,
}
ON_REQUEST: dict[str, Measure] = {
    "peers": peers.measure,
    "stages": stages.measure,
    "disk": disk.measure,
    "workers": workers.measure,
    "analysis": analysis.measure,
    "live": live.measure,
    "browsing": browsing.measure,
    "trust": trust.measure,
    "importing": importing.measure,
    "archived": archived.measure,
    "routing": routing.measure,
    "moments": moments.measure,
    "muting": muting.measure,
    "alertmanager_api": alertmanager_api.measure,
}
"""Measured only where it is named: no promise needs it at each run, and peers come over the network."""

_BEGIN, _END = "<!-- table: bench/run.py{names} --write -->", "<!-- end of table -->"


def main() -> None:
    """Measure, print, write. SIGTERM ends it as Ctrl-C does: gigabytes of databases are tidied up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = _parser()
    asked = parser.parse_args()
    if unknown := set(asked.names) - {*MEASURES, *ON_REQUEST}:
        known = ", ".join([*MEASURES, *ON_REQUEST])
        parser.error(f"nothing is called {', '.join(sorted(unknown))}; there is {known}")
    lines: list[Measured] = []
    with temporary_folder(asked.folder) as folder:
        plan = Plan(asked.seconds, asked.rounds, asked.history, asked.old, folder)
        try:
            with silent_servers():
                _measure_all(plan, lines, names=asked.names or list(MEASURES), only=asked.only)
        except (pytest.skip.Exception, pytest.fail.Exception) as lacking:  # a program is not installed
            raise SystemExit(str(lacking)) from None
        finally:  # what was measured before a failure is not lost
            print_table(lines)
            if asked.json is not None:
                write_json(asked.json, conditions=conditions(), lines=lines, rounds=plan.raw)
    if asked.write is not None:
        write(asked.write, lines, plan, names=asked.names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Measure speed and memory side by side.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(MEASURES)}; or {', '.join(ON_REQUEST)}")
    parser.add_argument("--only", choices=["postgres", "sqlite"], help="one database instead of both")
    parser.add_argument("--seconds", type=float, default=10, help="length of each load (default: 10)")
    parser.add_argument("--rounds", type=int, default=3, help="fresh starts of which the median counts (default: 3)")
    parser.add_argument(
        "--history", type=int, default=200_000, help="occurrences in a filled history (default: 200000)"
    )
    parser.add_argument("--old", type=int, default=50_000, help="occurrences that retention removes (default: 50000)")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on a real disk")  # noqa: S108
    parser.add_argument("--write", type=Path, help="a markdown file whose table is replaced")
    parser.add_argument("--json", type=Path, help="a file for what each line and each round measured")
    return parser


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder for all databases of the run, on disk: `fsync` on a memory file system costs nothing."""
    folder = Path(tempfile.mkdtemp(prefix="alert-history-bench-", dir=parent))
    folder.chmod(0o755)  # PostgreSQL runs as a user of its own
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def silent_servers() -> Iterator[None]:
    """Keeps back what servers logged, which they tell when they are ended, unless something fails."""
    configure_logging(level="warning", is_json=False)
    log = io.StringIO()
    try:
        with redirect_stderr(log):
            yield
    except BaseException:
        sys.stderr.write(log.getvalue())
        raise


def _measure_all(plan: Plan, lines: list[Measured], *, names: Sequence[str], only: str | None) -> None:
    """Adds what it finds to `lines` as it goes, so that a failure late in the run doesn't take all with it."""
    with ExitStack() as stack:
        databases: list[Database] = []
        if only != "sqlite":
            databases.append(stack.enter_context(postgres()))
        if only != "postgres":
            databases.append(Sqlite(plan.folder))
        for name in names:
            for database in databases:
                with neighbours() as others:
                    measured = {**MEASURES, **ON_REQUEST}[name](database, plan)
                lines += measured
                if measured:
                    lines.append(_disturbance(database.name, name, others.share))


def _disturbance(database: str, name: str, share: float) -> Measured:
    note = "as far as this is more than next to nothing, the numbers above tell of them, too"
    return Measured(database, f"{name}: taken by other programs", share * 100, "% of the machine", note=note)


def write(path: Path, lines: Sequence[Measured], plan: Plan, *, names: Sequence[str] = ()) -> None:
    """Replace what stands between the marks of these names. A page may hold tables of several runs.

    Raises: SystemExit if no line of the page is the first mark.
    """
    begin = _BEGIN.format(names="".join(f" {name}" for name in names))
    text = path.read_text()
    mark = re.search(rf"^{re.escape(begin)}$", text, re.MULTILINE)
    if mark is None:
        raise SystemExit(f"{path} has no line {begin}")
    _, _, after = text[mark.end() :].partition(_END)
    sizes = f"history {grouped(plan.history)}, past retention {grouped(plan.old)}"
    caption = f"{conditions()}; {sizes}, each load {plan.rounds} × {plan.seconds:g} s."
    path.write_text(f"{text[: mark.end()]}\n\n{caption}\n\n{markdown(lines)}\n\n{_END}{after}")
