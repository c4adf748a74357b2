"""Who is told of what a command sets right: as the service would decide it, by one look at the targets."""

from alert_history.bootstrap import find_targets, make_routes, reason_for_nobody
from alert_history.config import Settings
from alert_history.domain.alert import Alert
from alert_history.domain.delivery import TOLD_EVENTS, Routing
from alert_history.domain.occurrence import Event
from alert_history.domain.routing import news_of, route
from alert_history.errors import Busy
from alert_history.ports import Router

_LOOK_SECONDS = 10


async def look_for_router(settings: Settings) -> Router:
    """Who decides whom to tell. The running service makes the deliveries.

    Raises: Busy where the targets can't be read now: then nobody would be told.
    """
    nobody = reason_for_nobody(settings)
    found = await find_targets(settings, timeout_seconds=_LOOK_SECONDS)
    if nobody is not None or found is None:
        return lambda alert, event: _nobody(event, nobody or "")  # noqa: ARG005  # the port's shape
    faults = [state.fault for state in found.states if state.fault is not None]
    if faults:
        raise Busy(f"the targets can't be read, so nobody could be told: {'; '.join(faults)}")
    specs = sorted(found.targets, key=lambda spec: (-spec.priority, spec.name))
    table = make_routes(settings)
    routes = None if table is None else table.state().routes

    def decide(alert: Alert, event: Event) -> Routing | None:
        return route(specs, news_of(alert, event), routes=routes)

    return decide


def _nobody(event: Event, reason: str) -> Routing | None:
    return Routing((), {}, reason=reason) if event.kind in TOLD_EVENTS else None
