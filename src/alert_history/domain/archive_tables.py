"""What an archive holds: which tables, their columns, and where a day of them lies. Pure.

An archive is a folder or a bucket's prefix: `<table>/year=2026/month=03/day=04/part-….parquet`, and a manifest for
each run in `_manifests`. An occurrence takes its events along, into a file of the same name and day. That file is
put in place first: the file of the occurrences is what counts, and events without it are what a crash left.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import msgspec

Kind = Literal["text", "time", "integer", "truth", "json", "texts", "bytes"]
"""`json` is JSON text, `texts` a map of text to text; the others are what they say. Times are aware UTC."""

Row = tuple[Any, ...]

MANIFESTS = "_manifests"
INCOMPLETE = "_incomplete"
PARTIAL = ".partial"
WRITING = ".writing"
"""How the name of a file ends in a folder while it is written; whoever is killed meanwhile leaves it, whole or not."""
_RUN_DIGITS = 8
_STILL_FIRED = "it still fired when it was archived; what became of it since is not known"
_DAY_FOLDER = re.compile(r"year=(\d{1,4})/month=(\d{1,2})/day=(\d{1,2})", re.ASCII)
_encode_exactly = msgspec.json.Encoder(order="deterministic").encode


class Column(NamedTuple):
    """One column. `is_counted`: it is in the archive alone, and says how many events came along."""

    name: str
    kind: Kind
    is_nullable: bool = False
    is_counted: bool = False


class Shape(msgspec.Struct, frozen=True, dict=True):
    """One table of an archive.

    `key` names a row for good, `version` says whether it changed since; `order` is how rows are read, oldest day
    first. `page_rows` is how many may be held at once.
    """

    name: str
    table: str
    columns: tuple[Column, ...]
    time: str
    order: tuple[str, ...]
    key: tuple[str, ...]
    version: tuple[str, ...]
    page_rows: int = 500

    @cached_property
    def stored(self) -> tuple[Column, ...]:
        """The columns that the database's table has."""
        return tuple(column for column in self.columns if not column.is_counted)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each column stands in a row."""
        return {column.name: place for place, column in enumerate(self.columns)}

    def values(self, row: Row, names: Sequence[str]) -> Row:
        """What a row holds in these columns."""
        return tuple(row[self.places[name]] for name in names)

    def day(self, row: Row) -> date:
        """The day, UTC, that the row is filed under."""
        time: datetime = row[self.places[self.time]]
        return time.astimezone(UTC).date()


class Entry(msgspec.Struct, frozen=True):
    """A row with the events that belong to it, if it is an occurrence."""

    row: Row
    events: tuple[Row, ...] = ()


class FileNote(msgspec.Struct, frozen=True):
    """One file of a run. `rows_sha256` is over the rows themselves, so it outlives a rewrite of the file."""

    path: str
    table: str
    rows: int
    file_bytes: int
    sha256: str
    rows_sha256: str


class Manifest(msgspec.Struct):
    """What one run did, by table: rows written, already archived, taken out of the database, and left in it.

    `left` changed while they were archived; the next run takes them. `finished_at` is None if the run broke off.
    """

    run: str
    started_at: datetime
    before: datetime
    database: str
    schema_version: str
    service_version: str
    finished_at: datetime | None = None
    files: list[FileNote] = []
    written: dict[str, int] = {}
    found: dict[str, int] = {}
    removed: dict[str, int] = {}
    left: dict[str, int] = {}


EVENTS = Shape(
    name="events",
    table="events",
    columns=(
        Column("fingerprint", "text"),
        Column("starts_at", "time"),
        Column("key", "integer"),
        Column("kind", "text"),
        Column("at", "time"),
        Column("receipt_id", "text", is_nullable=True),
        Column("detail", "json", is_nullable=True),
    ),
    time="at",
    order=("fingerprint", "starts_at", "key"),
    key=("fingerprint", "starts_at", "key"),
    version=(),
)
"""They are filed under the day of their occurrence."""

ALERTS = Shape(
    name="alerts",
    table="alerts",
    columns=(
        Column("fingerprint", "text"),
        Column("starts_at", "time"),
        Column("timestamp", "time"),
        Column("alertname", "text"),
        Column("namespace", "text"),
        Column("severity", "text"),
        Column("status", "text"),
        Column("labels", "texts"),
        Column("annotations", "texts"),
        Column("ends_at", "time", is_nullable=True),
        Column("expires_at", "time", is_nullable=True),
        Column("last_received_at", "time"),
        Column("repeat_count", "integer"),
        Column("event_count", "integer"),
        Column("content_hash", "integer"),
        Column("generator_url", "text"),
        Column("source", "text"),
        Column("receiver", "text"),
        Column("details", "json", is_nullable=True),
        Column("began_at", "time", is_nullable=True),
        Column("ended_by", "text", is_nullable=True),
        Column("confirmed_at", "time", is_nullable=True),
        Column("unconfirmed", "text", is_nullable=True),
        Column("joined_into", "time", is_nullable=True),
        Column("imported_at", "time", is_nullable=True),
        Column("import_id", "text", is_nullable=True),
        Column("events", "integer", is_counted=True),
    ),
    time="timestamp",
    order=("timestamp", "fingerprint", "starts_at"),
    key=("fingerprint", "starts_at"),
    version=("timestamp", "status", "last_received_at", "repeat_count", "event_count", "events"),
)

RECEIPTS = Shape(
    name="receipts",
    table="receipts",
    columns=(
        Column("id", "text"),
        Column("received_at", "time"),
        Column("path", "text"),
        Column("publish", "truth"),
        Column("source", "text"),
        Column("receiver", "text"),
        Column("group_key", "text"),
        Column("external_url", "text"),
        Column("received", "integer"),
        Column("quarantined", "integer"),
        Column("truncated_alerts", "integer"),
        Column("details", "json"),
        Column("body_sha256", "bytes"),
        Column("body_bytes", "integer"),
    ),
    time="received_at",
    order=("id",),
    key=("id", "received_at"),
    version=(),
)

DELIVERIES = Shape(
    name="deliveries",
    table="deliveries",
    columns=(
        Column("id", "text"),
        Column("fingerprint", "text"),
        Column("starts_at", "time"),
        Column("target", "text"),
        Column("event_key", "integer"),
        Column("event", "text"),
        Column("receipt_id", "text", is_nullable=True),
        Column("state", "text"),
        Column("created_at", "time"),
        Column("due_at", "time"),
        Column("lease_until", "time", is_nullable=True),
        Column("attempts", "integer"),
        Column("log", "json"),
        Column("external_id", "text", is_nullable=True),
        Column("settled_at", "time", is_nullable=True),
        Column("shape", "text", is_nullable=True),
        Column("enrichment", "text", is_nullable=True),
    ),
    time="created_at",
    order=("id",),
    key=("id", "created_at"),
    version=("state", "attempts"),
)

ACTS = Shape(
    name="acts",
    table="acts",
    columns=(
        Column("fingerprint", "text"),
        Column("starts_at", "time"),
        Column("id", "text"),
        Column("alertname", "text"),
        Column("severity", "text"),
        Column("namespace", "text"),
        Column("at", "time"),
        Column("kind", "text"),
        Column("by", "text"),
        Column("text", "text"),
        Column("source", "text"),
        Column("external_id", "text", is_nullable=True),
    ),
    time="at",
    order=("at", "fingerprint", "starts_at", "id"),
    key=("fingerprint", "starts_at", "id"),
    version=(),
)

QUARANTINE = Shape(
    name="quarantine",
    table="quarantine",
    columns=(
        Column("id", "text"),
        Column("received_at", "time"),
        Column("receipt_id", "text"),
        Column("position", "integer"),
        Column("reason", "text"),
        Column("source", "text"),
        Column("receiver", "text"),
        Column("raw", "bytes"),
    ),
    time="received_at",
    order=("id",),
    key=("id",),
    version=(),
    page_rows=50,
)

BODIES = Shape(
    name="bodies",
    table="receipt_bodies",
    columns=(Column("received_on", "time"), Column("sha256", "bytes"), Column("body", "bytes")),
    time="received_on",
    order=("received_on", "sha256"),
    key=("received_on", "sha256"),
    version=(),
    page_rows=10,
)
"""Raw bodies as they were sent, not compressed by us: Parquet does that."""

SHAPES = (ALERTS, DELIVERIES, ACTS, RECEIPTS, QUARANTINE)
"""What every run moves, in this order: deliveries and acts follow once their occurrence is gone."""


def day_folder(table: str, day: date) -> str:
    """Where a day of a table lies, in the way of Hive."""
    return f"{table}/year={day.year:04}/month={day.month:02}/day={day.day:02}"


def day_of_path(path: str) -> date | None:
    """The day a path is filed under; None if it is no file of a day."""
    match = _DAY_FOLDER.search(path)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None


def run_name(started_at: datetime, *, randomness: bytes) -> str:
    """A name of a run; the names sort by time."""
    return f"{started_at:%Y%m%dT%H%M%S.%fZ}-{randomness.hex()[:_RUN_DIGITS]}"


def rows_digest(rows: Iterable[Row]) -> str:
    """SHA-256 over what the rows say, in their order; JSON in them is compared as text."""
    digest = sha256()
    for row in rows:
        digest.update(_encode_exactly(row))
        digest.update(b"\n")
    return digest.hexdigest()


def ended_at_last_sign(entry: Entry, now: datetime) -> Entry:
    """An occurrence as it comes back: one that still fired when it was archived is over since its last sign.

    Archives of releases that took such ones along hold them. Its end is an event of its own, at `now`.
    """
    values = dict(zip(ALERTS.places, entry.row, strict=True))
    if values["status"] != "firing":
        return entry
    ends_at = max(values["last_received_at"], values["began_at"] or values["starts_at"])
    number = values["event_count"] + 1
    detail = msgspec.json.encode({"ends_at": ends_at.isoformat(), "reason": _STILL_FIRED}).decode()
    event = (values["fingerprint"], values["starts_at"], number, "inferred", now, None, detail)
    values |= {
        "status": "resolved",
        "ended_by": "inferred",
        "ends_at": ends_at,
        "expires_at": None,
        "unconfirmed": None,
    }
    values |= {"confirmed_at": values["confirmed_at"] or values["last_received_at"]}
    values |= {"event_count": number, "events": values["events"] + 1}
    return Entry(tuple(values.values()), (*entry.events, event))


def weight(entry: Entry) -> int:
    """About how many bytes an entry holds."""
    return sum(_weight(value) for row in (entry.row, *entry.events) for value in row)


def _weight(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(len(name) + len(text) for name, text in value.items())
    return 8
