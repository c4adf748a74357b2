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


_R, _B = receipts.c, receipt_bodies.c
_NEWEST = (
    select(_R.received_at, _R.body_sha256, _R.body_bytes)
    .where(
        _R.id >= bindparam("first_id", type_=Text()),
        _R.id < bindparam("last_id", type_=Text()),
        _R.received_at >= bindparam("since", type_=UtcTime()),
        _R.received_at <= bindparam("until", type_=UtcTime()),
        _R.source == literal_column("'prometheus'", Text),
    )
    .order_by(_R.id.desc())
    .limit(bindparam("most", type_=Integer()))
)
_BODY = select(_B.body).where(
    and_(_B.sha256 == bindparam("of_sha256"), _B.received_on == bindparam("of_day", type_=UtcTime()))
)


async def read_posts(
    session: Session, span: tuple[datetime, datetime], most: int, most_bytes: int
) -> list[tuple[datetime, bytes]]:
    """When each post was received, and its body as it is kept; newest first. The span includes both of its times."""
    since, until = span
    rows = await session.fetch(
        _NEWEST,
        first_id=lowest_uuid7(since),
        last_id=lowest_uuid7(until + _MILLISECOND),
        since=since,
        until=until,
        most=most,
    )
    posts: list[tuple[datetime, bytes]] = []
    for row in _within(rows, most_bytes):
        day = row.received_at.replace(hour=0, minute=0, second=0, microsecond=0)
        bodies = await session.fetch(_BODY, of_sha256=row.body_sha256, of_day=day)
        posts += [(row.received_at, body.body) for body in bodies]
    return posts


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
