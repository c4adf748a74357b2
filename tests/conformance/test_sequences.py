"""The captured sequences, replayed in time: each ends in what was true, with one page and one end a firing.

What no request says can't be known: then it is unconfirmed, and why. Told once, told twice, or told to two replicas by
turns, a sequence means the same.
"""

from datetime import datetime, timedelta

import pytest

from alert_history.ports import Store, StoredAlert
from tests.conformance import sequences
from tests.conformance.replaying import Replayer
from tests.conformance.samples import DAY, MINUTE, SECOND, everything
from tests.conformance.sequences import Sequence, Truth

BEAT = 5 * SECOND
SETTLED = 45 * SECOND
HOUR = timedelta(hours=1)
BOUND = 7 * DAY
CLOSE = timedelta(seconds=8)
"""How much later than it really ended an end may be shown: by a scrape, an evaluation and a clock."""

FIRING, UNKNOWN = "firing", "unconfirmed"
STATES = {
    "4-alertmanager-silenced-member-resolves": {"db-1": UNKNOWN},
    "9-alertmanager-send-resolved-false": {"db-1": UNKNOWN, "db-2": FIRING},
}
"""What is shown `SETTLED` after the last request, where that is not `resolved`: it can't be known."""
UNNAMED = {"5-alertmanager-truncated": {"db-3", "db-4", "db-5"}}
"""Hosts whose alerts no request names."""
REASONS = {
    "4-alertmanager-silenced-member-resolves": "its Alertmanager lists its group without it",
    "9-alertmanager-send-resolved-false": "there was no sign of it for 1 min",
}


@pytest.fixture(params=["told once", "told twice", "told by turns"])
async def replayer(request: pytest.FixtureRequest, name: str, replicas: list[Store]) -> Replayer:
    """A replayer that has taken all of a sequence."""
    sequence = sequences.read(name)
    stores = replicas if request.param == "told by turns" else replicas[:1]
    replayer = Replayer(stores, sequence.start)
    copies, every = (1, SECOND) if request.param == "told once" else (2 if request.param == "told twice" else 1, BEAT)
    for number, receipt in enumerate(sequence.receipts(copies=copies)):
        await replayer.pass_to(receipt.received_at, every=every)
        await replayer.take(receipt, replica=number % len(stores))
    return replayer


@pytest.mark.parametrize("name", sequences.NAMES)
async def test_sequence_ends_in_what_was_true(name: str, replayer: Replayer) -> None:
    sequence = sequences.read(name)
    store = replayer.replicas[0].store
    named = await everything(store)
    await replayer.pass_to(sequence.end + SETTLED, every=BEAT)
    assert await _states(store, sequence) == _expected(name, sequence)
    await replayer.pass_to(sequence.end + HOUR, every=10 * MINUTE)
    assert _stories(replayer) == {
        occurrence.id: ["firing", "resolved"] for occurrence in named if _is_known(occurrence, name)
    } | {occurrence.id: ["firing"] for occurrence in named if not _is_known(occurrence, name)}
    await replayer.pass_to(sequence.end + BOUND + DAY, every=12 * HOUR)
    assert _stories(replayer) == {occurrence.id: ["firing", "resolved"] for occurrence in named}
    for occurrence in await everything(store):
        _check(occurrence, name, sequence)
    assert [(await store.history.find(occurrence.id)).fingerprint for occurrence in named] == [
        occurrence.fingerprint for occurrence in named
    ]


async def _states(store: Store, sequence: Sequence) -> dict[str, list[tuple[str, str | None]]]:
    hosts = {truth.fingerprint: truth.host for truth in sequence.truth}
    states: dict[str, list[tuple[str, str | None]]] = {host: [] for host in hosts.values()}
    for occurrence in await everything(store):
        states[hosts[occurrence.fingerprint]].append((occurrence.state, occurrence.state_reason))
    return states


def _expected(name: str, sequence: Sequence) -> dict[str, list[tuple[str, str | None]]]:
    """One occurrence for each host that is named. Of the two firings in 3 no sign came, so they are one."""
    unknown, unnamed = STATES.get(name, {}), UNNAMED.get(name, set())
    hosts = dict.fromkeys(truth.host for truth in sequence.truth)
    return {
        host: []
        if host in unnamed
        else [(unknown.get(host, "resolved"), REASONS[name] if unknown.get(host) == UNKNOWN else None)]
        for host in hosts
    }


def _is_known(occurrence: StoredAlert, name: str) -> bool:
    """Whether somebody said how it ended."""
    return occurrence.labels["instance"].partition(".")[0] not in STATES.get(name, {})


def _stories(replayer: Replayer) -> dict[str, list[str]]:
    """What the pager heard beside changed annotations, by the key under which it keeps it."""
    stories: dict[str, list[str]] = {}
    for outgoing in replayer.outgoing:
        if outgoing.event != "annotations_changed":
            stories.setdefault(outgoing.occurrence_id, []).append(outgoing.status)
    return stories


def _check(occurrence: StoredAlert, name: str, sequence: Sequence) -> None:
    """Its start is one that was claimed; its end the true one, or what is known of it."""
    truths = [truth for truth in sequence.truth if truth.fingerprint == occurrence.fingerprint]
    assert occurrence.starts_at == min(_claimed(occurrence, sequence))
    assert occurrence.ends_at is not None
    if _is_known(occurrence, name):
        assert occurrence.ended_by == "resolved"
        assert sequence.time(_ended(truths)) <= occurrence.ends_at <= sequence.time(_ended(truths)) + CLOSE
    else:
        assert (occurrence.ended_by, occurrence.ends_at) == ("inferred", occurrence.confirmed_at)


def _ended(truths: list[Truth]) -> float:
    return max(truth.ended for truth in truths if truth.ended is not None)


def _claimed(occurrence: StoredAlert, sequence: Sequence) -> set[datetime]:
    """Every start that a request names for it."""
    alerts = [alert for receipt in sequence.receipts() for alert in receipt.group.alerts]
    return {alert.starts_at for alert in alerts if alert.fingerprint == occurrence.fingerprint}
