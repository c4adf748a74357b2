"""Configurations of Alertmanagers, kept as versions. Whoever brings one has masked its secrets."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Integer, Text, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from alert_history.ports.moments import StoredConfiguration
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import Json, UtcTime, configuration_versions
from alert_history.zstd import compress, decompress

_V = configuration_versions.c
_CLUSTER, _MOST = bindparam("of_cluster", type_=Text()), bindparam("most", type_=Integer())
_OF_CLUSTER = select(configuration_versions).where(_V.cluster == _CLUSTER).order_by(_V.since.desc()).limit(_MOST)
_newest = (
    select(_V.cluster, func.max(_V.since).label("since"))
    .where(_V.since <= bindparam("at", type_=UtcTime()))
    .group_by(_V.cluster)
    .subquery("newest")
)
_AT = (
    select(configuration_versions)
    .join(_newest, (_V.cluster == _newest.c.cluster) & (_V.since == _newest.c.since))
    .order_by(_V.cluster)
)
_ADD = insert(configuration_versions).on_conflict_do_nothing()
_SEE = (
    update(configuration_versions)
    .where(_V.cluster == _CLUSTER, _V.since == bindparam("of_since", type_=UtcTime()))
    .where(_V.seen_at <= bindparam("now_seen_at", type_=UtcTime()))
    .values(seen_at=bindparam("now_seen_at", type_=UtcTime()), facts=bindparam("now_facts", type_=Json()))
)


class SharedConfigurations:
    """See `ports.Configurations`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, seen: Sequence[StoredConfiguration]) -> None:
        """See `ports.Configurations.keep`."""
        packed = [(each, compress(each.original.encode())) for each in seen]
        await self._database.write(_keep, packed)

    async def at(self, at: datetime) -> Sequence[StoredConfiguration]:
        """See `ports.Configurations.at`."""
        rows = await self._database.read(_at, at)
        return await asyncio.to_thread(lambda: list(map(_configuration_of, rows)))

    async def versions(self, cluster: str, *, limit: int) -> Sequence[StoredConfiguration]:
        """See `ports.Configurations.versions`."""
        rows = await self._database.read(_versions, cluster, limit)
        return await asyncio.to_thread(lambda: list(map(_configuration_of, rows)))


async def _keep(session: Session, seen: Sequence[tuple[StoredConfiguration, bytes]]) -> None:
    for each, packed in seen:
        newest = await session.fetch(_OF_CLUSTER, of_cluster=each.cluster, most=1)
        if newest and _text_of(newest[0]) == each.original:
            await session.execute(
                _SEE,
                of_cluster=each.cluster,
                of_since=newest[0].since,
                now_seen_at=each.seen_at,
                now_facts=each.facts,
            )
        elif not newest or newest[0].since < each.since:
            row = msgspec.structs.asdict(each) | {"original": packed}
            await session.execute(_ADD, **row)


async def _at(session: Session, at: datetime) -> list[Row]:
    return await session.fetch(_AT, at=at)


async def _versions(session: Session, cluster: str, most: int) -> list[Row]:
    return await session.fetch(_OF_CLUSTER, of_cluster=cluster, most=most)


def _text_of(row: Row) -> str:
    return decompress(row.original).decode()


def _configuration_of(row: Row) -> StoredConfiguration:
    return StoredConfiguration(row.cluster, row.since, row.seen_at, _text_of(row), row.facts)
