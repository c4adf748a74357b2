"""Correcting: what the answers of who was asked what fires make of one label set, and whether they are news at all.

Joins the rules of `reconciling` with the occurrences they are about, as `decision` does for what is sent. Pure.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

import msgspec

from alert_history.domain.alert import Alert
from alert_history.domain.claim import Claim
from alert_history.domain.decision import Decision, Known, begin, settle, take_peers, take_steps, with_peers
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.note_text import note_text
from alert_history.domain.occurrence import Event, EventKind, occurrence_id
from alert_history.domain.reconciling import (
    ASKED,
    Answer,
    Asked,
    Lacked,
    Listed,
    is_same_claim,
    is_same_mute,
    own_claims,
    reconcile,
)
from alert_history.domain.speaker import split_scope
from alert_history.domain.standing import Firing, Rules, Standing, Witnesses

CorrectionKind = Literal[
    "ended", "opened", "reopened", "confirmed", "start_moved", "published", "silenced", "inhibited", "unsilenced"
]
CORRECTION_KINDS: tuple[CorrectionKind, ...] = get_args(CorrectionKind)

_KINDS: Mapping[EventKind, CorrectionKind] = {
    "reconciled": "ended",
    "inferred": "ended",
    "fired": "opened",
    "refired": "reopened",
    "confirmed": "confirmed",
    "start_moved": "start_moved",
    "published": "published",
    "silenced": "silenced",
    "inhibited": "inhibited",
    "unsilenced": "unsilenced",
}

Weight = Literal["nothing", "sign", "thought"]
"""What an answer is worth: it says what is known; it is a plain sign that it fires; or it has to be thought about."""


class OpenLabelSet(msgspec.Struct, frozen=True):
    """A label set with an open occurrence, as a store shows it to be compared.

    `claim` and `last_received_us` are those of the occurrence: a plain claim's repeats are counted there alone.
    """

    fingerprint: str
    alertname: str
    standing: Standing
    claim: int
    last_received_us: int

    @property
    def scope(self) -> str:
        """The scope that it is kept under; empty for none."""
        return split_scope(self.fingerprint)[1]

    def sign_us(self, claim: Claim) -> int:
        """When that claim was last repeated."""
        return max(claim.last_us, self.last_received_us) if self.is_plain else claim.last_us

    @property
    def is_plain(self) -> bool:
        """Whether one claim holds it, of which each repeat is counted on the occurrence."""
        firing = self.standing.firing
        return self.claim != 0 and firing is not None and len(firing.claims) == 1


class Sign(msgspec.Struct, frozen=True):
    """That the occurrence with this key, which one plain claim holds, fires at `at_us`."""

    fingerprint: str
    key_us: int
    claim: int
    at_us: int


class Correction(msgspec.Struct, frozen=True):
    """One thing that was set right: an event of an occurrence, and because of whom."""

    source: str
    kind: CorrectionKind
    occurrence_id: str
    alert: str
    reason: str


def weigh(label_set: OpenLabelSet, answer: Answer, *, witnesses: Witnesses, sign_every_us: int) -> Weight:
    """What an answer about an open label set is worth. Signs are written down no more often than that."""
    firing = label_set.standing.firing
    if firing is None:
        return "thought"
    own = own_claims(firing, answer.asked, witnesses)
    if isinstance(answer, Lacked):
        return "thought" if own and answer.asked.no_end is None else "nothing"
    if answer.asked.kind == "first_hand":
        return _weigh_own(label_set, firing, own, asked_us=answer.asked.asked_us, sign_every_us=sign_every_us)
    if len(own) != 1 or not _says_nothing_new(firing, own[0], answer):
        return "thought"
    if answer.asked.asked_us - label_set.sign_us(own[0]) < sign_every_us:
        return "nothing"
    return "sign" if label_set.is_plain else "thought"


def _weigh_own(
    label_set: OpenLabelSet, firing: Firing, own: Sequence[Claim], *, asked_us: int, sign_every_us: int
) -> Weight:
    """Of a Prometheus that lists what it claims: only news if its posts do not come, or did not."""
    if not own:
        return "nothing"
    if firing.unconfirmed is not None or any(claim.missed_us is not None for claim in own):
        return "thought"
    newest = max(own, key=label_set.sign_us)
    late_us = max(sign_every_us, 2 * newest.resend_us)
    return "thought" if asked_us - label_set.sign_us(newest) >= late_us else "nothing"


def _says_nothing_new(firing: Firing, own: Claim, listed: Listed) -> bool:
    """Whether a listing only repeats a claim, and the firing is as the listing says."""
    is_publishing = listed.asked.is_publishing and firing.is_found and listed.muted is None
    needs_no_publishing = firing.is_published or not is_publishing
    until_us = [None if muted is None else muted.until_us for muted in (firing.muted, listed.muted)]
    return (
        needs_no_publishing
        and is_same_claim(own, listed.sighting.word)
        and firing.unconfirmed is None
        and is_same_mute(firing.muted, listed.muted)
        and until_us[0] == until_us[1]
    )


def let_answer(
    fingerprint: str,
    known: Known | None,
    answers: Sequence[Answer],
    *,
    now: datetime,
    rules: Rules,
    witnesses: Witnesses,
) -> Decision:
    """Take the answers about one label set in the order in which they were asked for."""
    decision = begin(fingerprint, known)
    before = known or Known(decision.standing)
    for given in answers:
        answer = _fitted(given, decision)
        if isinstance(answer, Listed):
            before = msgspec.structs.replace(before, first=answer.sighting)
        steps = reconcile(decision.standing, answer, rules=rules, witnesses=witnesses)
        take_steps(decision, take_peers(decision, steps), before, at=now)
        witnesses = with_peers(witnesses, [decision])
        _note_sign(decision, answer.asked)
    settle(decision)
    decision.is_standing_changed = True
    if decision.newest is not None:
        decision.newest.is_changed = True
    return decision


def _fitted(answer: Answer, decision: Decision) -> Answer:
    """The answer as it is about this label set, which has a scope.

    To what is open it brings no other annotations: they may hold a value that changes all the time.
    """
    if isinstance(answer, Lacked):
        return answer
    word, newest = answer.sighting.word, decision.newest
    if decision.standing.firing is not None and newest is not None:
        word = msgspec.structs.replace(word, content=newest.occurrence.content_hash)
    alert = msgspec.structs.replace(answer.sighting.alert, fingerprint=decision.fingerprint)
    return msgspec.structs.replace(answer, sighting=msgspec.structs.replace(answer.sighting, word=word, alert=alert))


def _note_sign(decision: Decision, asked: Asked) -> None:
    """Remember at the occurrence, too, when a sender last said that it fires."""
    firing, newest = decision.standing.firing, decision.newest
    if firing is not None and newest is not None and firing.last_sign_us == asked.asked_us:
        occurrence = newest.occurrence
        occurrence.last_received_at = max(occurrence.last_received_at, from_us(asked.asked_us))


def corrections(decision: Decision) -> list[Correction]:
    """What a decision set right, in order."""
    return [
        _correction(event, alert)
        for event, alert in zip(decision.events, decision.alerts, strict=True)
        if event.kind in _KINDS
    ]


def _correction(event: Event, alert: Alert) -> Correction:
    detail = event.detail or {}
    reason = note_text(event.kind, detail) if event.kind in {"silenced", "inhibited"} else detail.get("reason", "")
    identity = occurrence_id(event.fingerprint, to_us(event.starts_at))
    return Correction(detail.get(ASKED, ""), _KINDS[event.kind], identity, _shown(alert), reason)


def _shown(alert: Alert) -> str:
    """An alert's name and where it is, for people."""
    labels = alert.labels
    place = [labels[name] for name in ("namespace", "instance", "severity") if labels.get(name)]
    name = labels.get("alertname") or alert.fingerprint
    return f"{name} ({', '.join(place)})" if place else name
