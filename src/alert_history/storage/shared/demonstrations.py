"""What the demo keeps beside what it sends: the routings and the settled deliveries of its past."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, Update, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from alert_history.ports import PastNews
from alert_history.storage.shared.elements import is_among, merged
from alert_history.storage.shared.rollup_log import add_settled
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import UtcTime, deliveries, events, receipts

OF_FINGERPRINT, OF_START = bindparam("of_fingerprint", type_=Text()), bindparam("of_start", type_=UtcTime())
"""What names the occurrence in the condition of `SharedDemonstrations`."""

_KEPT = select(receipts.c.id).where(is_among(receipts.c.id, "wanted"))
_KEPT_DELIVERIES = select(deliveries.c.id).where(is_among(deliveries.c.id, "wanted"))
_INSERT = insert(deliveries).on_conflict_do_nothing()


class SharedDemonstrations:
    """See `ports.Demonstrations`. `is_of_occurrence` picks the events of the occurrence `OF_FINGERPRINT`, `OF_START`.

    Each database keeps timelines its own way.
    """

    def __init__(self, database: Database, *, is_of_occurrence: ColumnElement[bool]) -> None:
        self._database = database
        self._route = _route(is_of_occurrence)

    async def kept_ids(self, receipt_ids: Sequence[str]) -> set[str]:
        """See `ports.Demonstrations.kept_ids`."""
        return await self._database.read_latest(_kept_ids, receipt_ids)

    async def add_news(self, news: Sequence[PastNews]) -> None:
        """See `ports.Demonstrations.add_news`."""
        await self._database.write(_add_news, news, self._route)


def _route(is_of_occurrence: ColumnElement[bool]) -> Update:
    """The statement that gives an event its routing."""
    routed = update(events).values(detail=merged(events.c.detail, "routed"))
    return routed.where(is_of_occurrence, events.c.key == bindparam("of_key"))


async def _kept_ids(session: Session, receipt_ids: Sequence[str]) -> set[str]:
    return {row.id for row in await session.fetch(_KEPT, wanted=list(receipt_ids))}


async def _add_news(session: Session, news: Sequence[PastNews], route: Update) -> None:
    await session.execute_many(route, [_routed(each) for each in news])
    rows = [row for each in news for row in _deliveries(each)]
    kept_ids = {row.id for row in await session.fetch(_KEPT_DELIVERIES, wanted=[row["id"] for row in rows])}
    new = [row for row in rows if row["id"] not in kept_ids]
    await session.execute_many(_INSERT, new)
    await add_settled(session, Counter((row["target"], row["state"], row["settled_at"]) for row in new))


def _routed(news: PastNews) -> dict[str, Any]:
    return {
        "of_fingerprint": news.fingerprint,
        "of_start": news.starts_at,
        "of_key": news.key,
        "routed": {"routing": news.routing.on_record()},
    }


def _deliveries(news: PastNews) -> Iterator[dict[str, Any]]:
    """The rows of `deliveries` for an event."""
    for delivery in news.deliveries:
        yield {
            "id": delivery.id,
            "fingerprint": news.fingerprint,
            "starts_at": news.starts_at,
            "target": delivery.target,
            "event_key": news.key,
            "event": news.event,
            "receipt_id": news.receipt_id,
            "state": delivery.state,
            "created_at": news.at,
            "due_at": news.at,
            "lease_until": None,
            "attempts": len(delivery.log),
            "log": delivery.log,
            "external_id": None,
            "settled_at": delivery.log[-1].at,
            "shape": None,
            "enrichment": None,
        }
