"""SQLite: what the report of a night asks in its own way: `alert_terms` finds the newest row of a rule or a label set.

Ids follow the time of arrival, and the full-text index gives them newest first, so each look-up stops at one row.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, Text, bindparam, literal_column, select

from alert_history.storage.shared.night_reads import Ways
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import UtcTime, alerts
from alert_history.storage.sqlite.scanning import AT
from alert_history.storage.sqlite.search import ALERT_ID, TERMS, id_at
from alert_history.storage.sqlite.terms import fingerprint_term, label_term

_A = alerts.c
_SLACK = int(timedelta(milliseconds=1) / timedelta(microseconds=1))


def _newest(column: ColumnElement[str]) -> Select[Any]:
    """The newest row of a term whose column has the very text: a term is a hash."""
    matches = literal_column("alert_terms.alert_terms").op("MATCH", is_comparison=True)(bindparam("term", type_=Text()))
    return (
        select(_A.timestamp)
        .select_from(TERMS.join(alerts, TERMS.c.rowid == ALERT_ID))
        .where(
            matches,
            TERMS.c.rowid < bindparam("behind", type_=BigInteger()),
            column == bindparam("wanted", type_=Text()),
            _A.timestamp < bindparam("before", type_=UtcTime()),
            _A.joined_into.is_(None),
        )
        .order_by(TERMS.c.rowid.desc())
        .limit(literal_column("1", Integer))
    )


_NEWEST_OF_RULE = _newest(literal_column("+alerts.alertname", Text))
_NEWEST_OF_LABEL_SET = _newest(literal_column("+alerts.fingerprint", Text))


async def _last_seen(session: Session, names: Sequence[str], before: datetime) -> dict[str, datetime]:
    seen = {}
    behind = id_at(before, slack=_SLACK)
    for name in names:
        term = label_term("alertname", name)
        for row in await session.fetch(_NEWEST_OF_RULE, term=term, wanted=name, before=before, behind=behind):
            seen[name] = row.timestamp
    return seen


async def _known(session: Session, fingerprints: Sequence[str], before: datetime) -> set[str]:
    known = set()
    behind = id_at(before, slack=_SLACK)
    for each in fingerprints:
        term = fingerprint_term(each)
        if await session.fetch(_NEWEST_OF_LABEL_SET, term=term, wanted=each, before=before, behind=behind):
            known.add(each)
    return known


WAYS = Ways(AT, literal_column("events.alert_id") == ALERT_ID, _last_seen, _known)
