"""What a rule did is told from the maps of its tallies, worked out by hand."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alert_history.domain.activity import Activity, interruptions_of, last_begun, most_firing_seconds, parts_of_days
from alert_history.domain.interruptions import Hours, Interruptions
from alert_history.domain.tally import DAY_US, MINUTE_US

DAY = 20_000
MINUTE = 60 * 1_000_000


def activity(*moves: tuple[int, int, float], firing: int = 0) -> Activity:
    """Moves of one day, each with its quarter, how many more fire, and the minutes left."""
    return Activity(firing, {}, {DAY: {quarter: (more, round(left * MINUTE)) for quarter, more, left in moves}})


def seconds(of: Activity, *, until_minute: int = 1440) -> float:
    since_us = DAY * DAY_US
    return most_firing_seconds(of, since_us=since_us, until_us=since_us + until_minute * MINUTE_US)


@pytest.mark.parametrize(
    "of, minutes",
    [
        (activity(), 0),
        (activity(firing=1), 1440),
        (activity((4, 1, 5), firing=1), 1440 - 70),  # since 01:10
        (activity((4, 0, 3)), 3),  # began and ended within a quarter
        (activity((4, 0, 30)), 15),  # two that overlap
        (activity((4, 1, 5), (8, -1, -11)), 5 + 45 + 4),  # 01:10 to 02:04
        (activity((8, -1, -11)), 120 + 4),  # fires since before the day
        (activity((4, 2, 20), (8, -1, -11), (12, -1, -15)), 15 + 105),  # never fewer than one from 01:00 to 03:00
    ],
)
def test_firing_seconds_are_those_of_at_least_one_alert(of: Activity, minutes: int) -> None:
    assert seconds(of) == minutes * 60


def test_span_that_ends_now_ends_within_its_quarter() -> None:
    assert seconds(activity(firing=2), until_minute=100) == 6000


def test_what_moved_after_the_span_says_what_fired_in_it() -> None:
    later = Activity(0, {}, {DAY + 3: {0: (-1, -15 * MINUTE)}})
    assert seconds(later) == 86_400


def test_minutes_are_interruptions_by_the_clock_of_the_zone() -> None:
    monday = (datetime(2026, 3, 2, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(days=1)
    minutes = {monday - 1: {0: 9}, monday: {133: 1, 134: 2, 135: 3, 735: 1, 1000: 1}}
    of = Activity(0, minutes, {})
    kathmandu = parts_of_days([monday], Hours(ZoneInfo("Asia/Kathmandu")))
    assert interruptions_of(of, kathmandu) == Interruptions(asleep=3, work=1, off_hours=1)  # 08:00 is minute 135
    assert interruptions_of(of, parts_of_days([monday], Hours())) == Interruptions(asleep=3, work=2)


LATER = datetime(2200, 1, 1, tzinfo=UTC)


def test_last_minute_in_which_an_alert_began_is_of_the_last_day_with_one() -> None:
    minutes = {DAY: {10: 1, 700: 2}, DAY + 1: {}}
    assert last_begun(minutes, until=LATER) == datetime.fromtimestamp(DAY * 86_400 + 42_000, UTC)
    assert last_begun({DAY: {}}, until=LATER) is None


def test_last_minute_is_before_the_end_that_is_asked_for() -> None:
    first = datetime.fromtimestamp(DAY * 86_400 + 600, UTC)
    assert last_begun({DAY: {10: 1, 700: 2}, DAY + 1: {3: 1}}, until=first + timedelta(hours=1)) == first
    assert last_begun({DAY: {10: 1}}, until=first - timedelta(hours=1)) is None
