"""Simulated senders, told to a store: it decides what the rules without a database decide, which a judge has looked at.

See `tests/unit/test_firing_trials.py` for the judge and for many more stories.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from alert_history.domain.microseconds import from_us
from alert_history.ports import Store, StoredAlert
from alert_history.storage import open_store
from tests.conformance.replaying import Replayer
from tests.conformance.samples import SECOND, everything
from tests.firing.memory import Memory
from tests.firing.trial import LONG_AFTER, Trial
from tests.pager import route_all
from tests.senders.alertmanager import Receiver, Silencing, Timing
from tests.senders.network import START, Trouble
from tests.senders.scenario import Alerting, Outage, Scenario, Site, Watcher
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
BEAT = 5 * SECOND
AFTERWARDS = timedelta(hours=2)

Ended = tuple[str, datetime, str, datetime]
"""A fingerprint, since when it fired, how it ended, and when."""


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """A store whose pager is told of everything."""
    store = open_store(database_url, router=route_all)
    await store.lifecycle.open()
    yield store
    await store.lifecycle.close()


@pytest.mark.parametrize("story", STORIES)
async def test_store_decides_as_the_rules_without_a_database(story: str, store: Store) -> None:
    trial = Trial(STORIES[story])
    assert trial.faults() == []
    replayer = Replayer([store], START)
    for arrival in trial.played.arrivals:
        await replayer.pass_to(arrival.receipt.received_at, every=BEAT)
        await replayer.replicas[0].commit([arrival.receipt])
    await replayer.pass_to(replayer.now + AFTERWARDS, every=30 * SECOND)
    await replayer.pass_to(replayer.now + LONG_AFTER, every=timedelta(hours=6))
    assert sorted(map(_of_store, await everything(store))) == sorted(_of_memory(trial.memory))
    assert [(one.fingerprint, one.event) for one in replayer.told] == [
        (one.event.fingerprint, one.event.kind) for one in trial.memory.told
    ]


def _of_store(one: StoredAlert) -> Ended:
    return one.fingerprint, one.starts_at, one.ended_by or "", one.ends_at or START


def _of_memory(memory: Memory) -> list[Ended]:
    return [
        (fingerprint, one.began_at or from_us(key_us), one.ended_by or "", one.ends_at or START)
        for (fingerprint, key_us), one in memory.occurrences.items()
    ]
