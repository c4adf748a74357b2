"""A trial: a scenario is played to the rules alone, and judged."""

from collections.abc import Container, Iterator
from datetime import datetime, timedelta

from alert_history.domain.microseconds import to_us
from alert_history.domain.notifying import Enqueued
from alert_history.domain.speaker import scoped, split_scope
from alert_history.engine.origins import Round
from tests.firing.judge import Answer, Around, Became, Sign, Telling, Verdict, restarts_of, second, second_of, signs_of
from tests.firing.memory import Memory
from tests.pager import route_all
from tests.senders.asking import Answered
from tests.senders.network import START, Arrival, moment
from tests.senders.scenario import Stage

LONG_AFTER = timedelta(days=9)
HOUR = 3_600.0


class Trial:
    """What was played, told to the rules without a database, and long after it."""

    def __init__(self, stage: Stage) -> None:
        self.scenario = stage.scenario
        self.settles_at = moment(stage.now)
        self.origins = stage.origins()
        self.silences = stage.silences()
        self.played = stage.played()
        self.memory = Memory(START, router=route_all)
        self.rounds: list[tuple[Answered, Round]] = []
        for origins in self.origins:
            self.memory.witnesses = self.memory.witnesses.merged(origins.witnesses())
        for entry in self.played.heard:
            self._hear(entry)
        self.memory.pass_to(self.settles_at)
        settled = self._states()
        self.memory.pass_to(self.settles_at + LONG_AFTER)
        tellings = list(map(telling_of, self.memory.enqueued))
        self.became = Became(self.memory.events, tellings, settled, self._states(), second_of(self.memory.now))

    def _hear(self, entry: Arrival | Answered) -> None:
        if isinstance(entry, Arrival):
            self.memory.take([entry.receipt])
        elif self.scenario.asking is not None:
            self.rounds.append((entry, self.memory.compare(entry, self.scenario.asking)))

    def faults(self, became: Became | None = None, *, is_calm: bool = False) -> list[str]:
        """All that is wrong with what became of it, here or in a store."""
        became = became or self.became
        signs = self.signs()
        restarts = restarts_of(self.played.arrivals) + self._known_starts()
        faults = [
            f"nobody knows {name}" for name in {event.fingerprint for event in became.events} - {*self.played.truth}
        ]
        for name, truth in self.played.truth.items():
            is_shared = sum(name in its for its in self.played.sites.values()) > 1
            around = Around(restarts, self._answers(name), self.silences.get(name, []), is_shared)
            verdict = Verdict(name, truth, signs.get(name, []), events=became.events, around=around)
            tellings = [telling for telling in became.tellings if telling.fingerprint == name]
            verdict.check_story(tellings)
            verdict.check_ends()
            verdict.check_starts()
            verdict.check_reconciled()
            verdict.check_pages(tellings, is_calm=is_calm)
            verdict.check_missed(tellings)
            verdict.check_bound(_states_of(became, name), until=became.until)
            faults += verdict.faults
            if became.settled[name] not in self._expected(name, is_calm=is_calm):
                faults.append(f"{name} is {became.settled[name]} when all has settled")
            if became.last[name] is not None:
                faults.append(f"{name} is still {became.last[name]}")
        if not self.memory.do_numbers_agree():
            faults.append("the numbers of the history do not agree with it")
        return faults

    def events_of(self, names: Container[str], *, until: datetime) -> list[tuple[str, str, datetime, datetime]]:
        """What became of these label sets: the kind of each event, when it came about, and when its firing began.

        Without who confirms it: how long a witness may be silent is learnt by the name of its receiver, whose it is.
        """
        events = [
            event
            for event in self.became.events
            if event.fingerprint in names and event.at <= until and event.kind not in {"unconfirmed", "confirmed"}
        ]
        return [(event.fingerprint, event.kind, event.at, event.starts_at) for event in events]

    def signs(self) -> dict[str, list[Sign]]:
        """All words, by label set, in the order in which they arrived; those of who was asked among them."""
        signs = signs_of(self.played)
        for answered, asked in self.rounds:
            for listing in asked.listings:
                source = listing.asked.source
                for plain, listed in listing.listed.items():
                    name = scoped(plain, self._scope_of(source))
                    number = self.played.number(source.partition("/")[2], name, answered.numbers[source][plain])
                    sign = Sign(answered.at, listed.sighting.word, number, "", is_asked=True)
                    signs.setdefault(name, []).append(sign)
        return {name: sorted(its, key=lambda sign: sign.at) for name, its in signs.items()}

    def _answers(self, name: str) -> list[Answer]:
        """What was said of a label set by who was asked."""
        plain, scope = split_scope(name)
        return [
            Answer(
                answered.at,
                answered.asked_at,
                listing.asked.name,
                listing.listed[plain].sighting.word if plain in listing.listed else None,
                listing.asked.source not in answered.unripe | answered.partial,
                listing.asked.source not in answered.unripe,
                listing.asked.senders,
            )
            for answered, asked in self.rounds
            for listing in asked.listings
            if self._scope_of(listing.asked.source) == scope
        ]

    def _known_starts(self) -> list[float]:
        """When an Alertmanager that was asked had started."""
        return [second_of(poll.started_at) for answered, _ in self.rounds for poll in answered.alertmanagers]

    def _scope_of(self, source: str) -> str:
        return next(site.scope for site in self.scenario.sites if site.name == source.partition("/")[2])

    def _states(self) -> dict[str, str | None]:
        return {name: self.memory.state(name) for name in self.played.truth}

    def _expected(self, name: str, *, is_calm: bool) -> set[str | None]:
        """In which states it may be when everybody has said all that there is to say.

        Where several sites have a label set, what one of them says holds for all: they may contradict each other.
        """
        is_firing = any(firing.end == float("inf") for firing in self.played.truth[name])
        scope = split_scope(name)[1]
        sites = [site for site in self.scenario.sites if site.scope == scope]
        alerting = [site.alerting for site in sites if site.alerting]
        asking = self.scenario.asking
        if alerting and asking is not None and asking.asks_alertmanager and asking.names_itself:
            return {"firing"} if is_firing else {None}
        is_told_all = all(a.receivers[0].sends_resolved and not a.receivers[0].max_alerts for a in alerting)
        if any(site.is_direct for site in sites):
            return {"firing"} if is_firing else {None} if is_calm or not alerting else {"firing", "unconfirmed", None}
        if is_firing:
            return {"firing", "unconfirmed"} if is_told_all else {"firing", "unconfirmed", None}
        is_plain = is_calm and is_told_all and not any(each.silences for each in alerting)
        return {None} if is_plain else {"firing", "unconfirmed", None}


def _states_of(became: Became, name: str) -> list[tuple[float, str | None]]:
    """Since when a label set was in which state."""
    states: list[tuple[float, str | None]] = [(0.0, None)]
    states += [
        (second_of(event.at), _BEGIN[event.kind])
        for event in became.events
        if event.fingerprint == name and event.kind in _BEGIN
    ]
    return states


_BEGIN: dict[str, str | None] = {
    "fired": "firing",
    "refired": "firing",
    "confirmed": "firing",
    "unconfirmed": "unconfirmed",
    "resolved": None,
    "expired": None,
    "inferred": None,
    "reconciled": None,
}
"""What state an event begins."""


def telling_of(enqueued: Enqueued) -> Telling:
    """What a target is told, for the judge."""
    event = enqueued.event
    return Telling(second_of(event.at), event.fingerprint, to_us(event.starts_at), event.kind, event.receipt_id)


def describe(trial: Trial) -> str:
    """All that arrived and what became of it, in time, for people."""
    lines = []
    for name, signs in trial.signs().items():
        lines.append(f"{name} {trial.played.truth[name]}")
        rows = [*_heard(signs), *_became(trial.memory, name, signs)]
        lines += [f"{at:10.3f} {text}" for at, _, text in sorted(rows, key=lambda row: row[:2])]
    return "\n".join(lines)


def _heard(signs: list[Sign]) -> Iterator[tuple[float, float, str]]:
    """What arrived; of words that say the same again, one an hour."""
    lately: dict[object, float] = {}
    for place, sign in enumerate(signs):
        word = sign.word
        key = (sign.is_asked, word.sender, word.is_firing, sign.start, word.end_us)
        if sign.at - lately.get(key, -HOUR) >= HOUR:
            end = None if word.end_us is None else second(word.end_us)
            asked = "asked " if sign.is_asked else ""
            text = f"{asked}{word.kind} {word.sender} {'fires' if word.is_firing else 'resolved'}"
            yield sign.at, place, f"   {text} since {sign.start} until {sign.until} end {end} #{sign.number}"
        lately[key] = sign.at


def _became(memory: Memory, name: str, signs: list[Sign]) -> Iterator[tuple[float, float, str]]:
    """What became of it."""
    places = {sign.receipt_id: place for place, sign in enumerate(signs)}
    keys = {
        (enqueued.event.starts_at, enqueued.event.key)
        for enqueued in memory.enqueued
        if enqueued.event.fingerprint == name
    }
    for event in memory.events:
        if event.fingerprint == name:
            is_told = (event.starts_at, event.key) in keys
            detail = {key: value for key, value in (event.detail or {}).items() if key != "routing"}
            text = f" * {event.kind} {second_of(event.starts_at)} {'TOLD' if is_told else ''} {detail}"
            yield second_of(event.at), places.get(event.receipt_id or "", -1) + 0.5, text
