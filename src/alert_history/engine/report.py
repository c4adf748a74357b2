"""The report: how many alerts a span had, which came most, and which flapped. It is read from the occurrences alone.

The newest days are read first. A span that would take too long is cut, and the answer says where.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from time import monotonic

import msgspec
from msgspec import UNSET, UnsetType

from alert_history.domain.covers import Covers
from alert_history.domain.flap_rules import OursRule, reach
from alert_history.domain.flapping import Flapping, flapping_among
from alert_history.domain.microseconds import to_us
from alert_history.domain.tally import DAY_US, SECOND_US
from alert_history.engine.analysis import Analysis, Asked
from alert_history.engine.reach import is_narrowed
from alert_history.ports import LabelSet, Statistics

_READ_SECONDS = 3.0
_DAY = timedelta(days=1)
_MANY = 100_000
"""Of longer pieces, none with more occurrences is read at once."""
_MOST_JUDGED = 2_000
_LATE = timedelta(hours=1)
"""So much later than it began an occurrence may have been received, to be judged with the span."""
_MINUTE_US = 60 * SECOND_US


class ReportPeriod(msgspec.Struct, frozen=True):
    """From `since` until before `until`, aware UTC."""

    since: datetime
    until: datetime


class ReportChange(msgspec.Struct, frozen=True):
    """How much more it is in the span that was asked for; null where one of both is not known."""

    total_alerts: int
    unique_alerts: int
    flapping_alerts: int
    avg_duration_minutes: float | None


class ReportSummary(msgspec.Struct, frozen=True):
    """`total_alerts` are the occurrences that began in the period, `unique_alerts` their label sets.

    `flapping_alerts` are the label sets that flapped, also those that the list does not show. `avg_duration_minutes` is
    the mean of those that ended; null where none did. Only in `compared`: `change`.
    """

    total_alerts: int
    unique_alerts: int
    flapping_alerts: int
    avg_duration_minutes: float | None
    period: ReportPeriod
    change: ReportChange | UnsetType = UNSET


class TopAlert(msgspec.Struct, frozen=True):
    """A rule in a namespace: `event_count` occurrences of `unique_alerts` label sets began.

    `last_seen` is when one of them was last received, `severity` its severity then. Only in `compared`: `change` is how
    many more there are in the span that was asked for.
    """

    alertname: str
    namespace: str
    severity: str
    event_count: int
    unique_alerts: int
    last_seen: datetime | None
    change: int | UnsetType = UNSET


class FlappingAlert(msgspec.Struct, frozen=True):
    """A label set that flapped: `flap_count` starts and ends in the period, up to `worst_count` of them in an hour."""

    alertname: str
    namespace: str
    severity: str
    fingerprint: str
    flap_count: int
    worst_count: int
    event_count: int
    last_seen: datetime


class Report(msgspec.Struct, frozen=True):
    """The report of a period; lists begin with most.

    `compared` is the report of the span before, with the same `top_alerts` in the same order.
    """

    summary: ReportSummary
    top_alerts: Sequence[TopAlert]
    flapping_alerts: Sequence[FlappingAlert]
    covers: Covers
    compared: "Report | None" = None


class Reporting:
    """Answers with reports. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analysis: Analysis, statistics: Statistics) -> None:
        self._analysis = analysis
        self._statistics = statistics

    async def report(self, asked: Asked, *, top: int, min_flap: int, is_compared: bool = False) -> Report:
        """The report of a span; a label set flaps if it has `min_flap` changes within an hour."""
        rule = OursRule(limit=min_flap - 1)
        report = await self._report(asked, rule, top=top, shown=None)
        if not is_compared:
            return report
        covered = msgspec.structs.replace(asked, since=report.covers.since, until=report.covers.until)
        before = await self._report(covered.before, rule, top=top, shown=report.top_alerts)
        return msgspec.structs.replace(report, compared=_compared(report, before))

    async def _report(self, asked: Asked, rule: OursRule, *, top: int, shown: Sequence[TopAlert] | None) -> Report:
        since, label_sets = await self._read(asked)
        covered = msgspec.structs.replace(asked, since=since)
        flapping, covers = await self._flapping(covered, rule, label_sets, _covers(self._analysis, covered, asked))
        tops = await asyncio.to_thread(_tops, label_sets.values())
        return Report(
            _summary(label_sets.values(), covered, flapping=len(flapping)),
            tops[:top] if shown is None else _same(tops, shown),
            [_flapping_alert(each, label_sets[each.fingerprint]) for each in flapping[:top]],
            covers,
        )

    async def _read(self, asked: Asked) -> tuple[datetime, dict[str, LabelSet]]:
        """The label sets of the span, and the time from which on they were read: as much as some seconds allow."""
        label_sets: dict[str, LabelSet] = {}
        end = monotonic() + _READ_SECONDS
        length, until = _DAY, asked.until
        while until > asked.since and monotonic() < end:
            since = asked.since if until - asked.since <= length else until - length
            about = await self._about(since, until)
            if about > _MANY and length > _DAY:
                length /= 2
                continue
            piece = msgspec.structs.replace(asked, since=since, until=until)
            await asyncio.to_thread(_merge, label_sets, await self._statistics.label_sets(piece.filter))
            length = length * 2 if about < _MANY / 2 else length
            until = since
        return until, label_sets

    async def _about(self, since: datetime, until: datetime) -> int:
        """About how many occurrences were received, whatever they are; 0 for who sees some of them only."""
        if is_narrowed():
            return 0
        sums = await self._analysis.analytics.sums(
            "all", first_day=to_us(since) // DAY_US, last_day=to_us(until) // DAY_US
        )
        return sum(each.begun for each in sums.values())

    async def _flapping(
        self, asked: Asked, rule: OursRule, label_sets: Mapping[str, LabelSet], covers: Covers
    ) -> tuple[list[Flapping], Covers]:
        """The label sets that flapped, most changes first, and what the answer covers then."""
        names = await self._suspects(asked, rule, label_sets)
        if len(names) > _MOST_JUDGED:
            note = f"whether more than {_MOST_JUDGED} label sets flapped: those that began again most often are judged"
            covers = msgspec.structs.replace(covers, is_exact=False, left_out=(*covers.left_out, note))
        since = asked.since - reach(rule) - _LATE
        episodes = await self._analysis.analytics.episodes_of(names[:_MOST_JUDGED], since=since, until=asked.until)
        flapping = await asyncio.to_thread(
            flapping_among,
            [each for of_name in episodes.values() for each in of_name],
            rule,
            since=asked.since,
            until=asked.until,
            now=asked.now,
        )
        return [each for each in flapping if each.changes > rule.limit], covers

    async def _suspects(self, asked: Asked, rule: OursRule, label_sets: Mapping[str, LabelSet]) -> list[str]:
        """The label sets that may have flapped, those that began again soon most often first.

        So many changes within an hour are half as many starts within an hour after an end. Where rollups may not tell
        how often label sets began again, all may have flapped.
        """
        least = rule.limit // 2
        if not least or is_narrowed():
            return sorted(label_sets, key=lambda name: (-label_sets[name].occurrences, name))
        first_day, last_day = to_us(asked.since - reach(rule)) // DAY_US, to_us(asked.until) // DAY_US
        again = await self._analysis.analytics.again(first_day=first_day, last_day=last_day, least=least)
        return sorted(again.keys() & label_sets.keys(), key=lambda name: (-again[name], name))


def _covers(analysis: Analysis, covered: Asked, asked: Asked) -> Covers:
    covers = analysis.covers(covered, "occurrences")
    if covered.since == asked.since:
        return covers
    note = f"what was first received before {covered.since.isoformat()}: to read it would have taken too long"
    return msgspec.structs.replace(covers, is_exact=False, left_out=(note,))


def _merge(label_sets: dict[str, LabelSet], some: Iterable[LabelSet]) -> None:
    for each in some:
        before = label_sets.get(each.fingerprint)
        label_sets[each.fingerprint] = each if before is None else _added(before, each)


def _added(label_set: LabelSet, other: LabelSet) -> LabelSet:
    return msgspec.structs.replace(
        label_set,
        occurrences=label_set.occurrences + other.occurrences,
        ended=label_set.ended + other.ended,
        length_us=label_set.length_us + other.length_us,
        last_seen=max(label_set.last_seen, other.last_seen),
    )


def _summary(label_sets: Iterable[LabelSet], asked: Asked, *, flapping: int) -> ReportSummary:
    total = unique = ended = length_us = 0
    for each in label_sets:
        unique += 1
        total += each.occurrences
        ended += each.ended
        length_us += each.length_us
    minutes = length_us / ended / _MINUTE_US if ended else None
    return ReportSummary(total, unique, flapping, minutes, ReportPeriod(asked.since, asked.until))


def _tops(label_sets: Iterable[LabelSet]) -> list[TopAlert]:
    """All rules in their namespaces, those with most occurrences first, then by name."""
    rules: dict[tuple[str, str], list[LabelSet]] = {}
    for each in label_sets:
        rules.setdefault((each.alertname, each.namespace), []).append(each)
    tops = [_top(alertname, namespace, own) for (alertname, namespace), own in rules.items()]
    return sorted(tops, key=lambda top: (-top.event_count, top.alertname, top.namespace))


def _top(alertname: str, namespace: str, own: Sequence[LabelSet]) -> TopAlert:
    newest = max(own, key=lambda each: (each.last_seen, each.fingerprint))
    event_count = sum(each.occurrences for each in own)
    return TopAlert(alertname, namespace, newest.severity, event_count, len(own), newest.last_seen)


def _same(tops: Sequence[TopAlert], shown: Sequence[TopAlert]) -> list[TopAlert]:
    """The rules that are shown, as they are among others; with nothing where they are not."""
    known = {(top.alertname, top.namespace): top for top in tops}
    nothing = {"event_count": 0, "unique_alerts": 0, "last_seen": None}
    return [known.get((top.alertname, top.namespace)) or msgspec.structs.replace(top, **nothing) for top in shown]


def _flapping_alert(flapping: Flapping, label_set: LabelSet) -> FlappingAlert:
    return FlappingAlert(
        label_set.alertname,
        label_set.namespace,
        label_set.severity,
        label_set.fingerprint,
        flap_count=flapping.changes,
        worst_count=flapping.worst_changes or 0,
        event_count=label_set.occurrences,
        last_seen=label_set.last_seen,
    )


def _compared(now: Report, before: Report) -> Report:
    tops = [
        msgspec.structs.replace(of_before, change=of_now.event_count - of_before.event_count)
        for of_now, of_before in zip(now.top_alerts, before.top_alerts, strict=True)
    ]
    change = _change(now.summary, before.summary)
    return msgspec.structs.replace(
        before, top_alerts=tops, summary=msgspec.structs.replace(before.summary, change=change)
    )


def _change(now: ReportSummary, before: ReportSummary) -> ReportChange:
    is_known = now.avg_duration_minutes is not None and before.avg_duration_minutes is not None
    return ReportChange(
        now.total_alerts - before.total_alerts,
        now.unique_alerts - before.unique_alerts,
        now.flapping_alerts - before.flapping_alerts,
        (now.avg_duration_minutes or 0.0) - (before.avg_duration_minutes or 0.0) if is_known else None,
    )
