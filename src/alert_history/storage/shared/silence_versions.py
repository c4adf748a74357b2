"""Versions of silences. Recorders keep those that an event recorder sends in the transaction of its request."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Text, and_, bindparam, delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.silence_versions import to_keep, version_key
from alert_history.storage.shared import reads
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import UtcTime, silence_versions

_V = silence_versions.c
_N = silence_versions.alias("newer")
_AT = bindparam("at", type_=UtcTime())

_KNOWN = select(_V.id, _V.updated_at, _V.cluster).where(is_among(_V.id, "ids"))
_ADD = insert(silence_versions).on_conflict_do_nothing()
_is_named = exists(select(_N.c.id).where(_N.c.id == _V.id, _N.c.updated_at == _V.updated_at, _N.c.cluster != ""))
_NAMELESS = and_(_V.id == bindparam("of_id", type_=Text()), _V.cluster == "")
_NAME = update(silence_versions).where(_NAMELESS, ~_is_named).values(cluster=bindparam("new_cluster", type_=Text()))
_DROP_NAMELESS = delete(silence_versions).where(_NAMELESS, _is_named)
_is_superseded = exists(
    select(_N.c.id).where(
        _N.c.id == _V.id,
        _N.c.updated_at > _V.updated_at,
        _N.c.updated_at <= _AT,
        or_(_N.c.cluster == _V.cluster, _N.c.cluster == "", _V.cluster == ""),
    )
)
_IN_FORCE = (
    select(silence_versions)
    .where(_V.ends_at > bindparam("ended_since", type_=UtcTime()), _V.updated_at <= _AT, ~_is_superseded)
    .order_by(_V.id, _V.updated_at, _V.cluster)
    .limit(bindparam("most", type_=Integer()))
)
_OF = select(silence_versions).where(is_among(_V.id, "ids")).order_by(_V.id, _V.updated_at, _V.cluster)


class SharedSilenceVersions:
    """See `ports.SilenceVersions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, versions: Sequence[SilenceVersion]) -> None:
        """See `ports.SilenceVersions.keep`."""
        if versions:
            await self._database.write(keep_versions, versions)

    async def at(self, at: datetime, *, ended_since: datetime, limit: int) -> Sequence[SilenceVersion]:
        """See `ports.SilenceVersions.at`."""
        return await self._database.read(_in_force, at, ended_since, limit)

    async def of(self, ids: Collection[str]) -> Sequence[SilenceVersion]:
        """See `ports.SilenceVersions.of`."""
        return await self._database.read(_of, sorted(each for each in ids if reads.is_storable(each)))


async def keep_versions(session: Session, versions: Sequence[SilenceVersion]) -> None:
    """Keep versions that are new, and name the clusters that are learnt; see `domain.silence_versions`."""
    rows = await session.fetch(_KNOWN, ids=sorted({version.silence.id for version in versions}))
    keeping = to_keep(versions, [(row.id, row.updated_at, row.cluster) for row in rows])
    for id_, cluster in sorted(keeping.named.items()):
        await session.execute(_NAME, of_id=id_, new_cluster=cluster)
        await session.execute(_DROP_NAMELESS, of_id=id_)
    await session.execute_many(_ADD, [_row_of(version) for version in sorted(keeping.added, key=version_key)])


async def _in_force(session: Session, at: datetime, ended_since: datetime, limit: int) -> list[SilenceVersion]:
    rows = await session.fetch(_IN_FORCE, at=at, ended_since=ended_since, most=limit + 1)
    return _each_once(rows)


async def _of(session: Session, ids: list[str]) -> list[SilenceVersion]:
    return _each_once(await session.fetch(_OF, ids=ids))


def _each_once(rows: Iterable[Row]) -> list[SilenceVersion]:
    """Each version once, in the order of the rows: two replicas may have written it, one without the cluster."""
    chosen: dict[Any, SilenceVersion] = {}
    for row in rows:  # the one without a cluster comes first
        nameless = (row.id, row.updated_at, "")
        chosen.pop(nameless, None)
        chosen[row.id, row.updated_at, row.cluster] = _version_of(row)
    return list(chosen.values())


def _row_of(version: SilenceVersion) -> dict[str, Any]:
    silence = version.silence
    return {
        "id": silence.id,
        "updated_at": silence.updated_at,
        "cluster": version.cluster,
        "matchers": silence.matchers,
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "created_by": silence.created_by,
        "comment": silence.comment,
        "known_at": version.known_at,
    }


def _version_of(row: Row) -> SilenceVersion:
    silence = Silence(row.id, row.matchers, row.starts_at, row.ends_at, row.updated_at, row.created_by, row.comment)
    return SilenceVersion(silence, row.cluster, row.known_at)
