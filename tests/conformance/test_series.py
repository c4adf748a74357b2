"""A series counts what began, or fired, and its parts add up.

Holds: `storage.shared.statistics`, `domain.levels`, `domain.stacks`.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random

import msgspec
import pytest

from alert_history.domain.query import parse_query
from alert_history.engine.series import SeriesAnswer, SeriesBucket
from alert_history.errors import InvalidQuery
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND
from tests.numbers import fold_all
from tests.statistics import Firing, answering, record, span, sums, wish

TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
QUARTER = 15 * MINUTE


def some(number: int, *, seed: int = 7, days: float = 5.0) -> list[Firing]:
    """So many alerts, over the last days, of some severities and pods; two in three end within hours."""
    random = Random(seed)
    firings = []
    for place in range(number):
        begins = NOW - days * DAY * random.random()
        ends = begins + timedelta(hours=9) * random.random()
        labels = {"severity": f"s{random.randrange(5)}", "pod": f"p{random.randrange(9)}"}
        firings.append(Firing(f"A{place}", begins, ends if place % 3 and ends < NOW else None, labels))
    return firings


async def test_edges_inside_a_minute_cut_exactly(store: Store) -> None:
    since = NOW - 2 * HOUR + 30 * SECOND
    offsets = (-TICK, timedelta(), 29 * SECOND, 30 * SECOND, HOUR)
    await record(store, *(Firing(f"A{offset}", since + offset) for offset in offsets))
    until = since + HOUR
    answer = await answering(store).series.series(span(since, until), wish(step=MINUTE))
    assert (answer.total, answer.buckets[0].total, answer.buckets[1].total) == (3, 2, 1)
    assert [answer.buckets[0].begin, answer.buckets[0].end] == [since, since + 30 * SECOND]
    assert (answer.buckets[0].is_whole, answer.buckets[1].is_whole) == (False, True)
    one_more = await answering(store).series.series(span(since, until + TICK), wish(step=MINUTE))
    assert one_more.total == 4


async def test_span_within_one_minute_is_exact(store: Store) -> None:
    await record(store, *(Firing(f"A{second}", NOW - HOUR + second * SECOND) for second in range(0, 60, 10)))
    answer = await answering(store).series.series(span(NOW - HOUR + 10 * SECOND, NOW - HOUR + 40 * SECOND), wish())
    assert (answer.total, [bucket.total for bucket in answer.buckets]) == (3, [3])


@pytest.mark.parametrize("days", [1, 5])
async def test_parts_add_up(store: Store, days: int) -> None:
    firings = some(60, days=2.0 * days)
    await record(store, *firings[:30])
    await fold_all(store)
    await record(store, *firings[30:])
    asked = span(NOW - days * DAY + 77 * SECOND, NOW - HOUR)
    for by, count in product(("alertname", "severity", "receiver", "pod"), ("begun", "open")):
        answer = await answering(store).series.series(asked, wish(by=by, count=count, top=2), is_compared=True)
        assert answer.compared is not None
        _check_sums(answer)
        _check_sums(answer.compared)


@pytest.mark.parametrize(
    "step, tz", [(7 * DAY, "Europe/Berlin"), (7 * DAY, "UTC"), (DAY, "Asia/Kathmandu"), (HOUR, "UTC")]
)
async def test_long_series_counts_what_began_in_each_bucket(store: Store, step: timedelta, tz: str) -> None:
    """Whether the minutes of a day are read, as a bucket begins in it, or its sum alone."""
    firings = some(80, days=40.0)
    await record(store, *firings[:40])
    await fold_all(store)
    await record(store, *firings[40:])
    days = 37 if step >= DAY else 5
    for by in (None, "severity", "alertname"):
        asked = span(NOW - days * DAY + 77 * SECOND, NOW - HOUR)
        answer = await answering(store).series.series(asked, wish(tz, by=by, step=step, top=100))
        assert [bucket.total for bucket in answer.buckets] == [
            sum(bucket.begin <= each.begins < bucket.end for each in firings) for bucket in answer.buckets
        ]
        for each in answer.series:
            wanted = [firing for firing in firings if each.value in {firing.name, firing.labels["severity"]}]
            assert each.counts == [sum(b.begin <= one.begins < b.end for one in wanted) for b in answer.buckets]


def _check_sums(answer: SeriesAnswer) -> None:
    assert answer.other is not None
    rows = [*(each.counts for each in answer.series), answer.other.counts]
    assert sums(rows) == [bucket.total for bucket in answer.buckets]
    if answer.count == "begun":
        assert answer.total == sum(bucket.total for bucket in answer.buckets)
        assert answer.total == answer.other.total + sum(each.total for each in answer.series)  # type: ignore[operator, misc]  # begun has totals
        return
    seconds = [bucket.firing_seconds for bucket in answer.buckets]
    assert sum(seconds) == pytest.approx(answer.total_firing_seconds)  # type: ignore[arg-type]  # open has them


@pytest.mark.parametrize("query", ["", '{severity="s1"}', '{pod=~"p[0-4]"}'])
async def test_open_alerts_are_those_that_episodes_show(store: Store, query: str) -> None:
    firings = some(80)
    await record(store, *firings)
    wanted = parse_query(query)
    matching_firings = [each for each in firings if wanted.matches({"alertname": each.name, **each.labels}, {})]
    asked = span(NOW - 2 * DAY + 7 * MINUTE, NOW - 4 * HOUR + 7 * MINUTE, query=query)
    for by, step in product((None, "severity", "pod"), (HOUR, QUARTER)):
        wished = wish("Asia/Kathmandu", by=by, count="open", step=step, top=3)
        answer = await answering(store).series.series(asked, wished)
        check_open(answer.buckets, matching_firings)
        for series in answer.series:
            own = [each for each in matching_firings if each.labels[by or ""] == series.value]
            assert list(series.counts) == [fire_at(own, bucket.end) for bucket in answer.buckets]


async def test_open_alerts_are_counted_until_now(store: Store) -> None:
    firings = some(40)
    await record(store, *firings)
    now = NOW + 100 * SECOND
    asked = span(NOW - 3 * HOUR, NOW + DAY, now=now)
    answer = await answering(store).series.series(asked, wish(count="open", step=HOUR))
    check_open(answer.buckets, firings)
    assert (answer.covers.until, answer.buckets[-1].end) == (now, now)
    assert answer.buckets[-1].firing_seconds == 100 * sum(each.ends is None for each in firings)


def check_open(buckets: Sequence[SeriesBucket], firings: Sequence[Firing]) -> None:
    """Check that the numbers of buckets are those of a slow count."""
    for bucket in buckets:
        assert bucket.total == fire_at(firings, bucket.end)
        quarters = (bucket.begin + number * QUARTER for number in range((bucket.end - bucket.begin) // QUARTER + 1))
        assert bucket.peak == max(fire_at(firings, quarter) for quarter in (*quarters, bucket.end))
        lasted = [min(each.ends or bucket.end, bucket.end) - max(each.begins, bucket.begin) for each in firings]
        seconds = sum(each.total_seconds() for each in lasted if each > timedelta())
        assert bucket.firing_seconds == pytest.approx(seconds, abs=1e-3)


def fire_at(firings: Sequence[Firing], time: datetime) -> int:
    """How many began before a time, and did not end before it."""
    return sum(each.begins < time and (each.ends is None or each.ends >= time) for each in firings)


@pytest.mark.parametrize("days", [0.5, 6])
async def test_values_are_counted_exactly(store: Store, days: float) -> None:
    firings = some(90, days=7)
    await record(store, *firings)
    since, until = NOW - days * DAY + 31 * SECOND, NOW - 200 * SECOND
    inside = [(each, {"alertname": each.name, **each.labels}) for each in firings if since <= each.begins < until]
    for by in ("alertname", "severity"):
        answer = await answering(store).series.series(span(since, until), wish(by=by, step=HOUR, top=3))
        counts = Counter(labels[by] for _, labels in inside)
        expected = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        assert [(each.value, each.total) for each in answer.series] == expected[:3]
        assert answer.other is not None
        assert (answer.other.values, answer.total) == (len(expected[3:]), len(inside))
        for series in answer.series:
            begins = [each.begins for each, labels in inside if labels[by] == series.value]
            assert list(series.counts) == [
                sum(bucket.begin <= time < bucket.end for time in begins) for bucket in answer.buckets
            ]


async def test_values_of_a_long_past_are_the_same_where_only_likely_ones_are_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(store, *some(90, days=20))
    asked, wanted = span(NOW - 18 * DAY, NOW - 2 * DAY), wish(by="severity", count="open", step=HOUR, top=2)
    exact = await answering(store).series.series(asked, wanted)
    monkeypatch.setattr("alert_history.engine.open_series._MOST_ROWS", 0)
    monkeypatch.setattr("alert_history.engine.open_series._LIKELY", 4)
    likely = await answering(store).series.series(asked, wanted, is_compared=True)
    assert exact.other is not None
    assert likely == msgspec.structs.replace(
        exact, compared=likely.compared, other=msgspec.structs.replace(exact.other, values=None)
    )
    _check_sums(likely)


async def test_values_that_fired_longest_come_first_and_the_rest_is_together(store: Store) -> None:
    hours = {"A": 1, "B": 5, "C": 3, "D": 2}
    begins = NOW - 20 * HOUR
    await record(store, *(Firing(name, begins, begins + hours[name] * HOUR) for name in hours))
    answer = await answering(store).series.series(
        span(NOW - DAY, NOW), wish(by="alertname", count="open", step=HOUR, top=2)
    )
    assert [(each.value, each.total_firing_seconds) for each in answer.series] == [("B", 18_000), ("C", 10_800)]
    assert answer.other is not None
    assert (answer.other.values, answer.other.total_firing_seconds, answer.total) == (2, 10_800, None)


async def test_open_of_a_query_says_what_is_left_out(store: Store) -> None:
    old = NOW - 20 * DAY
    await record(
        store,
        Firing("Old", old, None, {"pod": "p"}),
        Firing("Over", old, NOW - DAY, {"pod": "p"}),
        Firing("New", NOW - 2 * DAY, None, {"pod": "p"}),
    )
    asked = span(NOW - 3 * DAY, NOW - 2 * HOUR, query='{pod="p"}')
    answer = await answering(store).series.series(asked, wish(count="open"))
    assert answer.buckets[-1].total == 2
    assert (answer.covers.counted_from, answer.covers.is_exact) == ("occurrences", False)
    assert answer.covers.left_out == ("what was first received before 2026-02-22T12:00:00+00:00 and has ended",)


async def test_open_needs_steps_of_a_quarter(store: Store) -> None:
    with pytest.raises(InvalidQuery, match=r"^step: .*15m"):
        await answering(store).series.series(span(NOW - HOUR, NOW), wish(count="open", step=MINUTE))


async def test_empty_history_has_a_series_of_nothing(store: Store) -> None:
    for count in ("begun", "open"):
        answer = await answering(store).series.series(
            span(NOW - DAY, NOW), wish(by="alertname", count=count), is_compared=True
        )
        assert answer.series == []
        assert {bucket.total for bucket in answer.buckets} == {0}
        assert answer.compared is not None
        assert (answer.compared.change, answer.compared.covers.since) == (0, NOW - 2 * DAY)


async def test_future_has_nothing_open(store: Store) -> None:
    answer = await answering(store).series.series(span(NOW + DAY, NOW + 2 * DAY), wish(count="open"))
    assert answer.buckets == []


async def test_local_days_are_buckets_of_kathmandu(store: Store) -> None:
    midnight = datetime(2026, 3, 2, 18, 15, tzinfo=UTC)  # 3 March 2026 in Nepal
    await record(store, Firing("A", midnight - TICK), Firing("B", midnight), Firing("C", midnight + DAY - TICK))
    answer = await answering(store).series.series(
        span(midnight - DAY, midnight + DAY), wish("Asia/Kathmandu", step=DAY)
    )
    assert [(bucket.begin, bucket.total) for bucket in answer.buckets] == [(midnight - DAY, 1), (midnight, 2)]
    assert all(bucket.is_whole for bucket in answer.buckets)


async def test_day_of_summer_time_has_23_hours_in_berlin(store: Store) -> None:
    now = datetime(2026, 4, 1, tzinfo=UTC)
    begin, end = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)
    await store.upkeep.prepare(now)
    await record(store, Firing("A", begin), Firing("B", begin + 2 * HOUR), Firing("C", end - TICK), Firing("D", end))
    asked = span(begin, end + HOUR, now=now)
    days = await answering(store).series.series(asked, wish("Europe/Berlin", step=DAY))
    assert [bucket.total for bucket in days.buckets] == [3, 1]
    hours = await answering(store).series.series(asked, wish("Europe/Berlin", step=HOUR))
    assert [bucket.total for bucket in hours.buckets] == [1, 0, 1, *[0] * 19, 1, 1]


async def test_change_is_against_the_same_values(store: Store) -> None:
    firings = [("A", 30), ("A", 31), ("B", 32), ("A", 10), ("B", 11), ("B", 12), ("C", 13)]
    await record(store, *(Firing(name, NOW - hours * HOUR, NOW - hours * HOUR + MINUTE) for name, hours in firings))
    answer = await answering(store).series.series(span(NOW - DAY, NOW), wish(by="alertname", top=1), is_compared=True)
    assert [(each.value, each.total) for each in answer.series] == [("B", 2)]
    before = answer.compared
    assert before is not None
    assert before.other is not None
    assert [(each.value, each.total, each.change) for each in before.series] == [("B", 1, 1)]
    assert (before.total, before.change, before.other.total, before.other.change) == (3, 1, 2, 0)


HOSTILE = ["other", "<script>", "a,b", "x" * 900, "\u202e\n", "'; DROP TABLE alerts; --", ""]


@pytest.mark.parametrize("by", ["severity", "pod"])
async def test_hostile_values_are_values(store: Store, by: str) -> None:
    firings = [
        Firing(f"A{place}", NOW - 49 * HOUR + MINUTE * place, None, {by: value}) for place, value in enumerate(HOSTILE)
    ]
    await record(store, *firings)
    asked = span(NOW - 4 * DAY + SECOND, NOW - 49 * HOUR + 3 * MINUTE + 30 * SECOND)
    answer = await answering(store).series.series(asked, wish(by=by, top=100))
    assert {each.value: each.total for each in answer.series} == dict.fromkeys(
        ["other", "<script>", "a,b", "x" * 400], 1
    )
    still = await answering(store).series.series(span(NOW - DAY, NOW), wish(by=by, count="open", top=100))
    assert {each.value: each.counts[-1] for each in still.series} == {value[:400]: 1 for value in HOSTILE}


async def test_sample_adds_up_and_has_no_short_buckets(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.engine.analysis.MOST_READ", 150)
    await record(store, *some(450, days=2))
    asked = span(NOW - 2 * DAY, NOW + DAY)
    answer = await answering(store).series.series(asked, wish(by="pod", step=HOUR, top=3), is_compared=True)
    _check_sums(answer)
    assert answer.total == pytest.approx(450, rel=0.4)
    assert (answer.step, answer.covers.is_exact, answer.compared is not None) == ("6h", False, True)
    assert answer.covers.sampled_share == pytest.approx(1 / 3, abs=0.05)
    assert answer.covers.left_out[0].startswith("steps of 1h: ")
