"""SQLite: how the events of a silence lead to occurrences."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, literal_column, select

from alert_history.storage.shared.silences import SilenceWays
from alert_history.storage.shared.tables import alerts, events
from alert_history.storage.sqlite.night import WAYS


def _of_alert(name: str, kind: Any) -> ColumnElement[Any]:
    column: ColumnElement[Any] = literal_column(f"alerts.{name}", kind)
    return select(column).select_from(alerts).where(WAYS.is_event_of).correlate(events).scalar_subquery()


SILENCE_WAYS = SilenceWays(
    (literal_column("events.alert_id", BigInteger()).label("alert_id"),),
    WAYS.is_event_of,
    _of_alert("fingerprint", Text()),
    _of_alert("starts_at", BigInteger()),
)
