"""PostgreSQL: what the report of a night asks in its own way.

The last row of a rule before a time is the greatest row of the index of alertnames that is below both. A condition on
the two columns together leaves the planner no other index, whatever it believes of how often a rule fires.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, literal_column, select, true, tuple_

from alert_history.storage.shared.elements import given
from alert_history.storage.shared.night_reads import Ways
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import UtcTime, alerts

_A = alerts.c
_BEFORE = bindparam("before", type_=UtcTime())
_GIVEN = given("texts")


def _is_same(name: str) -> ColumnElement[bool]:
    event: ColumnElement[Any] = literal_column(f"events.{name}")
    return event == literal_column(f"alerts.{name}")


_last = (
    select(_A.alertname, _A.timestamp)
    .where(tuple_(_A.alertname, _A.timestamp) < tuple_(_GIVEN.c.value, _BEFORE), _A.joined_into.is_(None))
    .order_by(_A.alertname.desc(), _A.timestamp.desc())
    .limit(literal_column("1"))
    .lateral("last")
)
LAST_SEEN = (
    select(_last.c.alertname, _last.c.timestamp)
    .select_from(_GIVEN.join(_last, true()))
    .where(_last.c.alertname == _GIVEN.c.value)
)
_one: ColumnElement[Any] = (
    select(literal_column("1"))
    .select_from(alerts)
    .where(_A.fingerprint == _GIVEN.c.value, _A.timestamp < _BEFORE, _A.joined_into.is_(None))
    .limit(literal_column("1"))
    .correlate(_GIVEN)
    .scalar_subquery()
)
KNOWN = select(_GIVEN.c.value, _one.label("one"))


async def _last_seen(session: Session, names: Sequence[str], before: datetime) -> dict[str, datetime]:
    rows = await session.fetch(LAST_SEEN, texts=list(names), before=before)
    return {row.alertname: row.timestamp for row in rows}


async def _known(session: Session, fingerprints: Sequence[str], before: datetime) -> set[str]:
    rows = await session.fetch(KNOWN, texts=list(fingerprints), before=before)
    return {row.value for row in rows if row.one}


WAYS = Ways(_A.timestamp, and_(_is_same("fingerprint"), _is_same("starts_at")), _last_seen, _known)
