"""The span of time that a page shows, and the picker that chooses another: `since` and `until` in the URL.

A span is relative (`since=-24h`), a night (`since=last-night`, which is over, or `since=tonight`, which goes on), or
absolute. A time without a zone, as the fields of
the picker send it, is on the clocks of the reader.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from alert_history.domain.night_span import finished_night, night_of, running_night
from alert_history.domain.query import parse_query
from alert_history.engine.analysis import Asked
from alert_history.errors import InvalidQuery
from alert_history.ports import HistoryFilter
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.reader_time import read_time

LAST_NIGHT = "last-night"
TONIGHT = "tonight"
DEFAULT = "-24h"
PRESETS: Mapping[str, str] = {
    "-1h": "1 h",
    "-6h": "6 h",
    "-24h": "24 h",
    "-7d": "7 d",
    "-30d": "30 d",
    "-90d": "90 d",
    LAST_NIGHT: "last night",
    TONIGHT: "tonight, so far",
}
"""Texts of `since`, and their words. Tonight is offered while a night goes on; by day it means last night."""

_WORDS = {
    "-1h": "the last hour",
    "-6h": "the last 6 hours",
    "-24h": "the last 24 hours",
    "-7d": "the last 7 days",
    "-30d": "the last 30 days",
    "-90d": "the last 90 days",
}
_EARLIEST, _LATEST = datetime(1971, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_SHORTEST = timedelta(minutes=1)
_NOT_KEPT = frozenset({"since", "until", "part", "cursor"})


class Choice(NamedTuple):
    """A link of the picker."""

    words: str
    href: str
    is_current: bool


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """From `since` until before `until`, aware UTC. `name` is its preset, empty for other spans.

    `note` says where it is not the span that was asked for; empty where it is. `is_past`: its reader looks at the past.
    """

    since: datetime
    until: datetime
    now: datetime
    name: str
    words: str
    note: str = ""
    is_past: bool = False

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.until - self.since

    @property
    def parameters(self) -> dict[str, str]:
        """What a link to another page takes along: that page shows the same span."""
        return {"since": self.name} if self.name else absolute(self.since, self.until)

    def asked(self, query: str = "", *, wanted: HistoryFilter | None = None) -> Asked:
        """What the statistics are asked for. Raises InvalidQuery naming what is wrong in the query."""
        wanted = msgspec.structs.replace(wanted or HistoryFilter(), query=parse_query(query))
        return Asked(wanted, self.since, self.until, self.now, self.is_past)


class Picker(msgspec.Struct, frozen=True, kw_only=True):
    """The picker of a span: links, and a form whose `hidden` fields keep the rest of the page's URL.

    `anchor` is `#` and the place of the page to which all of them lead, or empty.
    """

    choices: Sequence[Choice]
    earlier: str
    later: str
    wider: str
    hidden: Sequence[tuple[str, str]]
    since: str
    until: str
    words: str
    is_absolute: bool
    anchor: str = ""
    note: str = ""


def span_of(since: str | None, until: str | None, frame: Frame, *, default: str = DEFAULT) -> Span:
    """The span that the parameters of a page ask for. Raises InvalidQuery naming the parameter that is wrong."""
    text = since or default if not until or since else None
    if text in (LAST_NIGHT, TONIGHT):
        return _night(frame, is_tonight=text == TONIGHT)
    asked_end = _time(until, frame, of="until") if until else frame.now
    end = _within(asked_end)
    end, ahead = _until_moment(end, frame)
    asked_begin = end - timedelta(days=1) if text is None else _time(text, frame, of="since")
    begin = _within(asked_begin)
    if end - begin < _SHORTEST:
        raise InvalidQuery("since: it is not at least a minute before until")
    name = text if text is not None and not until and text in PRESETS else ""
    words = _WORDS.get(name) or f"{frame.short(begin)} – {_end_words(begin, end, frame) if until else 'now'}"
    note = _note(asked_begin, asked_end) or ahead
    return Span(
        since=begin, until=end, now=frame.now, name=name, words=words, note=note, is_past=frame.then is not None
    )


def _until_moment(end: datetime, frame: Frame) -> tuple[datetime, str]:
    """The end of a span, for who looks at the past no later than the moment; and what is said where that is earlier."""
    if frame.travel is None or end <= frame.now:
        return end, ""
    return frame.now, "The span ends at the moment that you look at."


def _end_words(begin: datetime, end: datetime, frame: Frame) -> str:
    """The end of a span: with its date where it is today and the begin is not."""
    is_today = frame.local(end).date() == frame.local(frame.now).date() != frame.local(begin).date()
    return frame.local(end).strftime("%d %b %H:%M") if is_today else frame.short(end)


def picker_of(span: Span, frame: Frame, *, without: Collection[str] = (), anchor: str = "") -> Picker:
    """The picker of a page. Its links keep the parameters of the page, but for those that are to be left out."""
    carried = _kept(frame, without)
    offered = {text: words for text, words in PRESETS.items() if text != TONIGHT or _tonight(frame) is not None}
    length = span.length

    def href(parameters: Mapping[str, str]) -> str:
        return _href(carried, parameters) + anchor

    return Picker(
        choices=[Choice(words, href({"since": text}), text == span.name) for text, words in offered.items()],
        earlier=href(absolute(span.since - length, span.since)),
        later=href(absolute(span.until, span.until + length)) if span.until + _SHORTEST < span.now else "",
        wider=href(absolute(span.since - length / 2, min(span.until + length / 2, span.now))),
        hidden=carried,
        since=_wall(span.since, frame),
        until=_wall(span.until, frame),
        words=span.words,
        is_absolute=not span.name,
        anchor=anchor,
        note=span.note,
    )


def here(frame: Frame, **parameters: str) -> str:
    """A link to the same page, where these parameters replace its own, and its span."""
    return _href(_kept(frame, parameters), parameters)


def absolute(since: datetime, until: datetime) -> dict[str, str]:
    """Parameters of an absolute span, to the second."""
    return {name: f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for name, time in (("since", since), ("until", until))}


def _kept(frame: Frame, without: Collection[str]) -> list[tuple[str, str]]:
    return [pair for pair in frame.here if pair[0] not in _NOT_KEPT and pair[0] not in without]


def _href(kept: Sequence[tuple[str, str]], parameters: Mapping[str, str]) -> str:
    return "?" + urlencode([*kept, *parameters.items()])


def _time(text: str, frame: Frame, *, of: str) -> datetime:
    """A time of the URL; without a zone it is on the reader's clocks."""
    return read_time(text, frame.zone, now=frame.now, of=of)


def _within(time: datetime) -> datetime:
    return max(_EARLIEST, min(time, _LATEST))


def _note(begin: datetime, end: datetime) -> str:
    """What is said of times that no history has; on the clocks of a reader the first day may begin in 1970."""
    if begin < _EARLIEST - timedelta(days=1):
        return f"There is no history from before {_EARLIEST.year}: the span begins there."
    if end > _LATEST + timedelta(days=1):
        return f"There is no history from after {_LATEST.year}: the span ends there."
    return ""


def _wall(time: datetime, frame: Frame) -> str:
    """As a field of type datetime-local has it."""
    return frame.local(time).strftime("%Y-%m-%dT%H:%M")


def _night(frame: Frame, *, is_tonight: bool) -> Span:
    """The night that goes on, until now, where that is asked for and there is one; else the newest that is over."""
    evening = _tonight(frame) if is_tonight else None
    name = LAST_NIGHT if evening is None else TONIGHT
    night = night_of(evening or finished_night(frame.now, frame.zone), frame.zone)
    until = min(night.until, frame.now)
    words = f"{PRESETS[name]}, {frame.local(night.since):%H:%M} – {frame.local(until):%H:%M}"
    return Span(since=night.since, until=until, now=frame.now, name=name, words=words, is_past=frame.then is not None)


def _tonight(frame: Frame) -> date | None:
    """The date of the night that goes on; None by day, and in its first minute, which is too short for a span."""
    evening = running_night(frame.now, frame.zone)
    return evening if evening == running_night(frame.now - _SHORTEST, frame.zone) else None
