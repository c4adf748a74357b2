"""Which alerts flap is answered by each definition as it is worked out by hand, however the alerts are found.

Holds: engine.flapping_alerts, engine.newest_episodes.
"""

from datetime import datetime, timedelta

import pytest

from alert_history.domain.flap_rules import flap_rule
from alert_history.domain.flapping import FlapPeriod
from alert_history.engine.analysis import Analysis
from alert_history.engine.flapping_alerts import FlappingAlerts, FlappingCount
from alert_history.engine.newest_episodes import read_newest
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, alert, id_of
from tests.histories import Firing, counted, evening, record, span
from tests.numbers import fold_all

NOON = NOW - DAY
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def _counted(store: Store) -> None:
    await counted(store)


def answering(store: Store) -> FlappingAlerts:
    return FlappingAlerts(Analysis(store.analytics, store.rollups, clock=lambda: NOW))


def at(minutes: int) -> datetime:
    return NOON + minutes * MINUTE


@pytest.mark.parametrize(
    "definition, period, changes, share",
    [
        ("ours", (40, 90), 7, None),
        ("nagios", (50, 130), None, 648 / 1520),
        ("icinga", (50, 120), None, 416 / 1000),
        ("kibana", (30, 170), 8, None),
    ],
)
@pytest.mark.parametrize("is_folded", [False, True])
async def test_worked_evening_flaps_as_each_definition_says(
    store: Store, definition: str, period: tuple[int, int], changes: int | None, share: float | None, *, is_folded: bool
) -> None:
    await record(store, *evening("DiskFull", NOON), Firing("Calm", NOON, NOON + HOUR))
    if is_folded:
        await fold_all(store)
    answer = await answering(store).flapping(span(NOON - HOUR, NOW), flap_rule(definition), top=10)
    [only] = answer.alerts
    assert (answer.flapping, only.alertname, only.changes, only.occurrences) == (1, "DiskFull", 8, 4)
    assert only.periods == (FlapPeriod(at(period[0]), at(period[1])),)
    assert (only.worst_changes, only.worst_share) == (changes, pytest.approx(share) if share else None)
    last = alert("DiskFull", starts_at=at(60))
    assert (only.last_id, only.fingerprint, only.scope) == (id_of(last), last.fingerprint, "")


async def test_brief_firings_are_shares_of_a_rule(store: Store) -> None:
    minutes = (2, 3, 5, 20)
    brief = [
        Firing("A", NOON + place * HOUR, NOON + place * HOUR + each * MINUTE) for place, each in enumerate(minutes)
    ]
    slow = [Firing("A", NOON + place * HOUR, NOON + place * HOUR + 9 * MINUTE, {"pod": "p"}) for place in range(2)]
    await record(store, *brief, *slow)
    answer = await answering(store).flapping(span(NOON - HOUR, NOW), flap_rule("newrelic"), top=10)
    [only], [rule] = answer.alerts, answer.rules
    assert (only.ended, only.brief, only.worst_share) == (4, 3, 0.75)
    assert (rule.flapping, rule.judged, rule.ended, rule.brief, rule.share) == (1, 2, 6, 3, 0.5)


async def test_only_alerts_that_began_again_are_judged_by_our_definition(store: Store) -> None:
    calm = [Firing("Calm", NOON + place * 2 * HOUR, NOON + place * 2 * HOUR + MINUTE) for place in range(6)]
    await record(store, *evening("DiskFull", NOON), *calm)
    answer = await answering(store).flapping(span(NOON - HOUR, NOW), flap_rule("ours"), top=10)
    assert (answer.judged, answer.covers.is_exact, answer.covers.left_out) == (1, True, ())


@pytest.mark.parametrize(
    "query",
    ['{alertname="A"}', '{severity=~"crit.*",alertname!="B"}', '{pod="1"}', "1", '{alertname="A",pod=~"[0-9]"}'],
)
async def test_condition_selects_alerts_on_every_way(store: Store, query: str) -> None:
    await record(store, *evening("A", NOON, labels={"pod": "1"}), *evening("B", NOON, labels={"pod": "2"}))
    answer = await answering(store).flapping(span(NOON - HOUR, NOW, query=query), flap_rule("ours"), top=10)
    assert [each.alertname for each in answer.alerts] == ["A"]
    assert [rule.alertname for rule in answer.rules] == ["A"]


async def test_long_window_is_judged_from_the_newest_episodes(store: Store) -> None:
    await record(store, *evening("A", NOON))
    rule = flap_rule("ours", {"window_seconds": 2 * 86_400, "limit": 7})
    answer = await answering(store).flapping(span(NOON - HOUR, NOW), rule, top=10)
    [only] = answer.alerts
    assert only.worst_changes == 8


async def test_most_changes_come_first_and_all_are_counted(store: Store) -> None:
    more = [*evening("A", NOON), *evening("A", NOON + 80 * MINUTE)]
    await record(store, *evening("B", NOON), *more, *evening("C", NOON))
    answer = await answering(store).flapping(span(NOON - HOUR, NOW), flap_rule("ours"), top=2)
    assert (answer.flapping, answer.alerts[0].alertname, len(answer.alerts)) == (3, "A", 2)
    assert [(rule.alertname, rule.changes) for rule in answer.rules] == [("A", 16), ("B", 8)]


async def test_span_before_is_compared(store: Store) -> None:
    await record(store, *evening("A", NOON - DAY), *evening("A", NOON), *evening("B", NOON))
    asked = span(NOON, NOON + DAY)
    answer = await answering(store).flapping(asked, flap_rule("ours"), top=10, is_compared=True)
    before = answer.compared
    assert isinstance(before, FlappingCount)
    assert (answer.flapping, before.flapping, before.change) == (2, 1, 1)
    assert (before.covers.since, before.covers.until) == (NOON - DAY, NOON)


async def test_what_flaps_over_the_begin_of_a_span_is_judged_by_its_changes_before(store: Store) -> None:
    await record(store, *evening("A", NOON))
    answer = await answering(store).flapping(span(at(75), NOW), flap_rule("ours"), top=10)
    [only] = answer.alerts
    assert (only.periods, only.changes) == ((FlapPeriod(at(75), at(90)),), 0)


async def test_cut_reading_covers_what_it_read(store: Store) -> None:
    await record(store, *(Firing(f"A{minute}", at(minute)) for minute in range(5)))
    newest = await read_newest(store.analytics, span(NOON, NOW), most=3)
    assert [each.alertname for each in newest.episodes] == ["A3", "A4"]
    assert newest.is_cut
    assert at(2) < newest.since <= at(3)
    assert not newest.covers(span(NOON, NOW)).is_exact
