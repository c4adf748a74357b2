"""Archives as tests make them: a small old history, runs that break off, and what lies where."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from alert_history.domain.alert import Alert, Refused
from alert_history.domain.archive_tables import (
    ALERTS,
    BODIES,
    EVENTS,
    MANIFESTS,
    SHAPES,
    Entry,
    FileNote,
    Kind,
    Manifest,
    Row,
    Shape,
    rows_digest,
)
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.occurrence import Event
from alert_history.engine.archive import Archiver
from alert_history.engine.day_files import encode_manifest, read_manifests
from alert_history.engine.restore import Restorer
from alert_history.ports import Shelf, Store
from alert_history.storage.shared.parquet import ParquetFormat
from tests.conformance.samples import DAY, MINUTE, NOW, alert, note, receipt

LATER = NOW + 60 * DAY
LIMIT = LATER - 30 * DAY
FUTURE = NOW + 3650 * DAY
RETENTION = timedelta(days=365)
DISK = alert("Disk", labels={"pod": 'web-0 "ä"', "empty": ""})
OLD = [DISK, alert("Cpu"), alert("Net", labels={"severity": "info"})]
NEXT_DAY = [alert(f"Next{number}", starts_at=NOW + DAY) for number in range(5)]
YOUNG = alert("Young", starts_at=LATER - MINUTE)


def publish(alert: Alert, event: Event) -> Routing | None:
    """A router that tells one target of everything."""
    del alert, event
    return Routing(("ops",), {})


def over(firing: Alert) -> Alert:
    """What says that it ended, four minutes after it began."""
    return msgspec.structs.replace(firing, status="resolved", ends_at=firing.starts_at + 4 * MINUTE)


async def record_old(store: Store, *, is_delivered: bool = True) -> None:
    """Two days of history that is old once it is LATER, delivered to `ops` if there is a router; and a young alert."""
    await store.upkeep.prepare(NOW)
    notes, refused = [note(DISK)], [Refused(0, "bad", b'{"x":"\xff"}')]
    first = receipt(*OLD, at=NOW, notes=notes, refused=refused, body=b'{"first":1}')
    reworded = msgspec.structs.replace(over(DISK), annotations={"summary": "ok"})
    resolved = receipt(reworded, *map(over, OLD[1:]), at=NOW + MINUTE, body=b"second")
    next_day = receipt(*NEXT_DAY, *map(over, NEXT_DAY), at=NOW + DAY + 5 * MINUTE)
    for sent in (first, resolved, next_day):
        await store.recorder.commit([msgspec.structs.replace(sent, publish=True)])
    while is_delivered:
        leased, _ = await store.outbox.lease("ops", now=NOW + 2 * DAY, limit=99, lease_for=timedelta(seconds=30))
        if not leased:
            break
        attempt = Attempt(NOW + 2 * DAY, "delivered", "", 1)
        await store.outbox.settle([(delivery, Settlement(delivery.id, "delivered", attempt)) for delivery in leased])
    await store.upkeep.prepare(LATER)
    await store.recorder.commit([receipt(YOUNG, at=LATER)])


def archiver(store: Store, shelf: Shelf, *, at: datetime = LATER) -> Archiver:
    format_ = ParquetFormat()
    return Archiver(store.archivable, shelf, format_=format_, clock=lambda: at, chunk_rows=5, rest_seconds=0)


async def archive(store: Store, shelf: Shelf, *, at: datetime = LATER, with_bodies: bool = False) -> Manifest:
    """One run of what is older than LIMIT."""
    run = archiver(store, shelf, at=at)
    return await run.run(LIMIT, database="x", schema_version="1", service_version="2", with_bodies=with_bodies)


def restorer(store: Store, shelf: Shelf) -> Restorer:
    return Restorer(
        store.archivable,
        store.settings,
        shelf=shelf,
        format_=ParquetFormat(),
        clock=lambda: LATER,
        rest_seconds=0,
    )


async def restore(store: Store, shelf: Shelf) -> dict[str, tuple[int, int]]:
    return await restorer(store, shelf).run(start=None, end=None, retention=RETENTION, keep=None)


_NEW_COLUMNS = {"began_at", "ended_by", "confirmed_at", "unconfirmed", "joined_into"}
_EARLIER_ALERTS = msgspec.structs.replace(
    ALERTS, columns=tuple(column for column in ALERTS.columns if column.name not in _NEW_COLUMNS)
)


async def as_an_earlier_release_wrote_it(shelf: Shelf, *, firing: Alert | None = None) -> None:
    """Rewrite an archive as a release wrote it that did not know how ends are known, and archived what still fired."""
    for manifest in await read_manifests(shelf):
        manifest.files = [await _earlier(shelf, each, firing=firing) for each in manifest.files]
        await shelf.write(f"{MANIFESTS}/{manifest.run}.json", encode_manifest(manifest))


async def _earlier(shelf: Shelf, file: FileNote, *, firing: Alert | None) -> FileNote:
    shape = {"alerts": _EARLIER_ALERTS, "events": EVENTS}.get(file.table)
    if shape is None:
        return file
    format_, fingerprint = ParquetFormat(), None if firing is None else firing.fingerprint
    rows = list(format_.decode(shape, await shelf.read(file.path)))
    if shape is EVENTS:
        rows = [row for row in rows if (row[0], row[EVENTS.places["kind"]]) != (fingerprint, "resolved")]
    else:
        rows = [_firing(row) if row[0] == fingerprint else row for row in rows]
    written = format_.encode(shape, rows)
    await shelf.write(file.path, written)
    return FileNote(file.path, file.table, len(rows), len(written), sha256(written).hexdigest(), rows_digest(rows))


def _firing(row: Row) -> Row:
    fields = dict(zip(_EARLIER_ALERTS.places, row, strict=True))
    return tuple((fields | {"status": "firing", "ends_at": None, "event_count": 1, "events": 1}).values())


async def contents(store: Store) -> dict[str, list[tuple[Row, tuple[Row, ...]]]]:
    """Everything that could be archived, by table."""
    tables = {}
    for shape in (*SHAPES, BODIES):
        entries: list[Entry] = []
        after: Row | None = None
        while True:
            page, after = await store.archivable.take(shape, before=FUTURE, after=after)
            entries += page
            if after is None:
                break
        tables[shape.name] = sorted(
            (_plain(shape, entry.row), tuple(_plain(EVENTS, event) for event in entry.events)) for entry in entries
        )
    return tables


def _plain(shape: Shape, row: Row) -> Row:
    """Comparable and hashable; JSON as what it says, because each database writes it in its own way."""
    return tuple(_sayable(value, column.kind) for value, column in zip(row, shape.columns, strict=True))


def _sayable(value: Any, kind: Kind) -> str:
    content = msgspec.json.decode(value) if kind == "json" and value is not None else value
    return msgspec.json.encode(content, order="deterministic").decode()


class Crash(Exception):  # it is none of ours
    """What a killed process does: it simply does not go on."""


class Fragile:
    """Stands before a store or a shelf, and breaks at the n-th call of any of them that share a fuse."""

    def __init__(self, inner: Any, fuse: "Fuse") -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._inner, name)
        if name in {"alone", "suffix"}:
            return call  # type: ignore[no-any-return]

        async def burning(*args: Any, **kwargs: Any) -> Any:
            self._fuse.burn()
            answer = await call(*args, **kwargs)
            self._fuse.burn()
            return answer

        return burning


class Fuse:
    """Counts calls, before and after each; at `length` it blows."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.burnt = 0

    def burn(self) -> None:
        self.burnt += 1
        if self.burnt == self.length:
            raise Crash


def files(folder: Path) -> list[str]:
    """What lies in an archive in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
