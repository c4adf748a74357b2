"""Grafana's history, window by window from its beginning to its end, because its calls know a limit and no next page.

A window that holds as many rows as a call gives is halved; after one that holds few the next is twice as long.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.past_firing import RefusedRow
from alert_history.errors import ImportFault
from alert_history.origins.imports.grafana_states import (
    Annotation,
    BadState,
    Change,
    Frame,
    change_of_annotation,
    change_of_line,
)
from alert_history.origins.imports.http import Server
from alert_history.ports.past_origins import ImportRequest

LIMIT = 1000
"""How many rows a call is asked for."""

MOST_OF_ONE_TIME = 100_000
"""How many rows of one time are asked for, where these can't be told apart by windows."""

_DAY_MS = 86_400_000
_LONGEST_LINES_S = 7 * 86_400
"""Grafana asks Loki for no more than 30 days at once, and leaves out the rest unsaid."""

_LINES_BACK = timedelta(days=365)
"""How far back lines are asked for where nobody says it. Annotations are asked for from 1970 on."""

_ANNOTATIONS = "/api/annotations"
_LINES = "/api/v1/rules/history"

Rows = list[Change | RefusedRow]
Ask = Callable[[int, int, int], Awaitable[list[Any]]]
"""Asks for the rows from one time to another, both included, and at most so many."""


class Window(msgspec.Struct, frozen=True):
    """The rows of one window in the order of their times, and the time and the share up to which all is read."""

    rows: Rows
    until: datetime
    done: float


async def annotation_windows(server: Server, request: ImportRequest) -> AsyncIterator[Window]:
    """The changes that annotations tell. Raises: OriginUnavailable, ImportFault."""

    async def ask(begin: int, end: int, limit: int) -> list[msgspec.Raw]:
        params = {"type": "alert", "from": begin, "to": end, "limit": limit}
        rows: list[msgspec.Raw] = await server.get_json(_ANNOTATIONS, params, type_=list[msgspec.Raw])
        return rows

    first = 1 if request.start is None else max(to_us(request.start) // 1000, 1)
    last = to_us(request.now) // 1000
    oldest = None if request.start is None else first
    async for begin, end, raws in _windows(ask, first=first, last=last, width=_DAY_MS, longest=last):
        rows = _annotation_rows(raws, begin=begin, end=end)
        oldest = begin if oldest is None and rows else oldest
        yield _window(rows, until_us=end * 1000 + 999, first_us=(oldest or end) * 1000, request=request)


async def line_windows(server: Server, request: ImportRequest) -> AsyncIterator[Window]:
    """The changes that Loki keeps. Raises: OriginUnavailable, ImportFault."""

    async def ask(begin: int, end: int, limit: int) -> list[Any]:
        frame = await server.get_json(_LINES, {"from": begin, "to": end + 1, "limit": limit}, type_=Frame)
        try:
            return list(frame.rows())
        except (BadState, ValueError) as bad:
            raise ImportFault(f"{server.url}{_LINES}: {bad}") from None

    first = to_us(request.start or request.now - _LINES_BACK) // 1_000_000
    last = to_us(request.now) // 1_000_000
    windows = _windows(ask, first=first, last=last, width=_DAY_MS // 1000, longest=_LONGEST_LINES_S)
    async for begin, end, lines in windows:
        rows = _line_rows(lines, begin=begin, end=end)
        yield _window(rows, until_us=end * 1_000_000 + 999_999, first_us=first * 1_000_000, request=request)


async def _windows(
    ask: Ask, *, first: int, last: int, width: int, longest: int
) -> AsyncIterator[tuple[int, int, list[Any]]]:
    """Windows with all their rows, without a gap between them. Raises: ImportFault for too many rows of one time."""
    begin = first
    while begin <= last:
        end = min(begin + width - 1, last)
        rows = await ask(begin, end, LIMIT)
        if len(rows) >= LIMIT and end > begin:
            width = (end - begin + 1) // 2
            continue
        if len(rows) >= LIMIT:
            rows = await ask(begin, end, MOST_OF_ONE_TIME)
            if len(rows) >= MOST_OF_ONE_TIME:
                raise ImportFault(f"Grafana has more than {MOST_OF_ONE_TIME} changes of one time, {begin}")
        yield begin, end, rows
        begin = end + 1
        if len(rows) < LIMIT // 4:
            width = min(width * 2, longest)


def _window(rows: Rows, *, until_us: int, first_us: int, request: ImportRequest) -> Window:
    last_us = to_us(request.now)
    until_us = min(until_us, last_us)
    share = 1.0 if until_us == last_us else (until_us - first_us) / max(last_us - first_us, 1)
    return Window(rows, request.now - timedelta(microseconds=last_us - until_us), min(max(share, 0.0), 1.0))


def _annotation_rows(raws: list[msgspec.Raw], *, begin: int, end: int) -> Rows:
    """The changes of a window, oldest first. What reaches into it from another window is of that one."""
    read: list[tuple[int, int, Change | RefusedRow]] = []
    for raw in raws:
        try:
            annotation = msgspec.json.decode(raw, type=Annotation)
            if begin <= annotation.time <= end:
                read.append((annotation.time, annotation.id, change_of_annotation(annotation)))
        except (BadState, ValueError) as bad:
            read.append((begin, 0, RefusedRow(_place(raw), str(bad), bytes(raw))))
    read.sort(key=lambda row: row[:2])
    return [row for _, _, row in read]


def _place(raw: msgspec.Raw) -> str:
    """The id of an annotation that can't be read."""
    try:
        return f"annotation {msgspec.json.decode(raw)['id']}"
    except (ValueError, LookupError, TypeError):
        return "an annotation"


def _line_rows(lines: list[tuple[datetime, Any]], *, begin: int, end: int) -> Rows:
    rows: Rows = []
    for at, line in sorted(lines, key=lambda row: row[0]):
        if not begin <= to_us(at) // 1_000_000 <= end:
            continue
        try:
            rows.append(change_of_line(at, line))
        except BadState as bad:
            raw = line.encode("utf-8", "replace") if isinstance(line, str) else msgspec.json.encode(line)
            rows.append(RefusedRow(f"the line of {at.isoformat()}", str(bad), raw))
    return rows
