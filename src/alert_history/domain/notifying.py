"""Who decides who is notified: the whole story, in the order in which it happens.

1. A step of an occurrence becomes an event. `audience_of` says whether the event may be news to a target.
   A firing is news once it came in by a way that publishes (`engine.intake.WAYS_IN`). A plain repeat makes no step
   (`domain.hearing`): it becomes no event, and nobody is asked about it.
2. The recorder asks `notify` about the events of a batch, inside the transaction that keeps them.
3. `notify` asks the router about each event. The service's router is `engine.router.Router`: it knows the targets,
   the routes and the mode, and answers with `route` and `awaited` below; at once where settings notify no target, and
   not yet (StorageUnavailable) while the targets are looked for.
4. A firing goes to the targets that `route` names. Quiet hours hold it or drop it.
5. The end of a firing goes to the targets that were notified of the firing, and to no other: `_notify_of_end`.
6. `awaited` says whether the deliveries wait until it is known what the alert means.
7. Each target gets a delivery in the outbox: `Enqueued`. The transaction ends here.
8. The outbox leases the newest delivery of an occurrence and marks the older deliveries `superseded`, within the lease
   (`outbox.py` of each database). The worker may still withhold a delivery (`reason_to_withhold`) or put the alert
   into another group (`regrouped`).
9. Targets that were notified before the meaning was known get a follow-up: `classified_event`, `follow_up_delivery`.
10. Targets that know an occurrence are told what people did about it (`domain.acts`): `act_key`, `reason_to_hide`.
    An act goes before later news and after earlier news; news never waits for an act.

Holds decisions only. Stores decide how to keep deliveries, workers decide how to send them.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from alert_history.domain.acts import Act, is_act
from alert_history.domain.alert import Alert
from alert_history.domain.classification import KeptVerdict, Mode, withholds
from alert_history.domain.delivery import TOLD_EVENTS, Awaited, Leased, Routing
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Event, EventKind, Telling, note_key
from alert_history.domain.quiet_hours import Quiet, quieten
from alert_history.domain.routes import Route, Routes, taking
from alert_history.domain.standing import Firing, Past, Standing
from alert_history.domain.step import Step
from alert_history.domain.target import Outgoing, TargetSpec
from alert_history.errors import StorageUnavailable

if TYPE_CHECKING:  # a decision asks `audience_of`, and `notify` reads decisions
    from alert_history.domain.decision import Decision

AWAITED = "awaited"
"""The `enrichment` of a delivery that waits for its classification."""

NOT_IN_TIME = "no classification came in time"
NO_TARGETS = "there are no targets"
_NOT_BEFORE = "it was not told of the alert before"


# --- 1. Which events may be news --------------------------------------------------------------------------------------


def audience_of(step: Step, firing: Firing | None, *, is_published: bool) -> Telling | None:
    """Who may be notified of a step: `routed` targets, targets that were `notified` of the firing, or no target (None).

    `firing` is the firing that is open after the step. `is_published`: the same sighting publishes the firing as well,
    and one event for both is enough.
    """
    if step.kind in {"ended", "recorded_over"}:
        return "notified"
    if firing is None or not firing.is_published:
        return None
    if step.kind == "reworded":
        return None if is_published else "routed"
    is_beginning = step.kind in {"opened", "reopened", "published"}
    return "routed" if is_beginning and firing.key_us == step.key_us else None


# --- 2. The events of a batch -----------------------------------------------------------------------------------------


class Router(Protocol):
    """Decides, inside the ingest transaction, which targets are notified of an event."""

    def __call__(self, alert: Alert, event: Event) -> Routing | None:
        """The decision for all targets; None where an event needs no decision. Pure and quick.

        Raises: StorageUnavailable before the targets are known.
        """
        ...


class Enqueued(msgspec.Struct, frozen=True):
    """A delivery for the outbox: one event, one target, due at `due_at` (None: at once).

    `shape` is the shape whose classification goes with the delivery; `enrichment` is `awaited`, or the reason why the
    delivery goes without a classification.
    """

    event: Event
    target: str
    due_at: datetime | None = None
    shape: str | None = None
    enrichment: str | None = None


def notify(
    decisions: Iterable["Decision"], router: Router | None, *, published: Container[str | None] = ()
) -> tuple[list[Event], list[Enqueued]]:
    """Decide for all events which targets are notified. Each event keeps the decision in its detail, as `routing`.

    The standing remembers the targets of a firing, because the same targets are notified of its end. `published` are
    the receipts that are to be published. An end without targets keeps the reason only if its receipt is one of these.
    """
    events: list[Event] = []
    queue: list[Enqueued] = []
    for decision in decisions:
        if router is None:
            events += decision.events
            continue
        for event, alert in zip(decision.events, decision.alerts, strict=True):
            if event.telling is None:
                events.append(event)
                continue
            is_published = event.receipt_id in published
            routed, deliveries = _notify(decision.standing, event, alert, router=router, is_published=is_published)
            events.append(routed)
            queue += deliveries
    return events, queue


# --- 3. One event -----------------------------------------------------------------------------------------------------


def _notify(
    standing: Standing, event: Event, alert: Alert, *, router: Router, is_published: bool
) -> tuple[Event, list[Enqueued]]:
    """Ask the router about one event; returns the event with its routing, and its deliveries."""
    firing = _firing_of(standing, event)
    if event.telling == "notified":
        targets = () if firing is None else firing.notified
        if not targets and not is_published:
            return event, []
        return _notify_of_end(event, alert, targets=targets, router=router)
    routing = router(alert, event)
    if routing is None:
        return event, []
    if firing is not None:
        firing.notified = tuple(dict.fromkeys([*firing.notified, *routing.targets]))
    return _with_routing(event, routing), _deliveries(event, routing)


def _firing_of(standing: Standing, event: Event) -> Firing | Past | None:
    """The firing that an event belongs to, as the standing remembers the firing."""
    key_us = to_us(event.starts_at)
    if standing.firing is not None and standing.firing.key_us == key_us:
        return standing.firing
    return next((past for past in standing.past if past.key_us == key_us), None)


def _with_routing(event: Event, routing: Routing) -> Event:
    return msgspec.structs.replace(event, detail={**(event.detail or {}), "routing": routing.on_record()})


# --- 4. The targets of a firing ---------------------------------------------------------------------------------------


class News(msgspec.Struct, frozen=True):
    """The news in an event: its kind, received `at`, about an alert that began at `starts_at`."""

    event: EventKind
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    at: datetime
    starts_at: datetime


class Choice(msgspec.Struct, frozen=True):
    """A route that takes an alert, and what the quiet hours of the route do to the alert."""

    route: Route
    quiet: Quiet | None

    @property
    def is_notified(self) -> bool:
        """Whether the route notifies its targets, at once or later."""
        return self.quiet is None or self.quiet.due_at is not None

    @property
    def due_at(self) -> datetime | None:
        """When the route notifies its targets; None for at once, or for never."""
        return None if self.quiet is None else self.quiet.due_at


def news_of(alert: Alert, event: Event) -> News:
    """The news in an event of an alert."""
    return News(event.kind, alert.labels, alert.annotations, event.at, alert.starts_at)


def route(targets: Iterable[TargetSpec], news: News, *, routes: Routes | None = None) -> Routing | None:
    """Decide for all targets which are notified; None where the event is news to no target.

    Without `routes` a target is notified if its own query matches the alert. With `routes` a route must send to the
    target as well. Where several routes do, the target is notified once: by the route that allows it earliest.
    """
    if news.event not in TOLD_EVENTS:
        return None
    known = list(targets)
    taken = None if routes is None else list(taking(routes, news.labels, news.annotations))
    choices = None if taken is None else choices_of(taken, news)
    notified: list[str] = []
    left_out = dict(_unknown(known, taken or ()))
    chosen: dict[str, Choice] = {}
    for target in known:
        choice = None if choices is None else choose(target, choices)
        reason = _reason_against(target, news) or _reason_of_routes(taken, choice)
        if reason is not None:
            left_out[target.name] = reason
            continue
        notified.append(target.name)
        if choice is not None:
            chosen[target.name] = choice
    return Routing(
        tuple(notified),
        left_out,
        routes={name: choice.route.name for name, choice in chosen.items()},
        due_at={name: choice.due_at for name, choice in chosen.items() if choice.due_at is not None},
        reason=None if notified or left_out else NO_TARGETS,
    )


def choices_of(taken: Sequence[Route], news: News) -> list[Choice]:
    """The routes that take an alert: the route that notifies earliest first, routes that drop the alert last."""
    choices = [Choice(each, _quiet(each, news)) for each in taken]
    return sorted(choices, key=lambda choice: (not choice.is_notified, choice.due_at or news.at))


def choose(target: TargetSpec, choices: Sequence[Choice]) -> Choice | None:
    """The first choice whose route sends to a target; None if no route does."""
    return next((choice for choice in choices if choice.route.sends_to(target)), None)


def _quiet(each: Route, news: News) -> Quiet | None:
    meant = [hours for hours in each.quiet_hours if hours.is_meant(news.labels, news.annotations)]
    return quieten(meant, event=news.event, at=news.at, starts_at=news.starts_at) if meant else None


def _unknown(targets: Sequence[TargetSpec], taken: Sequence[Route]) -> Iterator[tuple[str, str]]:
    """The names that these routes send to without a target of that name, each with the reason."""
    names = {target.name for target in targets}
    for each in taken:
        for destination in each.destinations or ():
            if destination.is_one_name and destination.name not in names:
                yield destination.name, f"route {each.name} sends to it, but there is no such target"


def _reason_against(target: TargetSpec, news: News) -> str | None:
    """Why the target itself is not notified: a fault, a switch, or its query."""
    if target.fault is not None:
        return f"the target is broken: {target.fault}"
    if not target.is_enabled:
        return "the target is disabled"
    if not target.match.matches(news.labels, news.annotations):
        return f"it does not match {target.match_text}"
    return None


def _reason_of_routes(taken: Sequence[Route] | None, choice: Choice | None) -> str | None:
    """Why the routes do not notify a target."""
    if taken is None or (choice is not None and choice.is_notified):
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


def reason_for(routing: Routing, target: str) -> str:
    """Why a target is notified, in a sentence without a full stop."""
    by, due_at = routing.routes.get(target), routing.due_at.get(target)
    if by is None:
        return "it matches, and there are no routes"
    if due_at is None:
        return f"route {by} sends to it"
    return f"route {by} sends to it; its quiet hours hold it until {due_at.isoformat().replace('+00:00', 'Z')}"


# --- 5. The targets of its end ----------------------------------------------------------------------------------------


def _notify_of_end(
    event: Event, alert: Alert, *, targets: tuple[str, ...], router: Router
) -> tuple[Event, list[Enqueued]]:
    """Notify the targets of the firing of its end, and no other target; quiet hours count."""
    try:
        routing = router(alert, event)
    except StorageUnavailable:  # the targets of the firing are known without it
        routing = None
    if routing is None:
        return event, _deliveries(event, Routing(targets, {}))
    narrowed = _narrowed(routing, targets)
    return _with_routing(event, narrowed), _deliveries(event, narrowed)


def _narrowed(routing: Routing, targets: tuple[str, ...]) -> Routing:
    """The routing of an end with these targets instead of those that it names."""
    left_out = dict.fromkeys(routing.targets, _NOT_BEFORE) | routing.left_out
    return Routing(
        targets,
        {name: reason for name, reason in left_out.items() if name not in targets},
        routes={name: by for name, by in routing.routes.items() if name in targets},
        due_at={name: due_at for name, due_at in routing.due_at.items() if name in targets},
        reason=None if targets or left_out else routing.reason,
        awaits=routing.awaits,
    )


# --- 6. What waits for a classification -------------------------------------------------------------------------------


def awaited(mode: Mode, shape: str, *, is_asked: bool, deadline: datetime, fault: str | None) -> Awaited | None:
    """The classification that goes with the deliveries of an event; None where deliveries go without one.

    `is_asked`: an enricher is asked now what the alert means, because the shape is unknown and the event is no end.
    `fault` is why no answer can come before the deadline; None where an answer may come.
    """
    if mode == "transparent":
        return None
    if not is_asked:
        return Awaited(shape)
    if mode == "transparent_with_recommendations":
        return None
    return Awaited(shape, deadline) if fault is None else Awaited(shape, unenriched=fault)


# --- 7. What is queued ------------------------------------------------------------------------------------------------


def _deliveries(event: Event, routing: Routing) -> list[Enqueued]:
    return [_delivery(event, target, routing) for target in routing.targets]


def _delivery(event: Event, target: str, routing: Routing) -> Enqueued:
    """A delivery. In quiet hours it waits for their end alone, because an answer would let the delivery go at once."""
    quiet_until, awaits = routing.due_at.get(target), routing.awaits
    if awaits is None:
        return Enqueued(event, target, quiet_until)
    does_wait = awaits.until is not None
    enrichment = (NOT_IN_TIME if quiet_until else AWAITED) if does_wait else awaits.unenriched
    return Enqueued(event, target, quiet_until or awaits.until, awaits.shape, enrichment)


# --- 8. What a worker still decides -----------------------------------------------------------------------------------


def reason_to_withhold(target: TargetSpec, leased: Leased) -> str | None:
    """Why a worker withholds a delivery, now that the meaning of the alert is known; None to send the delivery.

    An alert without a classification is sent: better loud. `withholds` says when an alert whose labels call it
    critical is withheld, which is hardly ever. A target that was notified of a firing is notified of its end, whatever
    the alert means by now.
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


def regrouped(alert: Outgoing, *, target: TargetSpec, routes: Routes) -> Outgoing | None:
    """The alert in the group of its route's `group_by`; None where the alert stays in the group of Alertmanager.

    The group depends on the stored alert and on the routes alone. So every replica groups alike, after a restart, too.
    An act of a person stays by itself.
    """
    if is_act(alert.event):
        return None
    news = News(alert.event, alert.labels, alert.annotations, alert.at, alert.starts_at)
    choice = choose(target, choices_of(list(taking(routes, news.labels, news.annotations)), news))
    if choice is None or choice.route.group_by is None:
        return None
    labels = {name: alert.labels[name] for name in choice.route.group_by if name in alert.labels}
    shown = ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in labels.items())
    details = {**alert.details, "groupLabels": labels}
    return msgspec.structs.replace(alert, group_key=f"{choice.route.name}:{{{shown}}}", details=details)


# --- 9. What follows when the meaning comes later ---------------------------------------------------------------------


def classified_event(verdict: KeptVerdict, *, fingerprint: str, starts_at: datetime, now: datetime) -> Event:
    """The event of an alert that was classified after its targets had been notified; one for each classification."""
    classification = verdict.verdict.classification
    detail = {
        "classification": verdict.id,
        "severity": classification.severity,
        "confidence": classification.confidence,
        "model": classification.model,
    }
    return Event(fingerprint, starts_at, note_key(verdict.id.encode()), "classified", now, None, detail)


def follow_up_delivery(event: Event, target: str, *, shape: str) -> Enqueued:
    """The delivery of a follow-up. Its key is below the keys of all news, so a follow-up never overtakes news."""
    return Enqueued(msgspec.structs.replace(event, key=0), target, shape=shape)


# --- 10. What people did ----------------------------------------------------------------------------------------------

ACT_KEYS_BELOW = 0
"""Deliveries of acts have keys below it, deliveries of news and of follow-ups from it on."""


def act_key(act: Act) -> int:
    """The key of the deliveries of an act, among those of its occurrence: the oldest act has the highest.

    News supersedes only older news, so an act is neither superseded by news nor does it supersede any.
    """
    return -to_us(act.at)


def reason_to_hide(alert: Outgoing, *, shown_acts: Container[str]) -> str | None:
    """Why a worker withholds what a person did; None to send it, and for all that is no act."""
    if not is_act(alert.event) or alert.event in shown_acts:
        return None
    return "the target can't show what people do"
