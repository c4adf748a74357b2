"""`alert-history import`: the past of another system, one command an origin, made of what the origin takes."""

import asyncio
import getpass
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from alert_history import __version__
from alert_history.cli.archive import archive_address
from alert_history.cli.console import cell, error_console, output_console, print_line
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.domain.times import parse_time
from alert_history.engine.import_archive import ImportArchive, Maker
from alert_history.engine.import_checks import check_scope
from alert_history.engine.import_words import what_of
from alert_history.engine.importing import Importing, ImportNeeds, ImportPlan
from alert_history.errors import ConfigurationError
from alert_history.origins.imports.registry import find_origin, origin_names
from alert_history.ports import Store
from alert_history.ports.imports import ImportRecord
from alert_history.ports.past_origins import ImportRequest, Option, PastOrigin
from alert_history.storage import is_sqlite
from alert_history.storage.shared.parquet import ParquetFormat
from alert_history.storage.shared.shelf import open_shelf
from alert_history.storage.shared.tables import SCHEMA_HEAD
from alert_history.storage.spool import open_spool

_TIME = "RFC 3339, a date, unix seconds, or how long ago: -90d"
_MAX_DAYS = 36_500
_MOST_LISTED = 20
_SET = "yes"

app = App(name="import")


def _run(origin: PastOrigin, values: dict[str, Any]) -> None:
    """One import, from the arguments of its command."""
    now = _now()
    start, end = values.pop("start"), values.pop("end")
    keep_days, scope, is_dry_run = values.pop("keep_days"), values.pop("scope") or "", values.pop("dry_run")
    archive = values.pop("archive")
    if archive is not None and keep_days is not None:
        raise ConfigurationError(["either --archive or --keep-days: what is archived needs no longer retention"])
    check_scope(scope)
    given = _given(origin, values)
    request = ImportRequest(
        given,
        now,
        start=None if start is None else parse_time(start, now),
        end=None if end is None else parse_time(end, now),
    )
    others = {"start": start, "end": end, "scope": scope, "archive": archive}
    plan = ImportPlan(
        origin,
        request,
        what_of(origin, _from_anywhere(origin, given), others),
        by=getpass.getuser(),
        scope=scope,
        is_dry_run=is_dry_run,
        keep=None if keep_days is None else timedelta(days=keep_days),
    )
    record, first_refused = asyncio.run(_import(load_settings(os.environ), plan, archive))
    _print_summary(record, first_refused, is_dry_run=is_dry_run)


async def _import(settings: Settings, plan: ImportPlan, archive: str | None) -> tuple[ImportRecord, dict[str, str]]:
    """The import, and where the first row stands that was refused for each reason. A database is made where none is."""
    async with using_store(settings) as store:
        await store.lifecycle.open()
        await require(store, settings)
        if archive is not None:
            plan = msgspec.structs.replace(plan, archive=_archive(store, settings, archive))
        importing = _importing(store, settings)
        with _progress() as observe:
            record = await importing.run(plan, observe)
        if not plan.is_dry_run:
            await _note(store, "import_started", record)
        return record, importing.first_refused


async def _note(store: Store, action: str, record: ImportRecord) -> None:
    detail = {"import": record.id, "what": record.what}
    await store.audit.note(action, actor=f"{getpass.getuser()} (command)", detail=detail, now=_now())


def _importing(store: Store, settings: Settings) -> Importing:
    retention = timedelta(days=settings.retention_days)
    needs = ImportNeeds(
        store.imports,
        store.settings,
        store.reconciling,
        open_spool,
        _now,
        retention,
        files=store.import_files,
        alone=store.archivable.alone,
    )
    return Importing(needs)


def _archive(store: Store, settings: Settings, place: str) -> ImportArchive:
    """The archive at a place. Raises ConfigurationError for a place that is none, and without pyarrow."""
    return ImportArchive(
        archive_address(place),
        open_shelf(place, os.environ),
        ParquetFormat(),
        Maker("sqlite" if is_sqlite(settings.database_url.reveal()) else "postgresql", SCHEMA_HEAD, __version__),
        files=store.import_files,
        archivable=store.archivable,
        settings=store.settings,
        clock=_now,
    )


@app.command
def undo(
    import_id: Annotated[str, Parameter(help="As `import list` shows it.")],
    /,
    *,
    archive: Annotated[str | None, Parameter(help="Where the archive of --archive is now.")] = None,
) -> None:
    """Take one import back: what it brought in, also to an archive, what it corrected, and what it refused.

    What a sender has spoken of since, or a person acted on, stays. So does what `archive` took out of the database.
    """
    record = asyncio.run(_undo(load_settings(os.environ), import_id, archive))
    counts = record.counts
    undone = f"{counts.taken:,} occurrences removed, {counts.corrected:,} corrections undone"
    print_line(f"import {record.id} is taken back: {undone}")
    if counts.archived:
        print_line(f"{counts.archived:,} occurrences removed from the archive")
    if counts.joined:
        print_line(f"{counts.joined:,} occurrences stay, because a sender or a person has spoken of them since")


@app.command(name="list")
def list_() -> None:
    """Show the newest imports."""
    records = asyncio.run(_list(load_settings(os.environ)))
    if not records:
        print_line("nothing was imported yet")
        return
    from rich.table import Table

    heads = ("id", "began", "state", "what", "taken", "joined", "archived", "refused")
    table = Table(*heads, title_justify="left", show_edge=False)
    for record in records:
        counts = record.counts
        row = (record.id, f"{record.started_at:%Y-%m-%d %H:%M}", record.state, record.what)
        numbers = (counts.taken, counts.joined, counts.archived, counts.refused)
        table.add_row(*map(cell, row), *(f"{n:,}" for n in numbers))
    output_console().print(table)


async def _undo(settings: Settings, import_id: str, archive: str | None) -> ImportRecord:
    async with using_store(settings) as store:
        await require(store, settings)

        def open_archive(place: str) -> ImportArchive:
            return _archive(store, settings, archive or place)

        record = await _importing(store, settings).undo(import_id, open_archive=open_archive)
        await _note(store, "import_undone", record)
        return record


async def _list(settings: Settings) -> list[ImportRecord]:
    async with using_store(settings) as store:
        await require(store, settings)
        return await store.imports.newest(_MOST_LISTED)


# --- from an origin's options to a command ----------------------------------------------------------------------------


def _command(name: str) -> Callable[..., None]:
    """The command of an origin. Its signature is made of the options, because cyclopts reads it from there."""
    origin = find_origin(name)

    def run(*arguments: Any, **values: Any) -> None:
        bound = signature.bind(*arguments, **values)
        bound.apply_defaults()
        _run(origin, dict(bound.arguments))

    signature = inspect.Signature([*map(_parameter, origin.options), *_COMMON])
    run.__signature__ = signature  # type: ignore[attr-defined]  # functions have one
    run.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    run.__doc__ = origin.about
    return run


def _parameter(option: Option) -> inspect.Parameter:
    """The parameter of an option; a secret is given in a file, because everybody on the machine sees arguments."""
    if option.kind == "file":
        return _file(option)
    word, text = f"--{option.name}", option.help
    if option.kind == "secret":
        word, text = f"{word}-file", f"A file that holds it, or - for standard input: {option.help}"
    type_: Any = bool if option.kind == "flag" else str
    if option.is_repeated or option.kind == "pairs":
        type_ = list[str]
    is_needed = option.is_required and option.kind != "secret"
    default: Any = inspect.Parameter.empty if is_needed else (option.default or None)
    if option.kind == "flag":
        default = False
    elif default is None:
        type_ = type_ | None
    help_ = Parameter(name=word, help=text, negative="", show_default=bool(option.default), allow_leading_hyphen=True)
    return inspect.Parameter(
        _word(option), inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[type_, help_], default=default
    )


def _file(option: Option) -> inspect.Parameter:
    """The argument of a command: its files, or its file, which some origins do without."""
    kind = inspect.Parameter.VAR_POSITIONAL if option.is_repeated else inspect.Parameter.POSITIONAL_ONLY
    has_none = not (option.is_repeated or option.is_required)
    type_: Any = str | None if has_none else str
    annotation = Annotated[type_, Parameter(help=option.help, allow_leading_hyphen=True)]
    default = None if has_none else inspect.Parameter.empty
    return inspect.Parameter(_word(option), kind, annotation=annotation, default=default)


def _word(option: Option) -> str:
    return option.name.replace("-", "_")


def _common(name: str, type_: Any, parameter: Parameter, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[type_, parameter], default=default
    )


_COMMON = (
    _common("start", str | None, Parameter(allow_leading_hyphen=True, help=f"Began at or after: {_TIME}.")),
    _common("end", str | None, Parameter(allow_leading_hyphen=True, help=f"Began before: {_TIME}.")),
    _common("scope", str | None, Parameter(help="Keeps label sets apart that only look alike, as ?scope= does.")),
    _common(
        "dry_run",
        bool,
        Parameter(name="--dry-run", negative="", show_default=False, help="Read and count; write nothing."),
        default=False,
    ),
    _common(
        "keep_days",
        int | None,
        Parameter(
            name="--keep-days",
            validator=Number(gte=1, lte=_MAX_DAYS),
            help="How long retention spares what is older than it.",
        ),
    ),
    _common(
        "archive",
        str | None,
        Parameter(help="A folder, or s3://bucket/prefix: what is older than retention goes there, as Parquet."),
    ),
)


def _given(origin: PastOrigin, values: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The options as the origin reads them. Raises: ConfigurationError with all faults."""
    given: dict[str, tuple[str, ...]] = {}
    faults = []
    for option in origin.options:
        value = values.get(_word(option))
        if value is None or value is False or value in ((), []):
            continue
        texts = (_SET,) if value is True else (value,) if isinstance(value, str) else tuple(value)
        if option.kind == "secret":
            texts = tuple(map(_secret, texts))
        faults += [
            f"--{option.name}: not NAME=VALUE: {text!r}" for text in texts if option.kind == "pairs" and "=" not in text
        ]
        if option.choices and not set(texts) <= set(option.choices):
            faults.append(f"--{option.name}: one of {', '.join(option.choices)}")
        given[option.name] = texts
    if faults:
        raise ConfigurationError(faults)
    return given


def _from_anywhere(origin: PastOrigin, given: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The options with whole paths: from any folder, the same file is the same import."""
    files = {option.name for option in origin.options if option.kind == "file"}
    return {
        name: tuple(text if text == "-" or name not in files else str(Path(text).absolute()) for text in texts)
        for name, texts in given.items()
    }


def _secret(path: str) -> str:
    """What a file holds, without the line end. Raises OSError."""
    return (sys.stdin.read() if path == "-" else Path(path).read_text()).strip()


# --- what is shown ----------------------------------------------------------------------------------------------------


@contextmanager
def _progress() -> Iterator[Callable[[ImportRecord], None]]:
    """A bar with rate and rest, on standard error where that is a terminal."""
    console = error_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        bars = {
            name: progress.add_task(name, total=None, rows="", start=name == "reading")
            for name in ("reading", "writing")
        }

        def observe(record: ImportRecord) -> None:
            task = bars[record.phase]
            counts = record.counts
            number = counts.read if record.phase == "reading" else counts.taken + counts.joined + counts.merged
            if record.phase == "writing":
                progress.update(bars["reading"], total=1, completed=1)
                progress.start_task(task)
            seconds = progress.tasks[task].elapsed or 0
            rate = f", {number / seconds:,.0f}/s" if seconds > 1 else ""
            total = None if record.share is None else 1.0
            progress.update(task, total=total, completed=record.share or 0.0, rows=f"{number:,}{rate}")

        yield observe


def _print_summary(record: ImportRecord, first_refused: dict[str, str], *, is_dry_run: bool) -> None:
    counts = record.counts
    verb = "would be taken" if is_dry_run else "taken"
    print_line(f"read {counts.read:,} from {record.what}")
    print_line(f"- {counts.taken:,} {verb} as new occurrences")
    corrected = f", {counts.corrected:,} of them with a start or an end that it knew better" if counts.corrected else ""
    print_line(f"- {counts.joined:,} joined with what is there{corrected}")
    lines = [
        (counts.merged, "were pieces or repeats of others"),
        (counts.acts, "acts of people"),
        (counts.silences, "silences"),
        (counts.archived, "would go to the archive" if is_dry_run else "are in the archive"),
        (counts.refused, "refused" if is_dry_run else "refused, and kept in the quarantine"),
    ]
    for number, words in lines:
        if number:
            print_line(f"- {number:,} {words}")
    for reason, number in record.reasons:
        first = f"{first_refused[reason]}: " if first_refused.get(reason) else ""
        print_line(f"  - {number:,}: {first}{reason}{', and others' if first and number > 1 else ''}")
    if not is_dry_run:
        print_line(f"import {record.id}; `alert-history import undo {record.id}` takes it back")


def _now() -> datetime:
    return datetime.now(UTC)


for _name in origin_names():
    app.command(_command(_name), name=_name)
