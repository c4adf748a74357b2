"""Response: the worked case of the docs, what counts as an answer, and that who waited in vain is not forgotten."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alert_history.domain.episode import Episode
from alert_history.domain.response import Act, ActKind, PersonResponse, response_of

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "noise.md").read_text(encoding="utf-8")
T0 = datetime(2026, 3, 1, tzinfo=UTC)


def second(number: float) -> datetime:
    return T0 + timedelta(seconds=number)


def episode(name: str, end: float | None = None, *, rule: str = "R", received: float = 0) -> Episode:
    """It began an hour before it was received, which says nothing about the response."""
    return Episode(
        id=name,
        fingerprint=name,
        alertname=rule,
        severity="page",
        namespace="n",
        starts_at=second(received - 3600),
        ends_at=None if end is None else second(end),
        received_at=second(received),
        ended_by=None if end is None else "resolved",
    )


def act(name: str, at: float, *, by: str = "ann", kind: ActKind = "acknowledged") -> Act:
    return Act(name, kind, second(at), by, "api")


def test_the_worked_case() -> None:
    episodes = [
        episode("a", 3000),
        episode("b", 3000),
        episode("c", 3000),
        episode("d", 90),
        episode("e", received=9700),
    ]
    acts = [act("a", 60), act("b", 120, by="ben"), act("c", 600)]
    response = response_of(episodes, acts, now=second(10_000))  # e has waited for 300 s
    times = response.times
    assert (times.begun, times.acknowledged, times.censored) == (5, 3, 2)
    assert (times.p50_seconds, times.p90_seconds) == (600.0, 600.0)
    assert (times.share, times.share_low, times.share_high) == pytest.approx((0.6, 0.2307, 0.8824), abs=1e-4)
    assert response.people == (
        PersonResponse("ann", 2, 2 / 3, 60.0, 600.0),
        PersonResponse("ben", 1, 1 / 3, 120.0, 120.0),
    )


def test_the_docs_show_the_worked_case() -> None:
    assert "The median is 600 s" in PAGE
    assert "| 120 s | acknowledged | 3 | 0.800 × 2/3 = 0.533 |" in PAGE
    assert "| 600 s | acknowledged | 1 | 0.533 × 0/1 = 0.000 |" in PAGE
    assert "between 0.231 and 0.882" in PAGE


def test_a_percentile_that_too_few_reached_is_not_known() -> None:
    episodes = [episode("a", 500), episode("b", 500), episode("c", 500)]
    times = response_of(episodes, [act("a", 10)], now=second(1000)).times
    assert (times.p50_seconds, times.p90_seconds) == (None, None)


def test_the_first_acknowledgement_counts() -> None:
    response = response_of([episode("a", 500)], [act("a", 50, by="ben"), act("a", 20)], now=second(1000))
    assert response.times.p50_seconds == 20.0
    assert [person.by for person in response.people] == ["ann"]


def test_other_acts_are_acts_and_no_acknowledgements() -> None:
    kinds: list[ActKind] = ["noted", "silenced", "corrected", "resolved"]
    episodes = [episode(kind, 100) for kind in kinds]
    times = response_of(episodes, [act(kind, 10, kind=kind) for kind in kinds], now=second(1000)).times
    assert (times.acted, times.acknowledged, times.censored) == (4, 0, 4)


def test_an_acknowledgement_after_the_end_counts() -> None:
    times = response_of([episode("a", 10)], [act("a", 40)], now=second(1000)).times
    assert (times.acknowledged, times.p50_seconds) == (1, 40.0)


def test_an_acknowledgement_before_the_alert_was_received_took_no_time() -> None:
    assert response_of([episode("a", 10)], [act("a", -5)], now=second(1000)).times.p50_seconds == 0.0


def test_how_long_it_fired_does_not_matter() -> None:
    acts = [act("a", 30), act("b", 60)]
    short = response_of([episode("a", 100), episode("b", 100)], acts, now=second(1000))
    long = response_of([episode("a"), episode("b", 9000)], acts, now=second(99_000))
    assert short.times == long.times


def test_the_rule_that_waits_longest_comes_first() -> None:
    episodes = [episode("a", 900, rule="Quick"), episode("b", 900, rule="Slow"), episode("c", 900, rule="Never")]
    response = response_of(episodes, [act("a", 10), act("b", 60)], now=second(1000))
    assert [each.rule for each in response.rules] == ["Never", "Slow", "Quick"]
    assert [each.times.p50_seconds for each in response.rules] == [None, 60.0, 10.0]


def test_acts_on_other_occurrences_change_nothing() -> None:
    response = response_of([episode("a", 900)], [act("z", 10)], now=second(1000))
    assert (response.times.acted, response.people) == (0, ())


def test_without_occurrences_nothing_is_known() -> None:
    times = response_of([], [], now=T0).times
    assert (times.begun, times.share, times.share_low, times.share_high, times.p50_seconds) == (0, 0.0, 0.0, 1.0, None)
