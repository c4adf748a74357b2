"""Which alerts a silence muted, from when to when: as an event recorder or a poll told, or else by what it matches.

Reads so many alerts and no more; what is left out is said.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.silencing import Silencing
from alert_history.domain.occurrence import ENDINGS
from alert_history.domain.query import parse_query
from alert_history.domain.silence_matching import queries_of
from alert_history.errors import NotFound
from alert_history.ports import History, HistoryFilter, PageRequest, Silences, StoredAlert, StoredEvent

MOST_TOLD = 20
MOST_MATCHED = 100
_MOST_QUERIES = 5
_MOST_EVENTS = 500
_LOOKS_BACK = timedelta(days=7)

Way = Literal["told", "matched"]


class MutedSpan(msgspec.Struct, frozen=True):
    """A silence muted an alert from `begin` until `end`; None while it does.

    `way` is how that is known: `told`, by an event recorder or a poll, whose first word may come a while after the
    silence took hold; `matched`: the labels match while both were in force, and nobody told of it.
    """

    id: str
    alertname: str
    severity: str
    begin: datetime
    end: datetime | None
    way: Way


class Mutings(msgspec.Struct, frozen=True):
    """What a silence muted, the newest first; `left_out` says in sentences what was not looked at."""

    spans: Sequence[MutedSpan]
    left_out: Sequence[str] = ()


class SilenceMutings:
    """Answers by a history, as it is or as of a moment. May raise StorageUnavailable or QueryTimeout."""

    def __init__(self, silences: Silences, history: History) -> None:
        self._silences = silences
        self._history = history

    async def of(self, versions: Sequence[Silence], *, now: datetime) -> Mutings:
        """What one silence muted by now. The versions are all of it, the oldest first."""
        told, told_is_cut = await self._told(versions[-1], now)
        candidates, left_out = await self._candidates(versions, now)
        known = {span.id for span in told}
        others = [each for each in candidates if each.id not in known]
        matched = await asyncio.to_thread(lambda: list(_matched(versions, others, now)))
        spans = sorted([*told, *matched], key=lambda span: (span.begin, span.id), reverse=True)
        if told_is_cut:
            left_out = [f"of the alerts that events say it muted, more than the newest {MOST_TOLD}", *left_out]
        return Mutings(spans, left_out)

    async def _told(self, silence: Silence, now: datetime) -> tuple[list[MutedSpan], bool]:
        muted = (await self._silences.muted([silence.id], newest=MOST_TOLD)).get(silence.id)
        if muted is None:
            return [], False
        spans = await asyncio.gather(*(self._told_of(each.occurrence_id, silence, now) for each in muted.newest))
        return [span for own in spans for span in own], muted.number > len(muted.newest)

    async def _told_of(self, occurrence_id: str, silence: Silence, now: datetime) -> list[MutedSpan]:
        try:
            alert, events = await asyncio.gather(
                self._history.find(occurrence_id), self._history.timeline(occurrence_id, newest=_MOST_EVENTS)
            )
        except NotFound:  # retention took it meanwhile, or it is beyond the reach of who calls
            return []
        return list(told_spans(alert, events, silence, now=now))

    async def _candidates(self, versions: Sequence[Silence], now: datetime) -> tuple[list[StoredAlert], list[str]]:
        """Alerts that match a version and were received while it was in force, or shortly before."""
        texts = dict.fromkeys(pair for version in versions for pair in queries_of(version))
        queries = [text for text, is_query in texts if is_query][:_MOST_QUERIES]
        left_out = [] if len(queries) == len(texts) else ["what matchers match that our query language can't say"]
        begin, end = min(each.starts_at for each in versions), min(max(each.ends_at for each in versions), now)
        if begin >= end:
            return [], left_out
        pages = await asyncio.gather(*(self._page(text, begin - _LOOKS_BACK, end) for text in queries))
        if any(is_cut for _, is_cut in pages):
            left_out.append(f"of the alerts that it matches, more than the newest {MOST_MATCHED}")
        left_out.append(f"what it matches that was received more than {_LOOKS_BACK.days} days before it began")
        return list({each.id: each for alerts, _ in pages for each in alerts}.values()), left_out

    async def _page(self, text: str, since: datetime, until: datetime) -> tuple[list[StoredAlert], bool]:
        wanted = HistoryFilter(query=parse_query(text), since=since, until=until)
        page = await self._history.page(wanted, PageRequest(limit=MOST_MATCHED))
        return page.alerts, page.next_cursor is not None


def told_spans(
    alert: StoredAlert, events: Sequence[StoredEvent], silence: Silence, *, now: datetime
) -> Iterator[MutedSpan]:
    """When a silence muted an alert, as its events say, oldest first; what ends it is told, or one of both ends."""
    begin: datetime | None = None
    for event in events:
        is_begin = event.kind == "silenced" and (event.detail or {}).get("silence_id") == silence.id
        if is_begin and begin is None:
            begin = event.at
        elif begin is not None and not is_begin and (event.kind == "unsilenced" or event.kind in ENDINGS):
            yield _span(alert, begin, event.at, "told")
            begin = None
    if begin is not None:
        yield _span(alert, begin, _end(alert, silence.ends_at, now), "told")


def _matched(versions: Sequence[Silence], alerts: Collection[StoredAlert], now: datetime) -> Iterator[MutedSpan]:
    silencing = Silencing(versions)
    for alert in alerts:
        for begin, end in _together((span.begin, span.end) for span in silencing.spans(alert.labels)):
            own_begin, own_end = max(begin, alert.starts_at), _end(alert, end, now)
            if own_begin <= now and (own_end is None or own_begin < own_end):
                yield _span(alert, own_begin, own_end, "matched")


def _together(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Spans of which those that touch are one: an edit interrupts no muting."""
    joined: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def _span(alert: StoredAlert, begin: datetime, end: datetime | None, way: Way) -> MutedSpan:
    return MutedSpan(alert.id, alert.alertname, alert.severity, begin, None if end is None else max(begin, end), way)


def _end(alert: StoredAlert, silence_ends_at: datetime, now: datetime) -> datetime | None:
    """When both were in force no more; None while they are."""
    end = silence_ends_at if alert.ends_at is None else min(alert.ends_at, silence_ends_at)
    return end if end <= now else None
