"""Which targets are told of an event, when, and the reason where one is not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alert import Alert
from alert_history.domain.classification import withholds
from alert_history.domain.delivery import TOLD_EVENTS, Leased, Routing
from alert_history.domain.occurrence import Event, EventKind
from alert_history.domain.quiet_hours import Quiet, quieten
from alert_history.domain.routes import Route, Routes, taking
from alert_history.domain.target import Outgoing, TargetSpec

NO_TARGETS = "there are no targets"


class News(msgspec.Struct, frozen=True):
    """What there is to tell: an event, received `at`, of an alert that began at `starts_at`."""

    event: EventKind
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    at: datetime
    starts_at: datetime


class Choice(msgspec.Struct, frozen=True):
    """A route that sends an alert to a target, and what its quiet hours make of that."""

    route: Route
    quiet: Quiet | None

    @property
    def is_told(self) -> bool:
        """Whether it is told, be it later."""
        return self.quiet is None or self.quiet.due_at is not None

    @property
    def due_at(self) -> datetime | None:
        """From when on; None for at once, or for never."""
        return None if self.quiet is None else self.quiet.due_at


def news_of(alert: Alert, event: Event) -> News:
    """What an event of an alert has to tell."""
    return News(event.kind, alert.labels, alert.annotations, event.at, alert.starts_at)


def route(targets: Iterable[TargetSpec], news: News, *, routes: Routes | None = None) -> Routing | None:
    """Decide for all targets; None where the event is no news to any target.

    Without `routes` each target is told what its own query matches. With them a route has to send to it as well; where
    several do, it is told once: as early as any of them allows, and by the first of those.
    """
    if news.event not in TOLD_EVENTS:
        return None
    known = list(targets)
    taken = None if routes is None else list(taking(routes, news.labels, news.annotations))
    choices = None if taken is None else choices_of(taken, news)
    told: list[str] = []
    not_told = dict(_unknown(known, taken or ()))
    chosen: dict[str, Choice] = {}
    for target in known:
        choice = None if choices is None else choose(target, choices)
        reason = _reason_against(target, news) or _reason_of_routes(taken, choice)
        if reason is not None:
            not_told[target.name] = reason
            continue
        told.append(target.name)
        if choice is not None:
            chosen[target.name] = choice
    return Routing(
        tuple(told),
        not_told,
        routes={name: choice.route.name for name, choice in chosen.items()},
        due_at={name: choice.due_at for name, choice in chosen.items() if choice.due_at is not None},
        reason=None if told or not_told else NO_TARGETS,
    )


def reason_told(routing: Routing, target: str) -> str:
    """Why a target is told, in a sentence without a full stop."""
    by, due_at = routing.routes.get(target), routing.due_at.get(target)
    if by is None:
        return "it matches, and there are no routes"
    if due_at is None:
        return f"route {by} sends to it"
    return f"route {by} sends to it; its quiet hours hold it until {due_at.isoformat().replace('+00:00', 'Z')}"


def reason_to_withhold(target: TargetSpec, leased: Leased) -> str | None:
    """Why a delivery is not made after all, now that it is known what the alert means; None to make it.

    What nobody classified is told: better loud. What its labels call critical is hardly ever withheld: `withholds`
    says when. The end of an alert is told to whom its beginning was, whatever it means by now, and to no one else.
    """
    if target.min_confidence is None and not target.excludes_noise:
        return None
    if leased.was_told:
        return None
    alert = leased.alert
    return withholds(
        alert.classification,
        alert.labels,
        min_confidence=target.min_confidence,
        excludes_noise=target.excludes_noise,
    )


def choices_of(taken: Sequence[Route], news: News) -> list[Choice]:
    """The routes that took an alert, the earliest to tell of it first, those that don't tell of it last."""
    choices = [Choice(each, _quiet(each, news)) for each in taken]
    return sorted(choices, key=lambda choice: (not choice.is_told, choice.due_at or news.at))


def choose(target: TargetSpec, choices: Sequence[Choice]) -> Choice | None:
    """Of these, in order, the one by which a target is told; None if none sends to it."""
    return next((choice for choice in choices if choice.route.sends_to(target)), None)


def regrouped(alert: Outgoing, *, target: TargetSpec, routes: Routes) -> Outgoing | None:
    """The alert in the group that its route's `group_by` puts it into; None where Alertmanager's group stays.

    It depends on what is stored and on the routes alone, so every replica groups alike, before and after a restart.
    """
    news = News(alert.event, alert.labels, alert.annotations, alert.at, alert.starts_at)
    choice = choose(target, choices_of(list(taking(routes, news.labels, news.annotations)), news))
    if choice is None or choice.route.group_by is None:
        return None
    labels = {name: alert.labels[name] for name in choice.route.group_by if name in alert.labels}
    shown = ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in labels.items())
    details = {**alert.details, "groupLabels": labels}
    return msgspec.structs.replace(alert, group_key=f"{choice.route.name}:{{{shown}}}", details=details)


def _quiet(each: Route, news: News) -> Quiet | None:
    meant = [hours for hours in each.quiet_hours if hours.is_meant(news.labels, news.annotations)]
    return quieten(meant, event=news.event, at=news.at, starts_at=news.starts_at) if meant else None


def _unknown(targets: Sequence[TargetSpec], taken: Sequence[Route]) -> Iterator[tuple[str, str]]:
    """Names that these routes send to and no target has."""
    names = {target.name for target in targets}
    for each in taken:
        for destination in each.destinations or ():
            if destination.is_one_name and destination.name not in names:
                yield destination.name, f"route {each.name} sends to it, but there is no such target"


def _reason_against(target: TargetSpec, news: News) -> str | None:
    """What the target itself has against it."""
    if target.fault is not None:
        return f"the target is broken: {target.fault}"
    if not target.is_enabled:
        return "the target is disabled"
    if not target.match.matches(news.labels, news.annotations):
        return f"it does not match {target.match_text}"
    return None


def _reason_of_routes(taken: Sequence[Route] | None, choice: Choice | None) -> str | None:
    """What the routes have against it."""
    if taken is None or (choice is not None and choice.is_told):
        return None
    if choice is not None and choice.quiet is not None:
        return f"quiet hours of route {choice.route.name} ({choice.quiet.hours}) drop it"
    if not taken:
        return "no route takes the alert"
    names = ", ".join(each.name for each in taken)
    return (
        f"route {names} takes the alert and does not send to it"
        if len(taken) == 1
        else (f"routes {names} take the alert and do not send to it")
    )
