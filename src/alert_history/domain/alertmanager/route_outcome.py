"""How an occurrence fares on one route of an Alertmanager, as its configuration has it: the values of a simulation.

Holds the values; `route_simulation` makes them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alertmanager.configuration import Route
from alert_history.domain.alertmanager.outcome import Counterfactual, Look


class RouteOutcome(msgspec.Struct, frozen=True):
    """On one route: the first looks at its group while it fired, and when its receiver was notified.

    `due_at` is when its group was due first, were it not over by then; None where that is too far ahead to tell.
    `sent_at` is when the receiver was notified that it fires, `end_sent_at` that it is over; None: not by now.
    `repeat_at` is set where the receiver had been notified of the same labels before: when that is repeated.
    `cut_at` is when the group was told of, and it was left out because there were too many alerts. `end_look` is what
    muted it when its end was due to be told.
    `is_at_latest`: the group was there already, and it is not known since when; so the times are the latest ones.
    """

    route: Route
    group: Mapping[str, str] = {}
    due_at: datetime | None = None
    sent_at: datetime | None = None
    end_sent_at: datetime | None = None
    looks: Sequence[Look] = ()
    repeat_at: datetime | None = None
    cut_at: datetime | None = None
    end_look: Look | None = None
    is_at_latest: bool = False
    counterfactuals: Sequence[Counterfactual] = ()
