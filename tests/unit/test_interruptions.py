"""Interruptions: which part of the day they fall into, in any zone and on days when clocks are changed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from alert_history.domain.interruptions import Hours, Interruptions, count_interruptions

BERLIN = ZoneInfo("Europe/Berlin")
KATHMANDU = ZoneInfo("Asia/Kathmandu")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "at, part",
    [
        ("2026-03-04T07:59:59", "asleep"),
        ("2026-03-04T08:00", "work"),
        ("2026-03-04T17:59", "work"),
        ("2026-03-04T18:00", "off_hours"),
        ("2026-03-04T21:59", "off_hours"),
        ("2026-03-04T22:00", "asleep"),
        ("2026-03-07T12:00", "off_hours"),  # a Saturday
        ("2026-03-07T23:00", "asleep"),
    ],
)
def test_each_hour_belongs_to_one_part_of_the_day(at: str, part: str) -> None:
    assert Hours().part(utc(at)) == part


@pytest.mark.parametrize(
    "zone, at, part",
    [
        (BERLIN, "2026-03-27T06:59", "asleep"),  # 07:59, two days before summer time
        (BERLIN, "2026-03-27T07:00", "work"),
        (BERLIN, "2026-03-30T05:59", "asleep"),  # 07:59, the Monday after
        (BERLIN, "2026-03-30T06:00", "work"),
        (BERLIN, "2026-10-26T06:59", "asleep"),  # winter again
        (KATHMANDU, "2026-03-04T02:14", "asleep"),  # 07:59 at +5:45
        (KATHMANDU, "2026-03-04T02:15", "work"),
    ],
)
def test_the_clock_of_the_zone_decides(zone: ZoneInfo, at: str, part: str) -> None:
    assert Hours(zone).part(utc(at)) == part


def test_what_comes_within_one_minute_is_one_interruption() -> None:
    times = [utc("2026-03-04T03:00:00"), utc("2026-03-04T03:00:59.9"), utc("2026-03-04T03:01:00")]
    assert count_interruptions(times, Hours()) == Interruptions(asleep=2)


def test_each_part_is_counted() -> None:
    times = [utc(f"2026-03-04T{clock}") for clock in ("03:00", "12:00", "12:30", "20:00", "23:00")]
    interruptions = count_interruptions(times, Hours())
    assert interruptions == Interruptions(asleep=2, off_hours=1, work=2)
    assert interruptions.total == 5
