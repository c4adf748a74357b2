"""A decision: what a batch of sightings, or the passing of time, makes of one label set.

Joins the rules of `hearing` and `lapsing` with the occurrences they are about: each step becomes an event, and each
sighting that makes none is counted as a repeat. Every store decides by this module alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import msgspec

from alert_history.domain.alert import Alert
from alert_history.domain.claim import UNKNOWN_SENDER, Claim
from alert_history.domain.counting import Counted, counted
from alert_history.domain.hearing import hear
from alert_history.domain.lapsing import leave_group, pass_time
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.notifying import audience_of
from alert_history.domain.occurrence import (
    Event,
    EventKind,
    Occurrence,
    Sighting,
    Telling,
    about_of,
    changed_annotations,
)
from alert_history.domain.showing import hash_of, show_firing, show_past, shown_start
from alert_history.domain.standing import (
    Firing,
    Muted,
    Rules,
    Standing,
    Witnesses,
    close,
    live_claims,
)
from alert_history.domain.step import Step

_encode = msgspec.json.Encoder().encode

_STATES: dict[str, EventKind] = {
    "joined": "joined",
    "opened": "fired",
    "reopened": "refired",
    "recorded_over": "resolved",
    "published": "published",
    "start_moved": "start_moved",
    "confirmed": "confirmed",
    "unconfirmed": "unconfirmed",
    "left": "left",
    "conflict": "conflict",
    "reworded": "annotations_changed",
    "silenced": "silenced",
    "inhibited": "inhibited",
    "unsilenced": "unsilenced",
}


class Known(msgspec.Struct, gc=False):
    """What a store has of one label set: its standing, and its newest occurrence, None where that is gone.

    `first` is what was first said of that occurrence, as a sighting; only the passing of time asks for it.
    """

    standing: Standing
    newest: Occurrence | None = None
    first: Sighting | None = None


class Entry(msgspec.Struct, gc=False):
    """One occurrence that a decision touched; `first` is the sighting that began it, None where it was known before.

    `is_changed` is false where nothing but its repeats were counted. `was` is how it was counted before, with
    `repeats_before`. `joined` are the labels of one that turned out to be a double, and so does not count any more.
    """

    starts_at: datetime
    occurrence: Occurrence
    first: Sighting | None = None
    is_changed: bool = False
    was: Counted | None = None
    repeats_before: int = 0
    joined: Mapping[str, str] | None = None

    @classmethod
    def of_known(cls, fingerprint: str, key_us: int, occurrence: Occurrence) -> Self:
        """The entry of an occurrence that a store holds already."""
        was = counted(fingerprint, key_us, occurrence)
        return cls(from_us(key_us), occurrence, was=was, repeats_before=occurrence.repeat_count)


class Decision(msgspec.Struct, gc=False):
    """What is to be written of one label set. `is_standing_changed` is false where only repeats were counted.

    `alerts` are what the events are about, one each, as the router wants to see it. `peers` are senders that turned out
    to be one witness. `stored` are the receipts of the sightings that changed something, one for each.
    """

    fingerprint: str
    standing: Standing
    entries: dict[int, Entry]
    events: list[Event] = []
    alerts: list[Alert] = []
    is_standing_changed: bool = False
    peers: tuple[tuple[str, str], ...] = ()
    stored: tuple[str, ...] = ()

    @property
    def newest(self) -> Entry | None:
        """The entry of the newest occurrence, if it was touched or known."""
        key_us = self.standing.newest_key_us
        return None if key_us is None else self.entries.get(key_us)


def decide(known: Known | None, sightings: Sequence[Sighting], *, rules: Rules, witnesses: Witnesses) -> Decision:
    """Take sightings of one label set in the order they came."""
    if known is None and len(sightings) == 1 and sightings[0].word.is_firing:
        return _decide_first(sightings[0], witnesses)
    decision = begin(sightings[0].alert.fingerprint, known)
    before = _encode(decision.standing.past)
    for sighting in sightings:
        steps = hear(decision.standing, sighting.word, rules=rules, witnesses=witnesses)
        _take(decision, steps, sighting)
    settle(decision)
    decision.is_standing_changed = decision.is_standing_changed or before != _encode(decision.standing.past)
    return decision


def _decide_first(sighting: Sighting, witnesses: Witnesses) -> Decision:
    """What the rules make of a single firing of an unknown label set, at a fifth of their cost: most alerts are one."""
    word, alert = sighting.word, sighting.alert
    is_in_future = word.start_us > word.at_us
    key_us = word.at_us if is_in_future else word.start_us
    starts_at = sighting.received_at if is_in_future else alert.starts_at
    sender = witnesses.of(word.sender)
    claim = Claim(sender, word.start_us, word.until_us, word.at_us, word.at_us, word.content)
    firing = Firing(key_us, key_us, [claim], is_published=word.is_to_publish)
    occurrence = Occurrence(
        "firing",
        sighting.content_hash,
        alert.annotations,
        None,
        None if word.until_us is None else from_us(word.until_us),
        sighting.received_at,
        0,
        1,
        is_published=word.is_to_publish,
        claim=sighting.claim if sender == word.sender else hash_of(claim),
        receiver=sighting.receiver,
        generator_url=alert.generator_url,
        about=about_of(sighting),
    )
    telling: Telling | None = "routed" if word.is_to_publish else None
    at, fingerprint = sighting.received_at, alert.fingerprint
    event = Event(fingerprint, starts_at, 1, "fired", at, sighting.receipt_id, None, telling)
    shown = msgspec.structs.replace(alert, starts_at=starts_at) if is_in_future else alert
    entries = {key_us: Entry(starts_at, occurrence, sighting, is_changed=True)}
    return Decision(
        fingerprint,
        Standing(firing),
        entries,
        [event],
        [shown],
        is_standing_changed=True,
        stored=(sighting.receipt_id,),
    )


def let_pass(fingerprint: str, known: Known, now: datetime, *, rules: Rules, stale_after_us: int | None) -> Decision:
    """Let time pass for one label set; `expires_at` of its occurrence is when to look again."""
    decision = begin(fingerprint, known)
    passed = pass_time(decision.standing, to_us(now), rules=rules, stale_after_us=stale_after_us)
    take_steps(decision, passed.steps, known, at=now)
    settle(decision)
    _look_again(decision, passed.next_us)
    return decision


def _look_again(decision: Decision, next_us: int | None) -> None:
    """When time alone may change it next. What only a witness holds is looked for by its last sign instead."""
    firing, newest = decision.standing.firing, decision.newest
    if firing is None or newest is None:
        return
    is_timed = live_claims(firing, firing.last_sign_us) or firing.hold or firing.muted or firing.unconfirmed is not None
    newest.occurrence.expires_at = from_us(next_us) if is_timed and next_us is not None else None
    newest.is_changed = True


def let_leave(fingerprint: str, known: Known, now: datetime, *, sender: str, missed_us: int) -> Decision:
    """A witness's group went on without this label set."""
    decision = begin(fingerprint, known)
    steps = leave_group(decision.standing, sender, missed_us=missed_us, at_us=to_us(now))
    take_steps(decision, steps, known, at=now)
    settle(decision)
    return decision


def let_mute(fingerprint: str, known: Known, *, starts_at: datetime, muted: Muted | None) -> Decision | None:
    """What is open at that key is muted, or is not any more; None if that was known."""
    firing = known.standing.firing
    if firing is None or from_us(firing.key_us) != starts_at or firing.muted == muted:
        return None
    decision = begin(fingerprint, known)
    firing.muted = muted
    decision.is_standing_changed = True
    settle(decision)
    return decision


def begin(fingerprint: str, known: Known | None) -> Decision:
    """A decision of which nothing is decided yet, on what is known by now."""
    if known is None:
        return Decision(fingerprint, Standing(), {})
    standing, newest = known.standing, known.newest
    if newest is None:
        _forget_newest(standing)
        return Decision(fingerprint, standing, {})
    _heed(standing, newest)
    _refresh(standing, newest)
    key_us = standing.newest_key_us
    entries = {} if key_us is None else {key_us: Entry.of_known(fingerprint, key_us, newest)}
    return Decision(fingerprint, standing, entries)


def _forget_newest(standing: Standing) -> None:
    """The history holds the newest occurrence no more, so nothing can join it or open it again."""
    standing.firing, standing.past = None, ()


def _heed(standing: Standing, newest: Occurrence) -> None:
    """Take up what a release before ours, which knows of no standings, has made of the newest occurrence meanwhile."""
    if standing.firing is not None and newest.status == "resolved":
        close(standing, to_us(newest.ends_at or newest.last_received_at), "resolved")
    elif standing.firing is None and standing.past and newest.status == "firing":
        *earlier, past = standing.past
        claim = claim_of_occurrence(newest, past.start_us)
        standing.past = tuple(earlier)
        is_published, notified = newest.is_published, past.notified
        standing.firing = Firing(past.key_us, past.start_us, [claim], past.words, is_published, notified)


def claim_of_occurrence(occurrence: Occurrence, start_us: int) -> Claim:
    """The claim that holds open an occurrence of an older release, which did not keep its sender."""
    until_us = None if occurrence.expires_at is None else to_us(occurrence.expires_at)
    last_us = to_us(occurrence.last_received_at)
    return Claim(UNKNOWN_SENDER, start_us, until_us, start_us, last_us, occurrence.content_hash)


def _refresh(standing: Standing, newest: Occurrence) -> None:
    """Take up what repeats have moved since: they are counted on the occurrence alone."""
    firing = standing.firing
    if firing is None or newest.claim == 0 or len(firing.claims) != 1:
        return
    claim = firing.claims[0]
    claim.last_us = max(claim.last_us, to_us(newest.confirmed_at or newest.last_received_at))
    if claim.until_us is not None and newest.expires_at is not None:
        claim.until_us = max(claim.until_us, to_us(newest.expires_at))


def _take(decision: Decision, steps: Sequence[Step], sighting: Sighting) -> None:
    """The steps that one sighting makes, or that it repeats what is known."""
    steps = take_peers(decision, steps)
    is_published = any(step.kind == "published" for step in steps)
    for step in steps:
        _take_step(decision, step, sighting, at=sighting.received_at, sighting=sighting, is_published=is_published)
    if steps:
        decision.stored += (sighting.receipt_id,)
    if decision.newest is not None:
        _count(decision.newest, sighting, is_repeat=not steps)


def take_peers(decision: Decision, steps: Sequence[Step]) -> list[Step]:
    """Take up who turned out to be peers; the other steps."""
    decision.peers += tuple((step.sender, step.peer) for step in steps if step.kind == "peers")
    return [step for step in steps if step.kind != "peers"]


def with_peers(witnesses: Witnesses, decisions: Iterable[Decision]) -> Witnesses:
    """What is known of witnesses after these decisions."""
    for decision in decisions:
        for sender, peer in decision.peers:
            witnesses = witnesses.joined(sender, peer)
    return witnesses


def _count(newest: Entry, sighting: Sighting, *, is_repeat: bool) -> None:
    occurrence = newest.occurrence
    if is_repeat:
        occurrence.repeat_count += 1
    occurrence.last_received_at = max(occurrence.last_received_at, sighting.received_at)
    receiver = occurrence.receiver or (sighting.receiver if sighting.word.is_listed else "")
    generator_url = occurrence.generator_url or sighting.alert.generator_url
    if (receiver, generator_url) != (occurrence.receiver, occurrence.generator_url):
        occurrence.receiver, occurrence.generator_url = receiver, generator_url
        newest.is_changed = True


def take_steps(decision: Decision, steps: Iterable[Step], known: Known, *, at: datetime) -> None:
    """The steps that time alone makes, without a word of a sender."""
    for step in steps:
        _take_step(decision, step, known.first, at=at)


def _take_step(
    decision: Decision,
    step: Step,
    about: Sighting | None,
    *,
    at: datetime,
    sighting: Sighting | None = None,
    is_published: bool = False,
) -> None:
    """One step: an event, and what it makes of its occurrence. `about` says which alert that is, if it is known."""
    entry = _entry(decision, step, about)
    occurrence = entry.occurrence
    occurrence.event_count += 1
    entry.is_changed = decision.is_standing_changed = True
    cause = sighting or entry.first
    decision.events.append(
        Event(
            decision.fingerprint,
            entry.starts_at,
            occurrence.event_count,
            _kind(step),
            at,
            (cause.receipt_id or None) if cause is not None else None,
            _detail(step, occurrence, sighting),
            audience_of(step, decision.standing.firing, is_published=is_published),
        )
    )
    _apply(occurrence, step, sighting)
    if about is not None:
        decision.alerts.append(_alert_of(step, occurrence, about.alert))


def _alert_of(step: Step, occurrence: Occurrence, alert: Alert) -> Alert:
    """What a step is about, as the router wants to see it."""
    return msgspec.structs.replace(
        alert,
        status=occurrence.status,
        annotations=occurrence.annotations,
        starts_at=from_us(step.start_us),
        ends_at=occurrence.ends_at,
    )


def _entry(decision: Decision, step: Step, first: Sighting | None) -> Entry:
    """The occurrence of a step; a new one, of which that was first said, where it begins one."""
    entry = decision.entries.get(step.key_us)
    if entry is None:
        if first is None:
            raise ValueError("what was first said is not known")
        entry = decision.entries[step.key_us] = Entry(from_us(step.key_us), _begun(first), first)
    return entry


def _begun(sighting: Sighting) -> Occurrence:
    return Occurrence(
        status="firing",
        content_hash=sighting.content_hash,
        annotations=sighting.alert.annotations,
        ends_at=None,
        expires_at=None,
        last_received_at=sighting.received_at,
        repeat_count=0,
        event_count=0,
        receiver=sighting.receiver,
        generator_url=sighting.alert.generator_url,
        about=about_of(sighting),
    )


def _kind(step: Step) -> EventKind:
    return step.ended_by or "resolved" if step.kind == "ended" else _STATES[step.kind]


def _detail(step: Step, occurrence: Occurrence, sighting: Sighting | None) -> dict[str, Any] | None:
    """What an event says beyond its kind."""
    detail: dict[str, Any] = {}
    if step.end_us is not None:
        detail["ends_at"] = from_us(step.end_us).isoformat()
    if step.kind == "start_moved" and step.bounds_us is not None:
        was_us, claimed_us = step.bounds_us
        detail["starts_at"] = from_us(step.start_us).isoformat()
        detail["was"] = from_us(was_us).isoformat()
        detail["claimed"] = from_us(claimed_us).isoformat()
    elif step.bounds_us is not None:
        detail["between"] = [from_us(bound).isoformat() for bound in step.bounds_us]
    if step.reason:
        detail["reason"] = step.reason
    detail |= step.details
    if sighting is not None and step.kind != "opened":
        if sighting.speaker is not None and step.kind != "reworded":
            detail["sender"] = sighting.speaker.name(sighting.alert)
        detail |= _rewording(step, occurrence, sighting) or {}
    return detail or None


def _rewording(step: Step, occurrence: Occurrence, sighting: Sighting) -> dict[str, Any] | None:
    if step.kind not in {"reworded", "reopened", "ended"} or not _brings_annotations(step, sighting):
        return None
    return changed_annotations(occurrence.annotations, sighting.alert.annotations)


def _brings_annotations(step: Step, sighting: Sighting) -> bool:
    """A resolve without annotations leaves what the firing said; an end that a new start infers is not its own."""
    if step.kind == "ended":
        return step.ended_by == "resolved" and bool(sighting.alert.annotations)
    return True


def _apply(occurrence: Occurrence, step: Step, sighting: Sighting | None) -> None:
    """Move an occurrence by one step."""
    match step.kind:
        case "ended" | "recorded_over":
            _close(occurrence, step)
        case "opened" | "reopened":
            occurrence.status, occurrence.ends_at, occurrence.ended_by = "firing", None, None
            occurrence.unconfirmed = occurrence.confirmed_at = None
            occurrence.content_hash = occurrence.content_hash if sighting is None else sighting.content_hash
        case "unconfirmed":
            occurrence.unconfirmed = step.reason
        case "confirmed":
            occurrence.unconfirmed = None
    if sighting is None or step.kind not in {"reworded", "reopened", "ended"}:
        return
    if _brings_annotations(step, sighting):
        occurrence.annotations = sighting.alert.annotations
    if step.ended_by != "inferred":
        occurrence.content_hash = sighting.content_hash


def _close(occurrence: Occurrence, step: Step) -> None:
    if step.kind == "ended" and occurrence.confirmed_at is None:
        occurrence.confirmed_at = occurrence.last_received_at
    occurrence.status = "resolved"
    occurrence.ends_at = None if step.end_us is None else from_us(step.end_us)
    occurrence.ended_by = step.ended_by
    occurrence.unconfirmed = None
    occurrence.expires_at = None


def settle(decision: Decision) -> None:
    """Bring what the occurrences show in line with the standing."""
    standing = decision.standing
    for key_us, entry in decision.entries.items():
        occurrence = entry.occurrence
        past = next((past for past in standing.past if past.key_us == key_us), None)
        if standing.firing is not None and standing.firing.key_us == key_us:
            was = (occurrence.claim, occurrence.is_published)
            show_firing(occurrence, standing.firing)
            entry.is_changed = entry.is_changed or was != (occurrence.claim, occurrence.is_published)
            is_plain_repeat = occurrence.claim == was[0] != 0
            decision.is_standing_changed = decision.is_standing_changed or not is_plain_repeat
            occurrence.began_at = shown_start(standing.firing.start_us, key_us)
        elif past is not None:
            show_past(occurrence, past)
            occurrence.began_at = shown_start(past.start_us, key_us)
