"""The report counts what it says.

Holds: `engine.report`, `storage.shared.statistics`.
"""

from datetime import datetime, timedelta

import pytest

from alert_history.ports import HistoryFilter, Store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND
from tests.statistics import Firing, answering, record, span

HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)


def flaps(name: str, begins: datetime, number: int, **labels: str) -> list[Firing]:
    """An alert that fires so often for four minutes, each ten minutes."""
    times = [begins + place * 10 * MINUTE for place in range(number)]
    return [Firing(name, time, time + 4 * MINUTE, labels) for time in times]


async def test_report_has_what_a_hand_counts(store: Store) -> None:
    since = NOW - 5 * HOUR + 30 * SECOND
    await record(
        store,
        Firing("Early", since - TICK),
        Firing("Disk", since, since + 10 * MINUTE, {"pod": "a"}),
        Firing("Disk", since + HOUR, since + HOUR + 20 * MINUTE, {"pod": "a"}),
        Firing("Disk", since + HOUR, None, {"pod": "b", "severity": "warning"}),
        Firing("Net", since + HOUR, since + HOUR + 30 * MINUTE, {"namespace": "edge"}),
        Firing("Late", NOW - HOUR),
    )
    report = await answering(store).reporting.report(span(since, NOW - HOUR), top=2, min_flap=5)
    summary = report.summary
    assert (summary.total_alerts, summary.unique_alerts, summary.flapping_alerts) == (4, 3, 0)
    assert summary.avg_duration_minutes == pytest.approx(20)
    assert (summary.period.since, summary.period.until) == (since, NOW - HOUR)
    disk, net = report.top_alerts
    assert (disk.alertname, disk.namespace, disk.event_count, disk.unique_alerts) == ("Disk", "shop", 3, 2)
    assert (disk.last_seen, disk.severity) == (since + HOUR + 20 * MINUTE, "critical")
    assert (net.alertname, net.namespace, net.event_count) == ("Net", "edge", 1)
    assert (report.flapping_alerts, report.covers.is_exact) == ([], True)


@pytest.mark.parametrize("min_flap, names", [(2, ["Six", "Three", "Two", "One"]), (5, ["Six", "Three"]), (7, ["Six"])])
async def test_label_set_flaps_with_so_many_changes_in_an_hour(store: Store, min_flap: int, names: list[str]) -> None:
    begins = NOW - 3 * HOUR
    numbers = {"One": 1, "Two": 2, "Three": 3, "Six": 6}
    await record(store, *(each for name, number in numbers.items() for each in flaps(name, begins, number)))
    report = await answering(store).reporting.report(span(NOW - DAY, NOW), top=10, min_flap=min_flap)
    assert [each.alertname for each in report.flapping_alerts] == names
    assert report.summary.flapping_alerts == len(names)
    assert all(each.flap_count == 2 * numbers[each.alertname] for each in report.flapping_alerts)
    assert all(each.flap_count >= each.worst_count >= min_flap for each in report.flapping_alerts)


async def test_lists_are_cut_and_the_summary_is_not(store: Store) -> None:
    await record(store, *(each for name in "ABC" for each in flaps(name, NOW - 3 * HOUR, 4)))
    report = await answering(store).reporting.report(span(NOW - DAY, NOW), top=1, min_flap=5)
    assert [each.alertname for each in report.flapping_alerts] == ["A"]
    assert [(each.alertname, each.event_count) for each in report.top_alerts] == [("A", 4)]
    assert (report.summary.flapping_alerts, report.summary.total_alerts) == (3, 12)


@pytest.mark.parametrize(
    "wanted, query",
    [
        (HistoryFilter(namespace="edge"), ""),
        (HistoryFilter(alertname="Net"), ""),
        (HistoryFilter(), '{pod="p"}'),
        (HistoryFilter(alertname="Net"), '{severity="critical"}'),
    ],
)
async def test_condition_holds_for_all_numbers(store: Store, wanted: HistoryFilter, query: str) -> None:
    await record(
        store,
        *flaps("Net", NOW - 3 * HOUR, 4, namespace="edge", pod="p"),
        *flaps("Disk", NOW - 3 * HOUR, 5, severity="warning"),
    )
    asked = span(NOW - DAY, NOW, query=query, wanted=wanted)
    report = await answering(store).reporting.report(asked, top=5, min_flap=5)
    assert (report.summary.total_alerts, report.summary.unique_alerts, report.summary.flapping_alerts) == (4, 1, 1)
    assert [each.alertname for each in report.top_alerts] == ["Net"]
    assert [(each.alertname, each.flap_count) for each in report.flapping_alerts] == [("Net", 8)]


async def test_long_span_is_read_in_pieces(store: Store) -> None:
    for days in (20, 15, 9, 3):
        await record(store, Firing("A", NOW - days * DAY, NOW - days * DAY + MINUTE))
    report = await answering(store).reporting.report(span(NOW - 18 * DAY, NOW), top=5, min_flap=5)
    assert (report.summary.total_alerts, report.summary.unique_alerts) == (3, 1)
    assert report.summary.avg_duration_minutes == pytest.approx(1)


async def test_span_that_takes_too_long_is_cut_and_said_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.engine.report._READ_SECONDS", 1e-9)
    await record(store, Firing("A", NOW - HOUR))
    report = await answering(store).reporting.report(span(NOW - 18 * DAY, NOW), top=5, min_flap=5)
    assert not report.covers.is_exact
    assert report.summary.period.since == report.covers.since > NOW - 18 * DAY
    assert report.covers.left_out[0].startswith("what was first received before ")


async def test_span_before_is_compared(store: Store) -> None:
    await record(
        store,
        *flaps("Disk", NOW - 30 * HOUR, 5),
        Firing("Net", NOW - 26 * HOUR, NOW - 25 * HOUR),
        *flaps("Disk", NOW - 3 * HOUR, 2),
        Firing("New", NOW - HOUR),
    )
    report = await answering(store).reporting.report(span(NOW - DAY, NOW), top=5, min_flap=5, is_compared=True)
    before = report.compared
    assert before is not None
    assert (report.summary.total_alerts, before.summary.total_alerts) == (3, 6)
    assert (before.summary.period.since, before.summary.period.until) == (NOW - 2 * DAY, NOW - DAY)
    change = before.summary.change
    assert (change.total_alerts, change.unique_alerts, change.flapping_alerts) == (-3, 0, -1)  # type: ignore[union-attr]  # it is compared
    assert [(each.alertname, each.event_count, each.change) for each in before.top_alerts] == [
        ("Disk", 5, -3),
        ("New", 0, 1),
    ]
    assert [each.alertname for each in before.flapping_alerts] == ["Disk"]


async def test_empty_history_has_a_report_of_nothing(store: Store) -> None:
    report = await answering(store).reporting.report(span(NOW - DAY, NOW), top=5, min_flap=5, is_compared=True)
    assert (report.summary.total_alerts, report.summary.avg_duration_minutes) == (0, None)
    assert (report.top_alerts, report.flapping_alerts) == ([], [])
