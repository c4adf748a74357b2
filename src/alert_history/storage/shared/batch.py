"""What both stores do with a batch before and after the database has spoken. No SQL, no connection."""

import os
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

import msgspec

from alert_history.domain.alert import Alert, Note, Refused, Silence, Source
from alert_history.domain.claim import RESENDS_PROMISED, Word
from alert_history.domain.classification import Verdict
from alert_history.domain.decision import Decision
from alert_history.domain.delivery import Routing
from alert_history.domain.group import SeenGroup
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Event, Occurrence, Sighting, note_event, note_key
from alert_history.domain.receipt import RANDOM_ID_BYTES, Outcome, Receipt, time_ordered_id
from alert_history.domain.severity import Severity
from alert_history.domain.speaker import scoped, without_grafana
from alert_history.domain.standing import Firing, Muted, Past, Standing, key_at
from alert_history.errors import StorageUnavailable
from alert_history.ports import Accuracy, KeptVerdict, Router

Key = tuple[str, datetime]

AWAITED = "awaited"
"""What `enrichment` is of a delivery that waits for its classification."""

MOST_UNANSWERED = 5_000

TURN_SETTING = "reconcile_turn"
"""Whose turn it is to ask what fires, and until when."""

NOT_IN_TIME = "no classification came in time"

_ANY_TIME_US = 10**15

FORGET_GROUPS_AFTER = timedelta(days=30)
"""How long before standings are forgotten what was seen of groups is."""

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

encode_json = msgspec.json.Encoder().encode
_PLAIN_CLAIM = ",false,null,false]],"
_PLAIN_FIRING = ",[],null,null,null,null,false],[],[],null]"
"""What ends the JSON of one claim and of a firing without holding, muting and past, as most are: defaults."""
_RECORDED_ONLY = f"{_PLAIN_CLAIM}[],false{_PLAIN_FIRING}"

read_standing = msgspec.json.Decoder(Standing).decode
read_group = msgspec.json.Decoder(SeenGroup).decode


def standing_json(standing: Standing) -> str:
    """A standing as it is kept, and as `read_standing` takes it: defaults at its end are left out."""
    text = encode_json(standing).decode()
    if text.endswith(_RECORDED_ONLY):
        return text[: -len(_RECORDED_ONLY)] + "]]]]"
    return text[: -len(_PLAIN_FIRING)] + "]]" if text.endswith(_PLAIN_FIRING) else text


def by_fingerprint(receipts: Iterable[Receipt]) -> dict[str, list[Sighting]]:
    """The sightings of each label set in the order they came; sorted, so that two replicas lock alike."""
    groups: dict[str, list[Sighting]] = {}
    for receipt in receipts:
        for sighting in receipt.sightings:
            groups.setdefault(sighting.alert.fingerprint, []).append(sighting)
    return dict(sorted(groups.items()))


def remember(known: dict[_Key, _Value], news: Mapping[_Key, _Value], *, limit: int) -> None:
    """Add news to what is known, and forget what was remembered first, beyond so many."""
    known.update(news)
    surplus = max(len(known) - limit, 0)
    for key in list(islice(known, surplus)):
        del known[key]


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


def tell(
    decisions: Iterable[Decision], router: Router | None, *, published: Container[str | None] = ()
) -> tuple[list[Event], list[Enqueued]]:
    """Decide who is told of all events. What was decided is kept in the detail of each, as `routing`.

    Whoever is told of a firing is remembered in the standing, to be told of its end. `published` are the receipts that
    are to be published: only of their ends it is kept why nobody is told.
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
            routed, enqueued = _tell(decision.standing, event, alert, router=router, is_published=is_published)
            events.append(routed)
            queue += enqueued
    return events, queue


def _tell(
    standing: Standing, event: Event, alert: Alert, *, router: Router, is_published: bool
) -> tuple[Event, list[Enqueued]]:
    if event.telling == "notified":
        notified = notified_of(standing, event)
        if not notified and not is_published:
            return event, []
        return tell_end(event, alert, notified=notified, router=router)
    routing = None if event.telling is None else router(alert, event)
    if routing is None:
        return event, []
    _notify(standing, event, routing.told)
    return _with_routing(event, routing), _queue(event, routing)


def notified_of(standing: Standing, event: Event) -> tuple[str, ...]:
    """The targets that were told of the firing which an event is of."""
    holder = _holder(standing, event)
    return () if holder is None else holder.notified


def _notify(standing: Standing, event: Event, targets: Iterable[str]) -> None:
    """Remember that these are told of a firing."""
    holder = _holder(standing, event)
    if holder is not None:
        holder.notified = tuple(dict.fromkeys([*holder.notified, *targets]))


def _holder(standing: Standing, event: Event) -> Firing | Past | None:
    """What the standing remembers of the firing that an event is of."""
    key_us = to_us(event.starts_at)
    if standing.firing is not None and standing.firing.key_us == key_us:
        return standing.firing
    return next((past for past in standing.past if past.key_us == key_us), None)


def tell_end(event: Event, alert: Alert, *, notified: Iterable[str], router: Router) -> tuple[Event, list[Enqueued]]:
    """Tell of an end whoever was told of the firing, and nobody else; quiet hours count. As `tell`."""
    told = tuple(notified)
    try:
        decided = router(alert, event)
    except StorageUnavailable:  # the targets are not known yet, and need not be
        decided = None
    if decided is None:
        return event, _queue(event, Routing(told, {}))
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


NotePlace = tuple[Receipt, Note, datetime | None]
"""A note, and the key of the occurrence that it is about; None where nobody knows it."""


def scoped_notes(receipt: Receipt) -> Iterable[Note]:
    """The notes of a request, each about an alert of its scope."""
    scope = receipt.speaker.scope
    for note in receipt.group.notes:
        yield msgspec.structs.replace(note, fingerprint=scoped(note.fingerprint, scope)) if scope else note


def key_of_note(standing: Standing, note: Note) -> int | None:
    """The key of the occurrence that a note is about; None if the standing remembers none such."""
    return key_at(standing, None if note.starts_at is None else to_us(note.starts_at))


def place_notes(places: Iterable[NotePlace]) -> PlacedNotes:
    """Make each note an event of its occurrence. The events are sorted by key, so that two replicas lock alike."""
    placed = PlacedNotes()
    for receipt, note, starts_at in places:
        if starts_at is None:
            reason = f"{note.kind}: no such occurrence of {note.fingerprint} is known"
            placed.orphans.append((receipt, Refused(note.position, reason, encode_json(note), "unknown_occurrence")))
        else:
            placed.events.append(note_event(note, starts_at=starts_at, receipt_id=receipt.id))
    placed.events.sort(key=lambda event: (event.fingerprint, event.starts_at, event.key))
    return placed


def muting(events: Iterable[Event]) -> list[tuple[Event, Muted | None]]:
    """The events that say that an alert is muted, and by what; None where it is not any more."""
    return [(event, _muted_by(event)) for event in events if event.kind in {"silenced", "unsilenced", "inhibited"}]


def _muted_by(event: Event) -> Muted | None:
    detail = event.detail or {}
    match event.kind:
        case "silenced":
            until = detail.get("ends_at")
            until_us = to_us(datetime.fromisoformat(until)) if until else None
            return Muted("silenced", str(detail.get("silence_id", "")), until_us)
        case "inhibited":
            return Muted("inhibited", ", ".join(map(str, detail.get("inhibited_by", []))))
        case _:
            return None


def newest_silences(receipts: Iterable[Receipt]) -> list[Silence]:
    """The silences of a batch, the newest word on each, by id."""
    newest: dict[str, Silence] = {}
    for silence in (silence for receipt in receipts for silence in receipt.group.silences):
        held = newest.get(silence.id)
        if held is None or held.updated_at <= silence.updated_at:
            newest[silence.id] = silence
    return [newest[silence_id] for silence_id in sorted(newest)]


def outcomes(
    receipts: Sequence[Receipt], *, decisions: Iterable[Decision], placed: PlacedNotes, queue: Iterable[Enqueued]
) -> list[Outcome]:
    """What to answer each request."""
    stored = Counter(receipt_id for decision in decisions for receipt_id in decision.stored)
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
        scope = receipt.speaker.scope if receipt.group.cut else ""
        made += [(receipt, c.whole) for c in receipt.group.cut if (receipt.id, scoped(c.fingerprint, scope)) in news]
    return made + placed.orphans


def _outcome(receipt: Receipt, *, stored: int, quarantined: int, told: Sequence[str]) -> Outcome:
    received = receipt.group.received
    repeated = received - stored - quarantined
    return Outcome(receipt.id, received, stored, repeated, quarantined, len(told), frozenset(told))


def from_grafana(groups: Mapping[str, Sequence[Sighting]], seen: Container[str]) -> dict[str, str]:
    """The alerts of a Grafana that were not seen lately, and under which fingerprint an older release kept each."""
    older = {f: without_grafana(f) for f, s in groups.items() if s[0].source == "grafana" and f not in seen}
    return {fingerprint: before for fingerprint, before in older.items() if before is not None}


def renamed(groups: Mapping[str, list[Sighting]], names: Mapping[str, str]) -> dict[str, list[Sighting]]:
    """The sightings, those of some label sets under another fingerprint, which goes on until it is over."""
    if not names:
        return dict(groups)
    moved: dict[str, list[Sighting]] = {}
    for fingerprint, sightings in groups.items():
        name = names.get(fingerprint, fingerprint)
        moved.setdefault(name, []).extend(sightings if name == fingerprint else map(_named(name), sightings))
    return dict(sorted(moved.items()))


def _named(fingerprint: str) -> Callable[[Sighting], Sighting]:
    def rename(sighting: Sighting) -> Sighting:
        alert = msgspec.structs.replace(sighting.alert, fingerprint=fingerprint)
        return msgspec.structs.replace(sighting, alert=alert)

    return rename


def is_same_word(sightings: Sequence[Sighting]) -> bool:
    """Whether all say the same, so that one statement can count them; of a first-hand sender only one may."""
    one = sightings[0]
    if len(sightings) == 1:
        return True
    return not (one.word.is_firing and one.word.kind == "first_hand") and all(
        s.claim == one.claim
        and s.content_hash == one.content_hash
        and s.alert.status == one.alert.status
        and s.word.is_to_publish == one.word.is_to_publish
        for s in sightings[1:]
    )


def stored_sighting(  # the columns of a row
    fingerprint: str,
    starts_at: datetime,
    *,
    labels: dict[str, str],
    occurrence: Occurrence,
    generator_url: str,
    source: Source,
    received_at: datetime,
) -> Sighting:
    """What is kept of an occurrence, as if it were said now; of what was claimed nothing is known."""
    alert = Alert(
        fingerprint, occurrence.status, labels, occurrence.annotations, starts_at, generator_url=generator_url
    )
    word = Word("", "witness", is_firing=True, start_us=to_us(starts_at), at_us=0, content=0)
    content = encode_json(occurrence.annotations)
    receiver = occurrence.receiver
    return Sighting(alert, occurrence.content_hash, content, source, receiver, "", received_at, word, 0)


def shortest_wait_us(word: Word) -> int:
    """How long after the last sign a word may be a plain repeat: sooner, two first-hand senders may speak as one."""
    if word.kind == "witness" or word.until_us is None:
        return -_ANY_TIME_US
    return max(word.until_us - word.at_us, 0) // (2 * RESENDS_PROMISED)


def closed_us(standing: Standing) -> int | None:
    """When the last firing of a label set was over; None where one is open."""
    return None if standing.firing is not None else standing.last_end_us


def new_id(time: datetime) -> str:
    """A new id that sorts by that time."""
    return time_ordered_id(time, randomness=os.urandom(RANDOM_ID_BYTES))


def lowest_uuid7(time: datetime) -> str:
    """Sorts before every UUIDv7 made at or after that time, and after all made before its millisecond."""
    milliseconds = f"{max(to_us(time), 0) // 1000:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-000000000000"


def json_or_none(value: Any) -> str | None:
    """A value as JSON text; None stays NULL."""
    return None if value is None else encode_json(value).decode()
