"""Rows of an archive that a later run archived anew: restored, changed, and archived again. The newest one counts.

An occurrence keeps the time under which it is filed, so only files of one day, from different runs, hold it twice.
Files never change: what was found out of a day is remembered as long as its files are the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from alert_history.domain.archive_tables import ALERTS
from alert_history.storage.archived.conditions import FILES, ROW, Part, rows_of
from alert_history.storage.archived.duck import Duck, Question
from alert_history.storage.archived.files import ArchiveFile, ArchiveFiles

_FILES_AT_ONCE = 64
_MOST_DAYS = 20_000

Day = tuple[ArchiveFile, ...]


class Place(NamedTuple):
    """Where a row stands."""

    file: ArchiveFile
    row: int


class Doubles:
    """Finds rows that do not count any more."""

    def __init__(self, files: ArchiveFiles, duck: Duck) -> None:
        self._files = files
        self._duck = duck
        self._known: dict[Day, list[Place]] = {}

    async def among(self, files: Sequence[ArchiveFile]) -> list[Place]:
        """The rows in these files, which are whole days in order, that do not count."""
        days = [day for day in days_in(files) if len({file.run for file in day}) > 1]
        unknown = [day for day in days if day not in self._known]
        for some in _portions(unknown):
            await self._look(some)
        return [place for day in days for place in self._known[day]]

    async def _look(self, days: Sequence[Day]) -> None:
        files = [file for day in days for file in day]
        paths = await self._files.opened(sorted(files, key=lambda file: file.base))
        found: dict[ArchiveFile, list[int]] = {}
        statement = _statement(list(paths))
        for path, row in await self._duck.ask(Question(statement.sql, statement.values, list(paths))):
            found.setdefault(paths[path], []).append(row)
        if len(self._known) + len(days) > _MOST_DAYS:
            self._known.clear()
        for day in days:
            self._known[day] = [Place(file, row) for file in day for row in found.get(file, ())]


def days_in(files: Iterable[ArchiveFile]) -> list[Day]:
    """Files in order, by their days."""
    return [tuple(group) for _, group in groupby(files, key=lambda file: file.day)]


def without(rows: Part, places: Iterable[Place], paths: Mapping[ArchiveFile, str]) -> Part:
    """Rows without those of some places."""
    return _beside(rows, "ANTI", places, paths)


def only(rows: Part, places: Iterable[Place], paths: Mapping[ArchiveFile, str]) -> Part:
    """The rows of some places."""
    return _beside(rows, "SEMI", places, paths)


def _beside(rows: Part, kind: str, places: Iterable[Place], paths: Mapping[ArchiveFile, str]) -> Part:
    pairs = [(paths[place.file], place.row) for place in places]
    if not pairs and kind == "ANTI":
        return rows
    others = f"SELECT unnest(?::VARCHAR[]) AS {FILES}, unnest(?::BIGINT[]) AS {ROW}"
    values = [*rows.values, [path for path, _ in pairs], [row for _, row in pairs]]
    return Part(f"SELECT * FROM ({rows.sql}) {kind} JOIN ({others}) USING ({FILES}, {ROW})", values)


def _statement(paths: Sequence[str]) -> Part:
    """The rows that are older than another of the same occurrence; `paths` are sorted by their runs.

    Hashes are compared first, because few occurrences come twice.
    """
    rows = rows_of(ALERTS, paths)
    more_than_once = f"SELECT hash(fingerprint, starts_at) AS h FROM ({rows.sql}) GROUP BY h HAVING count(*) > 1"
    place = f"row_number() OVER (PARTITION BY fingerprint, starts_at ORDER BY list_position(?, {FILES}) DESC)"
    suspects = (
        f"SELECT {FILES}, {ROW}, {place} AS newer FROM ({rows.sql}) "
        f"WHERE hash(fingerprint, starts_at) IN ({more_than_once})"
    )
    values = [list(paths), *rows.values, *rows.values]
    return Part(f"SELECT {FILES}, {ROW} FROM ({suspects}) WHERE newer > 1", values)


def _portions(days: Sequence[Day]) -> Iterable[list[Day]]:
    """Days, so many at once that their files are few."""
    portion: list[Day] = []
    for day in days:
        if portion and sum(map(len, portion)) + len(day) > _FILES_AT_ONCE:
            yield portion
            portion = []
        portion.append(day)
    if portion:
        yield portion
