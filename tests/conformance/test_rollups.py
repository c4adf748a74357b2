"""The numbers of the history add up, whatever happened.

Holds: `storage.shared.rollups`, `storage.shared.tallies`, `domain.counting`, `domain.tally`.
"""

from datetime import datetime, timedelta

import pytest

from alert_history.domain.alert import Alert
from alert_history.ports import HistoryFilter, Store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, STARTS_AT, alert, posted, receipt
from tests.numbers import check_sums, fold_all, numbers_of

TODAY = (NOW - datetime(1970, 1, 1, tzinfo=NOW.tzinfo)).days


async def begin(store: Store, *alerts: Alert, at: datetime = NOW) -> None:
    await store.recorder.commit([receipt(*alerts, at=at)])


async def test_firing_counts_when_it_was_received(store: Store) -> None:
    await begin(store, alert("A"), alert("B", labels={"severity": "warning"}))
    numbers = await numbers_of(store)
    assert {value: tally.begun for (_, value), tally in numbers["alertname"].items()} == {"A": 1, "B": 1}
    assert {value: tally.begun for (_, value), tally in numbers["severity"].items()} == {"critical": 1, "warning": 1}
    assert numbers["all"][TODAY, ""].minutes == {12 * 60: 2}


async def test_end_moves_its_own_day_and_its_begin(store: Store) -> None:
    await begin(store, alert("A"))
    later = NOW + DAY
    await begin(store, alert("A", "resolved", ends_at=later), at=later)
    numbers = await numbers_of(store)
    assert numbers["all"][TODAY, ""].ended == 1
    assert numbers["all"][TODAY, ""].length_us == (later - STARTS_AT) // timedelta(microseconds=1)
    assert numbers["all"][TODAY + 1, ""].moves == {48: (-1, -900 * 10**6)}


async def test_repeats_count_for_the_occurrence_that_they_repeat(store: Store) -> None:
    await begin(store, alert("A"))
    for minute in (2, 4, 6):
        await begin(store, alert("A"), at=NOW + minute * MINUTE)
    assert (await numbers_of(store))["alertname"][TODAY, "A"].repeats == 3
    await check_sums(store)


async def test_numbers_are_the_same_before_and_after_they_are_added_up(store: Store) -> None:
    for minute in range(30):
        await begin(store, *(alert(f"A{number}") for number in range(minute % 4)), at=NOW + minute * MINUTE)
    await check_sums(store)


async def test_all_repeats_count_for_a_receiver_that_becomes_known_later(
    store: Store, open_replica: OpenReplica
) -> None:
    for minute in (0, 2, 4):
        await store.recorder.commit([posted(alert(), client="10.0.0.1", at=NOW + minute * MINUTE)])
    await (await open_replica()).recorder.commit([receipt(alert(), at=NOW + 5 * MINUTE)])
    await store.recorder.commit([posted(alert(), client="10.0.0.1", at=NOW + 6 * MINUTE)])
    numbers = await numbers_of(store)
    assert {value: tally.repeats for (_, value), tally in numbers["receiver"].items()} == {"team-x": 4}


async def test_two_replicas_add_up_each_change_once(store: Store, open_replica: OpenReplica) -> None:
    other = await open_replica()
    for number in range(20):
        await begin(store, alert(f"A{number}"), at=NOW + number * SECOND)
        await begin(other, alert(f"B{number}"), at=NOW + number * SECOND)
        await store.rollups.fold()
        await other.rollups.fold()
    assert sum(tally.begun for tally in (await numbers_of(store))["all"].values()) == 40
    await check_sums(other)


async def test_firing_that_begins_again_is_told_from_one_that_begins_anew(store: Store) -> None:
    for hour, pause in ((0, 10), (3, 0)):
        start = NOW + timedelta(hours=hour)
        await begin(store, alert("A", starts_at=start), at=start)
        await begin(store, alert("A", "resolved", starts_at=start, ends_at=start + MINUTE), at=start + MINUTE)
        if pause:
            again = start + timedelta(minutes=pause)
            await begin(store, alert("A", starts_at=again), at=again)
            await begin(store, alert("A", "resolved", starts_at=again, ends_at=again + MINUTE), at=again + MINUTE)
    sums = await store.analytics.sums("alertname", first_day=TODAY, last_day=TODAY + 1)
    assert (sums["A"].begun, sums["A"].again) == (3, 1)
    await fold_all(store)
    assert list((await store.analytics.again(first_day=TODAY, last_day=TODAY, least=1)).values()) == [1]


async def test_recount_of_a_query_is_as_the_rollups_are(store: Store) -> None:
    for number in range(50):
        severity = ("critical", "warning")[number % 2]
        await begin(
            store, alert(f"A{number % 7}", labels={"severity": severity, "pod": str(number)}), at=NOW + number * MINUTE
        )
    wanted = HistoryFilter(alertname="A3", since=NOW, until=NOW + DAY)
    recount = await store.analytics.recount(wanted, by=None, most=1000)
    [tally] = recount.tallies.values()
    assert (recount.share, tally) == (1.0, (await numbers_of(store))["alertname"][TODAY, "A3"])


async def test_sample_stands_for_the_whole(store: Store) -> None:
    for number in range(40):
        await begin(store, *(alert(f"A{number}-{place}") for place in range(25)), at=NOW + number * MINUTE)
    wanted = HistoryFilter(since=NOW, until=NOW + 40 * MINUTE)
    recount = await store.analytics.recount(wanted, by=None, most=300)
    assert recount.share == pytest.approx(0.3, abs=0.01)
    assert recount.occurrences / recount.share == pytest.approx(1000, rel=0.5)


@pytest.mark.parametrize("by", ["severity", "pod"])
async def test_recount_by_a_label_has_all_of_its_values(store: Store, by: str) -> None:
    for number in range(10):
        await begin(
            store,
            alert("A", labels={"severity": str(number % 3), "pod": str(number % 3)}, starts_at=NOW + number * MINUTE),
            at=NOW + number * MINUTE,
        )
    recount = await store.analytics.recount(HistoryFilter(since=NOW, until=NOW + DAY), by=by, most=1000)
    assert {value for _, value in recount.tallies} == {"0", "1", "2"}
    assert set(await store.analytics.firing(HistoryFilter(), by=by)) == {"0", "1", "2"}


async def test_firings_of_one_batch_begin_again_after_those_before_them_alone(store: Store) -> None:
    receipts = []
    for start in (NOW, NOW + timedelta(hours=3), NOW + timedelta(hours=3, minutes=10)):
        receipts.append(receipt(alert("A", starts_at=start), at=start))
        receipts.append(receipt(alert("A", "resolved", starts_at=start, ends_at=start + MINUTE), at=start + MINUTE))
    await store.recorder.commit(receipts)
    sums = await store.analytics.sums("alertname", first_day=TODAY, last_day=TODAY)
    assert (sums["A"].begun, sums["A"].again) == (3, 1)


async def test_episodes_of_label_sets_are_theirs_alone(store: Store) -> None:
    await begin(store, *(alert(name) for name in "ABC"))
    wanted = [alert(name).fingerprint for name in "AB"]
    episodes = await store.analytics.episodes_of([*wanted, "none"], since=NOW, until=NOW + DAY)
    assert {name: [each.alertname for each in own] for name, own in episodes.items()} == {
        wanted[0]: ["A"],
        wanted[1]: ["B"],
        "none": [],
    }
