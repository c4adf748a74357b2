"""A target that is told of everything."""

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Routing
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.target import TargetSpec

PAGER = TargetSpec("pager", "webhook", {})


def route_all(alert: Alert, event: Event) -> Routing | None:
    """Tell the pager."""
    return route([PAGER], news_of(alert, event))
