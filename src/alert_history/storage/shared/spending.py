"""What classifying costs: in the row of each classification, and in a row for each unusable answer."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, cast, func, insert, select, union_all

from alert_history.domain.classification import Usage
from alert_history.ids import lowest_uuid7, new_id
from alert_history.ports import Spent
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import classifications, unusable_answers

_USED = union_all(
    select(classifications.c.tokens, classifications.c.cost_usd).where(classifications.c.at >= bindparam("since")),
    select(unusable_answers.c.tokens, unusable_answers.c.cost_usd).where(
        unusable_answers.c.id >= bindparam("lowest_id")
    ),
).subquery("used")
_SPENT = select(
    func.count().label("calls"),
    cast(func.coalesce(func.sum(_USED.c.tokens), 0), BigInteger).label("tokens"),
    func.coalesce(func.sum(_USED.c.cost_usd), 0.0).label("cost_usd"),
)
_KEEP_UNUSABLE = insert(unusable_answers)


class SharedSpending:
    """See `ports.Spending`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def spent(self, *, since: datetime) -> Spent:
        """See `ports.Spending.spent`."""
        return await self._database.read(_spent, since)

    async def keep_unusable(self, usage: Usage, *, model: str, now: datetime) -> None:
        """See `ports.Spending.keep_unusable`."""
        tokens = usage.prompt_tokens + usage.completion_tokens
        row = {"id": new_id(now), "at": now, "model": model, "tokens": tokens, "cost_usd": usage.cost_usd}
        await self._database.write(_keep_unusable, row)


async def _spent(session: Session, since: datetime) -> Spent:
    (row,) = await session.fetch(_SPENT, since=since, lowest_id=lowest_uuid7(since))
    return Spent(*row)


async def _keep_unusable(session: Session, row: dict[str, Any]) -> None:
    await session.execute(_KEEP_UNUSABLE, **row)
