"""Reads time intervals as a configuration writes them: `monday:friday`, `-1`, `january:march`, `09:00`.

Must not know what time it is. Source: `timeinterval` of prometheus/alertmanager.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from alert_history.domain.alertmanager.configuration import TimeInterval
from alert_history.domain.alertmanager.yaml_fields import Place, Reader, shown

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
_LAST_DAY, _SHORTEST_MONTH = 31, 28
_NO_TIME = (0, 0)

Range = tuple[int, int]
Names = Mapping[str, int]


def read_interval(reader: Reader, place: Place) -> TimeInterval:
    """One interval. What is wrong is noted by the reader."""
    fields = reader.fields(place)

    def ranges(name: str, names: Names, fault_of: Callable[[Range], str]) -> tuple[Range, ...]:
        return tuple(_range(reader, each, names, fault_of) for each in reader.items(reader.at(fields, name)))

    return TimeInterval(
        times=tuple(_times(reader, each) for each in reader.items(reader.at(fields, "times"))),
        weekdays=ranges("weekdays", _numbered(WEEKDAYS, first=0), _order_fault),
        days_of_month=ranges("days_of_month", {}, _day_fault),
        months=ranges("months", _numbered(MONTHS, first=1), _order_fault),
        years=ranges("years", {}, _order_fault),
        location=reader.text(reader.at(fields, "location")),
    )


def _numbered(names: Sequence[str], *, first: int) -> Names:
    return {name: number for number, name in enumerate(names, first)}


def _times(reader: Reader, place: Place) -> Range:
    fields = reader.fields(place)
    begin, end = (reader.text(reader.at(fields, name)) for name in ("start_time", "end_time"))
    for text in (begin, end):
        if not _TIME.fullmatch(text):
            reader.fault(place, f"{shown(text)} is no time of the day from 00:00 to 24:00")
            return _NO_TIME
    span = _minute(begin), _minute(end)
    if span[0] >= span[1]:
        reader.fault(place, "ends before it begins")
    return span


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _range(reader: Reader, place: Place, names: Names, fault_of: Callable[[Range], str]) -> Range:
    """`first:last`, or one of them."""
    text = reader.text(place).lower()
    first, colon, last = text.partition(":")
    span = _member(first, names), _member(last if colon else first, names)
    if span[0] is None or span[1] is None:
        reader.fault(place, f"{shown(text)} is no range such as {_example(names)}")
        return _NO_TIME
    if fault := fault_of((span[0], span[1])):
        reader.fault(place, f"{shown(text)} {fault}")
    return span[0], span[1]


def _member(text: str, names: Names) -> int | None:
    if text in names:
        return names[text]
    if "sunday" in names or not _NUMBER.fullmatch(text):
        return None
    return int(text)


def _example(names: Names) -> str:
    return ":".join(list(names)[:2]) or "1:5"


def _order_fault(span: Range) -> str:
    return "ends before it begins" if span[0] > span[1] else ""


def _day_fault(span: Range) -> str:
    """Negative days count from the end of the month; a range that no month holds is a fault."""
    first, last = span
    if 0 in span or max(abs(first), abs(last)) > _LAST_DAY:
        return "is no day of a month"
    if first < 0 < last:
        return "ends after the month it begins before the end of"
    return _order_fault((_from_begin(first), _from_begin(last)))


def _from_begin(day: int) -> int:
    return day if day > 0 else _SHORTEST_MONTH + day
