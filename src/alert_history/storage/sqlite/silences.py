"""SQLite: how the events of a silence lead to occurrences."""

from sqlalchemy import BigInteger, literal_column

from alert_history.storage.shared.silences import SilenceWays
from alert_history.storage.sqlite.night import WAYS

SILENCE_WAYS = SilenceWays((literal_column("events.alert_id", BigInteger()).label("alert_id"),), WAYS.is_event_of)
