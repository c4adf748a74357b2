"""The domain's rules run without a database: all that is decided stays in memory.

It keeps no more than a store does: a standing only where a decision says that it changed, and of a plain repeat only
that it came.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from alert_history.domain.adopting import stored_sighting
from alert_history.domain.claim import shortest_wait_us
from alert_history.domain.counting import Repeated, counted, label_counts, read_changes, written_changes
from alert_history.domain.decision import Decision, Known, decide, let_leave, let_mute, let_pass, with_peers
from alert_history.domain.lapsing import UNSEEN_STALE_AFTER_US
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.muting import muting
from alert_history.domain.notes import key_of_note, place_notes, scoped_notes
from alert_history.domain.notifying import Enqueued, notify
from alert_history.domain.occurrence import Event, Occurrence, Sighting
from alert_history.domain.receipt import Receipt
from alert_history.domain.sightings import by_fingerprint, is_same_word
from alert_history.domain.standing import DEFAULT_RULES, Rules, Standing, Witnesses
from alert_history.domain.tally import Place, Tallies, Tally
from alert_history.engine.lapse import Groups
from alert_history.engine.origins import Round
from alert_history.engine.reconcile import Comparing
from alert_history.engine.witnesses import learn
from alert_history.ports import Left, Router
from tests.firing.asked import MemoryReconciling, read, run
from tests.senders.asking import Answered, Asking
from tests.senders.network import moment

_SECOND = timedelta(seconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_LOOKS = 100
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Standing).decode

Key = tuple[str, int]


class Memory:
    """Takes batches, lets time pass, and keeps every event and every telling.

    `done` is what it did, in order, so that a store can do the same: it took receipts, looked at what was due
    then, or compared an answer.
    """

    def __init__(self, now: datetime, *, router: Router, rules: Rules = DEFAULT_RULES) -> None:
        self.now = now
        self.occurrences: dict[Key, Occurrence] = {}
        self.events: list[Event] = []
        self.enqueued: list[Enqueued] = []
        self.done: list[datetime | Sequence[Receipt] | Answered] = []
        self._router = router
        self._rules = rules
        self.witnesses = Witnesses()
        self._groups = Groups(lambda: self.witnesses)
        self._left: list[Left] = []
        self._standings: dict[str, bytes] = {}
        self._firsts: dict[Key, Sighting] = {}
        self._tallies = Tallies()
        both = MemoryReconciling(self, rules=rules)
        self._comparing = Comparing(both, both, clock=lambda: self.now, rules=rules, rest_seconds=0)

    def standing(self, fingerprint: str) -> Standing:
        """What is claimed of a label set."""
        return _decode(self._standings[fingerprint])

    @property
    def fingerprints(self) -> list[str]:
        """All label sets."""
        return sorted(self._standings)

    def alertname(self, fingerprint: str) -> str:
        """How its alert is called."""
        return next(first.alert.labels["alertname"] for key, first in self._firsts.items() if key[0] == fingerprint)

    def state(self, fingerprint: str) -> str | None:
        """`firing` or `unconfirmed`; None where nothing is open."""
        for occurrence in self._open(fingerprint):
            return "firing" if occurrence.unconfirmed is None else "unconfirmed"
        return None

    def take(self, receipts: Sequence[Receipt]) -> None:
        """Let seconds pass until they are received, and commit them as one batch."""
        self.pass_to(receipts[0].received_at)
        self.now = max(self.now, receipts[-1].received_at)
        self.done.append(receipts)
        known = [
            msgspec.structs.replace(receipt, group_interval_us=self._groups.interval_us(receipt))
            for receipt in receipts
        ]
        pairs = [pair for pair in by_fingerprint(known).items() if not self._count(*pair)]
        self.write(
            [decide(self.known(f), s, rules=self._rules, witnesses=self.witnesses) for f, s in pairs],
            published={receipt.id for receipt in known if receipt.publish},
        )
        self._note(known)
        for receipt in known:
            self._groups.heard(receipt)
            self.witnesses = learn(self.witnesses, receipt)

    def compare(self, answered: Answered, asking: Asking) -> Round:
        """Let seconds pass until an answer is taken up, and compare it; what it says, in the words of the rules."""
        self.pass_to(moment(answered.at))
        self.done.append(answered)
        asked = read(answered, asking, self.witnesses)
        run(self._comparing.compare([asked]))
        return asked

    def pass_to(self, time: datetime) -> None:
        """Look at what lapsed, each second in which something may have."""
        looks = 0
        while (due := self._due()) is not None:
            tick = max(_second_from(due), _second_from(self.now))
            if tick > time:
                break
            looks += 1
            assert looks < _MOST_LOOKS, "it looks again and again, and nothing changes"
            if self._look(tick):
                looks = 0
        self.now = max(self.now, time)

    def do_numbers_agree(self) -> bool:
        """Whether the numbers that followed what was decided are those of a recount, but for what began again."""
        recount = Tallies()
        for (fingerprint, key_us), occurrence in self.occurrences.items():
            now = counted(fingerprint, key_us, occurrence)
            assert now is not None, "nothing is joined here"
            recount.count(now, 1)
            recount.repeat(Repeated(now.about, now.receiver, occurrence.repeat_count))
        labels: dict[str, Counter[str]] = {}
        for name, value, number in label_counts(first.alert.labels for first in self._firsts.values()):
            labels.setdefault(name, Counter())[value] += number
        return numbers_in(recount) == numbers_in(self._tallies) and labels == self._tallies.labels

    # --- Reading ------------------------------------------------------------------------------------------------------

    def known(self, fingerprint: str, *, now: datetime | None = None) -> Known | None:
        if fingerprint not in self._standings:
            return None
        standing = self.standing(fingerprint)
        if standing.newest_key_us is None:
            return Known(standing)
        key = (fingerprint, standing.newest_key_us)
        newest = msgspec.structs.replace(self.occurrences[key])
        known = Known(standing, newest)
        if now is not None:
            first = self._firsts[key]
            known.first = stored_sighting(
                fingerprint,
                from_us(key[1]),
                labels=first.alert.labels,
                occurrence=newest,
                generator_url=newest.generator_url,
                source=first.source,
                received_at=now,
            )
        return known

    def _open(self, fingerprint: str) -> list[Occurrence]:
        return [
            occurrence
            for key, occurrence in self.occurrences.items()
            if key[0] == fingerprint and occurrence.status == "firing"
        ]

    # --- Writing ------------------------------------------------------------------------------------------------------

    def write(self, decisions: Sequence[Decision], *, published: Iterable[str] = (), is_counted: bool = True) -> None:
        """Keep decisions; `is_counted` as where a store writes down what they change in the numbers."""
        changes = written_changes(decisions) if is_counted else None
        if changes is not None:
            self._tallies.take(read_changes(changes))
        events, queue = notify(decisions, self._router, published=set(published))
        self.events += events
        self.enqueued += queue
        self.witnesses = with_peers(self.witnesses, decisions)
        for decision in decisions:
            if decision.is_standing_changed:
                self._standings[decision.fingerprint] = _encode(decision.standing)
            for key_us, entry in decision.entries.items():
                key = (decision.fingerprint, key_us)
                if entry.first is not None:
                    assert key not in self.occurrences, "two occurrences have one key"
                    self._firsts[key] = entry.first
                if entry.first is not None or entry.is_changed:
                    self.occurrences[key] = msgspec.structs.replace(entry.occurrence)
                else:
                    _count_repeat(self.occurrences[key], entry.occurrence)
            assert len(self._open(decision.fingerprint)) <= 1, "two are open"

    def _count(self, fingerprint: str, sightings: Sequence[Sighting]) -> bool:
        """Count plain repeats as the stores' one statement does; whether they were."""
        standing = self._standings.get(fingerprint)
        newest_us = None if standing is None else _decode(standing).newest_key_us
        if newest_us is None or not is_same_word(sightings):
            return False
        occurrence, last = self.occurrences[fingerprint, newest_us], sightings[-1]
        received_at = max(sighting.received_at for sighting in sightings)
        is_to_publish = last.word.is_firing and last.word.is_to_publish
        is_plain = (
            occurrence.status == last.alert.status
            and occurrence.claim == last.claim
            and occurrence.content_hash == last.content_hash
            and (occurrence.is_published or not is_to_publish)
            and to_us(occurrence.last_received_at) <= to_us(received_at) - shortest_wait_us(last.word)
        )
        if is_plain:
            occurrence.last_received_at = max(occurrence.last_received_at, received_at)
            occurrence.repeat_count += len(sightings)
            assert occurrence.about is not None
            self._tallies.repeat(Repeated(occurrence.about, occurrence.receiver, len(sightings)))
            if occurrence.expires_at is not None and last.word.until_us is not None:
                occurrence.expires_at = max(occurrence.expires_at, from_us(last.word.until_us))
            if occurrence.status == "firing":
                occurrence.confirmed_at = None
        return is_plain

    def _note(self, receipts: Sequence[Receipt]) -> None:
        """Take up what is said about alerts beside their state."""
        places = []
        for receipt in receipts:
            for note in scoped_notes(receipt):
                standing = self._standings.get(note.fingerprint)
                key_us = None if standing is None else key_of_note(_decode(standing), note)
                places.append((receipt, note, None if key_us is None else from_us(key_us)))
        for event, muted in muting(place_notes(places).events):
            known = self.known(event.fingerprint)
            decision = known and let_mute(event.fingerprint, known, starts_at=event.starts_at, muted=muted)
            if decision:
                self.write([decision], is_counted=False)

    # --- Time ---------------------------------------------------------------------------------------------------------

    def _due(self) -> datetime | None:
        """When there is something to look at, by what the stores look for."""
        self._left = self._left or self._groups.take_left(100)
        if self._left:
            return self.now
        bounds = self._groups.stale_after()
        dues = [
            self._due_of(occurrence, bounds)
            for occurrence in self.occurrences.values()
            if occurrence.status == "firing"
        ]
        return min((due for due in dues if due is not None), default=None)

    def _due_of(self, occurrence: Occurrence, bounds: Mapping[str, int]) -> datetime | None:
        if occurrence.expires_at is not None:
            return occurrence.expires_at
        if occurrence.unconfirmed is not None:
            return None
        unseen_us = self._rules.stale_after_us or UNSEEN_STALE_AFTER_US
        sign = occurrence.confirmed_at or occurrence.last_received_at
        return sign + timedelta(microseconds=bounds.get(occurrence.receiver, unseen_us))

    def _look(self, now: datetime) -> bool:
        """Take up who has left, and look at what is due; whether that was news."""
        self.now = now
        self.done.append(now)
        before = len(self.events)
        left, self._left = self._left, []
        for departure in left:
            known = self.known(departure.fingerprint, now=now)
            if known is not None and known.newest is not None:
                decision = let_leave(
                    departure.fingerprint, known, now, sender=departure.sender, missed_us=departure.missed_us
                )
                if decision.events:
                    self.write([decision])
        bounds = self._groups.stale_after()
        for (fingerprint, _), occurrence in list(self.occurrences.items()):
            due = self._due_of(occurrence, bounds) if occurrence.status == "firing" else None
            known = self.known(fingerprint, now=now)
            if due is None or due > now or known is None or known.newest is None:
                continue
            bound_us = bounds.get(known.newest.receiver)
            self.write([let_pass(fingerprint, known, now, rules=self._rules, stale_after_us=bound_us)])
        return len(self.events) > before or bool(left)


def numbers_in(tallies: Tallies) -> dict[Place, Tally]:
    """All that is not empty, without what began again: that is decided when a firing begins, and ends may move."""
    places = tallies.by_place()
    for tally in places.values():
        tally.without_zeros().again = 0
    return {place: tally for place, tally in places.items() if not tally.is_empty}


def _count_repeat(occurrence: Occurrence, now: Occurrence) -> None:
    occurrence.expires_at = now.expires_at
    occurrence.last_received_at = now.last_received_at
    occurrence.repeat_count = now.repeat_count
    occurrence.confirmed_at = now.confirmed_at


def _second_from(time: datetime) -> datetime:
    """The first whole second from that time on."""
    rest = (time - _EPOCH) % _SECOND
    return time if not rest else time + _SECOND - rest
