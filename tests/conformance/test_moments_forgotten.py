"""What no moment within the retention needs is forgotten, on both databases; what was in force at its edge stays.

Holds: `storage.shared.moments_forgotten`.
"""

from datetime import timedelta

import msgspec

from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.ports import Store, StoredConfiguration
from tests.conformance.samples import DAY, MINUTE, NOW, alert, posted, silence

_EDGE = NOW + 10 * DAY


async def _drop(store: Store) -> None:
    while await store.moments.drop(_EDGE):
        pass


async def test_of_configurations_the_one_in_force_at_the_edge_stays(store: Store) -> None:
    for days, text in ((0, "a"), (1, "b"), (11, "c")):
        at = NOW + days * DAY
        await store.configurations.keep([StoredConfiguration("main", at, at, text, {})])
    await _drop(store)
    versions = await store.configurations.versions("main", limit=9)
    assert [each.original for each in versions] == ["c", "b"]


async def test_of_silences_the_version_in_force_at_the_edge_stays(store: Store) -> None:
    lasting = msgspec.structs.replace(silence("lasting"), ends_at=_EDGE + DAY)
    versions = [
        lasting,
        msgspec.structs.replace(lasting, updated_at=NOW + DAY, comment="at the edge"),
        msgspec.structs.replace(lasting, updated_at=_EDGE + MINUTE, comment="after it"),
        msgspec.structs.replace(silence("over"), ends_at=_EDGE - MINUTE),
    ]
    await store.silence_versions.keep([SilenceVersion(each, "main", NOW) for each in versions])
    await _drop(store)
    kept = await store.silence_versions.of(["lasting", "over"])
    assert [each.silence.comment for each in kept] == ["at the edge", "after it"]


async def test_late_ends_go_when_all_of_them_is_past(store: Store) -> None:
    async def ends_late(name: str, *, by: timedelta) -> None:
        at = NOW + by
        await store.recorder.commit([posted(alert(name), client="p", at=NOW)])
        await store.recorder.commit([posted(alert(name, "resolved", ends_at=NOW + MINUTE), client="p", at=at)])

    await ends_late("Old", by=9 * DAY)
    await ends_late("Reaching", by=11 * DAY)
    await _drop(store)
    assert await store.moments.drop(_EDGE) == 0
    found = await store.moments.alerts(NOW + 8 * DAY, limit=9)
    assert [each.labels["alertname"] for each in found] == ["Reaching"]
