"""Simulated senders, told to two replicas on one database: a judge looks at what becomes of their firings.

Which replica hears a request, and which of them looks first at what has lapsed, is drawn with the story. Where each
replica knows at once what the other has heard, a store also decides as the rules without a database do, to the event.
See `tests/unit/test_firing_trials.py` for many more stories, without a database.
"""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache

import pytest

from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Event, occurrence_id, split_occurrence_id
from alert_history.domain.receipt import Receipt
from alert_history.ports import Store
from tests.conformance.replaying import EXCHANGE_EVERY, Replayer
from tests.conformance.samples import everything
from tests.firing.asked import read
from tests.firing.judge import Became, Telling, second_of
from tests.firing.model import modelled
from tests.firing.stories import drawn, scenarios, two_clusters
from tests.firing.trial import LONG_AFTER, Trial, describe
from tests.senders.alertmanager import Receiver, Silencing, Timing
from tests.senders.asking import Answered
from tests.senders.network import START, Trouble, moment
from tests.senders.scenario import Alerting, Outage, Scenario, Site, Stage, Watcher, play
from tests.senders.world import Firing

FIRINGS = {"db-1": [Firing(60, 200), Firing(420, 500)], "db-2": [Firing(150, 640)]}
PAIR = (Watcher(15, 60, 0), Watcher(15, 60, 7, -20))
CLUSTER = Alerting(
    ("am-0", "am-1"),
    (Receiver("pager", "/webhook/proxy", True, 0), Receiver("archive", "/webhook")),
    Timing(10, 60, 600),
    (Silencing("db-2", 300, 420),),
    has_recorder=True,
    outages=(Outage(0, 250, 330),),
)
TROUBLES = (Trouble("doubled", 100, 220), Trouble("late", 300, 450), Trouble("lost", 470, 560))
STORIES = {
    "a pair that can't be told apart": Scenario((Site("a", FIRINGS, PAIR, is_alike=True),), ()),
    "a pair, one of them down, and a bad network": Scenario(
        (Site("a", FIRINGS, PAIR, outages=(Outage(0, 180, 400),)),), TROUBLES
    ),
    "a cluster with a recorder, two receivers and a silence": Scenario(
        (Site("a", FIRINGS, PAIR, is_direct=False, alerting=CLUSTER),), ()
    ),
    "a pair that falls silent": Scenario(
        (Site("a", FIRINGS, PAIR, outages=(Outage(0, 220, 9_000), Outage(1, 230, 9_000))),), ()
    ),
    "all at once": Scenario((Site("a", FIRINGS, PAIR, alerting=CLUSTER),), TROUBLES),
}


def _played(stories: Sequence[Scenario]) -> list[Stage]:
    return [play(story) for story in stories]


DRAWS: dict[str, tuple[int, Callable[[int], list[Stage]]]] = {
    "drawn": (5, lambda count: _played(drawn(scenarios(most=2), count=count, sizes=(15, 120)))),
    "asked": (4, lambda count: _played(drawn(scenarios(most=2, is_asked=True), count=count, sizes=(60, 150)))),
    "two clusters": (
        2,
        lambda count: _played(drawn(two_clusters(is_scoped=False, is_asked=True), count=count, sizes=(60, 200))),
    ),
    "model": (4, lambda count: modelled(count=count, sizes=(40, 150))),
}
"""What hypothesis draws, and how many: seconds of work, which only a worker does that runs these tests."""

NAMES = [*STORIES, *(f"{kind} {number}" for kind, (count, _) in DRAWS.items() for number in range(count))]
LONG = timedelta(minutes=5)
AFTERWARDS = timedelta(hours=12)
EXTRA_LOOKS = 0.1
"""How often a replica looks though nothing is due."""


@cache
def stages(kind: str) -> list[Stage]:
    """All stages of one kind."""
    count, draw = DRAWS[kind]
    return draw(count)


def stage(name: str) -> Stage:
    """The stage on which that story was played."""
    if name in STORIES:
        return play(STORIES[name])
    kind, _, number = name.rpartition(" ")
    return stages(kind)[int(number)]


@pytest.mark.parametrize("story", NAMES)
async def test_two_replicas_that_hear_of_each_other_at_once_decide_as_the_rules_alone(
    story: str, replicas: list[Store]
) -> None:
    trial = Trial(stage(story))
    became = await Replay(trial, replicas, story=story, is_at_once=True).became()
    assert trial.faults(became) == [], describe(trial)
    assert list(map(_seen, became.events)) == list(map(_seen, _in_order(trial.became.events)))
    assert _by_label_set(became.tellings) == _by_label_set(trial.became.tellings)
    assert (became.settled, became.last) == (trial.became.settled, trial.became.last)


@pytest.mark.parametrize("story", NAMES)
async def test_two_replicas_that_hear_of_each_other_seconds_later_leave_no_fault(
    story: str, replicas: list[Store]
) -> None:
    trial = Trial(stage(story))
    became = await Replay(trial, replicas, story=story, is_at_once=False).became()
    assert trial.faults(became) == [], describe(trial)


class Replay:
    """Does what memory did, in the same order, by one replica or the other.

    `is_at_once`: what one hears the other knows at once; else seconds later, and it may look at another time.
    """

    def __init__(self, trial: Trial, stores: list[Store], *, story: str, is_at_once: bool) -> None:
        self._trial = trial
        self._store = stores[0]
        self._replayer = Replayer(stores, START)
        self._rng = random.Random(story)
        self._is_at_once = is_at_once
        self._is_behind = False

    async def became(self) -> Became:
        """What became of all."""
        replayer, settled = self._replayer, None
        for done in self._trial.memory.done:
            at = _time_of(done)
            if settled is None and at > self._trial.settles_at:
                settled = await self._states()
            if not self._is_at_once:
                await self._wait(at)
            if self._rng.random() < EXTRA_LOOKS:
                await replayer.look_alone(first=self._either())
            replayer.now = max(replayer.now, at)
            await self._do(done)
            if self._is_behind and self._is_at_once:
                await self._exchange()
            await replayer.deliver()
        while replayer.now < self._trial.settles_at + LONG_AFTER:
            replayer.now += AFTERWARDS
            await replayer.look_alone(first=self._either())
        last = await self._states()
        events = await _events(self._store)
        tellings = [
            _telling(outgoing.occurrence_id, outgoing.event, outgoing.at, events) for outgoing in replayer.outgoing
        ]
        return Became(events, tellings, settled or last, last, second_of(replayer.now))

    async def _do(self, done: datetime | Sequence[Receipt] | Answered) -> None:
        replayer = self._replayer
        if isinstance(done, datetime):
            await replayer.look_alone(first=self._either())
        elif isinstance(done, Answered):
            await self._compare(done)
            self._is_behind = self._is_behind or replayer.has_news
        else:
            await replayer.replicas[self._either()].commit(done)
            self._is_behind = self._is_behind or done[0].path != "/api/v2/alerts" or replayer.has_news

    async def _compare(self, answered: Answered) -> None:
        """Let the replica whose turn it is compare an answer."""
        assert self._trial.scenario.asking is not None
        replica = self._replayer.replicas[0]
        recorder = replica.store.recorder
        for origins in self._trial.origins:
            recorder.take_up_witnesses(recorder.witnesses.merged(origins.witnesses()))
        await replica.comparing.compare([read(answered, self._trial.scenario.asking, recorder.witnesses)])

    async def _wait(self, until: datetime) -> None:
        """Let the replicas exchange in time, and look where nothing is due as far as memory knows."""
        replayer = self._replayer
        if self._is_behind and until - replayer.now >= EXCHANGE_EVERY:
            replayer.now += EXCHANGE_EVERY
            await self._exchange()
        if until - replayer.now > LONG:
            replayer.now += (until - replayer.now) / 2
            await replayer.look_alone(first=self._either())

    async def _exchange(self) -> None:
        await self._replayer.exchange()
        self._is_behind = False

    def _either(self) -> int:
        return self._rng.randrange(len(self._replayer.replicas))

    async def _states(self) -> dict[str, str | None]:
        states: dict[str, str | None] = dict.fromkeys(self._trial.played.truth)
        for occurrence in await everything(self._store):
            if occurrence.status == "firing":
                states[_key_of(occurrence.id)[0]] = occurrence.state
        return states


def _time_of(done: datetime | Sequence[Receipt] | Answered) -> datetime:
    if isinstance(done, datetime):
        return done
    return moment(done.at) if isinstance(done, Answered) else done[0].received_at


async def _events(store: Store) -> list[Event]:
    events = []
    for occurrence in await everything(store):
        fingerprint, key_us = _key_of(occurrence.id)
        events += [
            Event(fingerprint, from_us(key_us), event.number, event.kind, event.at, event.receipt_id, event.detail)
            for event in await store.history.timeline(occurrence.id)
            if event.number is not None
        ]
    return _in_order(events)


def _in_order(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.fingerprint, event.at, event.starts_at, event.key))


def _seen(event: Event) -> object:
    """What has to be the same of an event wherever it is decided."""
    detail = {key: value for key, value in (event.detail or {}).items() if key != "routing"}
    return event.fingerprint, event.starts_at, event.key, event.kind, event.at, event.receipt_id, detail


def _by_label_set(tellings: Sequence[Telling]) -> list[Telling]:
    """What is told of each label set, in order; those of one request come in any."""
    return sorted(tellings, key=lambda telling: telling.fingerprint)


def _telling(identity: str, kind: str, at: datetime, events: Sequence[Event]) -> Telling:
    fingerprint, key_us = _key_of(identity)
    event = next(
        event
        for event in events
        if (occurrence_id(event.fingerprint, to_us(event.starts_at)), event.kind, event.at) == (identity, kind, at)
    )
    return Telling(second_of(at), fingerprint, key_us, kind, event.receipt_id)


def _key_of(identity: str) -> tuple[str, int]:
    key = split_occurrence_id(identity)
    assert key is not None
    return key
