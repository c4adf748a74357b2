"""The table of rules has each number as it is worked out by hand, in the order that is asked for.

Holds: engine.rule_table.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from alert_history.domain.interruptions import Hours
from alert_history.engine.analysis import Analysis
from alert_history.engine.explaining import Explaining
from alert_history.engine.noise_scores import NoiseScores
from alert_history.engine.rule_facts import RuleCounting
from alert_history.engine.rule_table import RulesAnswer, RuleSort, RuleTable, RuleTotals
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW
from tests.histories import Firing, counted, record, span

SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Names:
    """A Prometheus' rules, some of which may be missing."""

    async def names(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Those of a Prometheus beside one that is silent."""
        return frozenset({"Busy", "Never", "Watchdog"}), ("the rules of prometheus/us: no answer",)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return SUNDAY + day * DAY + hour * HOUR + minute * MINUTE


HISTORY = [
    Firing("Watchdog", SUNDAY - 9 * DAY),
    *(Firing("Busy", at(day, 9), at(day, 9, 2), repeats=1) for day in range(4)),
    Firing("Busy", at(1, 9, 12), at(1, 9, 52)),
    Firing("Open", at(2, 14, 7)),
]


@pytest.fixture(autouse=True)
async def _counted(store: Store) -> None:
    await counted(store)


async def table(
    store: Store,
    *,
    query: str = "",
    sort: RuleSort = "-begun",
    top: int = 10,
    is_compared: bool = False,
    has_names: bool = False,
) -> RulesAnswer:
    analysis = Analysis(store.analytics, store.rollups, clock=lambda: NOW)
    counting = RuleCounting(analysis, store.rule_activities, explaining=Explaining(store.analytics))
    rules = RuleTable(analysis, counting, NoiseScores(counting), names=Names() if has_names else None)
    asked = span(SUNDAY, NOW, query=query)
    return await rules.table(asked, Hours(), tz="UTC", sort=sort, top=top, is_compared=is_compared)


@pytest.mark.parametrize("query", ["", '{alertname=~"Busy|Open|Watchdog"}'])
async def test_rule_has_its_numbers_on_every_way(store: Store, query: str) -> None:
    await record(store, *HISTORY)
    answer = await table(store, query=query)
    assert [row.rule for row in answer.rules] == ["Busy", "Open", "Watchdog"]
    busy, open_, watchdog = answer.rules
    assert (busy.begun, busy.open, busy.short, busy.repeats, busy.again) == (5, 0, 4, 4, 1)
    assert busy.share == pytest.approx(5 / 6)
    assert busy.median_seconds == pytest.approx(120, rel=0.02)
    assert busy.last_begun_at == at(3, 9)
    assert (open_.open, open_.median_seconds, open_.last_begun_at) == (1, None, at(2, 14, 7))
    assert (watchdog.begun, watchdog.last_begun_at, watchdog.firing_share) == (0, None, 1.0)
    assert [row.firing for row in answer.rules] == [0, 1, 1], "what began before the span fires, too"
    assert answer.totals == RuleTotals(rules=3, begun=6, open=1, short=4, repeats=4, again=1)
    assert answer.never_stops == ["Watchdog"]


@pytest.mark.parametrize(
    "sort, rules",
    [
        ("rule", ["Busy", "Open", "Watchdog"]),
        ("begun", ["Watchdog", "Open", "Busy"]),
        ("-open", ["Open", "Busy", "Watchdog"]),
        ("-firing", ["Open", "Watchdog", "Busy"]),
        ("-again", ["Busy", "Open", "Watchdog"]),
        ("repeats", ["Open", "Watchdog", "Busy"]),
        ("-median_seconds", ["Busy", "Open", "Watchdog"]),
        ("median_seconds", ["Busy", "Open", "Watchdog"]),
        ("-last_begun_at", ["Busy", "Open", "Watchdog"]),
        ("last_begun_at", ["Open", "Busy", "Watchdog"]),
        ("asleep", ["Busy", "Open", "Watchdog"]),
    ],
)
async def test_rules_come_in_the_order_that_is_asked_for(store: Store, sort: RuleSort, rules: Sequence[str]) -> None:
    await record(store, *HISTORY)
    assert [row.rule for row in (await table(store, sort=sort)).rules] == rules
    assert [row.rule for row in (await table(store, sort=sort, top=1)).rules] == rules[:1]


async def test_noisiest_comes_first_where_that_is_asked(store: Store) -> None:
    await record(store, *HISTORY)
    rows = (await table(store, sort="-score")).rules
    assert [row.score_low for row in rows] == sorted((row.score_low for row in rows), reverse=True)


async def test_rules_of_a_prometheus_that_never_fired_are_named(store: Store) -> None:
    await record(store, *HISTORY)
    answer = await table(store, has_names=True)
    assert answer.never_fired == ["Never"]
    assert answer.covers.left_out[-1] == "the rules of prometheus/us: no answer"
    assert (await table(store)).never_fired is None
    assert (await table(store, query='{alertname="Busy"}', has_names=True)).never_fired is None


async def test_span_before_has_its_totals_and_the_change(store: Store) -> None:
    await record(store, Firing("Busy", at(-2, 9), at(-2, 9, 2)), *HISTORY)
    compared = (await table(store, is_compared=True)).compared
    assert compared is not None
    assert (compared.totals.begun, compared.totals.short, compared.totals.rules) == (1, 1, 2)
    assert (compared.change.begun, compared.change.short, compared.change.again) == (5, 3, 1)
