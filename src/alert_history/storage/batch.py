"""What both stores do with a batch before and after the database has spoken. No SQL, no connection."""

import os
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.alert import Alert, Note, Refused, Silence
from alert_history.domain.classification import Verdict
from alert_history.domain.delivery import Routing
from alert_history.domain.occurrence import (
    Event,
    Occurrence,
    Sighting,
    follow,
    note_event,
    note_key,
)
from alert_history.domain.receipt import RANDOM_ID_BYTES, Outcome, Receipt, time_ordered_id
from alert_history.domain.severity import Severity
from alert_history.errors import StorageUnavailable
from alert_history.ports import Accuracy, KeptVerdict, Router
from alert_history.storage.tables import to_microseconds

Key = tuple[str, datetime]

AWAITED = "awaited"
"""What `enrichment` is of a delivery that waits for its classification."""

MOST_UNANSWERED = 5_000
UNANSWERED_COLUMNS = "fingerprint, starts_at, target, event, state, shape"
IS_UNANSWERED = """d.shape IS NULL AND d.event IN ('fired', 'refired', 'published', 'annotations_changed')
    AND d.state IN ('pending', 'leased', 'delivered')""" + "".join(
    f""" AND NOT EXISTS (SELECT 1 FROM {table} c WHERE c.starts_at = d.starts_at AND c.fingerprint = d.fingerprint
        AND c.target = d.target AND c.event = 'classified' LIMIT 1 OFFSET 0)"""
    for table in ("deliveries", "delivery_queue")
)
"""Of a delivery `d` that may still be made, or was: its target never hears what the alert means.

With an OFFSET no join is made of it, so PostgreSQL looks up by the alert, whatever it believes of the tables' sizes.
"""

NOT_IN_TIME = "no classification came in time"

encode_json = msgspec.json.Encoder().encode

_occurrence_id = re.compile(r"([0-9a-f]{16})-(0|-?[1-9][0-9]{0,18})")


class Decision(msgspec.Struct, frozen=True, gc=False):
    """One occurrence after a batch: where it stands, what was first said of it, and the events to keep."""

    first: Sighting
    occurrence: Occurrence
    events: list[Event]


def by_key(receipts: Iterable[Receipt]) -> dict[Key, list[Sighting]]:
    """The sightings of each occurrence in the order they came; keys sorted, so that two replicas lock alike."""
    groups: dict[Key, list[Sighting]] = {}
    for receipt in receipts:
        for sighting in receipt.sightings:
            alert = sighting.alert
            groups.setdefault((alert.fingerprint, alert.starts_at), []).append(sighting)
    return dict(sorted(groups.items()))


def unstarted(groups: Mapping[Key, Sequence[Sighting]]) -> list[str]:
    """The fingerprints of alerts whose sender did not say when they started."""
    return sorted({key[0] for key, sightings in groups.items() if not sightings[0].alert.is_start_given})


def join_firing(groups: dict[Key, list[Sighting]], firing_since: Mapping[str, datetime]) -> dict[Key, list[Sighting]]:
    """Move alerts without a start of their own to the occurrence that is firing, as Alertmanager merges them.

    What the batch itself starts and ends counts, as if each of its receipts had been committed on its own.
    """
    since = dict(firing_since)
    joined: dict[Key, list[Sighting]] = {}
    for (fingerprint, starts_at), sightings in groups.items():
        is_start_given = sightings[0].alert.is_start_given
        known = starts_at if is_start_given else min(since.get(fingerprint, starts_at), starts_at)
        if not is_start_given:
            sightings = [_moved(sighting, known) for sighting in sightings]  # noqa: PLW2901
        if sightings[-1].alert.status == "firing":
            since[fingerprint] = max(since.get(fingerprint, known), known)
        elif since.get(fingerprint) == known:
            del since[fingerprint]
        before = joined.get((fingerprint, known))
        joined[fingerprint, known] = _merged(before, sightings) if before else sightings
    return dict(sorted(joined.items()))


def _merged(one: Sequence[Sighting], other: Sequence[Sighting]) -> list[Sighting]:
    return sorted([*one, *other], key=lambda sighting: sighting.received_at)


def _moved(sighting: Sighting, starts_at: datetime) -> Sighting:
    alert = msgspec.structs.replace(sighting.alert, starts_at=starts_at)
    return msgspec.structs.replace(sighting, alert=alert)


def decide(occurrence: Occurrence | None, sightings: Sequence[Sighting]) -> Decision:
    """What a batch makes of one occurrence."""
    after, events = follow(occurrence, sightings)
    return Decision(sightings[0], after, events)


class Enqueued(msgspec.Struct, frozen=True):
    """A delivery to be made: one event, one target, not before `due_at` (None: at once).

    `shape` is that of the classification that goes with it; `enrichment` is `awaited` or why there is none.
    """

    id: str
    event: Event
    target: str
    due_at: datetime | None = None
    shape: str | None = None
    enrichment: str | None = None


def ends_to_tell(events: Iterable[Event]) -> list[Key]:
    """The occurrences whose end whoever was told of them before is told of: who that is has to be looked up."""
    return sorted({(event.fingerprint, event.starts_at) for event in events if event.audience == "told_before"})


def enqueue(
    events: Sequence[Event],
    *,
    groups: Mapping[Key, Sequence[Sighting]],
    told_before: Mapping[Key, Iterable[str]],
    router: Router | None,
) -> tuple[list[Event], list[Enqueued]]:
    """Decide who is told of these events. The decision is kept in the detail of its event, as `routing`.

    `told_before` holds the targets that were told of `ends_to_tell` before this batch.
    """
    if router is None:
        return list(events), []
    kept: list[Event] = []
    queue: list[Enqueued] = []
    told = {key: dict.fromkeys(targets) for key, targets in told_before.items()}
    for event in events:
        key = (event.fingerprint, event.starts_at)
        decided, enqueued = _enqueue(event, groups[key][-1].alert, told_before=told.get(key, ()), router=router)
        kept.append(decided)
        queue += enqueued
        if key in told:
            told[key] |= dict.fromkeys(each.target for each in enqueued)
    return kept, queue


def _enqueue(event: Event, alert: Alert, *, told_before: Iterable[str], router: Router) -> tuple[Event, list[Enqueued]]:
    if event.audience == "routed":
        routing = router(alert, event)
        return (event, []) if routing is None else (_with_routing(event, routing), _queue(event, routing))
    if event.audience == "nobody":
        return event, []
    try:
        return enqueue_end(event, alert, told_before=told_before, router=router)
    except StorageUnavailable:  # whoever only records does not wait until the targets are known
        return enqueue_end(event, alert, told_before=told_before, router=None)


def enqueue_end(
    event: Event, alert: Alert, *, told_before: Iterable[str], router: Router | None
) -> tuple[Event, list[Enqueued]]:
    """Tell of an end whoever was told of the occurrence, and nobody else; quiet hours count. As `enqueue`."""
    told = tuple(told_before)
    decided = None if router is None else router(alert, event)
    if decided is None:
        routing = Routing(told, {})
        return _with_routing(event, routing) if told else event, _queue(event, routing)
    not_told = dict.fromkeys(decided.told, "it was not told of the alert before") | decided.not_told
    routing = Routing(
        told,
        {name: reason for name, reason in not_told.items() if name not in told},
        routes={name: by for name, by in decided.routes.items() if name in told},
        due_at={name: due_at for name, due_at in decided.due_at.items() if name in told},
        reason=None if told or not_told else decided.reason,
        awaits=decided.awaits,
    )
    return _with_routing(event, routing), _queue(event, routing)


def expired_alert(event: Event, occurrence: Occurrence, *, labels: dict[str, str]) -> Alert:
    """An occurrence that expired, as the router wants to see it."""
    starts_at, ends_at = event.starts_at, occurrence.ends_at
    return Alert(event.fingerprint, "resolved", labels, occurrence.annotations, starts_at, ends_at)


def _with_routing(event: Event, routing: Routing) -> Event:
    return msgspec.structs.replace(event, detail={**(event.detail or {}), "routing": routing.on_record()})


def _queue(event: Event, routing: Routing) -> list[Enqueued]:
    return [_enqueued(event, target, routing) for target in routing.told]


def _enqueued(event: Event, target: str, routing: Routing) -> Enqueued:
    """What quiet hours hold waits for no classification, which would let it go; it takes what is known by then."""
    held_until, awaits = routing.due_at.get(target), routing.awaits
    if awaits is None:
        return Enqueued(new_id(event.at), event, target, held_until)
    does_wait = awaits.until is not None
    enrichment = (NOT_IN_TIME if held_until else AWAITED) if does_wait else awaits.unenriched
    return Enqueued(new_id(event.at), event, target, held_until or awaits.until, awaits.shape, enrichment)


def classified_event(kept: KeptVerdict, *, fingerprint: str, starts_at: datetime, now: datetime) -> Event:
    """That an alert was classified after its targets had been told of it; once for each classification."""
    told = kept.verdict.classification
    detail = {"classification": kept.id, "severity": told.severity, "confidence": told.confidence, "model": told.model}
    key = note_key(kept.id.encode())
    return Event(fingerprint, starts_at, key, "classified", now, None, detail)


def follow_up_delivery(event: Event, target: str, *, shape: str) -> Enqueued:
    """Its key says that whatever else is to be said of the alert is newer, so it never overtakes or replaces news."""
    return Enqueued(new_id(event.at), msgspec.structs.replace(event, key=0), target, shape=shape)


def said(kept: KeptVerdict) -> tuple[Severity, tuple[str, ...]]:
    """The severity and the advice of a classification."""
    told = kept.verdict.classification
    return told.severity, told.recommendations


def right_by_day(reviews: Iterable[tuple[datetime, str, str, str]]) -> list[Accuracy]:
    """How often people agreed: reviews are a time, what the person said, and the model and severity before."""
    reviewed: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for at, severity, model, said in reviews:
        day = at.date().isoformat()
        reviewed[day, model] += 1
        right[day, model] += severity == said
    return [Accuracy(day, model, count, right[day, model]) for (day, model), count in sorted(reviewed.items())]


def meaning(verdict: str | None, enrichment: str | None) -> dict[str, Any]:
    """The fields of `Outgoing` that a leased delivery's classification fills."""
    if verdict is not None:
        return {"classification": msgspec.json.decode(verdict, type=Verdict).classification}
    if enrichment == AWAITED:
        return {"unenriched": NOT_IN_TIME}
    return {"unenriched": enrichment}


class PlacedNotes(msgspec.Struct, frozen=True):
    """Notes as events of known occurrences, and those whose alert nobody knows, as refused.

    `stored` counts, by receipt, the events that were news; the store fills it.
    """

    events: list[Event] = []
    orphans: list[tuple[Receipt, Refused]] = []
    stored: Counter[str] = msgspec.field(default_factory=Counter)


def place_notes(
    notes: Iterable[tuple[Receipt, Note]], *, known: Container[Key], newest: dict[str, datetime]
) -> PlacedNotes:
    """Find each note its occurrence: the one it names if that is `known`, else the newest of its fingerprint.

    The events are sorted by key, so that two replicas lock alike.
    """
    placed = PlacedNotes()
    for receipt, note in notes:
        starts_at = note.starts_at or newest.get(note.fingerprint)
        if starts_at is None or (note.starts_at and (note.fingerprint, starts_at) not in known):
            reason = f"{note.kind}: no such occurrence of {note.fingerprint} is known"
            placed.orphans.append((receipt, Refused(note.position, reason, encode_json(note), "unknown_occurrence")))
        else:
            placed.events.append(note_event(note, starts_at=starts_at, receipt_id=receipt.id))
    placed.events.sort(key=lambda event: (event.fingerprint, event.starts_at, event.key))
    return placed


def newest_silences(receipts: Iterable[Receipt]) -> list[Silence]:
    """The silences of a batch, the newest word on each, by id."""
    newest: dict[str, Silence] = {}
    for silence in (silence for receipt in receipts for silence in receipt.group.silences):
        held = newest.get(silence.id)
        if held is None or held.updated_at <= silence.updated_at:
            newest[silence.id] = silence
    return [newest[silence_id] for silence_id in sorted(newest)]


def outcomes(
    receipts: Sequence[Receipt], *, events: Iterable[Event], placed: PlacedNotes, queue: Iterable[Enqueued]
) -> list[Outcome]:
    """What to answer each request."""
    stored = Counter(event.receipt_id for event in events)
    told: dict[str | None, list[str]] = {}
    for enqueued in queue:
        told.setdefault(enqueued.event.receipt_id, []).append(enqueued.target)
    orphaned = Counter(receipt.id for receipt, _ in placed.orphans)
    return [
        _outcome(
            receipt,
            stored=stored[receipt.id] + placed.stored[receipt.id] + len(receipt.group.silences),
            quarantined=len(receipt.group.refused) + orphaned[receipt.id],
            told=told.get(receipt.id, []),
        )
        for receipt in receipts
    ]


def quarantined(
    receipts: Iterable[Receipt], *, events: Iterable[Event], placed: PlacedNotes
) -> list[tuple[Receipt, Refused]]:
    """What goes to quarantine: what can't be kept, and how alerts came that were cut.

    Of those only what says something new, so that an alert that is sent every minute is there once.
    """
    news = {(event.receipt_id, event.fingerprint) for event in events}
    made: list[tuple[Receipt, Refused]] = []
    for receipt in receipts:
        made += [(receipt, refused) for refused in receipt.group.refused]
        made += [(receipt, cut.whole) for cut in receipt.group.cut if (receipt.id, cut.fingerprint) in news]
    return made + placed.orphans


def _outcome(receipt: Receipt, *, stored: int, quarantined: int, told: Sequence[str]) -> Outcome:
    received = receipt.group.received
    repeated = received - stored - quarantined
    return Outcome(receipt.id, received, stored, repeated, quarantined, len(told), frozenset(told))


def is_same_repeat(sightings: Sequence[Sighting]) -> bool:
    """Whether all say the same, so that one statement can count them if the store already knows it."""
    one = sightings[0]
    return all(s.content_hash == one.content_hash and s.alert.status == one.alert.status for s in sightings[1:])


def new_id(time: datetime) -> str:
    """A new id that sorts by that time."""
    return time_ordered_id(time, randomness=os.urandom(RANDOM_ID_BYTES))


def lowest_uuid7(time: datetime) -> str:
    """Sorts before every UUIDv7 made at or after that time, and after all made before its millisecond."""
    milliseconds = f"{max(to_microseconds(time), 0) // 1000:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-000000000000"


def json_or_none(value: Any) -> str | None:
    """A value as JSON text; None stays NULL."""
    return None if value is None else encode_json(value).decode()


def occurrence_id(fingerprint: str, starts_at_microseconds: int) -> str:
    """The id of an occurrence in the API."""
    return f"{fingerprint}-{starts_at_microseconds}"


def split_occurrence_id(occurrence_id: str) -> tuple[str, int] | None:
    """The fingerprint and microseconds of an id; None if it is not one."""
    found = _occurrence_id.fullmatch(occurrence_id)
    return (found[1], int(found[2])) if found else None
