"""How long alerts fire, as rollups and occurrences tell.

Holds: `engine.durations`.
"""

from datetime import timedelta

import pytest

from alert_history.domain.durations import Durations, durations_from, durations_of
from alert_history.engine.durations import DurationLabel
from alert_history.ports import HistoryFilter, Store
from tests.conformance.samples import DAY, MINUTE, NOW
from tests.numbers import fold_all
from tests.statistics import Firing, answering, record, span

HOUR = timedelta(hours=1)


def firings() -> list[Firing]:
    """Forty alerts of four days; each fifth fires still."""
    made = []
    for number in range(40):
        begins = NOW - 95 * HOUR + number * 2 * HOUR
        ends = None if number % 5 == 0 else begins + (number % 7 + 1) * 3 * MINUTE
        labels = {"severity": f"s{number % 3}", "pod": f"p{number % 2}", "host": str(number)}
        made.append(Firing(f"A{number % 12}", begins, ends, labels))
    return made


def check_sums(durations: Durations) -> None:
    ended = sum(each.count for each in durations.by_ended_by.values())
    assert durations.count == ended + durations.firing


@pytest.mark.parametrize("query", ["", '{severity="s1"}', '{pod="p1"}'])
async def test_durations_are_those_of_the_episodes(store: Store, query: str) -> None:
    await record(store, *firings())
    await fold_all(store)
    asked = span(NOW - 4 * DAY, NOW, query=query)
    answer = await answering(store).durations.durations(asked, by=None, top=5)
    wanted = HistoryFilter(query=asked.wanted.query, since=answer.covers.since, until=answer.covers.until)
    episodes = await store.analytics.episodes(wanted, most=1000)
    assert answer.all == durations_of(episodes, NOW)
    check_sums(answer.all)
    assert answer.all.firing > 0
    counts, covers = await answering(store).durations.counts(asked)
    assert (durations_from(counts), covers) == (answer.all, answer.covers)


@pytest.mark.parametrize("days", [1, 5])
@pytest.mark.parametrize("by", ["severity", "alertname"])
async def test_counts_of_values_add_up(store: Store, by: DurationLabel, days: int) -> None:
    await record(store, *firings())
    answer = await answering(store).durations.durations(span(NOW - days * DAY, NOW), by=by, top=2, is_compared=True)
    wanted = HistoryFilter(since=answer.covers.since, until=answer.covers.until)
    episodes = await store.analytics.episodes(wanted, most=1000)
    for value in answer.values:
        own = [episode for episode in episodes if getattr(episode, by) == value.value]
        assert value.durations == durations_of(own, NOW)
    assert answer.all == durations_of(episodes, NOW)
    assert answer.other is not None
    assert answer.other.values == len({getattr(episode, by) for episode in episodes}) - 2
    for each in (answer, answer.compared):
        assert each is not None
        assert each.other is not None
        rows = [value.durations for value in each.values] + [each.other.durations]
        for durations in (each.all, *rows):
            check_sums(durations)
        assert sum(row.count for row in rows) == each.all.count
        assert sum(row.firing for row in rows) == each.all.firing


async def test_long_span_is_of_whole_days_and_compared_with_as_many(store: Store) -> None:
    await record(store, *firings())
    answer = await answering(store).durations.durations(span(NOW - 2 * DAY, NOW), by=None, top=5, is_compared=True)
    assert answer.compared is not None
    midnight = NOW.replace(hour=0)
    covers, before = answer.covers, answer.compared.covers
    assert (covers.since, covers.until) == (midnight - 2 * DAY, midnight + DAY)
    assert (before.since, before.until) == (midnight - 5 * DAY, midnight - 2 * DAY)


async def test_change_is_against_the_same_values(store: Store) -> None:
    await record(
        store,
        Firing("Before", NOW - 30 * HOUR, NOW - 30 * HOUR + 10 * MINUTE, {"severity": "x"}),
        Firing("Now", NOW - 3 * HOUR, NOW - 3 * HOUR + 30 * MINUTE, {"severity": "x"}),
        Firing("Still", NOW - 2 * HOUR, None, {"severity": "y"}),
    )
    answer = await answering(store).durations.durations(span(NOW - DAY, NOW), by="severity", top=5, is_compared=True)
    assert answer.compared is not None
    assert [(each.value, each.durations.count) for each in answer.values] == [("x", 1), ("y", 1)]
    x, y = answer.compared.values
    assert x.change is not None
    assert (x.change.count, x.change.p50_seconds) == (0, pytest.approx(1200, rel=0.05))  # type: ignore[union-attr]  # it is compared
    assert (y.change.count, y.change.p50_seconds) == (1, None)  # type: ignore[union-attr]  # as above


async def test_empty_history_has_no_durations(store: Store) -> None:
    answer = await answering(store).durations.durations(span(NOW - DAY, NOW), by="alertname", top=5)
    assert (answer.all.count, answer.all.p50_seconds, answer.values) == (0, None, [])


async def test_many_that_fire_still_are_cut_and_said_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.engine.durations._MOST_FIRING", 3)
    await record(store, *(Firing(f"A{number}", NOW - (number + 1) * HOUR) for number in range(5)))
    answer = await answering(store).durations.durations(span(NOW - DAY, NOW), by=None, top=5)
    assert (answer.all.firing, answer.covers.is_exact) == (3, False)
    assert answer.covers.left_out == ("what fires still and was first received before 2026-03-04T09:00:00+00:00",)
