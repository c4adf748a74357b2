"""The feed: news of transactions, and its numbers.

A transaction adds its news to `news_log`, and it alone knows when it commits. One replica at a time, in a transaction
that takes the turn, moves the news that it sees into `feed`, and gives it the next numbers. So a transaction that
commits late gets later numbers, and whoever reads the feed in its order misses nothing. The newest row of the feed
stays, because the next numbers follow from it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, bindparam, cast, delete, func, insert, select

from alert_history.domain.microseconds import to_us
from alert_history.domain.news import News, read_news, written_news
from alert_history.domain.occurrence import Key
from alert_history.ports.feed import NumberedNews
from alert_history.ports.history import StoredAlert
from alert_history.storage.shared.elements import database_now, given, given_keys, take_turn
from alert_history.storage.shared.rows import alert_of
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import UtcTime, alerts, feed, news_log

_STEP_ROWS = 500
_READ_ROWS = 100

_L, _F = news_log.c, feed.c
_position = bindparam("position", type_=BigInteger())

_ADD = insert(news_log).values(number=bindparam("so_many"), news=bindparam("content"))
_TURN = select(take_turn("feed").label("is_ours"))
_ANY = select(_L.id).limit(1)
_OLDEST = select(_L.id).order_by(_L.id).limit(_STEP_ROWS)
_NEWEST = select(_F.position).order_by(_F.position.desc()).limit(1)
_IDS = select(cast(given("ids").c.value, BigInteger))
_NUMBER = insert(feed).from_select(
    ["position", "at", "number", "news"],
    select(
        _position + cast(func.sum(_L.number).over(order_by=_L.id), BigInteger), database_now(), _L.number, _L.news
    ).where(_L.id.in_(_IDS)),
)
_REMOVE = delete(news_log).where(_L.id.in_(_IDS))
_AFTER = (
    select(_F.position, _F.number, _F.news, _F.at)
    .where(_F.position > _position)
    .order_by(_F.position)
    .limit(bindparam("limit", type_=Integer()))
)
_UP_TO = (
    select(_F.position)
    .where(
        (_F.at < bindparam("before", type_=UtcTime())) | (_F.position <= bindparam("too_old", type_=BigInteger())),
        _F.position < bindparam("newest", type_=BigInteger()),
    )
    .order_by(_F.position)
    .limit(_STEP_ROWS)
)
_FORGET = delete(feed).where(_F.position <= _position)
_KEYS = given_keys("keys")
_ALERTS: Any = select(*alerts.c).join(
    _KEYS, (alerts.c.fingerprint == _KEYS.c.fingerprint) & (alerts.c.starts_at == _KEYS.c.starts_at)
)


class SharedFeed:
    """See `ports.Feed`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def number(self) -> int:
        """See `ports.Feed.number`."""
        if not await self._database.read_latest(_is_waiting):
            return 0
        return await self._database.write_aside(_number)

    async def newest(self) -> int:
        """See `ports.Feed.newest`."""
        return await self._database.read_latest(_newest)

    async def after(self, number: int, *, most: int) -> Sequence[NumberedNews]:
        """See `ports.Feed.after`."""
        return await self._database.read_latest(_after, number, most)

    async def forget(self, before: datetime, *, most: int) -> int:
        """See `ports.Feed.forget`."""
        return await self._database.write_aside(_forget, before, most)

    async def alerts(self, keys: Collection[Key]) -> Mapping[Key, StoredAlert]:
        """See `ports.Feed.alerts`."""
        return await self._database.read_latest(_alerts, keys) if keys else {}


async def add_news(session: Session, news: Sequence[News]) -> None:
    """Add news of a transaction, which waits for its numbers from the commit on."""
    if news:
        await session.execute(_ADD, so_many=len(news), content=written_news(news))


async def _is_waiting(session: Session) -> bool:
    return bool(await session.fetch(_ANY))


async def _newest(session: Session) -> int:
    return next((row.position for row in await session.fetch(_NEWEST)), 0)


async def _number(session: Session) -> int:
    """The rows to number are named by their ids: between two statements a transaction may commit an earlier one."""
    [(is_ours,)] = await session.fetch(_TURN)
    if not is_ours:
        return 0
    ids = [str(row.id) for row in await session.fetch(_OLDEST)]
    if ids:
        await session.execute(_NUMBER, position=await _newest(session), ids=ids)
        await session.execute(_REMOVE, ids=ids)
    return len(ids)


async def _after(session: Session, number: int, most: int) -> list[NumberedNews]:
    """A transaction may have so much news that only a part is read: each thing has a number of its own."""
    numbered: list[NumberedNews] = []
    for row in await session.fetch(_AFTER, position=number, limit=min(_READ_ROWS, most)):
        numbers = range(row.position - row.number + 1, row.position + 1)
        several = zip(numbers, read_news(row.news), strict=True)
        numbered += [NumberedNews(n, news, row.at) for n, news in several if n > number]
        if len(numbered) >= most:
            break
    return numbered[:most]


async def _forget(session: Session, before: datetime, most: int) -> int:
    newest = await _newest(session)
    rows = await session.fetch(_UP_TO, before=before, too_old=newest - most, newest=newest)
    if rows:
        await session.execute(_FORGET, position=rows[-1].position)
    return len(rows)


async def _alerts(session: Session, keys: Collection[Key]) -> dict[Key, StoredAlert]:
    pairs = [[fingerprint, to_us(starts_at)] for fingerprint, starts_at in keys]
    rows = await session.fetch(_ALERTS, keys=pairs)
    return {(row.fingerprint, row.starts_at): alert_of(row._asdict()) for row in rows}
