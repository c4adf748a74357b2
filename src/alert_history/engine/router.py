"""The service's router: what it knows while it decides which targets are notified.

Holds the reason why no target is notified, the targets, the routes and the arrivals; `domain.notifying` has the rules
and tells the whole story. The router is made before the store, and the store asks it inside the ingest transaction, so
it must not wait for anything or know the store.
"""

from collections.abc import Sequence

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import TOLD_EVENTS, Routing
from alert_history.domain.notifying import news_of, regrouped, route
from alert_history.domain.occurrence import Event
from alert_history.domain.routes import Routes
from alert_history.domain.target import Outgoing, TargetSpec
from alert_history.engine.arrivals import Arrivals
from alert_history.engine.awaited_targets import AwaitedTargets
from alert_history.errors import StorageUnavailable

_COME_AGAIN_SECONDS = 1


class Router:
    """See `domain.notifying.Router`. `take_up_targets` and `take_up_routes` replace what it decides by.

    `nobody` is why no target is notified at all; None where targets may be. `awaited` says whether discovery is still
    looking for the targets; `arrivals` knows which classifications deliveries wait for. Without `routes` each target's
    own query decides alone.
    """

    def __init__(
        self,
        *,
        nobody: str | None = None,
        awaited: AwaitedTargets | None = None,
        arrivals: Arrivals | None = None,
        routes: Routes | None = None,
    ) -> None:
        self.nobody = nobody
        self.targets: Sequence[TargetSpec] = ()
        self.routes = routes
        self._awaited = awaited
        self._arrivals = arrivals

    def __call__(self, alert: Alert, event: Event) -> Routing | None:
        """Decide. For a short time, until the targets are known, senders are asked to come again."""
        if self.nobody is not None:
            return Routing((), {}, reason=self.nobody) if event.kind in TOLD_EVENTS else None
        if self._awaited is not None and self._awaited.are_lacking():
            raise StorageUnavailable("the targets are not known yet", after_seconds=_COME_AGAIN_SECONDS)
        routing = route(self.targets, news_of(alert, event), routes=self.routes)
        if routing is None or self._arrivals is None:
            return routing
        return self._arrivals.enriched(routing, alert, event)

    def take_up_targets(self, targets: Sequence[TargetSpec]) -> None:
        """Decide by these targets from now on: all there are, broken ones too, in the order in which they are asked."""
        self.targets = targets

    def take_up_routes(self, routes: Routes) -> None:
        """Decide by these routes from now on."""
        self.routes = routes

    def regroup(self, target: TargetSpec, alert: Outgoing) -> Outgoing | None:
        """An alert in the group that the routes put it into for a target; None where its own group stays."""
        return None if self.routes is None else regrouped(alert, target=target, routes=self.routes)
