"""Reads the bodies that senders posted to `/api/v2/alerts`. Ids of receipts follow the time, so its range is theirs."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from sqlalchemy import Integer, Text, and_, bindparam, literal_column, select

from alert_history.ids import lowest_uuid7
from alert_history.ports.moments import Post
from alert_history.storage.shared.session import Row, Session
from alert_history.storage.shared.tables import UtcTime, receipt_bodies, receipts
from alert_history.zstd import decompress

_MILLISECOND = timedelta(milliseconds=1)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)

_R, _B = receipts.c, receipt_bodies.c
_IN_SPAN = and_(
    _R.id >= bindparam("first_id", type_=Text()),
    _R.id < bindparam("last_id", type_=Text()),
    _R.received_at >= bindparam("since", type_=UtcTime()),
    _R.received_at <= bindparam("until", type_=UtcTime()),
    _R.source == literal_column("'prometheus'", Text),
)
_NEWEST = (
    select(_R.id, _R.received_at, _R.body_bytes)
    .where(_IN_SPAN)
    .order_by(_R.id.desc())
    .limit(bindparam("most", type_=Integer()))
)
_BODIES = (
    select(_R.received_at, _B.body)
    .join_from(receipts, receipt_bodies, _B.sha256 == _R.body_sha256)
    .where(_IN_SPAN, _B.received_on == bindparam("of_day", type_=UtcTime()))
    .order_by(_R.id.desc())
)


async def read_posts(
    session: Session, span: tuple[datetime, datetime], most: int, most_bytes: int
) -> list[tuple[datetime, bytes]]:
    """When each post was received, and its body as it is kept; newest first. The span includes both of its times.

    Bodies are kept by day: all of a day are read at once.
    """
    since, until = span
    times = {"first_id": lowest_uuid7(since), "last_id": lowest_uuid7(until + _MILLISECOND), "since": since}
    rows = list(_within(await session.fetch(_NEWEST, **times, until=until, most=most), most_bytes))
    posts: list[tuple[datetime, bytes]] = []
    for day in dict.fromkeys(_day(row.received_at) for row in rows):
        last = min(until, day + _DAY - _MICROSECOND)
        of_day = {**times, "first_id": rows[-1].id, "since": max(since, day)}
        bodies = await session.fetch(_BODIES, **of_day, until=last, of_day=day)
        posts += [(row.received_at, row.body) for row in bodies]
    return posts


def _day(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def unpacked(posts: Iterable[tuple[datetime, bytes]]) -> list[Post]:
    """The posts with their bodies as they came."""
    return [Post(received_at, decompress(body)) for received_at, body in posts]


def _within(rows: Iterable[Row], most_bytes: int) -> Iterator[Row]:
    total = 0
    for row in rows:
        total += row.body_bytes
        if total > most_bytes:
            return
        yield row
