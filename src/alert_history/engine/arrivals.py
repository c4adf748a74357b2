"""Arrivals: the alerts that `enrich` classifies afterwards, and whether their deliveries wait for that.

The router asks inside the transaction that stores an alert, so this module answers from memory alone. The rule itself
is `domain.notifying.awaited`.
"""

from collections import deque
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from alert_history.domain.alert import Alert
from alert_history.domain.classification import Mode, shape_of
from alert_history.domain.delivery import Routing
from alert_history.domain.notifying import awaited
from alert_history.domain.occurrence import ENDINGS, Event
from alert_history.engine.breaker import Breaker
from alert_history.engine.questions import EnrichmentObserver

_MAX_ARRIVALS = 50_000
_MAX_KNOWN = 50_000


class Arrival(NamedTuple):
    """An alert that was routed; `targets` get a follow-up once it is classified."""

    shape: str
    alert: Alert
    starts_at: datetime
    targets: tuple[str, ...]
    deadline: datetime


class Arrivals:
    """Collects alerts in the thread that commits them. The mode is `transparent` until `take_up_mode` is called.

    `deadline` is how long deliveries wait. While `breaker` rules out an answer in time, deliveries go out at once.
    """

    def __init__(self, *, deadline: timedelta, breaker: Breaker, observer: EnrichmentObserver) -> None:
        self.breaker = breaker
        self.mode: Mode = "transparent"
        self._deadline = deadline
        self._observer = observer
        self._known: dict[str, datetime] = {}
        self._arrived: deque[Arrival] = deque(maxlen=_MAX_ARRIVALS)

    def __len__(self) -> int:
        """How many arrivals wait for `take`."""
        return len(self._arrived)

    def take_up_mode(self, mode: Mode) -> None:
        """Decide by this mode from now on."""
        self.mode = mode

    def enriched(self, routing: Routing, alert: Alert, event: Event) -> Routing:
        """A routing with the classification that its deliveries await. Called in the ingest transaction."""
        mode = self.mode
        if mode == "transparent" or not routing.targets:
            return routing
        shape = shape_of(alert.labels)
        is_known = self._known.get(shape, event.at) > event.at
        self._observer.cache("memory", is_hit=is_known)
        deadline = event.at + self._deadline
        is_asked = not is_known and event.kind not in ENDINGS
        if is_asked:
            targets = routing.targets if mode == "transparent_with_recommendations" else ()
            self._arrived.append(Arrival(shape, alert, event.starts_at, targets, deadline))
        fault = self._fault_until(deadline) if is_asked else None
        awaits = awaited(mode, shape, is_asked=is_asked, deadline=deadline, fault=fault)
        return routing if awaits is None else msgspec.structs.replace(routing, awaits=awaits)

    def add(self, arrival: Arrival) -> None:
        """Have an alert classified as if it had been routed now."""
        self._arrived.append(arrival)

    def take(self) -> Arrival | None:
        """The arrival that has waited longest; None if there is none."""
        return self._arrived.popleft() if self._arrived else None

    def learn(self, shape: str, *, now: datetime, until: datetime) -> None:
        """Take a shape as known until then. Short of room, this forgets shapes that the database still knows."""
        if len(self._known) >= _MAX_KNOWN:
            self._known = {shape: until for shape, until in self._known.items() if until > now}
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[shape] = until

    def _fault_until(self, deadline: datetime) -> str | None:
        """Why an answer before the deadline is impossible; None while it is possible."""
        reason = self.breaker.reason
        return None if reason is None or self.breaker.is_over_by(deadline) else reason
