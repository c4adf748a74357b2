"""PostgreSQL: how the events of a silence lead to occurrences."""

from sqlalchemy import Text, literal_column

from alert_history.storage.postgres.night import WAYS
from alert_history.storage.shared.silences import SilenceWays
from alert_history.storage.shared.tables import UtcTime

_FINGERPRINT = literal_column("events.fingerprint", Text())
_STARTS_AT = literal_column("events.starts_at", UtcTime())

SILENCE_WAYS = SilenceWays(
    (_FINGERPRINT.label("fingerprint"), _STARTS_AT.label("starts_at")), WAYS.is_event_of, _FINGERPRINT, _STARTS_AT
)
