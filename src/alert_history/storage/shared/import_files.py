"""Files that imports bring to archives: each is counted in the transaction that says so, and so once."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import bindparam, delete, null, select, update
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.archive_tables import ALERTS, Row
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.setting_aside import changes_of
from alert_history.ports.import_files import Beside, ImportFile, Parted
from alert_history.ports.imports import ImportRecord
from alert_history.storage.shared.dropped import note_dropped
from alert_history.storage.shared.imports import Taking
from alert_history.storage.shared.rollup_log import add_changes
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.session import Row as StoredRow
from alert_history.storage.shared.tables import alerts, import_files

_F = import_files.c
_IS_IT = (_F.import_id == bindparam("of_id"), _F.path == bindparam("of_path"))
_ANNOUNCE = insert(import_files)
_ANNOUNCE = _ANNOUNCE.on_conflict_do_update(
    index_elements=["import_id", "path"],
    set_={name: _ANNOUNCE.excluded[name] for name in ("place", "state", "rows", "again", "changes")},
)
_FIND = select(import_files).where(*_IS_IT)
_COUNTED = update(import_files).where(*_IS_IT).values(state="counted", changes=null())
_LEAVING = update(import_files).where(*_IS_IT).values(state="leaving", changes=bindparam("new_changes"))
_FORGET = delete(import_files).where(*_IS_IT)
_OF_IMPORT = select(import_files).where(_F.import_id == bindparam("of_id")).order_by(_F.path)
_UNSETTLED = select(import_files).where(_F.place == bindparam("of_place"), _F.state != "counted").order_by(_F.path)
_STORED = select(alerts.c.fingerprint, alerts.c.starts_at).where(
    alerts.c.starts_at >= bindparam("first"), alerts.c.starts_at <= bindparam("last")
)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[bytes]).decode


class SharedImportFiles:
    """See `ports.ImportFiles`."""

    def __init__(self, database: Database, taking: Taking) -> None:
        self._database = database
        self._taking = taking

    async def part(
        self,
        record: ImportRecord,
        groups: Sequence[Sequence[PastFiring]],
        *,
        now: datetime,
        beside: Beside,
        is_dry_run: bool = False,
    ) -> Parted:
        """See `ports.ImportFiles.part`."""
        return await self._taking.take(record, groups, now=now, is_dry_run=is_dry_run, beside=beside)

    async def announce(self, file: ImportFile, changes: Sequence[bytes], *, last_sign: datetime | None) -> None:
        """See `ports.ImportFiles.announce`."""
        await self._database.write(_announce, file, changes, last_sign)

    async def withdraw(self, file: ImportFile, rows: Sequence[Row]) -> None:
        """See `ports.ImportFiles.withdraw`."""
        await self._database.write(_withdraw, file, rows)

    async def settle(self, file: ImportFile) -> None:
        """See `ports.ImportFiles.settle`."""
        await self._database.write(_settle, file)

    async def forget(self, file: ImportFile) -> None:
        """See `ports.ImportFiles.forget`."""
        await self._database.write(_forget, file)

    async def of_import(self, import_id: str) -> list[ImportFile]:
        """See `ports.ImportFiles.of_import`."""
        return await self._database.read_latest(_of_import, import_id)

    async def unsettled(self, place: str) -> list[ImportFile]:
        """See `ports.ImportFiles.unsettled`."""
        return await self._database.read_latest(_unsettled, place)


async def _announce(session: Session, file: ImportFile, changes: Sequence[bytes], last_sign: datetime | None) -> None:
    await session.execute(_ANNOUNCE, **msgspec.structs.asdict(file) | {"changes": _encode(list(changes))})
    if last_sign is not None:
        await note_dropped(session, last_sign)


async def _withdraw(session: Session, file: ImportFile, rows: Sequence[Row]) -> None:
    """What came back lies in the day of the file, so few rows of the database are looked at."""
    starts = [row[ALERTS.places["starts_at"]] for row in rows]
    stored = await session.fetch(_STORED, first=min(starts), last=max(starts)) if starts else []
    keys = {(row.fingerprint, row.starts_at) for row in stored}
    again = set(file.again)
    leaving = [(row, number in again) for number, row in enumerate(rows) if ALERTS.values(row, ALERTS.key) not in keys]
    changes = _encode(changes_of(leaving, sign=-1))
    await session.execute(_LEAVING, of_id=file.import_id, of_path=file.path, new_changes=changes)


async def _settle(session: Session, file: ImportFile) -> None:
    key = {"of_id": file.import_id, "of_path": file.path}
    [row] = await session.fetch(_FIND, **key) or [None]
    if row is None or row.state == "counted":
        return
    for changes in _decode(row.changes):
        await add_changes(session, changes)
    await session.execute(_COUNTED if row.state == "coming" else _FORGET, **key)


async def _forget(session: Session, file: ImportFile) -> None:
    await session.execute(_FORGET, of_id=file.import_id, of_path=file.path)


async def _of_import(session: Session, import_id: str) -> list[ImportFile]:
    return [_file_of(row) for row in await session.fetch(_OF_IMPORT, of_id=import_id)]


async def _unsettled(session: Session, place: str) -> list[ImportFile]:
    return [_file_of(row) for row in await session.fetch(_UNSETTLED, of_place=place)]


def _file_of(row: StoredRow) -> ImportFile:
    return ImportFile(**{name: getattr(row, name) for name in ImportFile.__struct_fields__})
