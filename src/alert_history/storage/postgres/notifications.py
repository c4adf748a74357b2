"""PostgreSQL: occurrences stand in the order of their `timestamp`, and of their key where that is the same."""

from alert_history.storage.postgres.night import WAYS
from alert_history.storage.shared.notifications import Ordering
from alert_history.storage.shared.tables import alerts

_A = alerts.c

ORDERING = Ordering(WAYS.at, (_A.timestamp, _A.fingerprint, _A.starts_at), WAYS.is_event_of)
