"""An alert that flaps began again often enough to be looked at.

Holds: domain.flap_candidates.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from alert_history.domain.counting import AGAIN_WITHIN_US
from alert_history.domain.episode import Episode
from alert_history.domain.flap_candidates import least_again
from alert_history.domain.flap_rules import flap_rule, reach
from alert_history.domain.flapping import flaps_of

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=2)


@pytest.mark.parametrize(
    "definition, parameters, least",
    [
        ("ours", {}, 2),  # 5 changes in an hour: end, start, end, start, end
        ("ours", {"limit": 2}, 1),
        ("ours", {"limit": 1}, None),  # one firing is enough
        ("ours", {"window_seconds": 7200, "limit": 6}, 2),  # of 3 starts after an end one may come an hour later
        ("ours", {"window_seconds": 7200, "limit": 2}, None),
        ("nagios", {}, 1),  # 6 of 20 checks, in 105 minutes
        ("icinga", {}, 1),
        ("icinga", {"high_share": 0, "low_share": 0}, None),
        ("kibana", {}, None),  # 4 changes in 105 minutes: one start after an end, and it may come an hour later
        ("kibana", {"check_interval_seconds": 60}, 1),
        ("newrelic", {}, None),
    ],
)
def test_rule_says_how_often_an_alert_must_have_begun_again(
    definition: str, parameters: Mapping[str, object], least: int | None
) -> None:
    assert least_again(flap_rule(definition, parameters)) == least


def _episodes(random: Random) -> list[Episode]:
    """Firings of one alert, some soon after each other, some not."""
    begin, episodes = SINCE - timedelta(hours=5), []
    for number in range(random.randrange(2, 60)):
        end = begin + timedelta(seconds=random.choice([30, 200, 600, 4000]) * random.random())
        episodes.append(Episode(str(number), "f", "A", "", "", begin, end, begin, "resolved"))
        begin = end + timedelta(seconds=1 + random.choice([100, 1000, 3590, 3700, 20_000]) * random.random())
    return episodes


@pytest.mark.parametrize(
    "definition, parameters",
    [
        ("ours", {}),
        ("ours", {"limit": 3}),
        ("ours", {"window_seconds": 9000, "limit": 8}),
        ("nagios", {"check_interval_seconds": 120}),
        ("nagios", {}),
        ("icinga", {"high_share": 0.25}),
        ("kibana", {"check_interval_seconds": 120}),
    ],
)
def test_no_alert_that_flaps_is_left_out(definition: str, parameters: Mapping[str, object]) -> None:
    rule = flap_rule(definition, parameters)
    least, flapping = least_again(rule), 0
    assert least is not None
    for seed in range(400):
        episodes = _episodes(Random(seed))
        if flaps_of(episodes, rule, since=SINCE, until=UNTIL, now=UNTIL).is_flapping:
            flapping += 1
            read = [each for each in episodes if SINCE - reach(rule) <= each.received_at]
            assert _begun_again(episodes, read) >= least
    assert flapping > 20


def _begun_again(episodes: list[Episode], read: list[Episode]) -> int:
    """How many of those that are read began within an hour of the end of the one before, as the rollups count."""
    within = timedelta(microseconds=AGAIN_WITHIN_US)
    ends = [each.ends_at for each in episodes]
    return sum(
        bool(place) and (end := ends[place - 1]) is not None and each.starts_at - end < within
        for place, each in enumerate(episodes)
        if each in read
    )
