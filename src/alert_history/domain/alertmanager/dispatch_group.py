"""One group of a simulated dispatcher: its alerts, when it is looked at next, and what mutes each of them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from alert_history.domain.alertmanager.configuration import Route
from alert_history.domain.alertmanager.groups import group_key
from alert_history.domain.alertmanager.inhibition import Inhibitor, Place, Sides
from alert_history.domain.alertmanager.notification import Withheld
from alert_history.domain.alertmanager.posting import NEVER, HeldAlert
from alert_history.domain.alertmanager.silencing import SilenceSpan, ids_at

INSTANT = timedelta(microseconds=1)
_FAR = NEVER - timedelta(days=1000)

GroupId = tuple[str, tuple[tuple[str, str], ...]]
"""The id of a route, and the group's labels."""

_Why = tuple[Literal["silenced", "inhibited", "muted"], tuple[str, ...], int | None]
"""What mutes an alert, as in `Withheld`."""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What follows from a label set alone: its groups, silences, inhibit rules, and place among alerts."""

    groups: tuple[tuple[GroupId, Route], ...]
    spans: tuple[SilenceSpan, ...]
    sides: Sides
    order: Any


Member = tuple[HeldAlert, Facts]


class GroupState(msgspec.Struct, frozen=True):
    """A group as it stands. Its alerts are in Alertmanager's order; ended ones are those not told yet.

    `muted_by` are the time intervals that muted it when it was last flushed.
    """

    route: Route
    key: str
    labels: Mapping[str, str]
    alerts: tuple[HeldAlert, ...]
    muted_by: tuple[str, ...]


class Group:
    """The alerts of one route with the same group labels. `timed` is the route with the time intervals that count."""

    def __init__(self, name: GroupId, route: Route, *, timed: Route, muted_by: tuple[str, ...] = ()) -> None:
        self.name = name
        self.route = route
        self.timed = timed
        self.labels = dict(name[1])
        self.key = group_key(route, self.labels)
        self.places: set[Place] = set()
        self._members: dict[str, Member] = {}
        self._withheld: dict[str, _Why] = {}
        self._muted_by = muted_by
        self._flushed_at: datetime | None = None
        self._due: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all of its alerts have ended, and that was looked at."""
        return not self._members

    @property
    def is_new(self) -> bool:
        """Whether it was never flushed."""
        return self._flushed_at is None

    @property
    def muted_by(self) -> tuple[str, ...]:
        """The time intervals that muted it when it was last flushed."""
        return self._muted_by

    @property
    def is_all_withheld(self) -> bool:
        """Whether each of its alerts was muted at the last flush."""
        return len(self._withheld) >= len(self._members)

    def state(self) -> GroupState:
        """How it stands."""
        alerts = tuple(alert for alert, _ in self._sorted())
        return GroupState(self.route, self.key, self.labels, alerts, self._muted_by)

    def take(self, alert: HeldAlert, facts: Facts) -> HeldAlert | None:
        """Take an alert in; as it was here before."""
        before = self._members.get(alert.fingerprint)
        self._members[alert.fingerprint] = (alert, facts)
        self.places.update(facts.sides.targets)
        return before[0] if before else None

    def tick_at(self, at: datetime) -> datetime | None:
        """When it ticks at that moment or next, once it was flushed, but in no instant of a flush. None: never."""
        if self._flushed_at is None or at >= _FAR:
            return None
        interval = self.route.group_interval
        return self._flushed_at + max(-((self._flushed_at - at) // interval), 1) * interval

    def awaits(self, at: datetime) -> bool:
        """Be looked at then; whether that is sooner than what was planned."""
        is_sooner = self._due is None or at < self._due
        self._due = at if is_sooner else self._due
        return is_sooner

    def begin_flush(self, at: datetime) -> Sequence[Member]:
        """The alerts to be looked at now, in order; none where another moment was planned since."""
        if self._due != at:
            return ()
        self._due, self._flushed_at = None, at
        return self._sorted()

    def withhold(
        self, members: Sequence[Member], inhibitors: Sequence[Inhibitor | None], muted_by: tuple[str, ...], at: datetime
    ) -> Iterator[Withheld]:
        """Note what mutes each alert now, and say where it is not what it was before: inhibition first, silences last.

        Alertmanager asks for time intervals only where an alert is not inhibited.
        """
        before, self._withheld = self._withheld, {}
        if None in inhibitors:
            self._muted_by = muted_by
        for (alert, facts), inhibitor in zip(members, inhibitors, strict=True):
            why = _why(inhibitor, muted_by, ids_at(facts.spans, at))
            if why is not None:
                self._withheld[alert.fingerprint] = why
                if before.get(alert.fingerprint) != why:
                    yield Withheld(at, self.route.id, self.route.receiver, self.key, alert.fingerprint, *why)

    def passing(self, members: Sequence[Member]) -> list[HeldAlert]:
        """Those alerts that nothing mutes."""
        return [alert for alert, _ in members if alert.fingerprint not in self._withheld]

    def forget_ended(self, at: datetime) -> None:
        """Remove the alerts that have ended: they were told, or never will be."""
        self._members = {name: member for name, member in self._members.items() if not member[0].is_resolved(at)}
        self._withheld = {name: why for name, why in self._withheld.items() if name in self._members}

    def moments_after(self, at: datetime) -> Iterator[datetime]:
        """When its alerts end, and when silences begin or cease to mute them."""
        for alert, facts in self._members.values():
            yield alert.ends_at
            for span in facts.spans:
                if at < span.begin:
                    yield span.begin
                if at <= span.end < _FAR:
                    yield span.end + INSTANT

    def _sorted(self) -> list[Member]:
        return sorted(self._members.values(), key=_place)


def _why(inhibitor: Inhibitor | None, muted_by: tuple[str, ...], silences: tuple[str, ...]) -> _Why | None:
    if inhibitor is not None:
        return "inhibited", (inhibitor.fingerprint,), inhibitor.rule.position
    if muted_by:
        return "muted", muted_by, None
    return ("silenced", silences, None) if silences else None


def _place(member: Member) -> Any:
    return member[1].order
