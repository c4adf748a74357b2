"""The span of a page: what its URL means, and where its picker leads.

Holds: `web.pages.spans`.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import msgspec
import pytest

from alert_history.errors import InvalidQuery
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.page import environment
from alert_history.web.pages.spans import PRESETS, picker_of, span_of

NOW = datetime(2026, 11, 27, 22, 30, tzinfo=UTC)


def frame(tz: str = "Europe/Berlin", **parameters: str) -> Frame:
    return Frame(
        root="./", current="dashboard", nonce="n", tz=tz, zone=ZoneInfo(tz), now=NOW, here=list(parameters.items())
    )


def test_without_a_wish_it_is_the_last_day() -> None:
    span = span_of(None, None, frame())
    assert (span.since, span.until, span.name) == (NOW - timedelta(days=1), NOW, "-24h")
    assert span.parameters == {"since": "-24h"}


def test_a_time_without_a_zone_is_on_the_clocks_of_the_reader() -> None:
    span = span_of("2026-11-27T03:00", "2026-11-27T04:00", frame())
    assert (span.since, span.until) == (
        datetime(2026, 11, 27, 2, tzinfo=UTC),
        datetime(2026, 11, 27, 3, tzinfo=UTC),
    )
    assert span.parameters == {"since": "2026-11-27T02:00:00Z", "until": "2026-11-27T03:00:00Z"}
    assert span_of("2026-11-27", None, frame()).since == datetime(2026, 11, 26, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    "hour, minute, last, tonight",
    [
        (0, 10, "last night, 20:00 – 08:00", "tonight, so far, 20:00 – 00:10"),
        (3, 0, "last night, 20:00 – 08:00", "tonight, so far, 20:00 – 03:00"),
        (9, 0, "last night, 20:00 – 08:00", "last night, 20:00 – 08:00"),
    ],
)
def test_tonight_goes_on_and_last_night_is_over(hour: int, minute: int, last: str, tonight: str) -> None:
    here = msgspec.structs.replace(frame("UTC"), now=datetime(2026, 11, 28, hour, minute, tzinfo=UTC))
    assert (span_of("last-night", None, here).words, span_of("tonight", None, here).words) == (last, tonight)
    assert span_of("last-night", None, here).until <= here.now
    offered = [choice.words for choice in picker_of(span_of(None, None, here), here).choices]
    assert ("tonight, so far" in offered) == (hour < 8)


def test_last_night_is_the_night_of_the_reader_which_is_over() -> None:
    span = span_of("last-night", None, frame())
    assert (span.since, span.until) == (
        datetime(2026, 11, 26, 19, tzinfo=UTC),
        datetime(2026, 11, 27, 7, tzinfo=UTC),
    )
    assert span.words == "last night, 20:00 – 08:00"


def test_an_end_alone_shows_the_day_before_it() -> None:
    span = span_of(None, "2026-11-01T00:00:00Z", frame())
    assert (span.length, span.name) == (timedelta(days=1), "")


def test_an_end_of_today_has_its_date_where_the_begin_is_of_another_day() -> None:
    begin, end = "2026-11-26T10:00:00Z", "2026-11-27T22:00:00Z"
    assert span_of(begin, end, frame("UTC")).words == "26 Nov 10:00 – 27 Nov 22:00"
    assert span_of(begin, None, frame("UTC")).words == "26 Nov 10:00 – now"
    assert span_of("2026-11-27T10:00:00Z", end, frame("UTC")).words == "10:00 – 22:00"


@pytest.mark.parametrize("since, until", [("yesterday", None), ("now", "-1h"), ("-1h", "-1h"), ("2026-13-01", None)])
def test_a_wrong_time_is_named(since: str, until: str | None) -> None:
    with pytest.raises(InvalidQuery, match="since"):
        span_of(since, until, frame())


@pytest.mark.parametrize("text", ["-40000d", "0001-01-01T00:00:00Z", "2026-03-29T02:30"])
def test_a_time_at_the_edge_of_the_calendar_is_cut_and_a_skipped_one_is_a_time(text: str) -> None:
    assert span_of(text, None, frame()).since >= datetime(1971, 1, 1, tzinfo=UTC)


def test_a_time_that_no_history_has_is_said() -> None:
    before = span_of("-40000d", None, frame())
    assert before.note == "There is no history from before 1971: the span begins there."
    assert "from after 2200" in span_of("-1h", "9000-01-01", frame()).note
    assert span_of("1971-01-01", None, frame()).note == "", "all history"
    assert before.note in environment().from_string(
        '{% from "page/span.html.jinja" import span_picker %}{{ span_picker(picker) }}'
    ).render(picker=picker_of(before, frame()))


def test_links_keep_the_rest_of_the_page_and_change_the_span() -> None:
    here = frame(query='{a="b"}', since="-7d", cursor="x", count="open")
    picker = picker_of(span_of("-7d", None, here), here, without=("count",))
    assert [choice.words for choice in picker.choices if choice.is_current] == ["7 d"]
    assert len(picker.choices) == len(PRESETS)
    assert parse_qsl(picker.choices[0].href[1:]) == [("query", '{a="b"}'), ("since", "-1h")]
    assert picker.hidden == [("query", '{a="b"}')]


def test_all_ways_of_a_picker_lead_to_its_place_on_the_page() -> None:
    here = frame()
    picker = picker_of(span_of("2026-11-27T10:00:00Z", "2026-11-27T12:00:00Z", here), here, anchor="#lately")
    ways = [*(choice.href for choice in picker.choices), picker.earlier, picker.later, picker.wider, picker.anchor]
    assert all(way.endswith("#lately") for way in ways)
    assert picker_of(span_of("-6h", None, here), here, anchor="#lately").later == ""


def test_earlier_is_as_long_and_ends_where_the_span_begins_and_nothing_is_later_than_now() -> None:
    here = frame()
    picker = picker_of(span_of("2026-11-27T10:00:00Z", "2026-11-27T12:00:00Z", here), here)
    earlier, later, wider = (dict(parse_qsl(href[1:])) for href in (picker.earlier, picker.later, picker.wider))
    assert earlier == {"since": "2026-11-27T08:00:00Z", "until": "2026-11-27T10:00:00Z"}
    assert later == {"since": "2026-11-27T12:00:00Z", "until": "2026-11-27T14:00:00Z"}
    assert wider == {"since": "2026-11-27T09:00:00Z", "until": "2026-11-27T13:00:00Z"}
    assert picker_of(span_of("-6h", None, here), here).later == ""
    assert (picker.since, picker.until) == ("2026-11-27T11:00", "2026-11-27T13:00")
