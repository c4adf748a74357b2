"""SQLite: how what fired at a moment is found. The expressions are those of `idx_alerts_long`.

Ids follow the time of arrival, so what was received around a moment is a range of ids. A `+` keeps the planner from the
index of keys.
"""

from sqlalchemy import ColumnElement, Integer, Text, and_, bindparam, literal_column

from alert_history.storage.shared.moments import KEYS, MomentWays
from alert_history.storage.shared.tables import UtcTime, alerts, events
from alert_history.storage.sqlite.search import ALERT_ID
from alert_history.storage.sqlite.strays import IDS_A_MICROSECOND

REACH = 'max(ends_at, "timestamp") - coalesce(began_at, starts_at)'
_HOUR_US = 3_600_000_000
_CLASSES = " ".join(
    f"WHEN {REACH} <= {hours * _HOUR_US} THEN {number}" for number, hours in enumerate((4, 16, 64, 256, 1024, 4096), 1)
)
_IS_KEY = and_(alerts.c.fingerprint == KEYS.c.fingerprint, alerts.c.starts_at == KEYS.c.starts_at)


def _id(name: str) -> ColumnElement[int]:
    time = bindparam(name, type_=UtcTime())
    return time.op("*", return_type=Integer())(literal_column(str(IDS_A_MICROSECOND)))


MOMENT_WAYS = MomentWays(
    received=ALERT_ID,
    received_after=_id("received_after"),
    received_until=_id("received_until"),
    length=literal_column(f"CASE {_CLASSES} ELSE 7 END", Integer),
    is_long=and_(
        literal_column(REACH, Integer) > literal_column(str(_HOUR_US), Integer),
        literal_column("status", Text) == literal_column("'resolved'", Text),
    ),
    of_keys=KEYS.join(alerts, _IS_KEY).join(events, literal_column("events.alert_id") == ALERT_ID),
    key=literal_column("+alerts.starts_at", UtcTime()),
)
