"""Who sent requests lately: receipts by their ids, which follow the time, so a span is a range of the key."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import Integer, Text, bindparam, func, select

from alert_history.domain.receipt import RANDOM_ID_BYTES, time_ordered_id
from alert_history.ports.senders import AcceptedRequest, RefusedAlerts
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import UtcTime, quarantine, receipts

_NO_RANDOMNESS = bytes(RANDOM_ID_BYTES)
_SLACK = timedelta(minutes=1)

_R, _Q = receipts.c, quarantine.c
_SINCE, _MOST = bindparam("since", type_=UtcTime()), bindparam("most", type_=Integer())
_REQUESTS = (
    select(
        _R.received_at,
        _R.source,
        _R.receiver,
        _R.external_url,
        _R.path,
        _R.received,
        _R.quarantined,
        _R.truncated_alerts.label("truncated"),
    )
    .where(
        _R.id >= bindparam("first", type_=Text()),
        _R.id < bindparam("end", type_=Text()),
        _R.received_at >= _SINCE,  # names the partitions to PostgreSQL
        _R.received_at < bindparam("until", type_=UtcTime()),
    )
    .order_by(_R.id.desc())
    .limit(_MOST)
)
_newest = (
    select(_Q.reason, _Q.source, _Q.received_at)
    .where(_Q.received_at >= _SINCE)
    .order_by(_Q.received_at.desc())
    .limit(_MOST)
    .subquery("newest")
)
_number = func.count().label("number")
_REFUSED = (
    select(_newest.c.reason, _newest.c.source, _number, func.max(_newest.c.received_at).label("last_at"))
    .group_by(_newest.c.reason, _newest.c.source)
    .order_by(_number.desc(), _newest.c.reason, _newest.c.source)
)


class SharedSenders:
    """See `ports.Senders`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def requests(self, edges: Sequence[datetime], *, most: int) -> list[list[AcceptedRequest]]:
        """See `ports.Senders.requests`."""
        return await self._database.read(_requests, edges, most)

    async def refused(self, since: datetime, *, most: int) -> list[RefusedAlerts]:
        """See `ports.Senders.refused`."""
        return await self._database.read(_refused, since, most)


async def _requests(session: Session, edges: Sequence[datetime], most: int) -> list[list[AcceptedRequest]]:
    return [await _between(session, since, until, most) for since, until in pairwise(edges)]


async def _between(session: Session, since: datetime, until: datetime, most: int) -> list[AcceptedRequest]:
    first, end = (time_ordered_id(edge, randomness=_NO_RANDOMNESS) for edge in (since, until))
    span = {"first": first, "end": end, "since": since - _SLACK, "until": until + _SLACK}
    return [_request_of(row) for row in await session.fetch(_REQUESTS, most=most, **span)]


def _request_of(row: Row) -> AcceptedRequest:
    return AcceptedRequest(*row)


async def _refused(session: Session, since: datetime, most: int) -> list[RefusedAlerts]:
    return [RefusedAlerts(*row) for row in await session.fetch(_REFUSED, since=since, most=most)]
