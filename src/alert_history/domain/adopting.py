"""Adopting: the standing of a label set of which only occurrences are kept, as a release before ours left them.

That release took each start for an occurrence of its own: so one firing may be kept as several, of which one fires for
ever. They are joined, and what is over is ended, by the rules of `hearing`. Each change is an event. Pure.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alert import Alert, Source
from alert_history.domain.claim import CLOCK_US, Claim, Word
from alert_history.domain.decision import Decision, Entry, Known, claim_of_occurrence, settle, take_steps
from alert_history.domain.hearing import end_firing
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Occurrence, Sighting
from alert_history.domain.standing import (
    DEFAULT_GROUP_INTERVAL_US,
    Firing,
    Past,
    Rules,
    Standing,
    add_past,
    close,
    reach_us,
)
from alert_history.domain.step import Step

_encode = msgspec.json.Encoder().encode

_JOINED = "it is the same firing as an older occurrence: its sender named another start"
_CLEARED = "somebody cleared it, by a clock that was slow"


class StoredOccurrence(msgspec.Struct):
    """An occurrence as a store keeps it, its notified targets, and its first sighting."""

    key_us: int
    occurrence: Occurrence
    first: Sighting
    notified: list[str] = []

    @property
    def end_us(self) -> int:
        """The end of the occurrence, or else its last sign."""
        return to_us(self.occurrence.ends_at or self.occurrence.last_received_at)


class Adoption(msgspec.Struct):
    """What a store has to write. `joined` are occurrences that are part of another one: key → key."""

    decision: Decision
    now: datetime
    joined: dict[int, int] = {}


def adopt(
    fingerprint: str,
    occurrences: Sequence[StoredOccurrence],
    *,
    rules: Rules,
    now: datetime,
    known: Standing | None = None,
) -> Adoption:
    """Make a standing of these occurrences of one label set, in the order of their keys.

    `known` is the standing that is there already: what it knows of them, and of others, stays known.
    """
    known = Standing() if known is None else known
    keys = {stored.key_us for stored in occurrences}
    past = tuple(past for past in known.past if past.key_us not in keys)
    adoption = Adoption(Decision(fingerprint, Standing(None, past, known.splits, known.conflict_us), {}), now)
    for stored in _survivor_first(occurrences, known.firing):
        entry = Entry.of_known(fingerprint, stored.key_us, stored.occurrence)
        adoption.decision.entries[stored.key_us] = entry
        _take_in(adoption, stored, known, rules=rules)
    _end_cleared(adoption, occurrences)
    decision = adoption.decision
    settle(decision)
    for stored in occurrences:
        decision.entries[stored.key_us].is_changed = True
    decision.is_standing_changed = True
    return adoption


def _survivor_first(occurrences: Sequence[StoredOccurrence], firing: Firing | None) -> list[StoredOccurrence]:
    """In the order of their keys, but the one that is known to be open before all: the others are doubles of it."""
    return sorted(occurrences, key=lambda stored: (firing is None or stored.key_us != firing.key_us, stored.key_us))


def _take_in(adoption: Adoption, stored: StoredOccurrence, known: Standing, *, rules: Rules) -> None:
    standing = adoption.decision.standing
    is_open = stored.occurrence.status == "firing"
    past = next((past for past in known.past if past.key_us == stored.key_us), None)
    if past is not None and not is_open:
        add_past(standing, past)
    elif is_open and known.firing is not None and known.firing.key_us == stored.key_us:
        standing.firing = _refreshed(known.firing, stored.occurrence)
    elif standing.firing is None or (not is_open and not _ends(standing.firing, stored)):
        _begin(standing, stored)
    elif _is_apart(standing.firing, stored, rules=rules):
        _end(adoption, standing.firing, stored, end_us=standing.firing.last_sign_us)
        _begin(standing, stored)
    else:
        _join(adoption, standing.firing, stored)


def _ends(firing: Firing, stored: StoredOccurrence) -> bool:
    """Whether a past occurrence ends the open firing, too, because no sender has said since that it fires."""
    return stored.end_us >= firing.start_us and firing.last_sign_us <= to_us(stored.occurrence.last_received_at)


def _end_cleared(adoption: Adoption, occurrences: Sequence[StoredOccurrence]) -> None:
    """End what a resolve without a start meant that a release before ours kept as an occurrence without a length."""
    firing = adoption.decision.standing.firing
    if firing is None:
        return
    meant = next((stored for stored in occurrences if stored.key_us == firing.key_us), None)
    if meant is not None and any(_clears(stored, firing) for stored in occurrences):
        bounds_us = (firing.start_us, firing.last_sign_us)
        ended = end_firing(
            adoption.decision.standing, firing.last_sign_us, "inferred", bounds_us=bounds_us, reason=_CLEARED
        )
        _take(adoption, meant, ended)


def _clears(stored: StoredOccurrence, firing: Firing) -> bool:
    occurrence = stored.occurrence
    if occurrence.status == "firing" or occurrence.ends_at is None or to_us(occurrence.ends_at) != stored.key_us:
        return False
    is_meant = 0 < firing.start_us - stored.key_us <= CLOCK_US
    return is_meant and firing.last_sign_us <= to_us(occurrence.last_received_at)


def _refreshed(firing: Firing, occurrence: Occurrence) -> Firing:
    """With the repeats that were counted on the occurrence alone."""
    if len(firing.claims) == 1:
        _extend(firing.claims[0], occurrence)
    return firing


def _extend(claim: Claim, occurrence: Occurrence) -> None:
    """A claim as it stands after the repeats of an occurrence."""
    claim.last_us = max(claim.last_us, to_us(occurrence.last_received_at))
    if occurrence.expires_at is not None and claim.until_us is not None:
        claim.until_us = max(claim.until_us, to_us(occurrence.expires_at))


def recalled(occurrences: Sequence[StoredOccurrence]) -> Standing:
    """The standing that a few newest occurrences of a label set speak for, in the order of their keys."""
    standing = Standing()
    for stored in occurrences:
        if standing.firing is not None:
            close(standing, stored.key_us, "inferred")
        _begin(standing, stored)
    return standing


def _begin(standing: Standing, stored: StoredOccurrence) -> None:
    occurrence = stored.occurrence
    start_us = to_us(occurrence.began_at) if occurrence.began_at else stored.key_us
    if occurrence.status == "firing":
        standing.firing = Firing(
            stored.key_us,
            start_us,
            [claim_of_occurrence(occurrence, start_us)],
            is_published=occurrence.is_published,
            notified=tuple(stored.notified),
        )
    else:
        end_us = max(stored.end_us, start_us)
        ended_by = occurrence.ended_by or "resolved"
        add_past(standing, Past(stored.key_us, start_us, end_us, ended_by, notified=tuple(stored.notified)))


def _is_apart(firing: Firing, stored: StoredOccurrence, *, rules: Rules) -> bool:
    """Whether a gap lies between what is open and the next start."""
    reaches = [reach_us(claim, interval_us=DEFAULT_GROUP_INTERVAL_US, rules=rules) for claim in firing.claims]
    return all(stored.key_us > reach for reach in reaches)


def _end(adoption: Adoption, firing: Firing, stored: StoredOccurrence, *, end_us: int) -> None:
    """What is open ended before the next start."""
    end_us = max(end_us, firing.start_us)
    bounds_us = (end_us, stored.key_us)
    _take(adoption, stored, end_firing(adoption.decision.standing, end_us, "inferred", bounds_us=bounds_us))


def _join(adoption: Adoption, firing: Firing, stored: StoredOccurrence) -> None:
    """Join an occurrence into the open firing: a firing occurrence is shown as over, a past one ends both."""
    occurrence = stored.occurrence
    adoption.joined[stored.key_us] = firing.key_us
    adoption.decision.entries[stored.key_us].joined = stored.first.alert.labels
    occurrence.about = None
    _take(adoption, stored, Step("joined", firing.key_us, firing.start_us, reason=_JOINED))
    if occurrence.status == "firing":
        _end_double(adoption, firing, stored)
        return
    ended_by = occurrence.ended_by or "resolved"
    _take(adoption, stored, end_firing(adoption.decision.standing, stored.end_us, ended_by, reason=_JOINED))


def _end_double(adoption: Adoption, firing: Firing, stored: StoredOccurrence) -> None:
    """End a double, so that one firing goes on; targets of the double alone are notified of that firing."""
    standing, occurrence = adoption.decision.standing, stored.occurrence
    last_us = to_us(occurrence.last_received_at)
    add_past(standing, Past(stored.key_us, stored.key_us, stored.key_us, "inferred", notified=tuple(stored.notified)))
    ended = Step("ended", stored.key_us, stored.key_us, max(last_us, stored.key_us), "inferred", reason=_JOINED)
    _take(adoption, stored, ended)
    firing.start_us = min(firing.start_us, stored.key_us)
    if firing.claims:
        _extend(max(firing.claims, key=lambda claim: claim.last_us), occurrence)
    if occurrence.is_published and not firing.is_published:
        firing.is_published = True
        _take(adoption, stored, Step("published", firing.key_us, firing.start_us, reason=_JOINED))


def _take(adoption: Adoption, stored: StoredOccurrence, step: Step) -> None:
    known = Known(adoption.decision.standing, first=stored.first)
    take_steps(adoption.decision, [step], known, at=adoption.now)


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
    content = _encode(occurrence.annotations)
    receiver = occurrence.receiver
    return Sighting(alert, occurrence.content_hash, content, source, receiver, "", received_at, word, 0)
