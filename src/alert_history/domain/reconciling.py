"""Reconciling: what the answer of an origin, asked what fires, changes in the standing of one label set.

An answer is about the moment of the question: it changes nothing that had a sign since. It corrects only claims of that
very Alertmanager cluster or Prometheus, and it ends only an alert that it lacks twice. Pure: the standing is changed in
place. Must not know how an origin is asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from alert_history.domain.claim import SECOND_US, Claim, SenderKind, Word, is_same_start
from alert_history.domain.hearing import confirm, end_firing, hear, reopen
from alert_history.domain.occurrence import Sighting
from alert_history.domain.standing import (
    Firing,
    Muted,
    Rules,
    Standing,
    Witnesses,
    find_start,
    live_claims,
    witness_claims,
)
from alert_history.domain.step import Step, StepKind

ASKED = "asked"
"""The key under which the detail of an event names the origin that was asked."""

APART_US = SECOND_US
"""How far apart two answers must be to count as two."""

_NO_GAP_US = 10**15
_LEFT_OUT = "does not list it any more"


class Asked(msgspec.Struct, frozen=True):
    """An origin as it was asked at `asked_us`: an Alertmanager cluster, or Prometheus servers with one external URL.

    `source` names it in metrics, `name` for people. What it lists is claimed by `sender`; empty: it never posted to us.
    `senders` are those whose claims are its own; of a cluster they are known by its `sender`. `began_us` is when it
    started or was last reloaded. `no_end` and `no_opening` say why it must not end or open anything; None where it may.
    `is_publishing`: targets are notified of what it opens. `is_alone`: it is one server. `servers` are how many
    answered as one. `apart_us` is how long it has to lack an alert before that is over.
    """

    source: str
    name: str
    kind: SenderKind
    sender: str
    asked_us: int
    senders: frozenset[str] = frozenset()
    began_us: int | None = None
    no_end: str | None = None
    no_opening: str | None = None
    is_publishing: bool = False
    is_alone: bool = False
    servers: int = 1
    apart_us: int = APART_US


class Listed(msgspec.Struct, frozen=True):
    """An origin lists an alert, as `sighting` has it. `muted` is why its Alertmanager is silent; `details` says more.

    `seen_us` is when it was last asked and listed it, too; None where that is not remembered.
    """

    asked: Asked
    sighting: Sighting
    muted: Muted | None = None
    details: Mapping[str, Any] = {}
    seen_us: int | None = None


class Lacked(msgspec.Struct, frozen=True):
    """It does not list an alert. `seen_us` is when it was last asked and did; None where that is not remembered."""

    asked: Asked
    seen_us: int | None = None


Answer = Listed | Lacked


def reconcile(standing: Standing, answer: Answer, *, rules: Rules, witnesses: Witnesses) -> list[Step]:
    """Take one answer; the steps it makes, in order, each with who was asked."""
    if is_heard_since(standing, answer.asked.asked_us):
        return []
    if isinstance(answer, Lacked):
        steps = _lack(standing, answer, witnesses)
    elif standing.firing is None:
        steps = _list_closed(standing, answer, rules=rules, witnesses=witnesses)
    elif answer.asked.kind == "first_hand":
        steps = _list_own(standing.firing, answer)
    else:
        steps = _list_open(standing, standing.firing, answer, rules=rules, witnesses=witnesses)
    return [_explained(step, answer.asked) for step in steps]


def _explained(step: Step, asked: Asked) -> Step:
    """A step with a reason, from which people see that no sender sent it."""
    says_why = step.reason or step.details
    reason = step.reason if says_why else f"{asked.name} lists it"
    return msgspec.structs.replace(
        step, reason=reason, details={"sender": asked.name, **step.details, ASKED: asked.source}
    )


def is_heard_since(standing: Standing, at_us: int) -> bool:
    """Whether a sender said something about the label set after that."""
    firing = standing.firing
    waiting = firing.hold.words if firing is not None and firing.hold is not None else ()
    words = [*standing.known_ends, *waiting]
    claims = firing.claims if firing is not None else []
    return any(word.at_us > at_us for word in words) or any(claim.last_us > at_us for claim in claims)


def own_claims(firing: Firing, asked: Asked, witnesses: Witnesses) -> list[Claim]:
    """The claims of the origin that was asked."""
    if asked.kind == "first_hand":
        return [claim for claim in firing.claims if claim.is_first_hand and claim.sender in asked.senders]
    cluster = witnesses.of(asked.sender)
    return [c for c in firing.claims if not c.is_first_hand and c.sender and witnesses.of(c.sender) == cluster]


# --- It is listed -----------------------------------------------------------------------------------------------------


def _list_closed(standing: Standing, listed: Listed, *, rules: Rules, witnesses: Witnesses) -> list[Step]:
    """No firing is open: open a new one, or let the last firing go on, whose end no sender sent."""
    asked, word = listed.asked, _word(listed)
    if asked.no_opening is not None or not asked.sender:
        return []
    past = standing.past[-1] if standing.past else None
    is_over_before = past is None or min(word.start_us, word.at_us) >= past.end_us
    if is_over_before or (past is not None and past.ended_by == "resolved" and asked.kind == "witness"):
        steps = hear(standing, word, rules=rules, witnesses=witnesses)
    elif past is not None and past.ended_by != "resolved":
        steps = reopen(standing, msgspec.structs.replace(word, sender=witnesses.of(word.sender)))
    else:
        steps = []
    firing = standing.firing
    if firing is None:
        return steps
    was_notified = any(step.kind == "reopened" for step in steps) and past is not None and bool(past.notified)
    firing.is_found = not firing.is_published
    firing.is_published = firing.is_published or was_notified
    return steps + _mark(firing, listed, witnesses)


def _list_open(standing: Standing, firing: Firing, listed: Listed, *, rules: Rules, witnesses: Witnesses) -> list[Step]:
    """An Alertmanager lists the open firing, or a later firing of the label set."""
    asked, word = listed.asked, _word(listed, firing=firing)
    steps: list[Step] = []
    if _has_begun_anew(firing, word, listed, witnesses):
        if asked.no_opening is not None:
            return []
        sign_us = firing.last_sign_us
        bounds_us = (min(sign_us, word.start_us), word.start_us)
        steps.append(
            end_firing(
                standing, bounds_us[0], "reconciled", bounds_us=bounds_us, sender=word.sender, reason="it fires anew"
            )
        )
        word = _word(listed)
    steps += hear(standing, word, rules=rules, witnesses=witnesses)
    if standing.firing is None:
        return steps
    if standing.firing is not firing:
        standing.firing.is_found = not standing.firing.is_published
    return steps + _mark(standing.firing, listed, witnesses)


def _list_own(firing: Firing, listed: Listed) -> list[Step]:
    """A Prometheus lists what it claims: as good as a post that came just now."""
    asked = listed.asked
    own = own_claims(firing, asked, Witnesses())
    if not own:
        return []
    for claim in own:
        claim.missed_us = None
    newest = max(own, key=lambda claim: claim.last_us)
    until_us = newest.until_us or 0
    newest.until_us = max(until_us, asked.asked_us + max(until_us - newest.last_us, 0))
    newest.last_us = max(newest.last_us, asked.asked_us)
    return confirm(firing, newest.sender)


def _word(listed: Listed, *, firing: Firing | None = None) -> Word:
    """The word in a listing. Targets are notified because of a listing only where no sender posted the alert."""
    is_to_publish = listed.asked.is_publishing and listed.muted is None and (firing is None or firing.is_found)
    gap_us = None if listed.asked.no_opening is None else _NO_GAP_US
    return msgspec.structs.replace(listed.sighting.word, is_to_publish=is_to_publish, group_interval_us=gap_us)


def _has_begun_anew(firing: Firing, word: Word, listed: Listed, witnesses: Witnesses) -> bool:
    """Whether the claim of the Alertmanager is over, and it lists another firing.

    It keeps the earliest start as long as it knows of an alert: a later one says that the alert was over in between.
    Not so where it began anew itself, or where its peers know different starts.
    """
    asked, own = listed.asked, own_claims(firing, listed.asked, witnesses)
    if not own or find_start(firing, word.start_us) or word.start_us <= own[-1].start_us:
        return False
    others = [c for c in firing.claims if c not in own and (not c.is_first_hand or (c.until_us or 0) > word.at_us)]
    if others or (asked.began_us is not None and asked.began_us >= own[-1].last_us):
        return False
    missed_us = own[-1].missed_us
    own[-1].last_us = max(own[-1].last_us, listed.seen_us or 0)
    return (
        asked.is_alone or word.start_us > firing.last_sign_us or (missed_us is not None and word.start_us > missed_us)
    )


def _mark(firing: Firing, listed: Listed, witnesses: Witnesses) -> list[Step]:
    """Take up that its Alertmanager mutes it, or does not any more."""
    was, muted, asked = firing.muted, listed.muted, listed.asked
    if is_same_mute(was, muted):
        firing.muted = muted
        return []
    own = own_claims(firing, asked, witnesses)
    if was is not None and any(claim not in own for claim in witness_claims(firing)):
        return []  # another one may mute it
    if muted is not None:
        firing.muted = muted
        kind: StepKind = "silenced" if muted.kind == "silenced" else "inhibited"
        return [Step(kind, firing.key_us, firing.start_us, sender=asked.sender, details=listed.details)]
    if was is None or asked.no_end is not None:
        return []
    firing.muted = None
    reason = f"{asked.name} shows it as active: it is no longer {was.kind}"
    return [Step("unsilenced", firing.key_us, firing.start_us, reason=reason, sender=asked.sender)]


def is_same_mute(mute: Muted | None, other: Muted | None) -> bool:
    """Whether both say that it is muted in the same way by the same, whatever their end."""
    if mute is None or other is None:
        return mute is other
    return mute.kind == other.kind and (mute.by == other.by or mute.by in other.by.split(", "))


# --- It is not listed -------------------------------------------------------------------------------------------------


def _lack(standing: Standing, lacked: Lacked, witnesses: Witnesses) -> list[Step]:
    """Who claims it does not list it: once is remembered, twice in a row ends that claim."""
    firing, asked = standing.firing, lacked.asked
    if firing is None or firing.hold is not None or reason_to_keep(firing, asked, witnesses) is not None:
        return []
    own = own_claims(firing, asked, witnesses)
    if not own:
        return []
    newest = max(own, key=lambda claim: claim.last_us)
    newest.last_us = max(newest.last_us, lacked.seen_us or 0)
    missed_us = _missed_us(own, asked)
    if missed_us is None:
        for claim in own:
            claim.missed_us = asked.asked_us
        return []
    if asked.asked_us - missed_us < asked.apart_us:
        return []
    return _end_claims(standing, firing, own, asked=asked, missed_us=missed_us)


def reason_to_keep(firing: Firing, asked: Asked, witnesses: Witnesses) -> str | None:
    """Why an answer that lacks a firing may not end it; None if it may."""
    is_doubled = any(claim.is_doubled for claim in own_claims(firing, asked, witnesses))
    if asked.no_end is None and is_doubled and asked.servers == 1:
        return "two senders that can't be told apart claim it, and one of them was asked"
    return asked.no_end


def _missed_us(own: Sequence[Claim], asked: Asked) -> int | None:
    """When an answer first lacked it; None where this is the first one since there was a sign, or since a start."""
    missed = [claim.missed_us for claim in own if claim.missed_us is not None]
    if len(missed) < len(own) or (asked.began_us is not None and min(missed) < asked.began_us):
        return None
    return max(missed)


def _end_claims(
    standing: Standing, firing: Firing, own: Sequence[Claim], *, asked: Asked, missed_us: int
) -> list[Step]:
    """End claims; end the firing as well if no other claim holds it open."""
    sign_us = max([firing.last_sign_us, *(word.end_us for word in firing.ended)])
    firing.claims = [claim for claim in firing.claims if claim not in own]
    if asked.kind == "witness" and not witness_claims(firing):
        firing.muted = None
    if live_claims(firing, asked.asked_us) or witness_claims(firing):
        return []
    bounds_us = (min(sign_us, missed_us), missed_us)
    reason = f"{asked.name} {_LEFT_OUT}"
    return [end_firing(standing, bounds_us[0], "reconciled", bounds_us=bounds_us, sender=own[0].sender, reason=reason)]


def is_same_claim(claim: Claim, word: Word) -> bool:
    """Whether a word repeats that claim, and nothing of it has to be taken back."""
    return is_same_start(claim.start_us, word.start_us) and claim.missed_us is None and not claim.has_left
