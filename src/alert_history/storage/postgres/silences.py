"""PostgreSQL: how the events of a silence lead to occurrences."""

from sqlalchemy import Text, literal_column

from alert_history.storage.postgres.night import WAYS
from alert_history.storage.shared.silences import SilenceWays
from alert_history.storage.shared.tables import UtcTime

SILENCE_WAYS = SilenceWays(
    (
        literal_column("events.fingerprint", Text()).label("fingerprint"),
        literal_column("events.starts_at", UtcTime()).label("starts_at"),
    ),
    WAYS.is_event_of,
)
