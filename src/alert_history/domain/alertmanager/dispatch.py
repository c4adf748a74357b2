"""Alertmanager's dispatcher as a simulation: alerts are posted to it, and it says whom it notifies of what, and when.

It has a clock of its own, which goes from event to event: what it costs depends on how many posts, ends and
notifications there are, not on how long it runs. A group is looked at only when something may have changed: an alert,
what mutes it, or the repeat interval. Notifications take no time, and arrive.

What is not simulated: several Alertmanagers that share their notifications, notifications that fail, and what happens
inside of one instant (whether the first alert of a request is told before the second one arrives).

Source: `dispatch` and `notify` of prometheus/alertmanager.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.alert_order import alert_order
from alert_history.domain.alertmanager.behaviour import NEWEST, Behaviour
from alert_history.domain.alertmanager.configuration import Configuration, Integration, Route
from alert_history.domain.alertmanager.dispatch_group import INSTANT, Facts, Group, GroupId, GroupState
from alert_history.domain.alertmanager.groups import group_labels
from alert_history.domain.alertmanager.inhibition import Inhibition, Inhibitor, Place, Sides, Source
from alert_history.domain.alertmanager.notification import Notification, Outcome, Withheld
from alert_history.domain.alertmanager.notification_log import LogKey, News, NotificationLog, reason_for
from alert_history.domain.alertmanager.posting import NEVER, HeldAlert, HeldAlerts, Post
from alert_history.domain.alertmanager.routing import Routing
from alert_history.domain.alertmanager.silencing import Silencing
from alert_history.domain.alertmanager.time_intervals import changes_after, muting

_TIDYING = timedelta(seconds=30)
"""Older Alertmanagers drop empty groups this often (`--dispatch.maintenance-interval`)."""
_FEWEST_REMEMBERED = 10_000

_ENDS, _FLUSHES, _TIDIES = 0, 1, 2
"""What happens first in one instant."""


class Reload(msgspec.Struct, frozen=True):
    """Another configuration from that moment on: groups begin anew, and know by the log what was told."""

    at: datetime
    configuration: Configuration


class Without(msgspec.Struct, frozen=True):
    """What is to mute nothing.

    Silences by id, inhibiting alerts by fingerprint, inhibit rules by position, time intervals by name.
    """

    silences: frozenset[str] = frozenset()
    inhibitors: frozenset[str] = frozenset()
    inhibit_rules: frozenset[int] = frozenset()
    time_intervals: frozenset[str] = frozenset()


NOTHING = Without()
"""Everything mutes that does."""


class Course(msgspec.Struct, frozen=True):
    """How exactly an Alertmanager is simulated: its version, and whether each post of each sender will come.

    With all posts, repetitions too, what happens between two of them is simulated as well: `Inhibition` says what.
    """

    behaviour: Behaviour = NEWEST
    has_all_posts: bool = False


USUAL = Course()
"""The newest version, told of changes alone."""


class Dispatcher:
    """An Alertmanager that was started at a moment.

    Raises: InvalidQuery where a regex or a time zone of the configuration is wrong.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        started_at: datetime,
        silences: Iterable[Silence] = (),
        without: Without = NOTHING,
        course: Course = USUAL,
    ) -> None:
        """`silences` are all versions of all silences, future ones too, as `Silencing` takes them."""
        behaviour = course.behaviour
        self._started_at = started_at
        self._has_all_posts = course.has_all_posts
        self._without = without
        self._behaviour = behaviour
        self._silencing = Silencing((each for each in silences if each.id not in without.silences), behaviour=behaviour)
        self._held = HeldAlerts(started_at=started_at)
        self._log = NotificationLog(started_at=started_at)
        self._numbers = count()
        self._load(configuration, at=started_at)

    def _load(self, configuration: Configuration, *, at: datetime) -> None:
        rules = [each for each in configuration.inhibit_rules if each.position not in self._without.inhibit_rules]
        self._configuration = configuration
        self._receivers = {each.name: each for each in configuration.receivers}
        self._routing = Routing(configuration)
        self._inhibition = Inhibition(
            rules, behaviour=self._behaviour, followed_since=at if self._has_all_posts else None
        )
        self._groups: dict[GroupId, Group] = {}
        self._marks: dict[GroupId, tuple[str, ...]] = {}
        self._targets: dict[Place, dict[GroupId, Group]] = {}
        self._firing: set[str] = set()
        self._ends: dict[str, datetime] = {}
        self._facts: dict[str, Facts] = {}
        self._room = _FEWEST_REMEMBERED
        self._events: list[tuple[datetime, int, int, Callable[[datetime], list[Outcome]]]] = []

    def reload(self, change: Reload) -> None:
        """Take another configuration. All that happened before must have been asked for by `advance`."""
        self._load(change.configuration, at=change.at)
        for alert in self._held.all(change.at):
            self._take(alert, change.at)

    def post(self, post: Post) -> None:
        """Take an alert. All that happened before must have been asked for by `advance`."""
        self._take(self._held.put(post, resolve_timeout=self._configuration.resolve_timeout), post.at)

    def advance(self, until: datetime) -> list[Outcome]:
        """What becomes of alerts until that moment, which is left out, in order of time."""
        outcomes: list[Outcome] = []
        while self._events and self._events[0][0] < until:
            at, _, _, act = heappop(self._events)
            outcomes += act(at)
        return outcomes

    def firing(self, at: datetime) -> list[HeldAlert]:
        """The alerts that have not ended at a moment, in no order."""
        return [alert for alert in self._held.all(at) if not alert.is_resolved(at)]

    def inhibitor(self, labels: Mapping[str, str], *, at: datetime) -> Inhibitor | None:
        """The alert that Alertmanager names as inhibiting these labels at a moment."""
        return self._inhibition.inhibitor(self._inhibition.sides(labels), at=at)

    def groups(self) -> list[GroupState]:
        """The groups that there are, in no order, without those whose alerts are all gone."""
        return [group.state() for group in self._groups.values() if not group.is_empty]

    # what comes in

    def _take(self, alert: HeldAlert, at: datetime) -> None:
        facts = self._facts_of(alert, at)
        if facts.sides.sources and alert.fingerprint not in self._without.inhibitors:
            self._take_source(alert, facts.sides, at)
        for name, route in facts.groups:
            group = self._groups.get(name)
            if group is None:
                group = self._begun(name, route, at)
                self._insert(group, alert, facts, at=at, is_first=True)
            else:
                self._insert(group, alert, facts, at=at, is_first=False)
            for place in facts.sides.targets:
                self._targets.setdefault(place, {})[name] = group

    def _facts_of(self, alert: HeldAlert, at: datetime) -> Facts:
        facts = self._facts.get(alert.fingerprint)
        if facts is not None:
            return facts
        if len(self._facts) >= self._room:
            known = {each.fingerprint for each in self._held.all(at)}
            self._facts = {name: each for name, each in self._facts.items() if name in known}
            self._room = max(_FEWEST_REMEMBERED, 2 * len(self._facts))
        labels = alert.labels
        groups = tuple(
            ((route.id, tuple(group_labels(route, labels).items())), route) for route in self._routing.routes_of(labels)
        )
        facts = Facts(groups, self._silencing.spans(labels), self._inhibition.sides(labels), alert_order(labels))
        self._facts[alert.fingerprint] = facts
        return facts

    def _take_source(self, alert: HeldAlert, sides: Sides, at: datetime) -> None:
        was_firing, is_resolved = alert.fingerprint in self._firing, alert.is_resolved(at)
        if is_resolved:
            self._firing.discard(alert.fingerprint)
        else:
            self._firing.add(alert.fingerprint)
            self._await_end(alert, sides)
        if is_resolved and not self._inhibition.is_followed:
            self._inhibition.remove(alert.fingerprint, sides)
        else:
            self._inhibition.put(Source(alert.fingerprint, alert.ends_at), sides, at=at)
        if was_firing is is_resolved or sides.both or self._inhibition.is_followed:
            self._wake_targets(sides, at)
        if is_resolved:
            self._await_forgetting(sides, at)

    def _await_end(self, alert: HeldAlert, sides: Sides) -> None:
        """One wait for each source is enough: an end that was put off is found then."""
        name, at = alert.fingerprint, alert.ends_at
        if at < min(self._ends.get(name, NEVER), NEVER):
            self._ends[name] = at
            self._schedule(at, _ENDS, lambda now: self._end(name, sides, now))

    def _end(self, fingerprint: str, sides: Sides, at: datetime) -> list[Outcome]:
        if self._ends.get(fingerprint) != at:
            return []
        del self._ends[fingerprint]
        alert = self._held.get(fingerprint, at=at - INSTANT)
        if alert is not None and not alert.is_resolved(at):
            self._await_end(alert, sides)
        elif fingerprint in self._firing:
            self._firing.discard(fingerprint)
            if not self._inhibition.is_followed:
                self._inhibition.remove(fingerprint, sides)
            self._wake_targets(sides, at)
            self._await_forgetting(sides, at)
        return []

    def _await_forgetting(self, sides: Sides, at: datetime) -> None:
        """Look at targets again when an ended source is forgotten: others may be looked at no longer."""

        def forget(now: datetime) -> list[Outcome]:
            self._wake_targets(sides, now)
            return []

        moment = self._inhibition.forgets_at(at)
        if moment is not None:
            self._schedule(moment, _ENDS, forget)

    def _wake_targets(self, sides: Sides, at: datetime) -> None:
        for place in sides.sources:
            for group in self._targets.get(place, {}).values():
                self._wake(group, at)

    # groups

    def _begun(self, name: GroupId, route: Route, at: datetime) -> Group:
        group = Group(name, route, timed=self._timed(route), muted_by=self._marks.pop(name, ()))
        self._groups[name] = group
        self._await_flush(group, at + route.group_wait)
        return group

    def _timed(self, route: Route) -> Route:
        """The route with the time intervals that count."""
        without = self._without.time_intervals
        if not without:
            return route
        return msgspec.structs.replace(
            route,
            mute_time_intervals=tuple(each for each in route.mute_time_intervals if each not in without),
            active_time_intervals=tuple(each for each in route.active_time_intervals if each not in without),
        )

    def _insert(self, group: Group, alert: HeldAlert, facts: Facts, *, at: datetime, is_first: bool) -> None:
        before = group.take(alert, facts)
        if group.is_new:
            may_be_early = is_first or not self._behaviour.only_first_is_early
            if may_be_early and alert.starts_at + group.route.group_wait < at:
                self._await_flush(group, at)
        elif before is None or before.is_resolved(at) != alert.is_resolved(at):
            self._wake(group, at)
        elif not alert.is_resolved(at):
            self._wake(group, alert.ends_at)

    def _wake(self, group: Group, at: datetime) -> None:
        """Look at the group when it ticks next from that moment on."""
        tick = None if group.is_empty else group.tick_at(at)
        if tick is not None:
            self._await_flush(group, tick)

    def _await_flush(self, group: Group, at: datetime) -> None:
        if group.awaits(at):
            self._schedule(at, _FLUSHES, lambda now: self._flush(group, now))

    def _schedule(self, at: datetime, turn: int, act: Callable[[datetime], list[Outcome]]) -> None:
        heappush(self._events, (at, turn, next(self._numbers), act))

    def _flush(self, group: Group, at: datetime) -> list[Outcome]:
        members = group.begin_flush(at)
        if not members:
            return []
        inhibitors = [self._inhibition.inhibitor(facts.sides, at=at) for _, facts in members]
        muted_by = muting(group.timed, self._configuration.time_intervals, at=at)
        outcomes: list[Outcome] = [*group.withhold(members, inhibitors, muted_by, at)]
        outcomes += self._tell(group, group.passing(members), at)
        group.forget_ended(at)
        if not group.is_empty:
            self._wake(group, self._looked_at_next(group, at))
        else:
            self._leave(group, at)
        return outcomes

    def _leave(self, group: Group, at: datetime) -> None:
        """Drop a group that is empty, at once or when the dispatcher tidies up.

        Where it is dropped at once, what muted it is kept until then, and a new group begins with it.
        """
        tidied_at = at + _TIDYING - (at - self._started_at) % _TIDYING
        if not self._behaviour.drops_empty_groups:
            self._schedule(tidied_at, _TIDIES, lambda _: self._drop(group))
            return
        self._drop(group)
        if group.muted_by:
            self._marks[group.name] = group.muted_by
            self._schedule(tidied_at, _TIDIES, lambda _: self._unmark(group.name))

    def _unmark(self, name: GroupId) -> list[Outcome]:
        self._marks.pop(name, None)
        return []

    def _drop(self, group: Group) -> list[Outcome]:
        """Forget the group, unless an alert has come to it since."""
        if group.is_empty and self._groups.get(group.name) is group:
            del self._groups[group.name]
            for place in group.places:
                del self._targets[place][group.name]
        return []

    def _tell(self, group: Group, passing: Sequence[HeldAlert], at: datetime) -> Iterator[Outcome]:
        """Notify each integration to which these alerts are news; what ended before it was told is withheld."""
        firing = tuple(each for each in passing if not each.is_resolved(at))
        resolved = tuple(each for each in passing if each.is_resolved(at))
        news = News(at, _names(firing), _names(resolved), group.route.repeat_interval)
        known: frozenset[str] = frozenset()
        integrations = self._integrations(group) if passing else []
        for integration, key in integrations:
            entry = self._log.entry(key, at=at)
            known = known if entry is None else known | entry.firing
            reason = reason_for(news, entry, sends_resolved=integration.sends_resolved)
            if reason is None:
                continue
            self._log.note(key, news)
            route, ended = group.route, resolved if integration.sends_resolved else ()
            if firing or ended:
                known |= _names(ended)
                yield Notification(
                    at, route.id, route.receiver, integration, group.key, group.labels, firing, ended, reason
                )
        for name in sorted(news.resolved - known) if integrations else ():
            yield Withheld(at, group.route.id, group.route.receiver, group.key, name, "ended")

    def _integrations(self, group: Group) -> list[tuple[Integration, LogKey]]:
        receiver = self._receivers.get(group.route.receiver)
        integrations = receiver.integrations if receiver else ()
        return [(each, (group.key, group.route.receiver, each.kind, each.index)) for each in integrations]

    def _looked_at_next(self, group: Group, at: datetime) -> datetime:
        """A moment until which nothing of the group changes by itself, if nothing is posted."""
        moments = list(group.moments_after(at))
        if (edge := changes_after(group.timed, self._configuration.time_intervals, at=at)) is not None:
            moments.append(edge)
        if not group.is_all_withheld:
            entries = [entry for _, key in self._integrations(group) if (entry := self._log.entry(key, at=at))]
            moments += [each.at + group.route.repeat_interval + INSTANT for each in entries]
            moments += map(self._log.forgets_at, entries)
        return min(moments)


def simulate(
    timeline: Iterable[Post | Reload],
    configuration: Configuration,
    *,
    until: datetime,
    silences: Iterable[Silence] = (),
    without: Without = NOTHING,
    course: Course = USUAL,
) -> Iterator[Outcome]:
    """What becomes of alerts that are posted in this order of time, until a moment that is left out.

    Alertmanager starts with the first of the timeline: its own rounds count from then. "When would this have been told
    without that silence?" is the same timeline `without` it. Raises: as `Dispatcher`.
    """
    dispatcher: Dispatcher | None = None
    for each in timeline:
        if dispatcher is None:
            dispatcher = Dispatcher(
                configuration, started_at=each.at, silences=silences, without=without, course=course
            )
        yield from dispatcher.advance(each.at)
        if isinstance(each, Post):
            dispatcher.post(each)
        else:
            dispatcher.reload(each)
    if dispatcher is not None:
        yield from dispatcher.advance(until)


def first_told(outcomes: Iterable[Outcome], fingerprint: str, *, receiver: str | None = None) -> Notification | None:
    """The first notification that names an alert as firing, of any receiver or of this one."""
    for each in outcomes:
        if not isinstance(each, Notification) or receiver not in {None, each.receiver}:
            continue
        if any(alert.fingerprint == fingerprint for alert in each.firing):
            return each
    return None


def _names(alerts: Iterable[HeldAlert]) -> frozenset[str]:
    return frozenset(each.fingerprint for each in alerts)
