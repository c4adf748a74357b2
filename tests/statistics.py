"""What a test of the statistics needs: a history at times that it names, and those who answer with numbers."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from alert_history.domain.calendar import zone
from alert_history.engine.analysis import Analysis, Asked, asked
from alert_history.engine.begun_series import BegunSeries
from alert_history.engine.facets import FacetCounting
from alert_history.engine.open_series import OpenSeries
from alert_history.engine.series import SeriesCounting
from alert_history.engine.series_parts import SeriesWish
from alert_history.engine.value_counts import ValueCounting
from alert_history.ports import Store
from tests.conformance.samples import NOW


class Answering(msgspec.Struct, frozen=True):
    """All that answer with numbers."""

    analysis: Analysis
    series: SeriesCounting
    facets: FacetCounting


def answering(store: Store) -> Answering:
    """Those on a store."""
    analysis = Analysis(store.analytics, store.rollups, clock=lambda: NOW)
    counting = ValueCounting(analysis, store.statistics)
    series = SeriesCounting(BegunSeries(analysis, counting), OpenSeries(analysis, store.statistics))
    return Answering(analysis, series, FacetCounting(counting))


def span(since: datetime, until: datetime, *, query: str = "", now: datetime = NOW) -> Asked:
    """What was received from one time until before another."""
    return asked(query, since.isoformat(), until.isoformat(), now=now)


def wish(tz: str = "UTC", **more: object) -> SeriesWish:
    """A wish for a series."""
    return msgspec.structs.replace(SeriesWish(zone(tz), tz), **more)


def sums(rows: Sequence[Sequence[int]]) -> list[int]:
    """The sums of rows, place by place."""
    return [sum(column) for column in zip(*rows, strict=True)]
