"""What polled Alertmanagers say beside what fires, as it is remembered, on both databases."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from alert_history.domain.alert import Silence
from alert_history.engine.alertmanager_memory import AlertmanagerMemory
from alert_history.engine.listing import Listing
from alert_history.ports import Store, StoredConfiguration
from tests.conformance.samples import MINUTE, NOW, SECOND, receipt, silence
from tests.polls import alertmanager_poll, answered


def _round(after: timedelta, *silences: Silence, original: str = "route: {}", uptime: str = "x") -> Sequence[Listing]:
    poll = alertmanager_poll(NOW + after, name="eu", silences=silences)
    return answered(msgspec.structs.replace(poll, original=original, facts={"uptime": uptime})).listings


def _memory(store: Store) -> AlertmanagerMemory:
    return AlertmanagerMemory(store.configurations, store.silence_versions)


async def _configurations(store: Store) -> list[StoredConfiguration]:
    return list(await store.configurations.versions("eu", limit=9))


async def test_a_changed_configuration_is_a_version_since_the_round_that_found_it(store: Store) -> None:
    memory = _memory(store)
    await memory.keep(_round(0 * SECOND))
    await memory.keep(_round(30 * SECOND, original="route: {receiver: x}"))
    assert [each.since for each in await _configurations(store)] == [NOW + 30 * SECOND, NOW]


async def test_a_configuration_that_stays_is_written_once_a_minute(store: Store) -> None:
    memory = _memory(store)
    for seconds in (0, 20, 40):
        await memory.keep(_round(seconds * SECOND))
    [first] = await _configurations(store)
    await memory.keep(_round(60 * SECOND))
    [second] = await _configurations(store)
    assert (first.seen_at, second.seen_at, second.since) == (NOW, NOW + MINUTE, NOW)


async def test_new_facts_are_written_at_once(store: Store) -> None:
    memory = _memory(store)
    await memory.keep(_round(0 * SECOND))
    await memory.keep(_round(SECOND, uptime="y"))
    [version] = await _configurations(store)
    assert (version.facts, version.seen_at) == ({"uptime": "y"}, NOW + SECOND)


async def test_each_change_of_a_silence_is_a_version_of_its_cluster(store: Store) -> None:
    memory = _memory(store)
    made = silence("s-1")
    ended = msgspec.structs.replace(made, ends_at=NOW + MINUTE, updated_at=NOW + MINUTE)
    await store.recorder.commit([receipt(silences=[made, ended], source="event_recorder")])
    for after, listed in ((SECOND, made), (2 * SECOND, made), (2 * MINUTE, ended)):
        await memory.keep(_round(after, listed))
    versions = await store.silence_versions.of(["s-1"])
    assert [(each.cluster, each.silence) for each in versions] == [("eu", made), ("eu", ended)]


async def test_of_a_status_without_a_configuration_nothing_is_kept(store: Store) -> None:
    poll = alertmanager_poll(NOW, name="eu")
    await _memory(store).keep(answered(poll).listings)
    assert await _configurations(store) == []
