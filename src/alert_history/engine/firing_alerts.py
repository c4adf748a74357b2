"""An alert that fires, now or at a past moment, as short as lists of pages show it."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.ports import StoredAlert


class FiringAlert(msgspec.Struct, frozen=True):
    """An alert that fires. `id` is that of its occurrence."""

    id: str
    alertname: str
    labels: Mapping[str, str]
    starts_at: datetime


def of_now(alert: StoredAlert) -> FiringAlert:
    """An alert of the history."""
    return FiringAlert(alert.id, alert.alertname, alert.labels, alert.starts_at)


def of_then(alert: MomentAlert) -> FiringAlert:
    """An alert of a moment."""
    return FiringAlert(alert.occurrence_id, alert.labels.get("alertname", ""), alert.labels, alert.starts_at)
