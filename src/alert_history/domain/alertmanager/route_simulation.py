"""Simulates how an occurrence fares on each of its routes, with everything else that fired around it.

What each group does follows from `dispatch`; here it is asked about one occurrence: when its group was due, what muted
it then, and when it would have been told without that. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.alert_order import alert_order
from alert_history.domain.alertmanager.behaviour import NEWEST, Behaviour
from alert_history.domain.alertmanager.configuration import Configuration, Matchers, Route
from alert_history.domain.alertmanager.dispatch import NOTHING, Course, Reload, Without, simulate
from alert_history.domain.alertmanager.groups import group_labels
from alert_history.domain.alertmanager.matchers import matcher_text
from alert_history.domain.alertmanager.notification import Notification, Outcome, Withheld
from alert_history.domain.alertmanager.outcome import Counterfactual, InhibitingAlert, Look, Muting, MutingSilence
from alert_history.domain.alertmanager.outcome_sentence import rule_text
from alert_history.domain.alertmanager.posting import Post
from alert_history.domain.alertmanager.route_outcome import RouteOutcome
from alert_history.domain.alertmanager.routing import Routing
from alert_history.domain.alertmanager.time_intervals import changes_after, muting

_FAR = timedelta(days=4_000)
"""What fires still ends so much later, for the simulation."""
_INSTANT = timedelta(microseconds=1)
_MOST_LOOKS = 20
_MOST_WITHOUT = 5
_MOST_EDGES = 400


class Fired(msgspec.Struct, frozen=True):
    """An occurrence as an Alertmanager had it: from when it had it, and until when; None: it fires still.

    `starts_at` is what its sender says. `is_named` is false where who asks may not see it.
    """

    fingerprint: str
    labels: Mapping[str, str]
    starts_at: datetime
    had_at: datetime
    ends_at: datetime | None
    is_named: bool = True


class World(msgspec.Struct, frozen=True):
    """One Alertmanager around an occurrence.

    `others` are the alerts that are in its groups or may inhibit it; earlier occurrences of the same labels, too.
    `silences` are all versions of those that match it. `reloads` are later configurations.
    `unsure` are ids of routes whose group was there before all that is known.
    """

    configuration: Configuration
    others: Sequence[Fired] = ()
    silences: Sequence[Silence] = ()
    reloads: Sequence[Reload] = ()
    unsure: frozenset[str] = frozenset()
    behaviour: Behaviour = NEWEST


def route_outcomes(subject: Fired, world: World, *, now: datetime) -> list[RouteOutcome]:
    """How the occurrence fares on each route that it takes, in the order of the routes.

    A time after `now` is when something is due. Raises: InvalidQuery where a regex or a time zone is wrong.
    """
    return _Simulation(subject, world, now).route_outcomes()


class _Simulation:
    """The simulations of one occurrence."""

    def __init__(self, subject: Fired, world: World, now: datetime) -> None:
        self._subject = subject
        self._world = world
        self._now = now
        self._routes = Routing(world.configuration).routes_of(subject.labels)
        longest = max(max(route.group_wait, route.group_interval) for route in self._routes)
        self._until = (subject.ends_at or now) + longest + _INSTANT
        self._timeline = [
            each for each in _timeline([*world.others, subject], world.reloads, now) if each.at < self._until
        ]

    def route_outcomes(self) -> list[RouteOutcome]:
        outcomes = self._simulated(NOTHING)
        return [self._course(route, [each for each in outcomes if each.route_id == route.id]) for route in self._routes]

    def _simulated(self, without: Without) -> list[Outcome]:
        """What becomes of the groups of the occurrence, in the routes' order of time."""
        return [
            each
            for each in simulate(
                self._timeline,
                self._world.configuration,
                until=self._until,
                silences=self._world.silences,
                without=without,
                course=Course(self._world.behaviour),
            )
            if self._is_about(each)
        ]

    def _is_about(self, outcome: Outcome) -> bool:
        name = self._subject.fingerprint
        if isinstance(outcome, Withheld):
            return outcome.fingerprint == name
        return any(alert.fingerprint == name for alert in (*outcome.firing, *outcome.resolved))

    def _course(self, route: Route, outcomes: Sequence[Outcome]) -> RouteOutcome:
        own = [each for each in outcomes if each.at >= self._subject.had_at]
        withheld = [each for each in own if isinstance(each, Withheld)]
        sent_at = self._first(own, is_firing=True)
        looks = [Look(each.at, self._muting(each, route)) for each in withheld if each.because != "ended"]
        news_at = min([look.at for look in looks] + ([] if sent_at is None else [sent_at]), default=None)
        repeat_at = self._repeat_at(route, outcomes, news_at)
        before = [look for look in looks if sent_at is None or look.at < sent_at][:_MOST_LOOKS]
        on_route = RouteOutcome(
            route,
            group_labels(route, self._subject.labels),
            due_at=None if repeat_at else min([each.at for each in own], default=None),
            sent_at=sent_at,
            end_sent_at=self._first(own, is_firing=False),
            looks=before,
            repeat_at=repeat_at,
            cut_at=next((each.at for each in own if isinstance(each, Notification) and self._is_cut(each)), None),
            end_look=self._end_look(looks),
            counterfactuals=list(self._counterfactuals(route, before, sent_at)),
        )
        return self._unsure(on_route) if route.id in self._world.unsure else on_route

    def _first(self, outcomes: Sequence[Outcome], *, is_firing: bool) -> datetime | None:
        """When the occurrence was first told of, as firing or as over."""
        name = self._subject.fingerprint
        for each in outcomes:
            if isinstance(each, Notification):
                alerts = each.firing if is_firing else each.resolved
                if any(alert.fingerprint == name for alert in alerts) and not self._is_cut(each):
                    return each.at
        return None

    def _is_cut(self, notification: Notification) -> bool:
        """Whether it is not named, because the integration takes no more alerts."""
        most = notification.integration.max_alerts
        alerts = sorted((*notification.firing, *notification.resolved), key=lambda alert: alert_order(alert.labels))
        return 0 < most < len(alerts) and all(alert.fingerprint != self._subject.fingerprint for alert in alerts[:most])

    def _end_look(self, looks: Sequence[Look]) -> Look | None:
        """What muted it at the end, if something did."""
        ends_at = self._subject.ends_at
        if ends_at is None or not looks:
            return None
        last = looks[-1]
        until = None if last.muting is None else last.muting.until
        return last if until is None or until > ends_at else None

    def _repeat_at(self, route: Route, outcomes: Sequence[Outcome], news_at: datetime | None) -> datetime | None:
        """When what was told of before is told again; None where it was not told of, or told as over, or is muted."""
        before = [each for each in outcomes if isinstance(each, Notification) and each.at < self._subject.had_at]
        if not before or not self._first(before[-1:], is_firing=True):
            return None
        repeat_at = before[-1].at + route.repeat_interval
        is_told_anew = news_at is not None and news_at < repeat_at
        return None if is_told_anew else repeat_at

    def _unsure(self, on_route: RouteOutcome) -> RouteOutcome:
        """What becomes of it in a group whose clock nobody knows: each time may be a `group_interval` later."""
        slack = on_route.route.group_interval
        bound = self._subject.had_at + slack
        if on_route.due_at is None or on_route.due_at > bound:
            return msgspec.structs.replace(on_route, is_at_latest=True)
        sent_at = on_route.sent_at
        if sent_at is not None:
            sent_at = bound if sent_at <= bound else sent_at + slack
        return msgspec.structs.replace(on_route, due_at=bound, sent_at=sent_at, is_at_latest=True)

    # what mutes it

    def _muting(self, withheld: Withheld, route: Route) -> Muting:
        match withheld.because:
            case "silenced":
                silences = [self._silence(name, withheld.at) for name in withheld.by]
                ends = [each.ends_at for each in silences if each.ends_at is not None]
                return Muting(silences=silences, until=max(ends, default=None))
            case "inhibited":
                alerts = [self._inhibitor(name, withheld.inhibit_rule, withheld.at) for name in withheld.by]
                return Muting(inhibitors=alerts, until=alerts[0].ends_at)
            case _:
                return Muting(intervals=withheld.by, until=self._interval_end(route, withheld.at))

    def _silence(self, name: str, at: datetime) -> MutingSilence:
        versions = sorted((each for each in self._world.silences if each.id == name), key=_updated_at)
        then = [each for each in versions if each.updated_at <= at]
        version, ends_at = (then or versions)[-1 if then else 0], versions[-1].ends_at
        return MutingSilence(name, version.created_by, version.comment, version.starts_at, ends_at)

    def _inhibitor(self, name: str, position: int | None, at: datetime) -> InhibitingAlert:
        own = [each for each in self._world.others if each.fingerprint == name and each.had_at <= at]
        alert = max(own, key=_had_at, default=None)
        rule = next((each for each in self._world.configuration.inhibit_rules if each.position == position), None)
        text = "" if rule is None else rule.name or rule_text(_text(rule.sources), _text(rule.targets), rule.equal)
        if alert is None:
            return InhibitingAlert(name, {}, text)
        return InhibitingAlert(name, alert.labels, text, alert.starts_at, alert.ends_at, alert.is_named)

    def _interval_end(self, route: Route, at: datetime) -> datetime | None:
        """When the route is first muted by no time interval."""
        intervals = self._world.configuration.time_intervals
        moment: datetime | None = at
        for _ in range(_MOST_EDGES):
            if moment is None or not muting(route, intervals, at=moment):
                return moment
            moment = changes_after(route, intervals, at=moment)
        return None

    # what would have been without it

    def _counterfactuals(
        self, route: Route, looks: Sequence[Look], sent_at: datetime | None
    ) -> Iterator[Counterfactual]:
        """Without what muted it first; where that does not suffice, without what muted it then, too."""
        mutings = [look.muting for look in looks[:1] if look.muting is not None]
        while mutings and len(mutings) <= _MOST_WITHOUT:
            outcomes = self._told_without(route, mutings)
            told_at = self._first(outcomes, is_firing=True)
            if told_at is not None and (sent_at is None or told_at < sent_at):
                yield Counterfactual(_both(mutings), told_at)
                return
            others = [each for each in outcomes if isinstance(each, Withheld) and each.because != "ended"]
            if len(mutings) == 1:
                yield Counterfactual(mutings[0], None)
            if not others:
                return
            mutings.append(self._muting(others[0], route))

    def _told_without(self, route: Route, mutings: Sequence[Muting]) -> list[Outcome]:
        without = Without(
            silences=frozenset(each.id for muting in mutings for each in muting.silences),
            inhibitors=frozenset(each.fingerprint for muting in mutings for each in muting.inhibitors),
            time_intervals=frozenset(name for muting in mutings for name in muting.intervals),
        )
        outcomes = self._simulated(without)
        return [each for each in outcomes if each.route_id == route.id and each.at >= self._subject.had_at]


def _both(mutings: Sequence[Muting]) -> Muting:
    return Muting(
        silences=[each for muting in mutings for each in muting.silences],
        inhibitors=[each for muting in mutings for each in muting.inhibitors],
        intervals=list(dict.fromkeys(name for muting in mutings for name in muting.intervals)),
    )


def _timeline(alerts: Sequence[Fired], reloads: Sequence[Reload], now: datetime) -> list[Post | Reload]:
    """What was posted, in order of time; what ended before an Alertmanager had it was never posted."""
    posts: list[Post | Reload] = [each for alert in alerts for each in _posts(alert, now)]
    return sorted([*posts, *reloads], key=lambda each: each.at)


def _posts(alert: Fired, now: datetime) -> Iterator[Post]:
    had_at = max(alert.had_at, alert.starts_at)
    if alert.ends_at is not None and alert.ends_at <= had_at:
        return
    yield Post(had_at, alert.fingerprint, alert.labels, alert.starts_at, now + _FAR)
    if alert.ends_at is not None:
        yield Post(alert.ends_at, alert.fingerprint, alert.labels, alert.starts_at, alert.ends_at)


def _text(matchers: Matchers) -> str:
    return ", ".join(matcher_text(each) for each in matchers)


def _had_at(alert: Fired) -> datetime:
    return alert.had_at


def _updated_at(silence: Silence) -> datetime:
    return silence.updated_at
