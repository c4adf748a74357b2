"""Which hours a night has, by the clock on the wall."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from alert_history.domain.calendar import parse_zone
from alert_history.domain.night_span import finished_night, last_night, night_between, night_of, running_night
from alert_history.errors import InvalidQuery

BERLIN = ZoneInfo("Europe/Berlin")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
HOUR = timedelta(hours=1)


def test_a_night_begins_in_the_evening_of_its_date_and_ends_the_next_morning() -> None:
    span = night_of(date(2026, 3, 4), UTC)
    assert (span.since, span.until, span.next_night_at) == (
        datetime(2026, 3, 4, 20, tzinfo=UTC),
        datetime(2026, 3, 5, 8, tzinfo=UTC),
        datetime(2026, 3, 5, 20, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "evening, hours, since_utc_hour",
    [
        (date(2026, 3, 27), 12, 19),  # the clocks are set an hour ahead in the next night
        (date(2026, 3, 28), 11, 19),
        (date(2026, 3, 29), 12, 18),
        (date(2026, 10, 24), 13, 18),  # and an hour back in this night
    ],
)
def test_a_night_in_which_the_clocks_change_is_an_hour_shorter_or_longer(
    evening: date, hours: int, since_utc_hour: int
) -> None:
    span = night_of(evening, BERLIN)
    assert (span.until - span.since, span.since.hour) == (hours * HOUR, since_utc_hour)
    assert (span.since.astimezone(BERLIN).hour, span.until.astimezone(BERLIN).hour) == (20, 8)


def test_a_zone_may_be_off_by_three_quarters_of_an_hour() -> None:
    span = night_of(date(2026, 3, 4), KATHMANDU)
    assert span.since == datetime(2026, 3, 4, 14, 15, tzinfo=UTC)
    assert span.until == datetime(2026, 3, 5, 2, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "now, evening",
    [
        (datetime(2026, 3, 5, 3, tzinfo=UTC), date(2026, 3, 4)),  # it goes on
        (datetime(2026, 3, 5, 9, tzinfo=UTC), date(2026, 3, 4)),
        (datetime(2026, 3, 5, 22, tzinfo=UTC), date(2026, 3, 4)),
        (datetime(2026, 3, 6, 0, 30, tzinfo=UTC), date(2026, 3, 5)),
    ],
)
def test_last_night_is_the_night_whose_morning_is_today(now: datetime, evening: date) -> None:
    assert last_night(now, UTC) == evening


@pytest.mark.parametrize(
    "clock, running, finished",
    [
        ((5, 0, 10), 4, 3),
        ((5, 3, 0), 4, 3),
        ((5, 7, 59), 4, 3),
        ((5, 8, 0), None, 4),
        ((5, 9, 0), None, 4),
        ((5, 19, 59), None, 4),
        ((5, 20, 0), 5, 4),
        ((5, 23, 59), 5, 4),
    ],
)
def test_the_night_that_goes_on_is_never_called_the_one_that_is_over(
    clock: tuple[int, int, int], running: int | None, finished: int
) -> None:
    now = datetime(2026, 3, *clock, tzinfo=UTC)
    assert running_night(now, UTC) == (None if running is None else date(2026, 3, running))
    assert finished_night(now, UTC) == date(2026, 3, finished)


def test_today_is_that_of_the_zone() -> None:
    assert last_night(datetime(2026, 3, 4, 23, 30, tzinfo=UTC), BERLIN) == date(2026, 3, 4)


def test_a_named_span_is_of_the_date_on_which_it_begins_and_the_next_night_follows_it() -> None:
    since, until = datetime(2026, 3, 6, 17, tzinfo=UTC), datetime(2026, 3, 9, 7, tzinfo=UTC)
    span = night_between(since, until, BERLIN)
    assert (span.evening, span.since, span.until) == (date(2026, 3, 6), since, until)
    assert span.next_night_at == datetime(2026, 3, 9, 19, tzinfo=UTC)


def test_the_night_after_a_span_that_ends_late_is_that_of_the_next_day() -> None:
    span = night_between(datetime(2026, 3, 6, 17, tzinfo=UTC), datetime(2026, 3, 6, 22, tzinfo=UTC), UTC)
    assert span.next_night_at == datetime(2026, 3, 7, 20, tzinfo=UTC)


@pytest.mark.parametrize("length", [timedelta(), -HOUR, timedelta(days=7, seconds=1)])
def test_an_empty_or_a_long_span_is_refused(length: timedelta) -> None:
    since = datetime(2026, 3, 4, 20, tzinfo=UTC)
    with pytest.raises(InvalidQuery):
        night_between(since, since + length, UTC)


@pytest.mark.parametrize("evening, zone", [(date.max, UTC), (date.min, ZoneInfo("Pacific/Kiritimati"))])
def test_a_night_beyond_the_edge_of_the_calendar_is_refused(evening: date, zone: tzinfo) -> None:
    with pytest.raises(InvalidQuery, match="edge of the calendar"):
        night_of(evening, zone)


@pytest.mark.parametrize("text", ["", "Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime", "Europe/Berlin\n"])
def test_what_is_no_zone_is_refused_by_its_parameter(text: str) -> None:
    with pytest.raises(InvalidQuery, match="tz: "):
        parse_zone(text)


def test_zones_are_named_as_iana_does() -> None:
    assert (str(parse_zone("Europe/Berlin")), str(parse_zone("UTC"))) == ("Europe/Berlin", "UTC")
