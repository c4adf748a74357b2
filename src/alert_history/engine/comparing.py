"""Comparing: which label sets the answers of origins are about, and which of these answers need a decision.

Reads the open label sets page by page. Pure. Must not decide what an answer changes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from alert_history.domain.claim import is_same_start
from alert_history.domain.correcting import OpenLabelSet, Sign, weigh
from alert_history.domain.reconciling import Answer, Asked, Lacked, own_claims
from alert_history.domain.speaker import scoped, split_scope
from alert_history.domain.standing import Witnesses
from alert_history.engine.listing import Listing

_GRAFANA = "grafana-"

Answers = dict[str, list[Answer]]
"""Answers by the fingerprint with its scope, in the order in which the origins were asked."""


class Voice(msgspec.Struct):
    """One origin over all rounds: its listing of each round, the oldest first.

    Clusters that turned out to be one witness are one voice. `seen` is what the origin listed when it was asked before
    these rounds, and `seen_us` when that was.
    """

    listings: list[Listing]
    seen_us: int | None = None
    seen: frozenset[str] = frozenset()

    @property
    def asked(self) -> Asked:
        """How the origin was asked last."""
        return self.listings[-1].asked

    def remember(self, seen_us: int | None, seen: frozenset[str]) -> None:
        """Take up what the origin listed when it was asked before, and when that was; None: it was never asked."""
        self.seen_us, self.seen = seen_us, seen

    def lists(self, fingerprint: str) -> bool:
        """Whether the origin listed this fingerprint at least once."""
        return any(fingerprint in listing.listed for listing in self.listings)

    def answers(self, fingerprint: str, alertname: str) -> list[Answer]:
        """The answers about a label set, by its fingerprint without a scope; none where the origin can't know it."""
        seen_us = self.seen_us if fingerprint in self.seen else None
        return [
            msgspec.structs.replace(listing.listed[fingerprint], seen_us=seen_us)
            if fingerprint in listing.listed
            else Lacked(listing.asked, seen_us)
            for listing in self.listings
            if fingerprint in listing.listed or alertname not in listing.unknown
        ]


def voices(rounds: Sequence[Sequence[Listing]], witnesses: Witnesses, faults: Mapping[str, str]) -> list[Voice]:
    """The voices of these rounds. `faults` are why clusters did not answer, by the sender of their API."""
    by_witness: dict[object, Voice] = {}
    for listings in rounds:
        together: dict[object, list[Listing]] = defaultdict(list)
        for listing in listings:
            together[_voice_key(listing.asked, witnesses)].append(listing)
        for key, same_voice in together.items():
            silent = [fault for sender, fault in faults.items() if witnesses.of(sender) == key]
            by_witness.setdefault(key, Voice([])).listings.append(_merged(same_voice, silent))
    return sorted(by_witness.values(), key=lambda voice: voice.listings[0].asked.asked_us)


def _voice_key(asked: Asked, witnesses: Witnesses) -> object:
    return witnesses.of(asked.sender) if asked.kind == "witness" else (asked.name, asked.senders)


def _merged(listings: Sequence[Listing], silent: Sequence[str]) -> Listing:
    """One listing of clusters that are one witness: what one of them lists is listed, so no cluster ends it alone."""
    if len(listings) == 1 and not silent:
        return listings[0]
    reasons = [listing.asked.no_end for listing in listings if listing.asked.no_end is not None]
    asked = msgspec.structs.replace(
        listings[0].asked,
        no_end=next(iter([*reasons, *silent]), None),
        asked_us=min(listing.asked.asked_us for listing in listings),
    )
    listed = {name: answer for listing in reversed(listings) for name, answer in listing.listed.items()}
    return msgspec.structs.replace(listings[0], asked=asked, listed=listed)


class Comparison:
    """Takes pages of open label sets; then says which answers need a decision: about listed and about lacked alerts.

    `open` is how many label sets were compared; `strange` are, in the end, those that no origin claims.
    """

    def __init__(self, heard: Sequence[Voice], witnesses: Witnesses, *, sign_every_us: int) -> None:
        self._voices = heard
        self._witnesses = witnesses
        self._sign_every_us = sign_every_us
        self.signs: list[Sign] = []
        self.open = 0
        self.strange: set[str] = set()
        self._own: Answers = {}
        self._taken: list[set[str]] = [set() for _ in heard]
        self._homes: list[Counter[str]] = [Counter() for _ in heard]
        self._others: dict[str, list[OpenLabelSet]] = defaultdict(list)
        self._lacked: Answers = {}
        self._label_sets: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._listed = {name for voice in heard for listing in voice.listings for name in listing.listed}

    def take(self, page: Iterable[OpenLabelSet]) -> None:
        """Compare a page of open label sets."""
        for label_set in page:
            self.open += 1
            fingerprint, scope = split_scope(label_set.fingerprint)
            self.strange.add(label_set.fingerprint)
            for position, voice in enumerate(self._voices):
                if self._is_own(label_set, voice.asked):
                    self._homes[position][scope] += 1
                    self._taken[position].add(fingerprint)
                    self.strange.discard(label_set.fingerprint)
                    self._take_own(label_set, voice, fingerprint)
            if fingerprint in self._listed:
                self._others[fingerprint].append(label_set)
            self._remember(label_set)

    def listed(self) -> Answers:
        """The answers about listed alerts: of origins that claim them, of possible peers, and about new alerts."""
        answers = {name: list(own) for name, own in self._own.items()}
        for voice, taken, homes in zip(self._voices, self._taken, self._homes, strict=True):
            listed = dict.fromkeys(name for listing in voice.listings for name in listing.listed if name not in taken)
            places = {name: self._place_of_peers(voice, name) for name in listed}
            homes.update(split_scope(place)[1] for place in places.values() if place is not None)
            home = homes.most_common(1)[0][0] if homes else self._scope(voice.asked)
            for name, place in places.items():
                scoped_name = place or self._place(voice, name, home)
                if scoped_name is not None:
                    self.strange.discard(scoped_name)
                    answers.setdefault(scoped_name, []).extend(voice.answers(name, ""))
        return _in_order(answers)

    def lacked(self, witnesses: Witnesses) -> Answers:
        """The answers about alerts that are claimed and not listed, by the witnesses that are known after `listed`."""
        answers = {name: list(lacked) for name, lacked in self._lacked.items()}
        for voice in self._voices:
            if voice.asked.kind != "witness":
                continue
            cluster = witnesses.of(voice.asked.sender)
            for sender, label_sets in self._label_sets.items():
                if witnesses.of(sender) == cluster:
                    for name, alertname in label_sets:
                        self.strange.discard(name)
                        answers.setdefault(name, []).extend(_ending(voice, name, alertname))
        return _in_order(answers)

    def _is_own(self, label_set: OpenLabelSet, asked: Asked) -> bool:
        firing = label_set.standing.firing
        return firing is not None and bool(own_claims(firing, asked, self._witnesses))

    def _take_own(self, label_set: OpenLabelSet, voice: Voice, fingerprint: str) -> None:
        if not voice.lists(fingerprint):
            if voice.asked.kind == "first_hand":
                lacked = _ending(voice, label_set.fingerprint, label_set.alertname)
                self._lacked.setdefault(label_set.fingerprint, []).extend(lacked)
            return
        answers = voice.answers(fingerprint, label_set.alertname)
        weights = {
            weigh(label_set, answer, witnesses=self._witnesses, sign_every_us=self._sign_every_us) for answer in answers
        }
        firing = label_set.standing.firing
        if "thought" in weights:
            self._own.setdefault(label_set.fingerprint, []).extend(answers)
        elif "sign" in weights and firing is not None:
            at_us = max(answer.asked.asked_us for answer in answers)
            self.signs.append(Sign(label_set.fingerprint, firing.key_us, label_set.claim, at_us))

    def _remember(self, label_set: OpenLabelSet) -> None:
        """Remember which witness claims a label set: peers may show only later."""
        firing = label_set.standing.firing
        claims = [] if firing is None else [claim for claim in firing.claims if not claim.is_first_hand]
        for claim in claims:
            self._label_sets[claim.sender].append((label_set.fingerprint, label_set.alertname))

    def _place_of_peers(self, voice: Voice, fingerprint: str) -> str | None:
        """The fingerprint under which another witness claims the alert with the same start: then both are peers."""
        if voice.asked.kind != "witness":
            return None
        others = self._others.get(fingerprint, [])
        peers = (label_set for label_set in others if _names_same_start(label_set, voice, fingerprint))
        return next((label_set.fingerprint for label_set in peers), None)

    def _scope(self, asked: Asked) -> str | None:
        """The scope of an origin, as its own senders name it; None: others name a scope, and this one is unknown."""
        senders = asked.senders if asked.kind == "first_hand" else {asked.sender}
        return self._witnesses.scope_of(senders) if self._witnesses.scopes else ""

    def _place(self, voice: Voice, fingerprint: str, home: str | None) -> str | None:
        """The fingerprint under which a listed alert is stored that nobody claims yet.

        None: it is not stored, because others claim it and this origin adds nothing, or because its scope is unknown.
        """
        if home is None:
            return None
        is_open = any(label_set.scope == home for label_set in self._others.get(fingerprint, []))
        return None if is_open and voice.asked.kind == "first_hand" else scoped(fingerprint, home)


def _names_same_start(label_set: OpenLabelSet, voice: Voice, fingerprint: str) -> bool:
    """Whether another witness claims the label set with the start that this voice names; a Grafana is never a peer."""
    firing = label_set.standing.firing
    if firing is None or _GRAFANA in label_set.scope:
        return False
    starts = [
        listing.listed[fingerprint].sighting.word.start_us
        for listing in voice.listings
        if fingerprint in listing.listed
    ]
    claims = [claim for claim in firing.claims if not claim.is_first_hand]
    return any(is_same_start(claim.start_us, start_us) for claim in claims for start_us in starts)


def _ending(voice: Voice, fingerprint: str, alertname: str) -> list[Answer]:
    """The answers that may end a label set, if the voice lists it in no round."""
    plain, _ = split_scope(fingerprint)
    if voice.lists(plain):
        return []
    return [answer for answer in voice.answers(plain, alertname) if answer.asked.no_end is None]


def _in_order(answers: Mapping[str, Sequence[Answer]]) -> Answers:
    return {
        name: sorted(about, key=lambda answer: answer.asked.asked_us)
        for name, about in sorted(answers.items())
        if about
    }
