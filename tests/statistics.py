"""What a test of the statistics needs: a history at times that it names, and those who answer with numbers."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from alert_history.domain.calendar import zone
from alert_history.engine.analysis import Analysis, Asked, asked
from alert_history.engine.begun_series import BegunSeries
from alert_history.engine.durations import DurationCounting
from alert_history.engine.facets import FacetCounting
from alert_history.engine.heatmap import HeatmapCounting
from alert_history.engine.open_series import OpenSeries
from alert_history.engine.report import Reporting
from alert_history.engine.series import SeriesCounting
from alert_history.engine.series_parts import SeriesWish
from alert_history.engine.value_counts import ValueCounting
from alert_history.ports import HistoryFilter, Store
from tests.conformance.samples import NOW, alert, receipt


class Answering(msgspec.Struct, frozen=True):
    """All that answer with numbers."""

    analysis: Analysis
    series: SeriesCounting
    facets: FacetCounting
    heatmap: HeatmapCounting
    durations: DurationCounting
    reporting: Reporting


class Firing(msgspec.Struct, frozen=True):
    """An alert that fires from one time to another; None: it fires still."""

    name: str
    begins: datetime
    ends: datetime | None = None
    labels: dict[str, str] = {}


async def record(store: Store, *firings: Firing) -> None:
    """Record them, each received when it begins, and when it ends; all in the order of time."""
    receipts = []
    for each in firings:
        receipts.append(receipt(alert(each.name, starts_at=each.begins, labels=each.labels), at=each.begins))
        if each.ends is not None:
            over = alert(each.name, "resolved", starts_at=each.begins, ends_at=each.ends, labels=each.labels)
            receipts.append(receipt(over, at=each.ends))
    await store.recorder.commit(sorted(receipts, key=lambda each: each.received_at))


def answering(store: Store) -> Answering:
    """Those on a store."""
    analysis = Analysis(store.analytics, store.rollups, clock=lambda: NOW)
    counting = ValueCounting(analysis, store.statistics)
    series = SeriesCounting(BegunSeries(analysis, counting), OpenSeries(analysis, store.statistics))
    return Answering(
        analysis,
        series,
        FacetCounting(counting),
        HeatmapCounting(analysis),
        DurationCounting(analysis),
        Reporting(analysis, store.statistics),
    )


def span(
    since: datetime,
    until: datetime,
    *,
    query: str = "",
    now: datetime = NOW,
    wanted: HistoryFilter | None = None,
) -> Asked:
    """What was received from one time until before another."""
    return asked(query, since.isoformat(), until.isoformat(), now=now, wanted=wanted)


def wish(tz: str = "UTC", **more: object) -> SeriesWish:
    """A wish for a series."""
    return msgspec.structs.replace(SeriesWish(zone(tz), tz), **more)


def sums(rows: Sequence[Sequence[int]]) -> list[int]:
    """The sums of rows, place by place."""
    return [sum(column) for column in zip(*rows, strict=True)]
