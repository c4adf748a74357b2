"""The history with what left it for archives, as one: pages, exports, and an occurrence by its id.

An occurrence that the database has is the database's, whatever an archive says of it. In a descending order those of
the database come first among equals, in an ascending one last, so that a page can be read from both ends.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import timedelta

import msgspec
import structlog

from alert_history.domain.microseconds import to_us
from alert_history.engine.history import key_of
from alert_history.engine.united_cursor import UnitedPlace, decode_place, encode_place
from alert_history.engine.united_order import Halves, behind, further, merged, previous, sort_value, stopped_at
from alert_history.engine.united_total import UnitedTotal
from alert_history.errors import ArchiveFault, InvalidQuery, NotFound, QueryTimeout, SettingLacking
from alert_history.ports import (
    ALL_REFUSED,
    ArchivedRecords,
    ArchivedRows,
    ArchivedSearch,
    Feed,
    History,
    HistoryFilter,
    HistoryPage,
    PageRequest,
    Position,
    QuarantinedAlert,
    QuarantineFilter,
    QuarantinePage,
    Store,
    StoredAlert,
    StoredEvent,
)

_TICK = timedelta(microseconds=1)
_NOTHING = HistoryPage([], 0, is_total_exact=True, next_cursor=None)
_ARCHIVE_OVER = ArchivedRows((), is_last=True)
_MOST_STEPS = 50
"""So often archived rows are read anew for one page because the database has them all: after a large restore."""

_log = structlog.get_logger()


def with_archive(store: Store) -> Store:
    """The store whose history answers from archives, too, where it is asked to."""
    return msgspec.structs.replace(
        store,
        history=UnitedHistory(store.history, store.feed, search=store.archived_search, records=store.archived_records),
    )


class UnitedHistory:
    """See `ports.History`."""

    def __init__(self, history: History, feed: Feed, *, search: ArchivedSearch, records: ArchivedRecords) -> None:
        self._history = history
        self._feed = feed
        self._search = search
        self._records = records
        self._total = UnitedTotal(history, search)

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        """See `ports.History.page`. `offset` is for the database alone."""
        if not wanted.includes_archive:
            return await self._history.page(wanted, page)
        if page.offset:
            raise InvalidQuery("offset: with the archive there is a cursor only")
        place = UnitedPlace() if page.cursor is None else decode_place(page.cursor, page.sort)
        halves = await self._halves(wanted, page, place)
        rows = merged(halves, page)
        total, is_exact = await self._total.total(wanted, page, halves)
        following = await self._following(wanted, page, place=place, halves=halves, rows=rows)
        return HistoryPage(
            alerts=rows,
            total=max(total, len(rows)),
            is_total_exact=is_exact,
            next_cursor=None if following.is_over else encode_place(following, page.sort),
            searched_until=stopped_at(halves),
            previous_cursor=previous(halves, page, place) if rows else None,
        )

    async def find(self, occurrence_id: str) -> StoredAlert:
        """See `ports.History.find`."""
        try:
            return await self._history.find(occurrence_id)
        except NotFound as absence:
            try:
                return await self._records.find(occurrence_id)
            except (SettingLacking, ArchiveFault) as error:
                _log.warning("archive not read", error=str(error))
                reason = str(error) if isinstance(error, SettingLacking) else "the archive can't be read now"
                raise NotFound(f"{absence}; {reason}") from error

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """See `ports.History.timeline`. The database's events, where it has some."""
        events = await self._history.timeline(occurrence_id, newest=newest)
        if events:
            return events
        return await self._records.timeline(occurrence_id, newest=newest)

    async def quarantine(
        self, *, limit: int, cursor: str | None, wanted: QuarantineFilter = ALL_REFUSED
    ) -> QuarantinePage:
        """See `ports.History.quarantine`."""
        return await self._history.quarantine(limit=limit, cursor=cursor, wanted=wanted)

    async def quarantined(self, id_: str) -> QuarantinedAlert:
        """See `ports.History.quarantined`."""
        return await self._history.quarantined(id_)

    async def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """See `ports.History.export`. What a run archives meanwhile may be missed, or come twice."""
        if not wanted.includes_archive:
            async with aclosing(self._history.export(wanted, batch_size=batch_size)) as batches:  # type: ignore[type-var]  # a generator
                async for batch in batches:
                    yield batch
            return
        united: list[StoredAlert] = []
        async with (
            aclosing(_Reader(self._history.export(wanted, batch_size=batch_size))) as database,
            aclosing(_Reader(self._archived(wanted, batch_size=batch_size))) as archive,
        ):
            await database.first()  # its snapshot begins before the archives are listed
            while (alert := await _next_of(archive, database)) is not None:
                united.append(alert)
                if len(united) == batch_size:
                    yield united
                    united = []
        if united:
            yield united

    async def _archived(self, wanted: HistoryFilter, *, batch_size: int) -> AsyncIterator[list[StoredAlert]]:
        """What archives alone have, oldest first."""
        async with aclosing(self._search.export(wanted, batch_size=batch_size)) as batches:  # type: ignore[type-var]  # a generator
            async for batch in batches:
                yield await self._absent(batch)

    async def _absent(self, alerts: Sequence[StoredAlert]) -> list[StoredAlert]:
        """Those of some archived alerts that the database does not have."""
        present = await self._feed.alerts([key_of(alert.id) for alert in alerts])
        return [alert for alert in alerts if key_of(alert.id) not in present]

    async def _halves(self, wanted: HistoryFilter, page: PageRequest, place: UnitedPlace) -> Halves:
        of_database = msgspec.structs.replace(page, cursor=place.database)
        if place.is_database_over:  # its total is asked for all the same
            of_database = msgspec.structs.replace(page, cursor=None, limit=1)
        database, archive = await asyncio.gather(
            self._history.page(wanted, of_database), self._archived_rows(wanted, page, place)
        )
        if place.is_database_over:
            database = msgspec.structs.replace(_NOTHING, total=database.total, is_total_exact=database.is_total_exact)
        return Halves(database, archive)

    async def _archived_rows(self, wanted: HistoryFilter, page: PageRequest, place: UnitedPlace) -> ArchivedRows:
        """The next rows of the archives, as many as a page has, without those that the database has."""
        if place.is_archive_over:
            return _ARCHIVE_OVER
        alerts: list[StoredAlert] = []
        after, limit = place.archive, page.limit
        for _ in range(_MOST_STEPS):
            rows = await self._search.rows(wanted, sort=page.sort, limit=limit, after=after)
            alerts += await self._absent(rows.alerts)
            if rows.is_last or rows.stopped_at is not None or len(alerts) >= page.limit:
                if len(alerts) > page.limit:
                    return ArchivedRows(alerts[: page.limit], is_last=False)
                return ArchivedRows(alerts, rows.is_last, rows.stopped_at)
            after, limit = behind(rows.alerts[-1], page.sort), 1_000
        raise QueryTimeout("the database has most of what the archive has of that time; ask without the archive")

    async def _following(
        self,
        wanted: HistoryFilter,
        page: PageRequest,
        *,
        place: UnitedPlace,
        halves: Halves,
        rows: Sequence[StoredAlert],
    ) -> UnitedPlace:
        """Where the next page begins."""
        database, is_database_over = await self._database_following(wanted, page, place, halves, rows)
        archived = [alert for alert in rows if alert.is_archived]
        is_all = len(archived) == len(halves.archive.alerts)
        archive = behind(archived[-1], page.sort) if archived else place.archive
        if is_all and halves.archive.stopped_at is not None:
            archive = Position(to_us(halves.archive.stopped_at - _TICK))
        elif rows and not rows[-1].is_archived:
            archive = further(archive, Position(sort_value(rows[-1], page.sort)), page.sort)
        return UnitedPlace(database, archive, is_database_over, is_all and halves.archive.is_last)

    async def _database_following(
        self,
        wanted: HistoryFilter,
        page: PageRequest,
        place: UnitedPlace,
        halves: Halves,
        rows: Sequence[StoredAlert],
    ) -> tuple[str | None, bool]:
        """The cursor of the database behind its last row on a page, and whether none follows."""
        count, answer = sum(not alert.is_archived for alert in rows), halves.database
        if place.is_database_over or (count == len(answer.alerts) and answer.next_cursor is None):
            return None, True
        if count == len(answer.alerts):
            return answer.next_cursor, False
        if not count:
            return place.database, False
        shorter = msgspec.structs.replace(page, cursor=place.database, limit=count)  # only the database makes cursors
        cursor = (await self._history.page(wanted, shorter)).next_cursor
        return cursor, cursor is None


class _Reader:
    """Batches, one alert at a time."""

    def __init__(self, batches: AsyncIterator[list[StoredAlert]]) -> None:
        self._batches = batches
        self._alerts: list[StoredAlert] = []
        self._at = 0
        self._is_over = False

    async def first(self) -> StoredAlert | None:
        """The alert that is next; None at the end."""
        while self._at == len(self._alerts) and not self._is_over:
            batch = await anext(self._batches, None)
            self._alerts, self._at, self._is_over = batch or [], 0, batch is None
        return None if self._is_over else self._alerts[self._at]

    def take(self) -> None:
        """Go on to the one behind it."""
        self._at += 1

    async def aclose(self) -> None:
        """End the batches."""
        await self._batches.aclose()  # type: ignore[attr-defined]  # a generator


async def _next_of(archive: _Reader, database: _Reader) -> StoredAlert | None:
    """The older of the next two."""
    archived, stored = await archive.first(), await database.first()
    is_archived = archived is not None and (stored is None or archived.timestamp <= stored.timestamp)
    (archive if is_archived else database).take()
    return archived if is_archived else stored
