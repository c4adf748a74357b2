"""Versions of silences, from an event recorder and from polls, on both databases.

Holds: `storage.shared.silence_versions`.
"""

from datetime import datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.silence_versions import to_keep, to_milliseconds
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, receipt, silence

HOUR = timedelta(hours=1)


def _version(of: Silence, cluster: str = "") -> SilenceVersion:
    return SilenceVersion(of, cluster, of.updated_at)


def _ended(of: Silence, after: timedelta) -> Silence:
    at = NOW + after
    return msgspec.structs.replace(of, ends_at=at, updated_at=at)


async def test_a_silence_is_as_its_newest_version_by_then(store: Store) -> None:
    made = silence("s-1", comment="first")
    edited = msgspec.structs.replace(made, comment="second", updated_at=NOW + HOUR)
    await store.silence_versions.keep([_version(_ended(edited, 2 * HOUR), "main")])
    await store.silence_versions.keep([_version(edited, "main"), _version(made, "main")])

    async def comments(at: timedelta, since: timedelta = -5 * DAY) -> list[tuple[str, timedelta]]:
        versions = await store.silence_versions.at(NOW + at, ended_since=NOW + at + since, limit=10)
        return [(each.silence.comment, each.silence.ends_at - NOW) for each in versions]

    assert await comments(-MINUTE) == []
    assert await comments(MINUTE) == [("first", DAY)]
    assert await comments(HOUR) == [("second", DAY)]
    assert await comments(3 * HOUR) == [("second", 2 * HOUR)]
    assert await comments(3 * HOUR, -MINUTE) == []
    assert len(await store.silence_versions.of(["s-1"])) == 3


async def test_an_event_recorder_and_a_poll_tell_of_one_version(store: Store) -> None:
    recorded = silence("s-1", updated_at=NOW + timedelta(microseconds=123_456))
    polled = silence("s-1", updated_at=NOW + timedelta(microseconds=123_000))
    await store.recorder.commit([receipt(silences=[recorded], source="event_recorder")])
    [nameless] = await store.silence_versions.of(["s-1"])
    assert nameless.cluster == ""
    await store.silence_versions.keep([_version(polled, "main")])
    [version] = await store.silence_versions.of(["s-1"])
    assert (version.cluster, version.silence) == ("main", polled)
    await store.recorder.commit([receipt(silences=[recorded], source="event_recorder", at=NOW + MINUTE)])
    assert await store.silence_versions.of(["s-1"]) == [version]


_versions = st.lists(
    st.builds(
        lambda id_, minutes, us, cluster, known: SilenceVersion(
            silence(id_, updated_at=NOW + minutes * MINUTE + timedelta(microseconds=us)), cluster, NOW + known * MINUTE
        ),
        st.sampled_from(["a", "b"]),
        st.integers(0, 3),
        st.integers(0, 999),
        st.sampled_from(["", "main"]),
        st.integers(0, 9),
    ),
    max_size=12,
)


@given(_versions, st.integers(1, 4))
def test_versions_in_any_order_from_two_sources_are_kept_once(versions: list[SilenceVersion], size: int) -> None:
    kept: dict[tuple[str, datetime], str] = {}
    for begin in range(0, len(versions), size):
        known = [(id_, at, cluster) for (id_, at), cluster in kept.items()]
        keeping = to_keep(versions[begin : begin + size], known)
        for id_, cluster in keeping.named.items():
            kept |= {key: cluster for key in kept if key[0] == id_}
        for added in keeping.added:
            key = (added.silence.id, added.silence.updated_at)
            assert key not in kept
            kept[key] = added.cluster
    expected = {(cut.silence.id, cut.silence.updated_at) for cut in map(to_milliseconds, versions)}
    assert kept.keys() == expected
    named = {version.silence.id for version in versions if version.cluster}
    assert all(cluster == ("main" if id_ in named else "") for (id_, _), cluster in kept.items())
