"""The calendar of a place, on the days when clocks are changed too: by hand, and as read minute by minute."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alert_history.domain.calendar import (
    HOURS_A_WEEK,
    STEPS,
    Bucket,
    HourRun,
    WakingHours,
    buckets,
    day_part,
    day_parts,
    exposure_hours,
    hour_of_week,
    hour_runs,
    hours_of_minutes,
    instant,
    series_step,
    zone,
)
from alert_history.errors import InvalidQuery

PAGE = " ".join((Path(__file__).parents[2] / "docs/explanation/local-time.md").read_text(encoding="utf-8").split())
BERLIN = ZoneInfo("Europe/Berlin")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MONDAY, SATURDAY, SUNDAY = 0, 5, 6


def local(text: str, tz: tzinfo, *, fold: int = 0) -> datetime:
    """A time on the clocks of that zone, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=tz, fold=fold).astimezone(UTC)


def points(since: str, until: str, tz: tzinfo, step: str) -> list[Bucket]:
    return buckets(local(since, tz), local(until, tz), step=STEPS[step], tz=tz)


def hours(series: list[Bucket]) -> list[float]:
    return [(bucket.end - bucket.begin) / HOUR for bucket in series]


def shown(series: list[Bucket], tz: tzinfo) -> list[str]:
    return [f"{bucket.begin.astimezone(tz):%H:%M}" for bucket in series]


# Zones


@pytest.mark.parametrize("name", ["Europe/Berlin", "Asia/Kathmandu", "Etc/GMT+5", "America/Argentina/Ushuaia"])
def test_a_zone_is_known_by_its_name(name: str) -> None:
    assert str(zone(name)) == name


def test_utc_needs_no_file() -> None:
    assert zone("UTC") is UTC


@pytest.mark.parametrize(
    "name",
    ["", "Berlin", "Europe", "+01:00", "../etc/passwd", "/etc/localtime", "localtime", "right/Europe/Berlin", "x\0"],
)
def test_what_is_no_zone_is_named_with_what_is_expected(name: str) -> None:
    with pytest.raises(InvalidQuery) as fault:
        zone(name)
    assert str(fault.value).startswith(f"{name!r} is no time zone known here; give an IANA name such as Europe/Berlin")


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidQuery) as fault:
        zone("x" * 5000)
    assert len(str(fault.value)) < 200


# Steps and buckets


@pytest.mark.parametrize(
    "span, step",
    [
        (timedelta(0), "1m"),
        (HOUR, "1m"),
        (200 * MINUTE, "1m"),
        (201 * MINUTE, "5m"),
        (DAY, "15m"),
        (7 * DAY, "1h"),
        (30 * DAY, "6h"),
        (90 * DAY, "1d"),
        (365 * DAY, "1w"),
        (1825 * DAY, "4w"),
        (9999 * 365 * DAY, "52w"),
    ],
)
def test_a_step_is_the_shortest_with_at_most_200_points(span: timedelta, step: str) -> None:
    assert series_step(span) == STEPS[step]


@pytest.mark.parametrize(
    "day, length", [("2026-03-28", 24), ("2026-03-29", 23), ("2026-03-30", 24), ("2026-10-25", 25), ("2026-10-26", 24)]
)
def test_a_local_day_has_the_hours_that_clocks_show(day: str, length: int) -> None:
    end = f"{date.fromisoformat(day) + DAY}"
    assert hours(points(day, end, BERLIN, "1d")) == [length]
    assert hours(points(day, end, BERLIN, "1h")) == [1] * length


def test_the_hour_that_is_shown_twice_is_two_points_and_the_skipped_none() -> None:
    assert shown(points("2026-10-25T01:00", "2026-10-25T04:00", BERLIN, "1h"), BERLIN) == [
        "01:00",
        "02:00",
        "02:00",
        "03:00",
    ]
    assert shown(points("2026-03-29T01:00", "2026-03-29T04:00", BERLIN, "1h"), BERLIN) == ["01:00", "03:00"]


def test_a_point_of_six_hours_is_longer_or_shorter_when_clocks_are_changed() -> None:
    assert hours(points("2026-10-25", "2026-10-26", BERLIN, "6h")) == [7, 6, 6, 6]
    assert hours(points("2026-03-29", "2026-03-30", BERLIN, "6h")) == [5, 6, 6, 6]


def test_points_are_on_the_hour_of_the_place() -> None:
    series = points("2026-03-04T00:00", "2026-03-04T03:00", KATHMANDU, "1h")
    assert [f"{bucket.begin:%H:%M}" for bucket in series] == ["18:15", "19:15", "20:15"]
    days = points("2026-03-04", "2026-03-06", KATHMANDU, "1d")
    assert [bucket.begin for bucket in days] == [
        datetime(2026, 3, 3, 18, 15, tzinfo=UTC),
        datetime(2026, 3, 4, 18, 15, tzinfo=UTC),
    ]


def test_half_an_hour_of_summer_time_keeps_points_on_the_hour() -> None:
    autumn = points("2026-04-05T00:00", "2026-04-05T04:00", LORD_HOWE, "1h")
    assert (shown(autumn, LORD_HOWE), hours(autumn)) == (["00:00", "01:00", "02:00", "03:00"], [1, 1.5, 1, 1])
    spring = points("2026-10-04T00:00", "2026-10-04T04:00", LORD_HOWE, "1h")
    assert (shown(spring, LORD_HOWE), hours(spring)) == (["00:00", "01:00", "02:30", "03:00"], [1, 1, 0.5, 1])
    assert hours(points("2026-04-05", "2026-04-06", LORD_HOWE, "1d")) == [24.5]
    assert hours(points("2026-04-05T01:00", "2026-04-05T02:00", LORD_HOWE, "15m")) == [0.25] * 6


def test_weeks_begin_on_mondays_of_the_place() -> None:
    series = points("2026-03-16", "2026-04-13", BERLIN, "1w")
    assert [bucket.begin.astimezone(BERLIN).weekday() for bucket in series] == [MONDAY] * 4
    assert hours(series) == [168, 167, 168, 168]
    assert all(bucket.is_whole for bucket in series)


def test_what_the_span_cuts_is_not_whole() -> None:
    series = points("2026-03-04T10:30", "2026-03-04T12:15", BERLIN, "1h")
    assert shown(series, BERLIN) == ["10:30", "11:00", "12:00"]
    assert [bucket.is_whole for bucket in series] == [False, True, False]
    assert [bucket.is_whole for bucket in points("2026-03-04", "2026-03-05T12:00", BERLIN, "1d")] == [True, False]


def test_a_day_that_a_place_skipped_is_no_point() -> None:
    apia = ZoneInfo("Pacific/Apia")
    series = points("2011-12-29", "2012-01-01", apia, "1d")
    assert [f"{bucket.begin.astimezone(apia):%d}" for bucket in series] == ["29", "31"]


def test_midnight_that_is_shown_twice_begins_one_day() -> None:
    assert hours(points("2026-11-01", "2026-11-03", ZoneInfo("America/Havana"), "1d")) == [25, 24]


def test_an_empty_span_has_no_points() -> None:
    assert points("2026-03-04", "2026-03-04", BERLIN, "1d") == []


def test_too_many_points_and_other_steps_are_refused() -> None:
    with pytest.raises(InvalidQuery, match="more than 2000 points; choose a longer step"):
        points("2026-03-04", "2026-03-06", BERLIN, "1m")
    with pytest.raises(InvalidQuery, match="there are 1m, 5m, 15m, 1h, 6h, 1d, 1w, 4w, 52w"):
        buckets(local("2026-03-04", UTC), local("2026-03-05", UTC), step=7 * MINUTE, tz=UTC)


@pytest.mark.parametrize("step", ["1h", "1d"])
def test_an_end_of_the_calendar_is_refused(step: str) -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidQuery, match="an end of the calendar"):
        buckets(first, first + DAY, step=STEPS[step], tz=ZoneInfo("America/New_York"))


ZONES = [
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "America/Havana",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "UTC",
]
zones = st.sampled_from(ZONES).map(zone)
days = st.one_of(
    st.dates(date(1971, 1, 1), date(2037, 12, 31)),
    st.sampled_from(
        [
            date(2026, 3, 29),
            date(2026, 10, 25),
            date(2026, 4, 4),
            date(2026, 10, 3),
            date(2011, 12, 30),
            date(2009, 11, 1),
        ]
    ),
)
moments = st.builds(
    lambda day, minute: datetime(day.year, day.month, day.day, tzinfo=UTC) + minute * MINUTE, days, st.integers(0, 1439)
)


@given(moments, st.timedeltas(MINUTE, 900 * DAY), st.sampled_from(list(STEPS)), zones)
def test_the_points_of_a_series_are_the_span(since: datetime, span: timedelta, step: str, tz: tzinfo) -> None:
    span = min(span, 150 * STEPS[step])
    series = buckets(since, since + span, step=STEPS[step], tz=tz)
    assert [series[0].begin, *(bucket.end for bucket in series)] == [*(bucket.begin for bucket in series), since + span]
    assert all(bucket.begin < bucket.end for bucket in series)


@settings(deadline=None)
@given(moments, st.sampled_from([MINUTE, 15 * MINUTE, HOUR]), zones)
def test_a_point_begins_where_clocks_come_to_another_step(since: datetime, step: timedelta, tz: tzinfo) -> None:
    until = since + 5 * HOUR

    def wall(at: datetime) -> timedelta:
        return at.astimezone(tz).replace(tzinfo=None) - datetime(2000, 1, 3)  # noqa: DTZ001  # a Monday

    minutes = [since + n * MINUTE for n in range(1, 300)]
    expected = [at for at in minutes if not wall(at) % step or wall(at) // step != wall(at - MINUTE) // step]
    assert [bucket.begin for bucket in buckets(since, until, step=step, tz=tz)][1:] == expected


@given(days, zones)
def test_a_point_of_a_day_begins_when_its_midnight_is_first_shown(day: date, tz: tzinfo) -> None:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # what clocks show
    series = buckets(instant(midnight, tz), instant(midnight + 3 * DAY, tz), step=DAY, tz=tz)
    expected = {instant(midnight + n * DAY, tz) for n in range(3)} - {instant(midnight + 3 * DAY, tz)}
    assert {bucket.begin for bucket in series} == expected
    assert all(bucket.is_whole for bucket in series)


# Hours of the week


def test_the_hour_of_the_week_is_that_of_the_place() -> None:
    sunday_evening = datetime(2026, 3, 1, 18, 20, tzinfo=UTC)
    assert hour_of_week(sunday_evening, UTC) == (SUNDAY, 18)
    assert hour_of_week(sunday_evening, BERLIN) == (SUNDAY, 19)
    assert hour_of_week(sunday_evening, KATHMANDU) == (MONDAY, 0)


def test_the_hours_of_a_day_at_a_quarter_past() -> None:
    runs = hour_runs(date(2026, 3, 1), KATHMANDU)  # a Sunday; 00:00 UTC is 05:45
    assert (runs[0], runs[1]) == (HourRun(0, 15, SUNDAY, 5), HourRun(15, 75, SUNDAY, 6))
    assert (runs[19], runs[-1]) == (HourRun(1095, 1155, MONDAY, 0), HourRun(1395, 1440, MONDAY, 5))


def test_the_hours_of_the_days_when_clocks_are_changed() -> None:
    spring = [(run.begin_minute, run.hour) for run in hour_runs(date(2026, 3, 29), BERLIN)]
    assert spring[:3] == [(0, 1), (60, 3), (120, 4)]
    autumn = [(run.begin_minute, run.hour) for run in hour_runs(date(2026, 10, 25), BERLIN)]
    assert autumn[:3] == [(0, 2), (60, 2), (120, 3)]
    half = [(run.begin_minute, run.end_minute, run.hour) for run in hour_runs(date(2026, 4, 4), LORD_HOWE)]
    assert half[14:18] == [(840, 900, 1), (900, 930, 1), (930, 990, 2), (990, 1050, 3)]


@settings(deadline=None)
@given(days, zones)
def test_each_minute_of_a_day_is_in_the_hour_that_clocks_show(day: date, tz: tzinfo) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    clocks = [hour_of_week(midnight + n * MINUTE, tz) for n in range(1440)]
    assert [divmod(number, 24) for number in hours_of_minutes(day, tz)] == clocks
    runs = hour_runs(day, tz)
    assert [0, *(run.end_minute for run in runs)] == [*(run.begin_minute for run in runs), 1440]


# How much time each hour had


def test_a_week_has_each_hour_once() -> None:
    for tz in (UTC, BERLIN, KATHMANDU):
        begin = local("2026-03-04T10:30", tz)
        assert exposure_hours(begin, begin + 7 * DAY, tz=tz) == (1.0,) * HOURS_A_WEEK


def test_a_skipped_hour_had_no_time_and_a_doubled_one_twice_as_much() -> None:
    spring = exposure_hours(local("2026-03-23", BERLIN), local("2026-03-30", BERLIN), tz=BERLIN)
    assert (spring[SUNDAY * 24 + 1], spring[SUNDAY * 24 + 2], spring[SUNDAY * 24 + 3]) == (1, 0, 1)
    autumn = exposure_hours(local("2026-10-19", BERLIN), local("2026-10-26", BERLIN), tz=BERLIN)
    assert (autumn[SUNDAY * 24 + 1], autumn[SUNDAY * 24 + 2], autumn[SUNDAY * 24 + 3]) == (1, 2, 1)
    half = exposure_hours(local("2026-03-30", LORD_HOWE), local("2026-04-06", LORD_HOWE), tz=LORD_HOWE)
    assert (half[SUNDAY * 24 + 1], half[SUNDAY * 24 + 2]) == (1.5, 1)


def test_the_edges_of_a_span_count_to_the_second() -> None:
    begin = local("2026-03-07T10:59:30", KATHMANDU)
    exposure = exposure_hours(begin, begin + timedelta(seconds=45), tz=KATHMANDU)
    assert exposure[SATURDAY * 24 + 10] * 3600 == pytest.approx(30)
    assert exposure[SATURDAY * 24 + 11] * 3600 == pytest.approx(15)
    assert exposure_hours(begin, begin, tz=KATHMANDU) == (0.0,) * HOURS_A_WEEK


@settings(deadline=None, max_examples=40)
@given(moments, st.integers(1, 4000), zones)
def test_the_time_of_all_hours_is_the_span_as_clocks_show_it(since: datetime, minutes: int, tz: tzinfo) -> None:
    exposure = exposure_hours(since, since + minutes * MINUTE, tz=tz)
    clocks = Counter(hour_of_week(since + n * MINUTE, tz) for n in range(minutes))
    assert [round(each * 60, 6) for each in exposure] == [clocks[divmod(n, 24)] for n in range(HOURS_A_WEEK)]


# Who sleeps, who works


@pytest.mark.parametrize(
    "weekday, hour, part",
    [
        (MONDAY, 7, "asleep"),
        (MONDAY, 8, "off_hours"),
        (MONDAY, 9, "work"),
        (MONDAY, 17, "work"),
        (MONDAY, 18, "off_hours"),
        (MONDAY, 21, "off_hours"),
        (MONDAY, 22, "asleep"),
        (SATURDAY, 12, "off_hours"),
        (SUNDAY, 3, "asleep"),
    ],
)
def test_an_hour_is_of_sleep_of_work_or_off(weekday: int, hour: int, part: str) -> None:
    assert day_part(weekday, hour, hours=WakingHours()) == part


def test_who_works_at_night_sleeps_by_day() -> None:
    night = WakingHours(asleep_from=9, asleep_until=17, work_from=22, work_until=6, work_days=(SATURDAY, SUNDAY))
    assert [day_part(SATURDAY, hour, hours=night) for hour in (5, 6, 9, 16, 17, 22)] == [
        "work",
        "off_hours",
        "asleep",
        "asleep",
        "off_hours",
        "work",
    ]
    assert day_part(MONDAY, 23, hours=night) == "off_hours"


def test_the_parts_of_a_week() -> None:
    parts = Counter(day_parts(WakingHours()))
    assert parts == {"asleep": 70, "work": 45, "off_hours": 53}
    assert "70 hours asleep, 45 at work and 53 off hours" in PAGE


def test_the_example_of_the_page() -> None:
    day = points("2026-10-25", "2026-10-26", BERLIN, "1d")
    begin, end = day[0].begin, day[-1].end
    assert f"from {begin:%Y-%m-%dT%H:%MZ} to {end:%Y-%m-%dT%H:%MZ}: 25 hours" in PAGE
    exposure = exposure_hours(local("2026-10-05", BERLIN), local("2026-11-02", BERLIN), tz=BERLIN)
    assert (exposure[SUNDAY * 24 + 2], exposure[SUNDAY * 24 + 3]) == (5, 4)
    assert hour_of_week(datetime(2026, 3, 1, 18, 20, tzinfo=UTC), KATHMANDU) == (MONDAY, 0)
    assert "18:20 UTC on Sunday, 1 March 2026, is 00:05 on Monday in Kathmandu" in PAGE
