"""Where old history went: what the command `archive` notes, for whoever looks for an alert that is no longer here."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from alert_history.domain.archive_tables import ALERTS, Manifest, day_of_path
from alert_history.domain.archived_days import ARCHIVES, ArchivedDays, archived_days
from alert_history.engine.history import key_of
from alert_history.errors import NotFound
from alert_history.ports import Clock, StoredSettings

_DAY = timedelta(days=1)


class Absence(msgspec.Struct, frozen=True):
    """Why an occurrence that began `at` a time may be unknown.

    `archived` are the archives that may hold it, the newest first. `is_forgotten`: history of that time is past its
    retention, which is `retention_days`. To be sure, restore from `first_day` to before `end_day`: clocks of senders
    differ.
    """

    at: datetime
    first_day: date
    end_day: date
    archived: Sequence[ArchivedDays]
    is_forgotten: bool
    retention_days: int


class Archives:
    """The archives of a database. Every call may raise StorageUnavailable."""

    def __init__(self, settings: StoredSettings, *, retention: timedelta, clock: Clock) -> None:
        self._settings = settings
        self._retention = retention
        self._clock = clock

    async def absence(self, occurrence_id: str) -> Absence:
        """Why an occurrence may be unknown. Raises NotFound where the id is no id of an occurrence."""
        at, first_day, end_day = _days_around(occurrence_id)
        archived = [each for each in await _noted(self._settings) if _may_hold(each, at.date())]
        archived.sort(key=lambda each: each.at, reverse=True)
        is_forgotten = at < self._clock() - self._retention
        return Absence(at, first_day, end_day, archived, is_forgotten, self._retention.days)


async def note_archived(settings: StoredSettings, manifest: Manifest, *, place: str, now: datetime) -> None:
    """Note what a run moved to a place; a run without occurrences changes nothing, and of two at once none is lost."""
    days = [day for note in manifest.files if note.table == ALERTS.name and (day := day_of_path(note.path)) is not None]
    if days:
        await note_days(settings, days, place=place, now=now)


async def note_days(settings: StoredSettings, days: Sequence[date], *, place: str, now: datetime) -> None:
    """Note that occurrences of these days lie at a place; of two calls at once none is lost."""
    await settings.change(
        ARCHIVES, lambda value: msgspec.to_builtins(_with_days(archived_days(value), days, place=place, now=now))
    )


async def archives_elsewhere(settings: StoredSettings, place: str, *, first_day: date, last_day: date) -> list[str]:
    """The other places that may hold occurrences of these days."""
    return [
        each.place
        for each in await _noted(settings)
        if each.place.rstrip("/") != place.rstrip("/") and each.first_day <= last_day and each.last_day >= first_day
    ]


def _with_days(known: Sequence[ArchivedDays], days: Sequence[date], *, place: str, now: datetime) -> list[ArchivedDays]:
    """What is known, with some days more in a place."""
    spans = [(each.first_day, each.last_day) for each in known if each.place == place]
    own = [*days, *(day for span in spans for day in span)]
    elsewhere = [each for each in known if each.place != place]
    return [*elsewhere, ArchivedDays(place, min(own), max(own), now)]


async def _noted(settings: StoredSettings) -> list[ArchivedDays]:
    return archived_days(await settings.read(ARCHIVES))


def _may_hold(archived: ArchivedDays, day: date) -> bool:
    """An archive files an occurrence under the day on which it was first received, which may be the next one."""
    return archived.first_day - _DAY <= day <= archived.last_day


def _days_around(occurrence_id: str) -> tuple[datetime, date, date]:
    """When an occurrence began, the day before, and the second day after. Raises NotFound."""
    try:
        at = key_of(occurrence_id)[1].astimezone(UTC)
        return at, at.date() - _DAY, at.date() + 2 * _DAY
    except OverflowError:
        raise NotFound(f"{occurrence_id!r} is of a time that is on no calendar") from None
