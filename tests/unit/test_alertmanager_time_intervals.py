"""When time intervals hold by the clocks of a zone, which of them mute a route, and when that may change."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alertmanager.configuration import Route, TimeInterval
from alert_history.domain.alertmanager.time_intervals import changes_after, contains, muting
from alert_history.errors import InvalidQuery

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


@pytest.mark.parametrize(
    "interval, inside, outside",
    [
        (
            TimeInterval(times=((540, 1020),)),
            "2026-03-04T09:00 2026-03-04T16:59:59",
            "2026-03-04T08:59 2026-03-04T17:00",
        ),
        (TimeInterval(times=((1380, 1440),)), "2026-03-04T23:59:59.9", "2026-03-05T00:00"),
        (TimeInterval(times=((540, 1020),), location=BERLIN), "2026-03-04T08:00 2026-07-04T07:00", "2026-03-04T16:00"),
        (TimeInterval(weekdays=((0, 0), (6, 6))), "2026-03-01T00:00 2026-02-28T23:00", "2026-03-02T00:00"),
        (TimeInterval(weekdays=((1, 5),), location="Asia/Tokyo"), "2026-03-01T15:00", "2026-03-06T15:00"),
        (
            TimeInterval(days_of_month=((-1, -1),)),
            "2026-02-28T00:00 2024-02-29T00:00",
            "2026-02-27T00:00 2024-02-28T00:00",
        ),
        (
            TimeInterval(days_of_month=((30, 31),)),
            "2026-04-30T00:00 2026-05-31T00:00",
            "2026-02-28T00:00 2026-04-29T00:00",
        ),
        (TimeInterval(days_of_month=((1, -25),)), "2026-01-07T00:00", "2026-01-08T00:00"),
        (TimeInterval(months=((2, 3),)), "2026-02-01T00:00 2026-03-31T23:59", "2026-01-31T23:59 2026-04-01T00:00"),
        (TimeInterval(years=((2026, 2027),)), "2026-01-01T00:00", "2025-12-31T23:59"),
        (TimeInterval(), "2026-01-01T00:00", ""),
    ],
)
def test_an_interval_holds_when_all_of_its_conditions_do(interval: TimeInterval, inside: str, outside: str) -> None:
    assert [contains(interval, at(each)) for each in inside.split()] == [True] * len(inside.split())
    assert [contains(interval, at(each)) for each in outside.split()] == [False] * len(outside.split())


def test_a_month_in_which_clocks_go_forward_has_a_day_less_as_alertmanager_counts() -> None:
    last, all_days = (TimeInterval(days_of_month=(each,), location=BERLIN) for each in ((-1, -1), (1, 31)))
    assert contains(last, at("2026-03-30T12:00"))
    assert not contains(last, at("2026-03-31T12:00"))
    assert not contains(all_days, at("2026-03-31T12:00"))
    assert contains(last, at("2026-10-31T12:00"))


def test_a_zone_that_is_not_known_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="Europe/Nowhere"):
        contains(TimeInterval(location="Europe/Nowhere"), at("2026-01-01T00:00"))


NIGHT, WEEKEND = TimeInterval(times=((0, 360),)), TimeInterval(weekdays=((0, 0), (6, 6)))
INTERVALS = {"off": (NIGHT, WEEKEND), "weekend": (WEEKEND,), "night": (NIGHT,)}


@pytest.mark.parametrize(
    "mute, active, moment, names",
    [
        ((), (), "2026-03-04T03:00", ()),
        (("night",), (), "2026-03-04T03:00", ("night",)),
        (("night",), (), "2026-03-04T06:00", ()),
        (("weekend", "off"), (), "2026-03-04T03:00", ("off",)),
        (("weekend", "off"), (), "2026-03-01T03:00", ("weekend", "off", "off")),
        ((), ("night",), "2026-03-04T03:00", ()),
        ((), ("night", "weekend"), "2026-03-04T12:00", ("night", "weekend")),
        (("night",), ("weekend",), "2026-03-04T03:00", ("weekend",)),
    ],
)
def test_a_route_is_muted_outside_of_its_active_and_inside_of_its_mute_intervals(
    mute: tuple[str, ...], active: tuple[str, ...], moment: str, names: tuple[str, ...]
) -> None:
    route = Route("r", "{}", "{}", mute_time_intervals=mute, active_time_intervals=active)
    assert muting(route, INTERVALS, at=at(moment)) == names


_TIMES = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).filter(lambda span: span[0] < span[1])
_ZONES = st.sampled_from(["", "UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
_MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(_TIMES, max_size=2), _ZONES, st.sampled_from([(), ((1, 5),)]), _MOMENTS)
def test_nothing_changes_before_it_may(
    times: list[tuple[int, int]], location: str, weekdays: tuple[tuple[int, int], ...], moment: datetime
) -> None:
    interval = TimeInterval(times=tuple(times), location=location, weekdays=weekdays)
    route = Route("r", "{}", "{}", mute_time_intervals=("x",))
    edge = changes_after(route, {"x": (interval,)}, at=moment)
    assert edge is not None
    assert moment < edge <= moment + timedelta(hours=26)
    before = muting(route, {"x": (interval,)}, at=moment)
    steps = [moment + (edge - moment) * part / 97 for part in range(97)]
    assert {muting(route, {"x": (interval,)}, at=each) for each in steps} == {before}


def test_a_route_without_intervals_never_changes() -> None:
    route = msgspec.structs.replace(Route("r", "{}", "{}"))
    assert changes_after(route, INTERVALS, at=at("2026-01-01T00:00")) is None
