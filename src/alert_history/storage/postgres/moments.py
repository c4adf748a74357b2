"""PostgreSQL: how what fired at a moment is found. The expressions are those of `idx_alerts_long`."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, Interval, Text, and_, bindparam, literal_column

from alert_history.storage.shared.moments import KEYS, MomentWays
from alert_history.storage.shared.tables import UtcTime, alerts, events

REACH = 'greatest(ends_at, "timestamp") - coalesce(began_at, starts_at)'
_CLASSES = " ".join(
    f"WHEN {REACH} <= interval '{hours} hours' THEN {number}"
    for number, hours in enumerate((4, 16, 64, 256, 1024, 4096), 1)
)
_STARTS_AT: ColumnElement[Any] = literal_column("events.starts_at", UtcTime())
_IS_OF_KEY = and_(
    literal_column("events.fingerprint") == KEYS.c.fingerprint,
    KEYS.c.starts_at == _STARTS_AT,
    bindparam("keys_since", type_=UtcTime()) <= _STARTS_AT,
    bindparam("keys_until", type_=UtcTime()) > _STARTS_AT,
)

MOMENT_WAYS = MomentWays(
    received=alerts.c.timestamp,
    received_after=bindparam("received_after", type_=UtcTime()),
    received_until=bindparam("received_until", type_=UtcTime()),
    length=literal_column(f"CASE {_CLASSES} ELSE 7 END", Integer),
    is_long=and_(
        literal_column(REACH, Interval) > literal_column("interval '1 hours'", Interval),
        literal_column("status", Text) == literal_column("'resolved'", Text),
    ),
    of_keys=KEYS.join(events, _IS_OF_KEY),
    key=alerts.c.starts_at,
    partition=timedelta(days=7),
)
