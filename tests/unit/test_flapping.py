"""Flapping: the worked example of the documentation by each definition, and each against a slow reading of it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.episode import Episode
from alert_history.domain.flap_rules import (
    FlapRule,
    IcingaRule,
    KibanaRule,
    NagiosRule,
    NewRelicRule,
    OursRule,
    flap_rule,
    least_episodes,
    reach,
)
from alert_history.domain.flapping import Flapping, changes_of, flapping_among, flaps_of, is_flapping
from alert_history.domain.standing import EndedBy

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "flapping.md").read_text(encoding="utf-8")
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
DAY = (NOON - timedelta(hours=12), NOON + timedelta(hours=12))
DEFINITIONS: list[FlapRule] = [OursRule(), NagiosRule(), IcingaRule(), KibanaRule(), NewRelicRule()]


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def episode(begin: float, end: float | None, ended_by: EndedBy = "resolved", *, fingerprint: str = "f") -> Episode:
    """It fires between those minutes after noon."""
    return Episode(
        id="1",
        fingerprint=fingerprint,
        alertname="DiskFull",
        severity="warning",
        namespace="",
        starts_at=at(begin),
        ends_at=None if end is None else at(end),
        received_at=at(begin),
        ended_by=None if end is None else ended_by,
    )


def judge(
    episodes: Sequence[Episode],
    rule: FlapRule,
    *,
    since: datetime = DAY[0],
    until: datetime = DAY[1],
    now: datetime = DAY[1],
) -> Flapping:
    return flaps_of(episodes, rule, since=since, until=until, now=now)


def periods(flapping: Flapping) -> list[tuple[str, str]]:
    return [(f"{period.begin:%H:%M}", f"{period.end:%H:%M}") for period in flapping.periods]


EXAMPLE = [episode(0, 10), episode(20, 30), episode(40, 50), episode(60, 70)]


@pytest.mark.parametrize(
    "rule, period, worst_changes, worst_share, worst_at",
    [
        (OursRule(), ("12:40", "13:30"), 7, None, 60),
        (NagiosRule(), ("12:50", "14:10"), None, 648 / 1520, 70),
        (IcingaRule(), ("12:50", "14:00"), None, 0.416, 70),
        (KibanaRule(), ("12:30", "14:50"), 8, None, 70),
    ],
)
def test_the_example_of_the_page_by_each_definition(
    rule: FlapRule, period: tuple[str, str], worst_changes: int | None, worst_share: float | None, worst_at: int
) -> None:
    flapping = judge(EXAMPLE, rule)
    assert (flapping.is_flapping, flapping.is_flapping_at_end, flapping.changes) == (True, False, 8)
    assert periods(flapping) == [period]
    assert (flapping.worst_changes, flapping.worst_share) == (worst_changes, worst_share)
    assert flapping.worst_at == at(worst_at)
    assert " to ".join(period) in PAGE
    assert (f"{worst_share:.1%}".replace("%", " %") if worst_share else f"{worst_changes} changes") in PAGE


def test_the_example_of_the_page_by_the_share_of_brief_firings() -> None:
    flapping = judge(EXAMPLE, NewRelicRule())
    assert (flapping.is_flapping, flapping.ended, flapping.brief, flapping.worst_share) == (False, 4, 0, 0.0)
    brief = judge([episode(0, 2), episode(20, 23), episode(40, 45), episode(60, 80)], NewRelicRule())
    assert (brief.is_flapping, brief.ended, brief.brief, brief.worst_share) == (True, 4, 3, 0.75)
    assert "3 of 4, 75 %" in PAGE


@pytest.mark.parametrize("rule", DEFINITIONS, ids=lambda rule: type(rule).__name__)
def test_the_page_names_each_parameter_with_its_default(rule: FlapRule) -> None:
    for name in rule.__struct_fields__:
        assert f"`{name}` ({getattr(rule, name):g}" in PAGE


@pytest.mark.parametrize("rule", DEFINITIONS, ids=lambda rule: type(rule).__name__)
def test_the_order_of_episodes_does_not_matter(rule: FlapRule) -> None:
    assert judge(EXAMPLE[::-1], rule) == judge(EXAMPLE, rule)


@pytest.mark.parametrize("rule", DEFINITIONS, ids=lambda rule: type(rule).__name__)
def test_one_long_firing_does_not_flap(rule: FlapRule) -> None:
    flapping = judge([episode(0, None)], rule)
    assert (flapping.is_flapping, flapping.changes, flapping.flapping_seconds) == (False, 1, 0.0)


def test_no_episode_is_nothing_to_judge() -> None:
    with pytest.raises(ValueError, match="no episode"):
        judge([], OursRule())


# What counts as a change


def test_what_overlaps_or_touches_is_one_firing() -> None:
    episodes = [episode(0, 10), episode(5, 7), episode(10, 20), episode(18, 25)]
    assert changes_of(episodes, timedelta()) == [at(0), at(25)]


def test_what_begins_while_an_earlier_one_fires_is_a_part_of_it() -> None:
    assert changes_of([episode(0, None), episode(5, 7)], timedelta()) == [at(0)]
    assert changes_of([episode(0, 10), episode(5, None)], timedelta()) == [at(0)]


def test_an_end_before_its_start_is_at_the_start() -> None:
    assert changes_of([episode(5, 3)], timedelta()) == [at(5), at(5)]


@pytest.mark.parametrize("ended_by", ["expired", "inferred", "reconciled"])
def test_a_start_soon_after_an_end_that_no_sender_reported_is_a_restart(ended_by: EndedBy) -> None:
    restart = timedelta(minutes=30)
    assert changes_of([episode(0, 10, ended_by), episode(40, 50)], restart) == [at(0), at(50)]
    assert changes_of([episode(0, 10, ended_by), episode(40.1, 50)], restart) == [at(0), at(10), at(40.1), at(50)]
    assert changes_of([episode(0, 10), episode(11, 50)], restart) == [at(0), at(10), at(11), at(50)]


def test_restarts_follow_each_other() -> None:
    episodes = [episode(20 * n, 20 * n + 10, "expired") for n in range(5)]
    assert changes_of(episodes, timedelta(minutes=30)) == [at(0), at(90)]


def test_an_end_inside_a_longer_firing_does_not_say_how_that_ended() -> None:
    episodes = [episode(0, 20), episode(5, 10, "expired"), episode(25, 30)]
    assert changes_of(episodes, timedelta(minutes=30)) == [at(0), at(20), at(25), at(30)]


@pytest.mark.parametrize("rule", DEFINITIONS[:-1], ids=lambda rule: type(rule).__name__)
def test_restarts_are_no_flaps(rule: FlapRule) -> None:
    restarts = [episode(20 * n, 20 * n + 10, "expired") for n in range(8)]
    assert not judge(restarts, rule).is_flapping
    assert judge(restarts, flap_rule(*_named(rule), {"restart_seconds": 0})).is_flapping


def _named(rule: FlapRule) -> tuple[str]:
    return (judge(EXAMPLE, rule).definition,)


# Spans


def test_what_a_span_begins_with_is_judged_by_the_changes_before_it() -> None:
    flapping = judge(EXAMPLE, OursRule(), since=at(75))
    assert periods(flapping) == [("13:15", "13:30")]
    assert (flapping.changes, flapping.worst_changes, flapping.worst_at) == (0, 6, at(75))
    assert flapping.flapping_seconds == 15 * 60
    nagios, kibana = (judge(EXAMPLE, rule, since=at(75)) for rule in (NagiosRule(), KibanaRule()))
    assert (periods(nagios), nagios.worst_share, nagios.worst_at) == ([("13:15", "14:10")], 632 / 1520, at(75))
    assert (periods(kibana), kibana.worst_changes, kibana.worst_at) == ([("13:15", "14:50")], 8, at(75))


def test_a_change_that_is_as_old_as_the_window_is_in_it() -> None:
    episodes = [episode(0, 15), episode(30, 45), episode(60, None)]
    flapping = judge(episodes, OursRule())
    assert (flapping.is_flapping, flapping.worst_changes, flapping.flapping_seconds) == (True, 5, 0)
    assert periods(flapping) == [("13:00", "13:00")]
    assert is_flapping([at(0), at(15), at(30), at(45), at(60)], at(60), OursRule())
    assert judge(episodes, OursRule(), since=at(60)).is_flapping
    assert not judge(episodes, OursRule(), until=at(60)).is_flapping
    assert not judge(episodes, OursRule(), since=at(60.01)).is_flapping
    assert not judge(episodes, OursRule(window_seconds=3599)).is_flapping


@pytest.mark.parametrize("rule", DEFINITIONS[:-1], ids=lambda rule: type(rule).__name__)
def test_a_span_ends_now(rule: FlapRule) -> None:
    flapping = judge(EXAMPLE, rule, now=at(56))
    assert (flapping.is_flapping_at_end, flapping.changes) == (True, 6)
    assert flapping.periods[-1].end == at(56)


@pytest.mark.parametrize("rule", DEFINITIONS, ids=lambda rule: type(rule).__name__)
def test_a_span_without_a_moment_has_no_flapping(rule: FlapRule) -> None:
    assert not judge(EXAMPLE, rule, since=at(60), until=at(60)).is_flapping
    assert not judge(EXAMPLE, rule, since=at(60), now=at(50)).is_flapping


def test_an_end_counts_in_the_span_in_which_it_is() -> None:
    flapping = judge(EXAMPLE, NewRelicRule(seconds=600), since=at(30), until=at(70))
    assert (flapping.ended, flapping.brief) == (2, 2)


@pytest.mark.parametrize("rule", DEFINITIONS[:-1], ids=lambda rule: type(rule).__name__)
def test_changes_before_the_reach_of_a_rule_have_no_part(rule: FlapRule) -> None:
    since = at(70) + reach(rule) + timedelta(minutes=5)
    flapping = judge(EXAMPLE, rule, since=since, until=since + timedelta(days=1), now=since + timedelta(days=1))
    assert (flapping.is_flapping, flapping.worst_at) == (False, None)


@given(st.lists(st.integers(0, 600), unique=True, max_size=40), st.integers(0, 600))
def test_the_time_of_two_spans_is_the_sum(minutes: list[int], cut: int) -> None:
    episodes = _episodes(minutes) or [episode(0, 1)]
    first, second, whole = (
        judge(episodes, OursRule(), since=since, until=until)
        for since, until in ((DAY[0], at(cut)), (at(cut), DAY[1]), DAY)
    )
    assert first.flapping_seconds + second.flapping_seconds == whole.flapping_seconds
    assert first.changes + second.changes == whole.changes


# Many alerts


def test_of_many_alerts_those_that_flap_come_worst_first() -> None:
    episodes = [
        *EXAMPLE,
        *(episode(10 * n, 10 * n + 5, fingerprint="worse") for n in range(9)),
        *(episode(300 * n, 300 * n + 5, fingerprint="calm") for n in range(4)),
    ]
    flapping = flapping_among(episodes[::-1], OursRule(), since=DAY[0], until=DAY[1], now=DAY[1])
    assert [(each.fingerprint, each.changes) for each in flapping] == [("worse", 18), ("f", 8)]


def test_as_few_episodes_as_a_rule_needs_are_enough() -> None:
    assert least_episodes(KibanaRule()) == 2
    for rule, episodes in ((KibanaRule(), EXAMPLE[:2]), (OursRule(), EXAMPLE[:3])):
        assert flapping_among(episodes, rule, since=DAY[0], until=DAY[1], now=DAY[1]) == [judge(episodes, rule)]
        assert not judge(episodes[1:], rule).is_flapping


@given(st.lists(st.integers(0, 120), unique=True, max_size=40), st.sampled_from(DEFINITIONS[:-1]))
def test_no_alert_that_flaps_is_left_out(minutes: list[int], rule: FlapRule) -> None:
    episodes = _episodes(minutes)
    expected = [each for each in ([judge(episodes, rule)] if episodes else []) if each.is_flapping]
    assert flapping_among(episodes, rule, since=DAY[0], until=DAY[1], now=DAY[1]) == expected


# Each definition, against a reading of it check by check


def _episodes(minutes: Sequence[int]) -> list[Episode]:
    """Episodes that begin and end at those minutes in turn; the last may fire still."""
    ordered = sorted(minutes)
    return [
        episode(begin, ordered[2 * n + 1] if 2 * n + 1 < len(ordered) else None) for n, begin in enumerate(ordered[::2])
    ]


changes_a_minute = st.lists(st.integers(0, 500), unique=True, min_size=1, max_size=60)
_Judge = Callable[[list[bool]], bool]


@given(changes_a_minute, st.integers(1, 6), st.integers(5, 90))
def test_ours_is_more_than_the_limit_in_the_window_before_each_moment(
    minutes: list[int], limit: int, window: int
) -> None:
    rule = OursRule(limit=limit, window_seconds=60.0 * window)
    flapping = judge(_episodes(minutes), rule)
    ends = {period.end for period in flapping.periods}
    changes = [at(minute) for minute in minutes]
    moments = [at(minute / 2) for minute in range(-1, 1200)]
    expected = [is_flapping([change for change in changes if change <= moment], moment, rule) for moment in moments]
    assert [_flaps(flapping, moment) or moment in ends for moment in moments] == expected
    most = max(sum(change - rule.window <= each <= change for each in changes) for change in changes)
    assert flapping.worst_changes == most


def _flaps(flapping: Flapping, moment: datetime) -> bool:
    return any(period.begin <= moment < period.end for period in flapping.periods)


def _by_checks(minutes: Sequence[int], interval: int, decide: Callable[[list[bool], bool], bool]) -> list[bool]:
    """What is decided at each check; `decide` gets the states so far, calm before the first, and what it said last."""
    episodes = _episodes(minutes)
    states = [False] * 50
    answers: list[bool] = []
    for number in range(600 // interval):
        now = at(number * interval)
        states.append(any(each.starts_at <= now and (each.ends_at is None or now < each.ends_at) for each in episodes))
        answers.append(decide(states, bool(answers) and answers[-1]))
    return answers


def _weighted(states: list[bool], oldest: Fraction, newest: Fraction) -> Fraction:
    last = states[-21:]
    step = (newest - oldest) / 19
    return sum((oldest + step * n for n in range(20) if last[n] != last[n + 1]), Fraction()) / 20


@given(changes_a_minute, st.sampled_from([1, 2, 5, 10]))
def test_nagios_weighs_the_changes_between_21_checks(minutes: list[int], interval: int) -> None:
    rule = NagiosRule(check_interval_seconds=60.0 * interval)
    worst = Fraction()

    def decide(states: list[bool], was_flapping: bool) -> bool:  # noqa: FBT001  # as the program keeps it
        nonlocal worst
        share = _weighted(states, Fraction(3, 4), Fraction(5, 4))
        worst = max(worst, share)
        if share <= Fraction(1, 5):
            return False
        return was_flapping or share >= Fraction(3, 10)

    flapping = judge(_episodes(minutes), rule)
    expected = _by_checks(minutes, interval, decide)
    assert [_flaps(flapping, at(number * interval)) for number in range(len(expected))] == expected
    assert flapping.worst_share == pytest.approx(float(worst))


@given(changes_a_minute, st.sampled_from([1, 2, 5, 10]))
def test_icinga_weighs_the_last_20_changes(minutes: list[int], interval: int) -> None:
    rule = IcingaRule(check_interval_seconds=60.0 * interval)

    def decide(states: list[bool], was_flapping: bool) -> bool:  # noqa: FBT001  # as the program keeps it
        return _weighted(states, Fraction(80, 100), Fraction(118, 100)) > (
            Fraction(25, 100) if was_flapping else Fraction(30, 100)
        )

    flapping = judge(_episodes(minutes), rule)
    expected = _by_checks(minutes, interval, decide)
    assert [_flaps(flapping, at(number * interval)) for number in range(len(expected))] == expected


@given(changes_a_minute, st.sampled_from([1, 2, 5, 10]), st.integers(2, 20), st.integers(2, 20))
def test_kibana_counts_changes_in_the_last_runs(minutes: list[int], interval: int, runs: int, other_runs: int) -> None:
    window, threshold = max(runs, other_runs), min(runs, other_runs)
    rule = KibanaRule(
        look_back_window=window, status_change_threshold=threshold, check_interval_seconds=60.0 * interval
    )

    def decide(states: list[bool], was_flapping: bool) -> bool:  # noqa: FBT001  # as the program keeps it
        last = states[-window - 1 :]
        changes = sum(last[n] != last[n + 1] for n in range(window))
        return changes > 0 if was_flapping else changes >= threshold

    flapping = judge(_episodes(minutes), rule)
    expected = _by_checks(minutes, interval, decide)
    assert [_flaps(flapping, at(number * interval)) for number in range(len(expected))] == expected


def test_what_begins_and_ends_between_two_checks_is_not_seen() -> None:
    brief = [episode(10 * n + 1, 10 * n + 3) for n in range(12)]
    assert judge(brief, NagiosRule()).worst_share == 0
    assert (judge(brief, NagiosRule(check_interval_seconds=60)).worst_share or 0) > 0
    assert judge(brief, OursRule()).is_flapping


def test_a_share_that_equals_the_threshold_is_flapping_for_nagios_alone() -> None:
    # Five changes of which the newest is the current check: (95 + 93 + 91 + 89 + 87) / 1520, and (59 + … + 55) / 1000.
    minutes = [0, 5, 10, 15, 20]
    assert judge(_episodes(minutes), NagiosRule(high_share=455 / 1520)).is_flapping
    assert not judge(_episodes(minutes), NagiosRule(high_share=455 / 1520, low_share=455 / 1520)).is_flapping
    assert not judge(_episodes(minutes), IcingaRule(high_share=0.285)).is_flapping
    assert judge(_episodes(minutes), IcingaRule(high_share=0.284)).is_flapping
