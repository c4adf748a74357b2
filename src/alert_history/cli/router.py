"""The router of a command: it decides as the service would, by one look at the targets."""

from alert_history.bootstrap import find_targets, make_routes, reason_for_nobody
from alert_history.config import Settings
from alert_history.engine.router import Router
from alert_history.errors import Busy

_LOOK_SECONDS = 10


async def look_for_router(settings: Settings) -> Router:
    """A router that knows the targets of these settings. The running service makes the deliveries.

    Raises: Busy where the targets can't be read now, because no target would be notified then.
    """
    nobody = reason_for_nobody(settings)
    look = await find_targets(settings, timeout_seconds=_LOOK_SECONDS)
    if nobody is not None or look is None:
        return Router(nobody=nobody or "")
    faults = [state.fault for state in look.states if state.fault is not None]
    if faults:
        raise Busy(f"the targets can't be read, so nobody could be told: {'; '.join(faults)}")
    table = make_routes(settings)
    router = Router(routes=None if table is None else table.state().routes)
    router.take_up_targets(sorted(look.targets, key=lambda spec: (-spec.priority, spec.name)))
    return router
