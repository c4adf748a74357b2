"""What archives have of one occurrence: its row, its events beside it, its deliveries and what people did."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec

from alert_history.domain.acts import Act
from alert_history.domain.archive_tables import ACTS, ALERTS, DELIVERIES, EVENTS, RECEIPTS, Row, Shape
from alert_history.domain.microseconds import from_us
from alert_history.domain.occurrence import split_occurrence_id
from alert_history.errors import NotFound
from alert_history.ports import StoredAlert, StoredDelivery, StoredEvent
from alert_history.storage.archived.conditions import FILES, columns_of, rows_of
from alert_history.storage.archived.duck import Duck, Question
from alert_history.storage.archived.files import ArchiveFile, ArchiveFiles, Days
from alert_history.storage.archived.search import archived_alert
from alert_history.storage.shared.rows import delivery_of, event_of

_SECONDS = 2.0
"""So long files are opened that only may hold something of an occurrence."""

_FILES_AT_ONCE = 256
_BROUGHT_AT_ONCE = 16
_MOST_RECEIPT_DAYS = 8
_AFTERWARDS = timedelta(days=7)
_DAY = timedelta(days=1)
_OF_OCCURRENCE = "fingerprint = ? AND starts_at = ?"


class _Key(NamedTuple):
    fingerprint: str
    starts_at: datetime


class _Located(NamedTuple):
    file: ArchiveFile
    values: Row

    def value(self, name: str) -> Any:
        """What the row holds in a column; a time in microseconds."""
        return self.values[ALERTS.places[name]]


class DuckArchivedRecords:
    """See `ports.ArchivedRecords`."""

    def __init__(self, files: ArchiveFiles, duck: Duck) -> None:
        self._files = files
        self._duck = duck

    async def find(self, occurrence_id: str) -> StoredAlert:
        """See `ports.ArchivedRecords.find`. Most lie under the day on which they began, or the next one."""
        located = await self._located(_key_of(occurrence_id))
        if located is None:
            raise NotFound(f"no occurrence {occurrence_id!r}")
        return archived_alert(located.values)

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """See `ports.ArchivedRecords.timeline`."""
        key = _key_of(occurrence_id)
        located = await self._located(key, follows=False)
        if located is None:
            return []
        order = f'ORDER BY "at" DESC, "key" DESC LIMIT {newest:d}'
        rows = await self._rows(EVENTS, [located.file.events], key, order=order)
        events = [dict(zip(EVENTS.places, row, strict=True)) for row in reversed(rows)]
        receipts = await self._receipts(events)
        nothing = {"source": None, "receiver": None, "publish": None}
        return [event_of(event | receipts.get(event["receipt_id"], nothing)) for event in events]

    async def deliveries(self, occurrence_id: str, *, limit: int) -> list[StoredDelivery]:
        """See `ports.ArchivedRecords.deliveries`. Those of a week after the last receipt are found, too."""
        key = _key_of(occurrence_id)
        located = await self._located(key, follows=False)
        if located is None:
            return []
        last = from_us(located.value("last_received_at")) + _AFTERWARDS
        days = Days(from_us(located.value("timestamp")).date(), last.date())
        rows = await self._all(DELIVERIES, days, key)
        deliveries = {delivery.id: delivery for delivery in map(_delivery_of, rows)}
        return sorted(deliveries.values(), key=lambda delivery: delivery.id, reverse=True)[:limit]

    async def acts(self, occurrence_id: str) -> list[Act]:
        """See `ports.ArchivedRecords.acts`."""
        key = _key_of(occurrence_id)
        rows = await self._all(ACTS, Days(first=_day(key.starts_at) - _DAY), key)
        acts = {act.id: act for act in (Act(**_fields(ACTS, row)) for row in rows)}
        return sorted(acts.values(), key=lambda act: (act.at, act.id))

    async def _located(self, key: _Key, *, follows: bool = True) -> _Located | None:
        """Its newest row; of a double, with `follows`, the row of the occurrence that it is part of, if it is there."""
        located = None
        for files in await self._likely(_day(key.starts_at)):
            paths = await self._files.opened(files)
            rows = rows_of(ALERTS, list(paths))
            sql = f"SELECT {FILES}, {columns_of(ALERTS)} FROM ({rows.sql}) WHERE {_OF_OCCURRENCE}"
            answer = await self._duck.ask(Question(sql, [*rows.values, *key], list(paths)))
            if answer:
                located = max((_Located(paths[path], tuple(values)) for path, *values in answer), key=_run_of)
                break
        if located is None or not follows or located.value("joined_into") is None:
            return located
        whole = _Key(key.fingerprint, from_us(located.value("joined_into")))
        return await self._located(whole, follows=False) or located

    async def _likely(self, day: date) -> Iterator[list[ArchiveFile]]:
        """The files that may hold an occurrence that began on a day: those around it first, then later ones."""
        near = await self._files.of(ALERTS, Days(_before(day), _after(day)))
        later = await self._files.of(ALERTS, Days(first=_after(day)))
        return self._in_time([near, *self._groups([file for file in later if file not in near])])

    def _groups(self, files: Sequence[ArchiveFile]) -> list[list[ArchiveFile]]:
        most = _FILES_AT_ONCE if self._files.are_near(files) else _BROUGHT_AT_ONCE
        return [list(files[first : first + most]) for first in range(0, len(files), most)]

    def _in_time(self, groups: Sequence[list[ArchiveFile]]) -> Iterator[list[ArchiveFile]]:
        """Groups of files, until their time is over."""
        started = time.monotonic()
        for files in groups:
            if time.monotonic() - started > _SECONDS:
                return
            if files:
                yield files

    async def _all(self, shape: Shape, days: Days, key: _Key) -> list[Row]:
        """The rows of an occurrence in the files of some days, the rows of the newest files last."""
        files = await self._files.of(shape, days)
        return [row for group in self._in_time(self._groups(files)) for row in await self._rows(shape, group, key)]

    async def _rows(self, shape: Shape, files: Sequence[ArchiveFile], key: _Key, *, order: str = "") -> list[Row]:
        paths = await self._files.opened(files)
        rows = rows_of(shape, list(paths))
        sql = f"SELECT {columns_of(shape)} FROM ({rows.sql}) WHERE {_OF_OCCURRENCE} {order}"
        return await self._duck.ask(Question(sql, [*rows.values, *key], list(paths)))

    async def _receipts(self, events: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """What is archived of the receipts of some events: source, receiver, and whether they were published."""
        ids = [event["receipt_id"] for event in events if event["receipt_id"] is not None]
        days = sorted({from_us(event["at"]).date() for event in events if event["receipt_id"] is not None})
        listed = [await self._files.of(RECEIPTS, Days(day, day)) for day in days[:_MOST_RECEIPT_DAYS]]
        paths = await self._files.opened([file for files in listed for file in files])
        rows = rows_of(RECEIPTS, list(paths))
        sql = f"SELECT id, source, receiver, publish FROM ({rows.sql}) WHERE id IN (SELECT unnest(?::VARCHAR[]))"
        answer = await self._duck.ask(Question(sql, [*rows.values, ids], list(paths)))
        return {id_: {"source": source, "receiver": to, "publish": publish} for id_, source, to, publish in answer}


def _key_of(occurrence_id: str) -> _Key:
    parts = split_occurrence_id(occurrence_id)
    try:
        if parts is not None:
            return _Key(parts[0], from_us(parts[1]))
    except OverflowError:
        pass
    raise NotFound(f"{occurrence_id!r} is no id of an occurrence")


def _run_of(located: _Located) -> tuple[str, date]:
    return located.file.base, located.file.day


def _day(time_: datetime) -> date:
    return time_.astimezone(UTC).date()


def _before(day: date) -> date:
    return max(day, date.min + _DAY) - _DAY


def _after(day: date) -> date:
    return min(day, date.max - 2 * _DAY) + 2 * _DAY


def _fields(shape: Shape, row: Row) -> dict[str, Any]:
    """A row of `columns_of` by its columns, with its times as times."""
    return {
        column.name: from_us(value) if column.kind == "time" and value is not None else value
        for column, value in zip(shape.columns, row, strict=True)
    }


def _delivery_of(row: Row) -> StoredDelivery:
    fields: Any = SimpleNamespace(**_fields(DELIVERIES, row))
    fields.log = msgspec.json.decode(fields.log)
    return delivery_of(fields)
