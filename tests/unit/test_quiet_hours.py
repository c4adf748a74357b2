"""Quiet hours: when they are, when they end, and what becomes of the news; also on days when clocks are changed."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.calendar import instant
from alert_history.domain.occurrence import EventKind
from alert_history.domain.quiet_hours import QuietHours, end_of_quiet, quieten

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)


def hours(
    begin: str = "22:00",
    end: str = "07:00",
    *,
    days: str = "0123456",
    then: Literal["hold", "drop"] = "hold",
    zone: ZoneInfo = BERLIN,
) -> QuietHours:
    first, last = (int(text[:2]) * 60 + int(text[3:]) for text in (begin, end))
    return QuietHours(frozenset(map(int, days)), first, last, zone, zone.key, then)


def berlin(text: str, *, fold: int = 0) -> datetime:
    """A time on the clocks of Berlin, as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    "at, end",
    [
        ("2026-03-04T21:59", None),
        ("2026-03-04T22:00", "2026-03-05T07:00"),
        ("2026-03-05T06:59:59.999999", "2026-03-05T07:00"),
        ("2026-03-05T07:00", None),
    ],
)
def test_a_night_begins_and_ends_on_the_minute(at: str, end: str | None) -> None:
    period = hours().period(berlin(at))
    assert (None if period is None else period.end) == (None if end is None else berlin(end))


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday = hours(days="4")
    assert friday.period(berlin("2026-03-07T06:00")) is not None  # Saturday morning
    assert friday.period(berlin("2026-03-06T06:00")) is None
    assert friday.period(berlin("2026-03-07T23:00")) is None


def test_a_whole_day_ends_at_midnight() -> None:
    period = hours("00:00", "24:00", days="5").period(berlin("2026-03-07T12:00"))
    assert period is not None
    assert (period.begin, period.end) == (berlin("2026-03-07T00:00"), berlin("2026-03-08T00:00"))


@pytest.mark.parametrize(
    "evening, length",
    [("2026-03-27", 9), ("2026-03-28", 8), ("2026-10-23", 9), ("2026-10-24", 10)],
    ids=["before spring", "clocks go forward", "before autumn", "clocks go back"],
)
def test_a_night_ends_at_seven_on_the_clock_however_long_it_is(evening: str, length: int) -> None:
    period = hours().period(berlin(f"{evening}T23:00"))
    assert period is not None
    assert (period.begin, period.end - period.begin) == (berlin(f"{evening}T22:00"), length * HOUR)


def test_a_time_that_is_skipped_is_when_it_is_skipped() -> None:
    jump = datetime(2026, 3, 29, 1, tzinfo=UTC)  # 02:00 is followed by 03:00
    for wall in ("2026-03-29T02:00", "2026-03-29T02:30", "2026-03-29T02:59", "2026-03-29T03:00"):
        assert instant(datetime.fromisoformat(wall), BERLIN) == jump


def test_a_time_that_comes_twice_is_the_first() -> None:
    assert instant(datetime.fromisoformat("2026-10-25T02:30"), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_window_in_the_hour_that_is_skipped_is_empty() -> None:
    skipped = hours("02:15", "02:45")
    assert all(
        skipped.period(datetime(2026, 3, 29, 0, 50, tzinfo=UTC) + timedelta(minutes=step)) is None for step in range(20)
    )


@given(
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]).map(ZoneInfo),
    st.integers(0, 17 * 365 * 24 * 60),
    st.integers(0, 48 * 60),
)
def test_later_on_the_clock_is_never_earlier_in_time(zone: ZoneInfo, minute: int, step: int) -> None:
    wall = datetime.fromisoformat("2010-01-01") + timedelta(minutes=minute)
    assert instant(wall, zone) <= instant(wall + timedelta(minutes=step), zone)


@given(st.timedeltas(timedelta(0), timedelta(days=230)), st.integers(1, 23 * 60))
def test_every_moment_of_a_day_is_in_just_one_of_two_windows_that_adjoin(since: timedelta, minute: int) -> None:
    at = datetime(2026, 3, 20, tzinfo=UTC) + since
    early = QuietHours(frozenset(range(7)), 0, minute, BERLIN, "Europe/Berlin")
    late = QuietHours(frozenset(range(7)), minute, 24 * 60, BERLIN, "Europe/Berlin")
    assert (early.period(at) is None) != (late.period(at) is None)


def test_what_is_held_waits_for_the_end_of_all_that_adjoin() -> None:
    weekend = hours("00:00", "24:00", days="56")
    friday_night = berlin("2026-03-06T23:00")
    assert end_of_quiet([hours(), weekend], friday_night) == berlin("2026-03-09T07:00")


def test_quiet_without_an_end_has_none() -> None:
    assert end_of_quiet([hours("00:00", "24:00")], berlin("2026-03-06T23:00")) is None


def test_outside_of_quiet_hours_nothing_is_done() -> None:
    noon = berlin("2026-03-06T12:00")
    assert quieten([hours()], event="fired", at=noon, starts_at=noon) is None


@pytest.mark.parametrize(
    "event, began_before, is_dropped",
    [
        ("fired", False, True),
        ("annotations_changed", True, True),
        ("resolved", False, True),
        ("resolved", True, False),
        ("expired", True, False),
    ],
)
def test_hours_that_drop_hold_the_end_of_what_was_told_before_them(
    event: EventKind, *, began_before: bool, is_dropped: bool
) -> None:
    at = berlin("2026-03-06T23:00")
    starts_at = at - (2 * HOUR if began_before else timedelta(minutes=5))
    quiet = quieten([hours(then="drop")], event=event, at=at, starts_at=starts_at)
    assert quiet is not None
    assert quiet.due_at == (None if is_dropped else berlin("2026-03-07T07:00"))


@pytest.mark.parametrize(
    "days, text", [("0123456", "daily"), ("01234", "mon-fri"), ("56", "sat-sun"), ("0246", "mon,wed,fri,sun")]
)
def test_a_reason_names_days_times_and_zone(days: str, text: str) -> None:
    assert str(hours(days=days)) == f"{text} 22:00-07:00 Europe/Berlin"
