"""The rows that the history page shows: a page of a table, rules, or lanes. Reads them; templates say how they look."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from alert_history.engine.analysis import Asked
from alert_history.engine.rule_groups import RuleGrouping, RuleGroups
from alert_history.errors import InvalidQuery
from alert_history.ports import History, HistoryPage, PageRequest, StoredAlert
from alert_history.web.pages.charts.lanes import Interval, Lanes, Line, lanes
from alert_history.web.pages.charts.scale import TimeScale, mark_of
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.history_columns import Column
from alert_history.web.pages.history_state import FINGERPRINT, State

ROWS = 25
MOST_RULES = 100
MOST_INTERVALS = 500
MOST_LANES = 40
MANY = 1_000
"""From so many alerts on, a table of single ones says little: the page suggests rules."""
_OPENED = 10
_LOOKS_BACK = timedelta(days=7)
"""Of alerts that have ended, those that began no longer before a span have lanes in it."""
_LONG = timedelta(days=400)
_SHORTEST = timedelta(minutes=1)
_NAME_LABELS = 3


class Heading(msgspec.Struct, frozen=True):
    """The head of a column. `state` is the one that a click leads to, None where nothing sorts by the column."""

    column: Column
    state: State | None
    order: Literal["ascending", "descending", "none"]


class Table(msgspec.Struct, frozen=True):
    """A page of alerts. `newer` and `older` are the states of the pages beside it, None where there is none.

    `takers` are who acknowledged, by the id of the alert.
    """

    page: HistoryPage
    headings: Sequence[Heading]
    columns: Sequence[Column]
    newer: State | None
    older: State | None
    is_many: bool
    takers: Mapping[str, Sequence[str]] = {}


class Opened(msgspec.Struct, frozen=True):
    """The newest occurrences of the rule that is opened; `is_cut` where it has more. `takers` as in `Table`."""

    rule: str
    alerts: Sequence[StoredAlert]
    is_cut: bool
    takers: Mapping[str, Sequence[str]] = {}


class LanesPart(msgspec.Struct, frozen=True):
    """The chart, and what it does not show: alerts that are not among the newest, and lanes for which there is no room.

    `is_cut`: there are more alerts. `others` is how many lanes there are beside.
    """

    chart: Lanes
    shown: int
    is_cut: bool
    others: int


async def read_table(history: History, asked: Asked, state: State) -> Table:
    """A page of the table. `newer` of a state is a cursor in the opposite order: its page is turned round."""
    if state.newer and state.cursor:
        raise InvalidQuery("cursor and newer exclude each other")
    if not state.newer:
        page = await history.page(asked.filter, PageRequest(limit=ROWS, cursor=state.cursor or None, sort=state.sort))
        newer, older = page.previous_cursor if state.cursor else None, page.next_cursor
    else:
        wanted = PageRequest(limit=ROWS, cursor=state.newer, sort=opposite(state.sort))
        page = await history.page(asked.filter, wanted)
        newer, older = page.next_cursor, page.previous_cursor
        page = msgspec.structs.replace(page, alerts=page.alerts[::-1])
    return Table(
        page=page,
        headings=[_heading(column, state) for column in state.columns],
        columns=state.columns,
        newer=state.changed(newer=newer) if newer else None,
        older=state.changed(cursor=older) if older else None,
        is_many=page.total >= MANY,
    )


async def read_rules(
    grouping: RuleGrouping, history: History, asked: Asked, *, state: State
) -> tuple[RuleGroups, Opened | None]:
    """The rules, and the newest occurrences of the one that is opened."""
    groups = await grouping.groups(asked, top=MOST_RULES)
    if state.open is None:
        return groups, None
    of_rule = msgspec.structs.replace(asked.filter, alertname=state.open)
    page = await history.page(of_rule, PageRequest(limit=_OPENED))
    return groups, Opened(state.open, page.alerts, page.next_cursor is not None)


async def read_lanes(history: History, asked: Asked, *, state: State, frame: Frame) -> LanesPart:
    """The newest alerts that fired in a span as lanes: one a fingerprint, or a value of a label; the newest on top."""
    page = await history.page(asked.filter, PageRequest(limit=MOST_INTERVALS))
    if page.next_cursor is None:
        page = msgspec.structs.replace(page, alerts=[*page.alerts, *await _began_before(history, asked, page, frame)])
    lines: dict[str, list[StoredAlert]] = {}
    for alert in page.alerts:
        lines.setdefault(_lane_of(alert, state.lane), []).append(alert)
    shown = list(lines.values())[:MOST_LANES]
    telling = _telling_labels([alerts[0] for alerts in shown])
    drawn = [_line(alerts, state.lane, frame, telling=telling) for alerts in shown]
    scale = _scale(asked, page, frame)
    chart = lanes(drawn, scale, title=f"Alerts by {state.lane}", now=frame.now)
    return LanesPart(chart, len(page.alerts), page.next_cursor is not None, max(len(lines) - MOST_LANES, 0))


async def _began_before(history: History, asked: Asked, page: HistoryPage, frame: Frame) -> list[StoredAlert]:
    """Alerts that fired in a span and were received before it, as many as have room; newest first.

    No index knows the status of a past moment: there the newest alerts before the span are looked at once, for both.
    """
    status, most = asked.filter.status, MOST_INTERVALS - len(page.alerts)
    before = msgspec.structs.replace(asked.filter, since=None, until=asked.since)
    known = {alert.id: alert for alert in page.alerts}
    looks_back = asked.since - _LOOKS_BACK
    earlier: dict[str, StoredAlert] = {}
    for wanted, since in ((status, None),) if frame.then else (("firing", None), ("resolved", looks_back)):
        if most < 1 or status not in {None, wanted}:
            continue
        condition = msgspec.structs.replace(before, status=wanted, since=since)
        alerts = (await history.page(condition, PageRequest(limit=MOST_INTERVALS))).alerts
        earlier |= {
            each.id: each
            for each in alerts
            if each.ends_at is None or (each.ends_at > asked.since and each.timestamp >= looks_back)
        }
    newest_first = sorted(earlier.values(), key=lambda alert: alert.timestamp, reverse=True)
    return [alert for alert in newest_first if alert.id not in known][:most]


def _scale(asked: Asked, page: HistoryPage, frame: Frame) -> TimeScale:
    """The time of the lanes: the span; where not all is drawn, or of a very long span, the part that is."""
    until = max(min(asked.until, frame.now), asked.since + _SHORTEST)
    is_whole = page.next_cursor is None and until - asked.since <= _LONG
    begins = [asked.since] if is_whole else [alert.starts_at for alert in page.alerts]
    since = max(asked.since, min(begins, default=asked.since))
    return TimeScale(min(since, until - _SHORTEST), until, frame.zone)


def opposite(sort: str) -> str:
    """The order from the other end."""
    return sort[1:] if sort.startswith("-") else f"-{sort}"


def _heading(column: Column, state: State) -> Heading:
    """A click sorts by the column, texts from A and times from the newest on; a second click turns that round."""
    if not column.sort:
        return Heading(column, None, "none")
    name = state.sort.removeprefix("-")
    if name == column.sort:
        order: Literal["ascending", "descending"] = "descending" if state.sort.startswith("-") else "ascending"
        return Heading(column, state.changed(sort=opposite(state.sort)), order)
    is_text = column.sort in {"status", "severity", "alertname", "namespace"}
    return Heading(column, state.changed(sort=column.sort if is_text else f"-{column.sort}"), "none")


def _lane_of(alert: StoredAlert, lane: str) -> str:
    return alert.fingerprint if lane == FINGERPRINT else alert.labels.get(lane, "")


def _telling_labels(alerts: Sequence[StoredAlert]) -> Mapping[str, list[str]]:
    """The labels that tell alerts of one name apart, by that name."""
    values: dict[str, dict[str, set[str]]] = {}
    for alert in alerts:
        of_name = values.setdefault(alert.alertname, {})
        for name, value in alert.labels.items():
            of_name.setdefault(name, set()).add(value)
    return {
        alertname: [name for name, texts in of_name.items() if len(texts) > 1][:_NAME_LABELS]
        for alertname, of_name in values.items()
    }


def _line(alerts: Sequence[StoredAlert], lane: str, frame: Frame, *, telling: Mapping[str, list[str]]) -> Line:
    """The lane of some alerts, newest first."""
    newest = alerts[0]
    intervals = [_interval(alert, frame) for alert in reversed(alerts)]
    if lane != FINGERPRINT:
        return Line(newest.labels.get(lane, ""), intervals, note=f"{len(alerts)}")
    names = telling[newest.alertname] or ["namespace"]
    note = " ".join(f"{name}={newest.labels[name]}" for name in names if name in newest.labels)
    return Line(newest.alertname, intervals, href=f"{frame.root}dashboard/alerts/{newest.id}", note=note)


def _interval(alert: StoredAlert, frame: Frame) -> Interval:
    end = frame.short(alert.ends_at) if alert.ends_at else ("then" if frame.then else "now")
    text = f"{alert.alertname}, {frame.short(alert.starts_at)} – {end}"
    href = f"{frame.root}dashboard/alerts/{alert.id}"
    return Interval(alert.starts_at, alert.ends_at, mark_of(alert.severity), text, href)
