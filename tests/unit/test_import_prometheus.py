"""What samples of ALERTS come to, where no real server can be made to show it in a second.

Holds: `origins.imports.prometheus_runs`, `origins.imports.prometheus_life`, `origins.imports.prometheus_wire`.
"""

import json
from collections.abc import Iterable, Sequence

import msgspec
import pytest

from alert_history.origins.imports.prometheus_life import Life, tolerance_ms
from alert_history.origins.imports.prometheus_rules import RuleBook, rules_of_groups
from alert_history.origins.imports.prometheus_runs import Firing, Observed, Rule, Runs
from alert_history.origins.imports.prometheus_wire import (
    Series,
    WireGroup,
    WireRule,
    activations_of,
    alert_of,
    interval_of,
    stretches_of,
)

LABELS = {"__name__": "ALERTS", "alertname": "DiskFull", "alertstate": "firing"}
MINUTE = 60_000
T0 = 1_700_000_000_123
ALWAYS = Rule(interval_ms=MINUTE, hold_ms=0)


def series(times: Iterable[int], value: str = "1", *, stale: Sequence[int] = ()) -> Series:
    """A series as it is answered, with samples at these milliseconds."""
    samples = [[time / 1000, value] for time in times] + [[time / 1000, "NaN"] for time in stale]
    return Series(msgspec.Raw(json.dumps(LABELS).encode()), msgspec.Raw(json.dumps(sorted(samples)).encode()))


def minutes(first: int, last: int, *, step: int = 1) -> list[int]:
    return [T0 + minute * MINUTE for minute in range(first, last + 1, step)]


class Reading:
    """One alert, followed from span to span."""

    def __init__(self, rule: Rule = ALWAYS, *, from_minute: int = -100) -> None:
        self.rule = rule
        self.life = Life()
        self.from_ms = T0 + from_minute * MINUTE
        self.runs = Runs(lambda _labels: self.life, reads_from_ms=self.from_ms)
        self.over: list[Firing] = []

    def read(
        self, times: list[int], active: Sequence[tuple[int, list[int]]] = (), *, stale: Sequence[int] = ()
    ) -> None:
        """A span with these firing samples, and what ALERTS_FOR_STATE says: since when it is active, and when."""
        read = stretches_of(series(times, stale=stale), known_ms=self.rule.interval_ms)
        self.life.add_evaluated(read.stretches)
        activations = [a for since, at in active for a in activations_of(series(at, str(since // 1000)))]
        observed = Observed(alert_of(LABELS), LABELS, read.stretches, read.interval_ms, activations, self.from_ms)
        self.runs.note([observed])
        self.over += self.runs.take(observed, self.rule)

    def end(self, minute: int) -> list[tuple[float, float | None, str]]:
        """All firings, in minutes after T0: their start, their end, and how the end is known."""
        self.over += self.runs.close_all(T0 + minute * MINUTE, current=())
        return [
            (_minute(f.began_ms), None if f.ended_ms is None else _minute(f.ended_ms), f.ended_by) for f in self.over
        ]


def _minute(time_ms: int) -> float:
    return (time_ms - T0) / MINUTE


def test_an_alert_ends_one_interval_after_its_last_sample() -> None:
    reading = Reading()
    reading.read(minutes(0, 5), [(T0, minutes(0, 5))])
    assert reading.end(500) == [(0, 6, "resolved")]


def test_an_alert_that_fired_before_the_first_sample_began_when_it_became_active() -> None:
    reading = Reading()
    reading.read(minutes(2, 5), [(T0, minutes(2, 5))])
    assert reading.end(500) == [(0, 6, "resolved")]


def test_a_start_before_the_first_sample_counts_the_for_of_the_rule() -> None:
    reading = Reading(Rule(interval_ms=MINUTE, hold_ms=MINUTE))
    reading.read(minutes(2, 5), [(T0, minutes(2, 5))])
    assert reading.end(500) == [(1, 6, "resolved")]


def test_an_alert_that_pended_began_at_its_first_firing_sample() -> None:
    reading = Reading(Rule(interval_ms=MINUTE))
    reading.read(minutes(4, 6), [(T0, minutes(0, 6))])
    assert reading.end(500) == [(4, 7, "resolved")]


def test_an_alert_that_is_known_to_pend_began_at_its_first_sample_if_its_for_is_unknown() -> None:
    reading = Reading(Rule(interval_ms=MINUTE))
    anew = T0 + 40 * MINUTE
    reading.read(minutes(4, 6) + minutes(42, 45), [(T0, minutes(0, 6)), (anew, minutes(42, 45))])
    assert [begin for begin, *_ in reading.end(500)] == [4, 42]


def test_a_first_sample_at_the_beginning_of_the_reading_tells_of_no_restart() -> None:
    reading = Reading(from_minute=50)
    reading.read(minutes(51, 55), [(T0 + 49 * MINUTE, minutes(51, 55))])
    assert reading.life.next_start(T0) is None
    later = Reading(from_minute=0)
    later.read(minutes(51, 55), [(T0 + 49 * MINUTE, minutes(51, 55))])
    assert later.life.next_start(T0) == T0 + 49 * MINUTE


def test_an_alert_whose_pending_was_restored_begins_at_its_first_sample() -> None:
    """With a `for` of ten minutes and more a restart keeps when the alert became active."""
    reading = Reading(Rule(interval_ms=MINUTE, hold_ms=10 * MINUTE))
    reading.read(minutes(200, 205), [(T0, minutes(200, 205))])
    assert reading.end(500) == [(200, 206, "resolved")]


def test_a_firing_that_is_on_when_the_reading_begins_has_its_own_start() -> None:
    reading = Reading(from_minute=50)
    reading.read(minutes(50, 55), [(T0, minutes(50, 55))])
    assert reading.end(500) == [(0, 56, "resolved")]


def test_samples_that_are_lacking_within_one_activation_cut_nothing() -> None:
    reading = Reading()
    reading.read(minutes(0, 5) + minutes(9, 12), [(T0, minutes(0, 5) + minutes(9, 12))])
    assert reading.end(500) == [(0, 13, "resolved")]


def test_samples_that_are_lacking_within_one_activation_tell_of_a_restart() -> None:
    reading = Reading()
    reading.read(minutes(0, 5) + minutes(9, 12), [(T0, minutes(0, 5) + minutes(9, 12))])
    assert reading.life.next_start(T0) == T0 + 7 * MINUTE
    assert not reading.life.has_resolved(T0 + 6 * MINUTE, MINUTE)


def test_an_alert_that_resolves_and_fires_again_is_two() -> None:
    reading = Reading()
    again = T0 + 7 * MINUTE
    reading.read(minutes(0, 5) + minutes(7, 9), [(T0, minutes(0, 5)), (again, minutes(7, 9))])
    assert reading.end(500) == [(0, 6, "resolved"), (7, 10, "resolved")]


def test_an_alert_that_fires_evenly_for_one_evaluation_each_is_many() -> None:
    """Its samples lie evenly; only ALERTS_FOR_STATE tells that it ended between them."""
    times = minutes(0, 20, step=5)
    reading = Reading()
    reading.read(times, [(time, [time]) for time in times])
    assert reading.end(500) == [(minute, minute + 1, "resolved") for minute in range(0, 21, 5)]


def test_a_restart_joins_what_fires_before_and_after_it() -> None:
    """The new start is posted two evaluations before the first sample."""
    reading = Reading()
    anew = T0 + 10 * MINUTE
    reading.read(minutes(0, 5) + minutes(12, 15), [(T0, minutes(0, 5)), (anew, minutes(12, 15))])
    assert reading.end(500) == [(0, 16, "resolved")]


def test_a_restart_long_after_joins_nothing() -> None:
    reading = Reading()
    anew = T0 + 60 * MINUTE
    reading.read(minutes(0, 5) + minutes(62, 65), [(T0, minutes(0, 5)), (anew, minutes(62, 65))])
    assert [(begin, end) for begin, end, _ in reading.end(500)] == [(0, 6), (60, 66)]
    assert tolerance_ms(MINUTE) == 19 * MINUTE


def test_a_server_that_evaluated_between_end_and_restart_had_resolved_it() -> None:
    reading = Reading()
    anew = T0 + 10 * MINUTE
    reading.life.add_evaluated(stretches_of(series(minutes(0, 8)), known_ms=MINUTE).stretches)  # another alert
    reading.read(minutes(0, 5) + minutes(12, 15), [(T0, minutes(0, 5)), (anew, minutes(12, 15))])
    assert reading.end(500) == [(0, 6, "resolved"), (10, 16, "resolved")]


def test_a_server_that_was_killed_leaves_an_inferred_end() -> None:
    """Its targets were not scraped from then on."""
    reading = Reading()
    reading.life.add_witnessed(stretches_of(series(minutes(-9, 5)), known_ms=None).stretches, step_ms=MINUTE)
    reading.life.add_witnessed(stretches_of(series(minutes(30, 99)), known_ms=None).stretches, step_ms=MINUTE)
    reading.read(minutes(0, 5), [(T0, minutes(0, 5))])
    assert reading.end(500) == [(0, 5, "inferred")]


def test_a_server_that_was_scraping_on_had_resolved_it() -> None:
    reading = Reading()
    reading.life.add_witnessed(stretches_of(series(minutes(-9, 99)), known_ms=None).stretches, step_ms=MINUTE)
    reading.read(minutes(0, 5), [(T0, minutes(0, 5))])
    assert reading.end(500) == [(0, 6, "resolved")]


def test_a_stale_mark_is_the_end() -> None:
    reading = Reading()
    stale = T0 + 5 * MINUTE + 30_000
    reading.read(minutes(0, 5), stale=[stale])
    assert reading.end(500) == [(0, 5.5, "resolved")]


def test_each_stale_mark_cuts_whatever_the_interval_seems_to_be() -> None:
    reading = Reading(Rule())
    reading.read(minutes(0, 12, step=3), stale=[T0 + minute * MINUTE for minute in (1, 4, 5, 7, 10, 13)])
    assert reading.end(500) == [(minute, minute + 1, "resolved") for minute in (0, 3, 6, 9, 12)]


def test_where_ends_are_marked_a_gap_without_a_mark_cuts_nothing() -> None:
    """A vmalert was down; it has no ALERTS_FOR_STATE for rules without `for`."""
    reading = Reading()
    reading.read(minutes(0, 5) + minutes(9, 12) + minutes(40, 42), stale=[T0 + 13 * MINUTE])
    assert reading.end(500) == [(0, 13, "resolved"), (40, 42, "inferred")]


def test_a_firing_goes_on_from_span_to_span() -> None:
    reading = Reading()
    reading.read(minutes(0, 5), [(T0, minutes(0, 5))])
    stretches = stretches_of(series(minutes(6, 10)), known_ms=MINUTE).stretches
    assert reading.runs.go_on(alert_of(LABELS), stretches, until_ms=T0 + 11 * MINUTE)
    assert not reading.runs.go_on(alert_of(LABELS), stretches, until_ms=T0 + 13 * MINUTE)
    assert reading.end(500) == [(0, 11, "resolved")]


def test_a_silent_series_is_over_only_when_no_restart_can_go_on_with_it() -> None:
    reading = Reading()
    reading.read(minutes(0, 5), [(T0, minutes(0, 5))])
    assert list(reading.runs.close_silent(T0 + 24 * MINUTE)) == []
    (over,) = reading.runs.close_silent(T0 + 25 * MINUTE)
    assert over.ended_ms == T0 + 6 * MINUTE


@pytest.mark.parametrize(
    "steps, known, interval",
    [
        ([], 15, 15),
        ([], None, None),
        ([15, 15, 15], None, 15),
        ([15, 15, 15, 300, 15], 60, 15),
        ([300], 60, 60),
        ([300, 400], None, 300),
        ([30, 30, 30, 15, 15, 15, 15], 15, 15),
        ([15, 45, 15, 45, 15, 45], 15, 15),
        ([15, 45, 15, 45, 15, 45], None, 15),
        ([90, 15, 90, 90, 90], 15, 15),
        ([7, *[15] * 40], None, 15),
        ([300, 300, 300], 60, 300),
    ],
)
def test_the_interval_is_the_shortest_step_unless_that_is_rare(
    steps: list[int], known: int | None, interval: int | None
) -> None:
    assert interval_of(steps, known_ms=known) == interval


def test_a_rule_is_known_by_the_labels_that_it_sets() -> None:
    rules = [
        WireRule("alerting", "DiskFull", labels={"severity": "page"}, annotations={"a": "page"}),
        WireRule(
            "alerting", "DiskFull", labels={"severity": "warn", "team": "{{ $labels.t }}"}, annotations={"a": "w"}
        ),
        WireRule("alerting", "Twice"),
        WireRule("alerting", "Twice"),
        WireRule("recording", "one"),
    ]
    book = RuleBook(rules_of_groups([WireGroup(rules, interval=15)]))
    page = book.find({"alertname": "DiskFull", "severity": "page"})
    warn = book.find({"alertname": "DiskFull", "severity": "warn", "team": "db"})
    assert (page and page.annotations, warn and warn.annotations) == ({"a": "page"}, {"a": "w"})
    assert book.find({"alertname": "DiskFull", "severity": "gone"}) is None
    assert book.find({"alertname": "Twice"}) is None
    assert len(book) == 4
