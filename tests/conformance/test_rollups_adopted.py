"""The numbers follow what is made of the occurrences of an older release: doubles that are joined do not count.

Holds: `domain.adopting`, `domain.counting`.
"""

from datetime import datetime, timedelta
from random import Random

import msgspec
import pytest

from alert_history.domain.alert import Alert
from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance import raw
from tests.conformance.samples import MINUTE, NOW, SECOND, STARTS_AT, alert, everything, receipt
from tests.legacy import double, forget_claims, resolve
from tests.numbers import check_sums, labels_of, numbers_of

FIRING = alert()
LABEL_SETS = 12


async def opened(url: str) -> Store:
    store = open_store(url)
    await store.lifecycle.open()
    return store


async def as_before(url: str, alerts: list[Alert]) -> None:
    """Occurrences as a release before ours left them, which no number tells of."""
    store = await opened(url)
    await store.recorder.commit([receipt(*alerts)])
    await store.lifecycle.close()


async def upgraded(url: str) -> Store:
    """Our release begins: the history is counted, as it is, and then adopted."""
    await forget_claims(url)
    await raw.fetch(url, "DELETE FROM rollup_log")
    await raw.fetch(url, "DELETE FROM settings WHERE name = 'rollups'")
    store = await opened(url)
    await store.rollups.count_anew(progress=lambda _: None)
    return store


async def begun(store: Store) -> int:
    return sum(tally.begun for tally in (await numbers_of(store))["all"].values())


async def test_double_that_is_joined_does_not_count(database_url: str) -> None:
    await as_before(database_url, [FIRING])
    await double(database_url, FIRING, starts_at=STARTS_AT + 2 * MINUTE)
    store = await upgraded(database_url)
    assert (await begun(store), (await labels_of(store))["namespace"]) == (2, (2, {"shop": 2}))
    await store.standings.adopt(NOW)
    assert (await begun(store), (await labels_of(store))["namespace"]) == (1, (1, {"shop": 1}))
    await check_sums(store)
    await store.lifecycle.close()


async def test_double_that_is_known_as_one_is_not_taken_away_again(database_url: str) -> None:
    await as_before(database_url, [FIRING])
    await double(database_url, FIRING, starts_at=STARTS_AT + 2 * MINUTE)
    store = await upgraded(database_url)
    await store.standings.adopt(NOW)
    await store.rollups.fold()
    await double(database_url, FIRING, starts_at=STARTS_AT + 3 * MINUTE)  # a pod of the older release is still there
    await store.rollups.count_anew(progress=lambda _: None)
    await store.standings.adopt(NOW + MINUTE)
    assert await begun(store) == 1
    await check_sums(store)
    await store.lifecycle.close()


async def test_double_that_is_joined_once_more_is_taken_away_once(database_url: str) -> None:
    await as_before(database_url, [FIRING])
    await double(database_url, FIRING, starts_at=STARTS_AT + 2 * MINUTE)
    store = await upgraded(database_url)
    await store.standings.adopt(NOW)
    assert await begun(store) == 1
    await store.lifecycle.close()
    await forget_claims(database_url)  # as after a downgrade and an upgrade
    store = await opened(database_url)
    await store.standings.adopt(NOW + MINUTE)
    assert await begun(store) == 1
    await check_sums(store)
    await store.lifecycle.close()


async def test_what_comes_after_a_double_counts_as_it_is_shown(database_url: str) -> None:
    """Also where the double began after the end of the firing that it is part of."""
    await as_before(database_url, [FIRING])
    await double(database_url, FIRING, starts_at=NOW + 2 * MINUTE)
    store = await upgraded(database_url)
    await store.standings.adopt(NOW + 3 * MINUTE)
    for at, sent in (
        (4, alert("DiskFull", "resolved", ends_at=NOW + MINUTE)),
        (5, alert(starts_at=NOW + 2 * MINUTE)),
        (6, alert(starts_at=NOW + 2 * MINUTE)),
        (7, alert("DiskFull", "resolved", starts_at=NOW + 2 * MINUTE, ends_at=NOW + 6 * MINUTE)),
    ):
        await store.recorder.commit([receipt(sent, at=NOW + at * MINUTE)])
    assert await begun(store) == len(await everything(store))
    await check_sums(store)
    await store.lifecycle.close()


@pytest.mark.parametrize("seed", range(8))
async def test_any_old_history_counts_as_it_is_shown(database_url: str, seed: int) -> None:
    random = Random(seed)
    alerts = [
        alert(f"A{number}", starts_at=STARTS_AT + number * SECOND, labels={"pod": f"{number % 3}"})
        for number in range(LABEL_SETS)
    ]
    await as_before(database_url, alerts)
    for each in alerts:
        await _left_behind(database_url, each, random)
    store = await upgraded(database_url)
    await store.standings.adopt(NOW + timedelta(minutes=random.randrange(90)))
    for minute in range(90, 130, 4):
        at = NOW + minute * MINUTE
        await store.recorder.commit([receipt(*(_later(each, at, random) for each in random.sample(alerts, 5)), at=at)])
    assert await begun(store) == len(await everything(store))
    await check_sums(store)
    await store.lifecycle.close()


async def _left_behind(url: str, of: Alert, random: Random) -> None:
    """Up to three more occurrences of an alert, some of them over."""
    for _ in range(random.randrange(4)):
        starts_at = (
            of.starts_at + random.randrange(1, 80) * MINUTE + random.randrange(10**6) * timedelta(microseconds=1)
        )
        await double(url, of, starts_at=starts_at)
        if random.random() < 0.5:
            ends_at = starts_at + random.randrange(10) * MINUTE
            await resolve(url, starts_at=starts_at, ends_at=ends_at, received_at=ends_at)


def _later(of: Alert, at: datetime, random: Random) -> Alert:
    starts_at = random.choice([of.starts_at, at - random.randrange(60) * MINUTE])
    if random.random() < 0.5:
        return msgspec.structs.replace(of, starts_at=starts_at)
    return msgspec.structs.replace(
        of, starts_at=starts_at, status="resolved", ends_at=at - random.randrange(5) * MINUTE
    )
