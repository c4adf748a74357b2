"""Noise: the worked example of the docs, sums that are exact, bounds that stay wide for few firings, the ranking."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.interruptions import Interruptions
from alert_history.domain.noise import (
    Evidence,
    NoiseRules,
    PartRule,
    RuleFacts,
    noise_of,
    noise_report,
    query_text,
    rank,
)
from alert_history.domain.query import parse_query

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "noise.md").read_text(encoding="utf-8")
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 21, tzinfo=UTC)
SPAN_SECONDS = (UNTIL - SINCE).total_seconds()
DISK = RuleFacts(
    "DiskFull",
    begun=40,
    ended=40,
    short=30,
    flaps=10,
    repeats=60,
    acted=8,
    together=10,
    asleep=6,
    off_hours=4,
    work=10,
    firing_seconds=86_400.0,
    span_seconds=SPAN_SECONDS,
)
COUNTS = st.integers(0, 500)
FACTS = st.builds(
    RuleFacts,
    rule=st.just("R"),
    begun=COUNTS,
    ended=COUNTS,
    open=COUNTS,
    short=COUNTS,
    flaps=COUNTS,
    repeats=COUNTS,
    acted=COUNTS,
    together=COUNTS,
    asleep=COUNTS,
    off_hours=COUNTS,
    work=COUNTS,
    firing_seconds=st.floats(0, 1e7),
    span_seconds=st.floats(0, 1e7),
)


def score(facts: RuleFacts, rules: NoiseRules | None = None) -> float:
    return noise_of(facts, rules or NoiseRules(), since=SINCE, until=UNTIL).score


def only(**counts: float) -> RuleFacts:
    """A rule of which nothing else is known."""
    return msgspec.structs.replace(RuleFacts("R", span_seconds=SPAN_SECONDS), **counts)


def test_the_worked_example() -> None:
    noise = noise_of(DISK, NoiseRules(), since=SINCE, until=UNTIL)
    assert {part.name: part.points for part in noise.parts} == {
        "ends_by_itself": 18.75,  # 25 × 30/40
        "flaps": 7.5,  # 15 × 10/40 ÷ 0.5
        "repeats": 3.25,  # 5 × 60/100 ÷ 0.9 = 3.33
        "nobody_acted": 16.0,  # 20 × 32/40
        "always_on": 0.5,  # 10 × 1/20 ÷ 0.95 = 0.53
        "said_better": 2.5,  # 10 × 10/40
        "wakes_people": 9.0,  # 15 × 6/20 ÷ 0.5
    }
    assert (noise.low, noise.score, noise.high) == (40.5, 57.5, 77.0)


def test_the_docs_show_the_worked_example() -> None:
    noise = noise_of(DISK, NoiseRules(), since=SINCE, until=UNTIL)
    for part in noise.parts:
        counted = f"{part.count:,.0f} of {part.of:,.0f}".replace(",", " ")
        bounds = f"{part.share_low:.3f}–{part.share_high:.3f}"
        row = f"| `{part.name}` | {counted} | {part.share:.3f} | {bounds} | {part.full_at:g} | {part.weight} "
        assert f"{row}| {part.points:g} | {part.low:g}–{part.high:g} |" in PAGE
    assert f"| **{noise.score:g}** | {noise.low:g}–{noise.high:g} |" in PAGE


@given(FACTS)
def test_the_parts_add_up_exactly(facts: RuleFacts) -> None:
    noise = noise_of(facts, NoiseRules(), since=SINCE, until=UNTIL)
    backwards = list(reversed(noise.parts))
    assert noise.score == sum(part.points for part in backwards)
    assert noise.low == sum(part.low for part in backwards)
    assert noise.high == sum(part.high for part in backwards)
    assert 0 <= noise.low <= noise.score <= noise.high <= 100


@pytest.mark.parametrize(
    "facts, points",
    [
        (only(ended=10, short=4), 10.0),
        (only(begun=10, acted=10, flaps=5), 15.0),
        (only(begun=10, acted=10, repeats=90), 5.0),
        (only(begun=10, acted=4), 12.0),
        (only(firing_seconds=SPAN_SECONDS * 0.95), 10.0),
        (only(begun=10, acted=10, together=10), 10.0),
        (only(asleep=1, work=3), 7.5),
    ],
)
def test_each_part_gives_its_points_alone(facts: RuleFacts, points: float) -> None:
    assert score(facts) == points


def test_three_firings_rank_below_thirty_of_the_same_kind() -> None:
    few = RuleFacts("Few", begun=3, ended=3, short=3, span_seconds=SPAN_SECONDS)
    many = RuleFacts("Many", begun=30, ended=30, short=27, acted=3, span_seconds=SPAN_SECONDS)
    scores = [noise_of(each, NoiseRules(), since=SINCE, until=UNTIL) for each in (few, many)]
    assert [noise.score for noise in scores] == [45.0, 40.5]
    assert [noise.rule for noise in rank(scores)] == ["Many", "Few"]


def test_what_nothing_is_known_of_has_no_points_and_may_have_all() -> None:
    noise = noise_of(RuleFacts("New"), NoiseRules(), since=SINCE, until=UNTIL)
    assert (noise.low, noise.score, noise.high) == (0, 0, 100)


def test_each_part_names_the_occurrences_behind_it() -> None:
    noise = noise_of(DISK, NoiseRules(), since=SINCE, until=UNTIL, asked=parse_query('{severity=~"page|p1"} "/var"'))
    evidence = {part.name: part.evidence for part in noise.parts}
    query = '{alertname="DiskFull",severity=~"page|p1"} "/var"'
    assert evidence["flaps"] == Evidence(query, SINCE, UNTIL)
    assert evidence["always_on"] == Evidence(query, None, UNTIL)  # it may have begun before the span


@pytest.mark.parametrize("rule", ["Plain", 'quo"ted', "back\\slash", "two\nlines", "é ${x}", ""])
def test_the_query_finds_just_that_rule(rule: str) -> None:
    asked = parse_query('{"k8s.pod"!~"a\\\\d"} "say \\"hi\\"" \'c:\\\\d\'')
    query = parse_query(query_text(rule, asked))
    assert query.matchers[0].matches({"alertname": rule})
    assert not query.matchers[0].matches({"alertname": rule + "x"})
    assert query.matchers[1:] == asked.matchers
    assert query.words == asked.words


def test_rules_that_never_fire_and_rules_that_never_stop_are_named() -> None:
    endless = only(begun=1, open=1, firing_seconds=SPAN_SECONDS * 0.96)
    older = RuleFacts("Older", firing_seconds=SPAN_SECONDS, span_seconds=SPAN_SECONDS)
    idle = RuleFacts("Idle", span_seconds=SPAN_SECONDS)
    report = noise_report(
        [DISK, endless, older, idle], NoiseRules(), since=SINCE, until=UNTIL, known=["DiskFull", "Watchful", "Older"]
    )
    assert report.never_fired == ("Idle", "Watchful")
    assert report.never_stops == ("Older", "R")
    assert [noise.rule for noise in report.rules] == ["DiskFull", "R", "Older"]
    assert [noise.never_stops for noise in report.rules] == [False, True, True]


def test_a_rule_that_fires_for_just_so_long_does_stop() -> None:
    assert not only(firing_seconds=SPAN_SECONDS * 0.95).never_stops


def test_the_answer_tells_how_much_a_rule_does() -> None:
    noise = noise_of(DISK, NoiseRules(), since=SINCE, until=UNTIL)
    assert (noise.begun, noise.open, noise.repeats, noise.firing_share) == (40, 0, 60, 0.05)
    assert noise.interruptions == Interruptions(6, 4, 10)


def test_a_part_without_weight_gives_no_points() -> None:
    rules = NoiseRules(nobody_acted=PartRule(0), ends_by_itself=PartRule(45))
    assert score(only(begun=10, ended=10, short=2), rules) == 9.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"flaps": PartRule(16, 0.5)},
        {"flaps": PartRule(-5), "repeats": PartRule(25)},
        {"flaps": PartRule(15, 0.0)},
        {"flaps": PartRule(15, 1.5)},
    ],
)
def test_weights_that_do_not_add_up_are_refused(wrong: dict[str, PartRule]) -> None:
    with pytest.raises(ValueError, match="noise"):
        NoiseRules(**wrong)  # type: ignore[arg-type]  # one of its parts
