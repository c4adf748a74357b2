"""Who decides who is notified: the whole story, in the order in which it happens.

1. A step of an occurrence becomes an event. `audience_of` says whether the event may be news to anybody.
2. The recorder asks `notify` about the events of a batch, inside the transaction that keeps them.
3. `notify` asks the router about each event. The service's router is `engine.notifying.Router`: it knows the targets,
   the routes and the mode, and answers with `route` and `awaited` below.
4. A firing goes to the targets that `route` names. Quiet hours hold it or drop it.
5. The end of a firing goes to the targets that were notified of the firing, and to no other: `_notify_of_end`.
6. `awaited` says whether the deliveries wait until it is known what the alert means.
7. Each target gets a delivery in the outbox: `Enqueued`. The transaction ends here.
8. The outbox leases the newest delivery of an occurrence and marks the older ones `superseded`. What is known by then
   may still keep a delivery back (`reason_to_withhold`) or put it into another group (`regrouped`).
9. Targets that were notified before the meaning was known get a follow-up: `classified_event`, `follow_up_delivery`.

Holds decisions only. How a store keeps them, and how a worker sends, is decided elsewhere.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

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
"""What `enrichment` is of a delivery that waits for its classification."""

NOT_IN_TIME = "no classification came in time"
NO_TARGETS = "there are no targets"
_NOT_BEFORE = "it was not told of the alert before"


# --- 1. Which events may be news --------------------------------------------------------------------------------------


def audience_of(step: Step, firing: Firing | None, *, is_published: bool) -> Telling | None:
    """Who may be notified of a step: whom the router names, whoever was notified of the firing, or nobody (None).

    `firing` is what is open after the step. `is_published`: the same sighting publishes the firing as well, and one
    event for both is enough.
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
    """Who decides, inside the ingest transaction, which targets are notified of an event."""

    def __call__(self, alert: Alert, event: Event) -> Routing | None:
        """The decision for all targets; None if there is nothing to decide. Pure and quick.

        Raises: StorageUnavailable while the targets are not known yet.
        """
        ...


class Enqueued(msgspec.Struct, frozen=True):
    """A delivery to be made: one event, one target, not before `due_at` (None: at once).

    `shape` is that of the classification that goes with it; `enrichment` is `awaited` or why there is none.
    """

    event: Event
    target: str
    due_at: datetime | None = None
    shape: str | None = None
    enrichment: str | None = None


def notify(
    decisions: Iterable["Decision"], router: Router | None, *, published: Container[str | None] = ()
) -> tuple[list[Event], list[Enqueued]]:
    """Decide for all events who is notified. Each event keeps the decision in its detail, as `routing`.

    The standing remembers the targets that are notified of a firing: they are notified of its end, too. `published`
    are the receipts that are to be published; only of their ends the event keeps why nobody is notified.
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
    """Ask the router about one event; its deliveries."""
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
    """What the standing remembers of the firing that an event is of."""
    key_us = to_us(event.starts_at)
    if standing.firing is not None and standing.firing.key_us == key_us:
        return standing.firing
    return next((past for past in standing.past if past.key_us == key_us), None)


def _with_routing(event: Event, routing: Routing) -> Event:
    return msgspec.structs.replace(event, detail={**(event.detail or {}), "routing": routing.on_record()})


# --- 4. The targets of a firing ---------------------------------------------------------------------------------------


class News(msgspec.Struct, frozen=True):
    """What an event has to say: its kind, received `at`, of an alert that began at `starts_at`."""

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
    def is_notified(self) -> bool:
        """Whether the target is notified, be it later."""
        return self.quiet is None or self.quiet.due_at is not None

    @property
    def due_at(self) -> datetime | None:
        """From when on; None for at once, or for never."""
        return None if self.quiet is None else self.quiet.due_at


def news_of(alert: Alert, event: Event) -> News:
    """What an event of an alert has to say."""
    return News(event.kind, alert.labels, alert.annotations, event.at, alert.starts_at)


def route(targets: Iterable[TargetSpec], news: News, *, routes: Routes | None = None) -> Routing | None:
    """Decide for all targets; None where the event is no news to any target.

    Without `routes` each target is notified of what its own query matches. With them a route has to send to it as
    well; where several do, the target is notified once: as early as any of them allows, and by the first of those.
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
    """The routes that took an alert, the earliest to notify of it first, those that do not notify of it last."""
    choices = [Choice(each, _quiet(each, news)) for each in taken]
    return sorted(choices, key=lambda choice: (not choice.is_notified, choice.due_at or news.at))


def choose(target: TargetSpec, choices: Sequence[Choice]) -> Choice | None:
    """Of these, in order, the one by which a target is notified; None if none sends to it."""
    return next((choice for choice in choices if choice.route.sends_to(target)), None)


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
    """Notify of an end the targets that were notified of the firing, and no other; quiet hours count."""
    try:
        routing = router(alert, event)
    except StorageUnavailable:  # the targets are not known yet, and need not be
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
    """The classification that goes out with an event's deliveries; None where they go without one.

    `is_asked`: somebody is asked now what the alert means, because its shape is unknown and the event is no end.
    `fault` is why no answer can come before the deadline; None where one may.
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
    """What quiet hours hold waits for no classification, which would let it go; it takes what is known by then."""
    quiet_until, awaits = routing.due_at.get(target), routing.awaits
    if awaits is None:
        return Enqueued(event, target, quiet_until)
    does_wait = awaits.until is not None
    enrichment = (NOT_IN_TIME if quiet_until else AWAITED) if does_wait else awaits.unenriched
    return Enqueued(event, target, quiet_until or awaits.until, awaits.shape, enrichment)


# --- 8. What a worker still decides -----------------------------------------------------------------------------------


def reason_to_withhold(target: TargetSpec, leased: Leased) -> str | None:
    """Why a delivery is not made after all, now that it is known what the alert means; None to make it.

    What nobody classified is sent: better loud. What its labels call critical is hardly ever withheld: `withholds`
    says when. A target that was notified of a firing is notified of its end, whatever the alert means by now.
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


# --- 9. What follows when the meaning comes later ---------------------------------------------------------------------


def classified_event(verdict: KeptVerdict, *, fingerprint: str, starts_at: datetime, now: datetime) -> Event:
    """That an alert was classified after its targets had been notified; once for each classification."""
    classification = verdict.verdict.classification
    detail = {
        "classification": verdict.id,
        "severity": classification.severity,
        "confidence": classification.confidence,
        "model": classification.model,
    }
    return Event(fingerprint, starts_at, note_key(verdict.id.encode()), "classified", now, None, detail)


def follow_up_delivery(event: Event, target: str, *, shape: str) -> Enqueued:
    """A follow-up has a key below that of all news of the alert, so it never overtakes or replaces news."""
    return Enqueued(msgspec.structs.replace(event, key=0), target, shape=shape)
