"""A judge: given what is true and all that arrived, whether what became of it is right.

It knows nothing of the rules' own state: it judges by what each sender said last, in words that it keeps itself.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec

from alert_history.domain.claim import SECOND_US, Word, is_same_start
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import ENDINGS, Event
from tests.senders.alertmanager import Silencing
from tests.senders.network import START, Arrival
from tests.senders.prometheus import PHANTOM
from tests.senders.scenario import Played
from tests.senders.world import Firing

EXPIRE_SECONDS = 900.0
DEFAULT_INTERVAL_SECONDS = 300.0
UNSEEN_SECONDS = 25 * 3_600.0
_HALF_MILLISECOND = 0.0005
_CLOCK_SECONDS = 30.0
"""How far a clock may be off: what a Prometheus promises by its own counts for an answer, too."""
_ANSWERS = 2
"""How many answers in a row end what they lack."""
SECOND = timedelta(seconds=1)
TRIGGERS = frozenset({"fired", "refired", "published"})


class Sign(msgspec.Struct, frozen=True):
    """One word about a label set as it arrived; seconds of the story. `number` is the true firing it is about.

    `is_asked`: nobody sent it; who was asked listed it.
    """

    at: float
    word: Word
    number: int
    receipt_id: str
    is_asked: bool = False

    @property
    def start(self) -> float:
        """Since when it fires, as its sender says."""
        return second(self.word.start_us)

    @property
    def until(self) -> float | None:
        """Until when it promises that it fires; None for a witness, or an end."""
        return None if self.word.until_us is None else second(self.word.until_us)


class Answer(msgspec.Struct, frozen=True):
    """What an origin said of one label set, taken up at `at`: `listed` is since when it fires, None where it lacks it.

    `may_end` and `may_open` are whether its word goes so far; `senders` whose claims are its own.
    """

    at: float
    asked_at: float
    source: str
    listed: Word | None
    may_end: bool
    may_open: bool
    senders: frozenset[str]


class Around(msgspec.Struct, frozen=True):
    """What else is known of a label set: when an Alertmanager of it was known to start, answers and silences.

    `is_shared`: more than one site has it.
    """

    restarts: Sequence[float]
    answers: Sequence[Answer]
    silences: Sequence[Silencing]
    is_shared: bool


class Telling(msgspec.Struct, frozen=True):
    """One thing that a target is told: of which occurrence, and when."""

    at: float
    fingerprint: str
    key_us: int
    kind: str
    receipt_id: str | None


class Became(msgspec.Struct, frozen=True):
    """What became of all label sets by the second `until`: `told` is in the order in which the pager heard it.

    `settled` is the state of each when everybody had said all that there is to say, `last` its state long after that.
    """

    events: Sequence[Event]
    tellings: Sequence[Telling]
    settled: Mapping[str, str | None]
    last: Mapping[str, str | None]
    until: float


def second(time_us: int) -> float:
    """A time as a second of the story."""
    return (time_us - to_us(START)) / SECOND_US


def second_of(time: datetime) -> float:
    """A time as a second of the story."""
    return second(to_us(time))


def restarts_of(arrivals: Sequence[Arrival]) -> list[float]:
    """When a recorder said that its Alertmanager has started."""
    return [arrival.at for arrival in arrivals if arrival.receipt.group.details.get("lifecycle")]


def signs_of(played: Played) -> dict[str, list[Sign]]:
    """All words, by label set, in the order in which they arrived."""
    signs: dict[str, list[Sign]] = {}
    for arrival in played.arrivals:
        for sighting in arrival.receipt.sightings:
            name = sighting.alert.fingerprint
            number = played.number(arrival.site, name, arrival.numbers[name])
            sign = Sign(arrival.at, sighting.word, number, arrival.receipt.id)
            signs.setdefault(name, []).append(sign)
    return signs


class Verdict:
    """What is wrong with what became of one label set; nothing if `faults` is empty."""

    def __init__(
        self,
        fingerprint: str,
        truth: Sequence[Firing],
        signs: Sequence[Sign],
        *,
        events: Sequence[Event],
        around: Around,
    ) -> None:
        self.faults: list[str] = []
        self._name = fingerprint
        self._truth = sorted(truth, key=lambda firing: firing.begin)
        self._signs = signs
        self._restarts = around.restarts
        self._answers = around.answers
        self._silences = around.silences
        self._is_shared = around.is_shared
        self._times = [sign.at for sign in signs]
        self._events = [event for event in events if event.fingerprint == fingerprint]
        self._places = {sign.receipt_id: place for place, sign in enumerate(signs) if sign.receipt_id}
        self._by_receipt = {sign.receipt_id: sign for sign in signs if sign.receipt_id}

    def check_story(self, tellings: Sequence[Telling]) -> None:
        """Each target hears one story: a trigger, then its end with the same key, and never two at once."""
        open_key: int | None = None
        for telling in tellings:
            if telling.kind in TRIGGERS:
                if open_key is not None:
                    self._fault(telling.at, f"{telling.kind} is told while {second(open_key)} is still open")
                open_key = telling.key_us
            elif telling.kind in ENDINGS:
                if open_key != telling.key_us:
                    self._fault(
                        telling.at,
                        f"{telling.kind} is told of {second(telling.key_us)}, which was not told, or is over",
                    )
                open_key = None
        if open_key is not None:
            self._fault(float("inf"), f"{second(open_key)} is never told to be over")

    def check_ends(self) -> None:
        """Nothing ends by word while a sender that can be told apart still holds it by its own."""
        for event in self._events:
            if event.kind == "resolved":
                holds = [sign for sign in self._last_words(event) if self._is_held(sign, event)]
                holds = [sign for sign in holds if not self._is_taken_back(sign, second_of(event.at))]
                if holds:
                    self._fault(second_of(event.at), f"resolved, though {holds[0].word.sender} fires")
            elif event.kind == "expired":
                at = second_of(event.at)
                holds = [s for s in self._last_words(event) if s.until is not None and s.until + EXPIRE_SECONDS > at]
                holds = [sign for sign in holds if not self._is_taken_back(sign, at)]
                if holds:
                    self._fault(at, f"expired, though {holds[0].word.sender} fires")

    def check_starts(self) -> None:
        """No firing of its own begins with a start that somebody has claimed for the one before it."""
        begun = [event for event in self._events if event.kind == "fired"]
        for before, event in pairwise(begun):
            sign = self._by_receipt.get(event.receipt_id or "")
            ended = [e for e in self._events if e.receipt_id == event.receipt_id and e.kind == "inferred"]
            since = second_of(before.at)
            if sign is None or not ended:
                continue
            claimed = [s for s in self._heard(event)[:-1] if s.at >= since and s.word.is_firing and not s.is_asked]
            if any(is_same_start(s.word.start_us, sign.word.start_us) for s in claimed):
                self._fault(sign.at, f"a firing of its own begins at {sign.start}, which was claimed before")

    def check_reconciled(self) -> None:
        """Who was asked ends only what it lacked twice, or lists anew, and only what nobody else holds."""
        for event in self._events:
            if event.kind != "reconciled":
                continue
            at, source = second_of(event.at), (event.detail or {})["sender"]
            answers = [
                answer for answer in self._answers if answer.source == source and answer.at <= at + _HALF_MILLISECOND
            ]
            last = answers[-1]
            if last.listed is None:
                if len(answers) < _ANSWERS or any(
                    answer.listed or not answer.may_end for answer in answers[-_ANSWERS:]
                ):
                    self._fault(at, f"reconciled, though {source} did not lack it twice in a row")
            elif not last.may_open:
                self._fault(at, f"reconciled, though {source} lists it and may open nothing")
            holds = [s for s in self._last_words(event) if s.word.sender not in last.senders]
            holds = [s for s in holds if self._is_held(s, event) and not self._is_taken_back(s, at)]
            if holds:
                self._fault(at, f"reconciled, though {holds[0].word.sender} fires")

    def check_pages(self, tellings: Sequence[Telling], *, is_calm: bool) -> None:
        """No firing is paged twice unless a sender said that it was over, or nobody knew it any more."""
        last: dict[int, Telling] = {}
        ended: Telling | None = None
        for telling in tellings:
            if telling.kind in ENDINGS:
                ended = telling
            if telling.kind not in TRIGGERS:
                continue
            number = self._number_of(telling)
            if number == PHANTOM:
                continue
            before = last.get(number)
            if before is not None and (ended is None or not self._may_end(ended, before.at, is_calm=is_calm)):
                self._fault(telling.at, f"firing {number} is paged again after {before.at}, {ended and ended.kind}")
            last[number] = telling

    def check_missed(self, tellings: Sequence[Telling]) -> None:
        """A firing of which a distinguishable sign came is paged."""
        paged = {self._number_of(telling) for telling in tellings if telling.kind in TRIGGERS}
        for number in range(len(self._truth)):
            first = next((s for s in self._signs if s.number == number and _is_publishable(s)), None)
            if first is None or number in paged or self._is_known(first) or self._is_over_when_known(number):
                continue
            holder = self._holder(first)
            if holder is None:
                self._fault(first.at, f"firing {number} is not paged, though nothing that was before holds it")

    def check_bound(self, states: Sequence[tuple[float, str | None]], *, until: float) -> None:
        """Nothing is plainly firing for longer than anybody's word reaches."""
        for (begin, state), (end, _) in zip(states, [*states[1:], (until, None)], strict=True):
            if state == "firing" and end > self._reach(end) + 1:
                self._fault(end, f"firing since {begin}, and nobody has said so since {self._reach(end)}")

    # --- What was said ------------------------------------------------------------------------------------------------

    def _before(self, at: float) -> Sequence[Sign]:
        return self._signs[: bisect_right(self._times, at + _HALF_MILLISECOND)]

    def _heard(self, event: Event) -> Sequence[Sign]:
        """All words until an event came about."""
        if event.receipt_id is None:
            return self._before(second_of(event.at) - 0.001)
        return self._signs[: self._places[event.receipt_id] + 1]

    def _last_words(self, event: Event) -> Iterator[Sign]:
        """The last word of each sender when an event came about; not of a start that its sender superseded."""
        last: dict[str, Sign] = {}
        over: set[tuple[str, float]] = set()
        for sign in self._heard(event):
            if sign.is_asked:
                continue
            claim = (sign.word.sender, sign.start)
            if not sign.word.is_firing:
                over.add(claim)
            if not sign.word.is_firing or claim not in over:  # what comes after its own end is late
                last[sign.word.sender] = sign
        return iter(last.values())

    def _is_held(self, sign: Sign, event: Event) -> bool:
        """Whether a word holds what an event says to be over; what began after that is a firing of its own."""
        ended = second_of(datetime.fromisoformat((event.detail or {})["ends_at"]))
        is_live = sign.until is not None and sign.until > second_of(event.at)
        return sign.word.is_firing and is_live and sign.start <= ended

    def _is_taken_back(self, sign: Sign, at: float) -> bool:
        """Whether its own sender, when it was asked since, has lacked it as often as ends it."""
        answers = [
            answer for answer in self._answers if sign.at <= answer.at <= at and sign.word.sender in answer.senders
        ]
        return len(answers) >= _ANSWERS and all(answer.listed is None for answer in answers[-_ANSWERS:])

    def _reach(self, at: float) -> float:
        """Until when anybody's word reaches; that of a witness as long after the last sign of anybody, or a silence."""
        signs = [sign for sign in self._before(at) if sign.word.is_firing]
        reach = float("-inf")
        since = max(
            [signs[-1].at if signs else 0.0, *(silence.end for silence in self._silences if silence.begin <= at)]
        )
        for sign in signs:
            slack = _CLOCK_SECONDS if sign.is_asked else 0.0
            reach = max(reach, since + UNSEEN_SECONDS if sign.until is None else sign.until + slack)
        return reach

    def _number_of(self, telling: Telling) -> int:
        sign = self._by_receipt.get(telling.receipt_id or "")
        if sign is not None:
            return sign.number
        begun = [number for number, firing in enumerate(self._truth) if firing.begin - 30 <= second(telling.key_us)]
        return begun[-1] if begun else 0

    def _may_end(self, ended: Telling, since: float, *, is_calm: bool) -> bool:
        """Whether a firing that goes on may have been told to be over: an Alertmanager may have said so since.

        So may a Prometheus, where it goes on in another site of which nobody had spoken yet.
        """
        if ended.kind != "resolved":
            return not is_calm
        words = [sign.word for sign in self._before(ended.at) if sign.at >= since]
        return any((word.kind == "witness" or self._is_shared) and not word.is_firing for word in words)

    def _is_known(self, first: Sign) -> bool:
        """Whether somebody had said before that this firing is over, or has fired without being published."""
        return any(s.number == first.number and not s.word.is_firing for s in self._before(first.at))

    def _is_over_when_known(self, number: int) -> bool:
        """Whether the word that makes it known also ends it: a pair that can't be told apart held it back."""
        made_known = [self._by_receipt.get(e.receipt_id or "") for e in self._events if e.kind == "fired"]
        return any(sign.number == number and not sign.word.is_firing for sign in made_known if sign is not None)

    def _holder(self, first: Sign) -> Sign | None:
        """Whose last word about an earlier firing may still hold when the first sign of a later one comes."""
        last: dict[tuple[str, float], Sign] = {}
        for sign in self._before(first.at):
            if sign.number < first.number or sign.start < first.start:
                last[sign.word.sender, sign.start] = sign
        return next((sign for sign in last.values() if sign.word.is_firing and self._reaches(sign, first)), None)

    def _reaches(self, sign: Sign, first: Sign) -> bool:
        """Whether a word may still hold at the start that a later one names."""
        if sign.until is not None:
            return sign.until + EXPIRE_SECONDS >= first.start
        if first.word.kind == "first_hand" or any(sign.at < at <= first.at for at in self._restarts):
            return True
        return sign.at + DEFAULT_INTERVAL_SECONDS >= first.start

    def _fault(self, at: float, text: str) -> None:
        self.faults.append(f"{self._name} at {at}: {text}")


def _is_publishable(sign: Sign) -> bool:
    return sign.word.is_firing and sign.word.is_to_publish
