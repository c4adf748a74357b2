"""Configurations of Alertmanagers, kept as versions, on both databases.

Holds: `storage.shared.configurations`.
"""

from datetime import datetime

from alert_history.ports import Store, StoredConfiguration
from tests.conformance.samples import MINUTE, NOW


def _seen(original: str, at: datetime, *, cluster: str = "main") -> StoredConfiguration:
    return StoredConfiguration(cluster, at, at, original, {"uptime": at.isoformat()})


async def test_a_configuration_that_is_seen_again_is_one_version_with_the_facts_of_the_last_look(store: Store) -> None:
    await store.configurations.keep([_seen("a", NOW)])
    await store.configurations.keep([_seen("a", NOW + MINUTE)])
    [version] = await store.configurations.versions("main", limit=5)
    assert (version.since, version.seen_at) == (NOW, NOW + MINUTE)
    assert version.facts == {"uptime": (NOW + MINUTE).isoformat()}


async def test_a_look_that_is_late_moves_nothing_back(store: Store) -> None:
    await store.configurations.keep([_seen("a", NOW), _seen("b", NOW + MINUTE)])
    await store.configurations.keep([_seen("a", NOW + MINUTE / 2), _seen("b", NOW + MINUTE / 2)])
    versions = await store.configurations.versions("main", limit=5)
    assert [(each.original, each.seen_at) for each in versions] == [("b", NOW + MINUTE), ("a", NOW)]


async def test_at_a_moment_each_cluster_has_the_version_in_force(store: Store) -> None:
    await store.configurations.keep([_seen("a", NOW), _seen("b", NOW + 2 * MINUTE), _seen("c", NOW, cluster="other")])
    await store.configurations.keep([_seen("a", NOW + 4 * MINUTE)])

    async def originals(at: datetime) -> list[str]:
        return [each.original for each in await store.configurations.at(at)]

    assert await originals(NOW - MINUTE) == []
    assert await originals(NOW) == ["a", "c"]
    assert await originals(NOW + 3 * MINUTE) == ["b", "c"]
    assert await originals(NOW + 4 * MINUTE) == ["a", "c"]
