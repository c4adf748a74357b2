"""SQLite: occurrences stand in the order of their ids, which are their times."""

from alert_history.storage.shared.notifications import Ordering
from alert_history.storage.sqlite.night import WAYS
from alert_history.storage.sqlite.search import ALERT_ID

ORDERING = Ordering(WAYS.at, (ALERT_ID,), WAYS.is_event_of)
