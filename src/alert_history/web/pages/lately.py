"""The parts of the page "Now and lately" that are about a span: over time, noisy rules, flapping, deliveries, changes.

Each part is a coroutine that answers HTML; `engine` counts, `charts` has the geometry.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from alert_history.domain.flap_rules import FlapRule
from alert_history.domain.interruptions import Hours
from alert_history.domain.noise import RuleNoise
from alert_history.engine.delivery_counts import DeliveryCounting
from alert_history.engine.flapping_alerts import FlappingAlerts
from alert_history.engine.heatmap import HeatmapCounting
from alert_history.engine.noise_scores import NoiseScores
from alert_history.engine.reach import is_narrowed
from alert_history.engine.series import SeriesAnswer, SeriesCounting
from alert_history.engine.series_parts import SeriesWish
from alert_history.engine.span_changes import ChangeCounting, Changed, SpanChanges
from alert_history.web.pages.charts.heatmap import Rate, heatmap
from alert_history.web.pages.charts.share import Counted, ShareBar, shares
from alert_history.web.pages.charts.sparkline import Sparkline, sparkline
from alert_history.web.pages.charts.stacked import Stacked
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.page import rendered
from alert_history.web.pages.severity_chart import severity_chart
from alert_history.web.pages.spans import Choice, Span, absolute, here
from alert_history.web.pages.streaming import Part

Count = Literal["begun", "open"]
ANCHOR = "#lately"
"""Where on the page the span is: a link to another one leads there, not to the top."""

_SEVERITIES_SHOWN = 6
_RULES_SHOWN = 8
_FLAPPING_SHOWN = 6
_CHANGES_SHOWN = 5
_CHANGED_SEVERITIES = 3
_MONTH = timedelta(days=30)
_LEAST_HEATMAP_SPAN = timedelta(days=14)
_NOUNS: Mapping[Count, str] = {"begun": "began", "open": "fired"}
_COUNTS: Mapping[Count, str] = {"begun": "began", "open": "open"}
_TITLES: Mapping[Count, str] = {"begun": "Alerts that began, by severity", "open": "Alerts that fired, by severity"}


class Counting(msgspec.Struct, frozen=True):
    """Who counts what the parts show. `flap_rule` says what flapping is."""

    series: SeriesCounting
    heatmap: HeatmapCounting
    noise: NoiseScores
    flapping: FlappingAlerts
    flap_rule: FlapRule
    deliveries: DeliveryCounting
    changes: ChangeCounting


class NoisyRule(msgspec.Struct, frozen=True):
    """A row of the most frequent rules: how often it began over the span, and which share of all that is."""

    noise: RuleNoise
    line: Sparkline
    bar: ShareBar
    href: str


class Lately:
    """Makes the parts. A part may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    def parts(self, frame: Frame, span: Span, count: Count) -> dict[str, Part]:
        """The parts of a page, by their names in its template."""

        async def timeline() -> str:
            return await self._timeline(frame, span, count)

        async def noisiest() -> str:
            return await self._noisiest(frame, span)

        async def flapping() -> str:
            return await self._flapping(frame, span)

        async def deliveries() -> str:
            return await self._deliveries(frame, span)

        async def changes() -> str:
            return await self._changes(frame, span)

        async def hours() -> str:
            return await self._hours(frame, span)

        made = (timeline, noisiest, flapping, deliveries, changes, hours)
        return {part.__name__: part for part in made}

    async def _timeline(self, frame: Frame, span: Span, count: Count) -> str:
        wish = SeriesWish(tz=frame.zone, tz_name=frame.tz, count=count, by="severity", top=_SEVERITIES_SHOWN)
        answer = await self._counting.series.series(span.asked(), wish)
        chart = timeline_of(answer, frame, count)
        choices = [
            Choice(words, here(frame, **span.parameters, count=name) + ANCHOR, name == count)
            for name, words in _COUNTS.items()
        ]
        data = _data_of(answer, chart, frame)
        return rendered("now/timeline.html.jinja", frame=frame, chart=chart, answer=answer, data=data, choices=choices)

    async def _noisiest(self, frame: Frame, span: Span) -> str:
        """Rules with most alerts in the span. Their scores are of 30 days at least: of less a score is not sure."""
        asked = span.asked()
        wish = SeriesWish(tz=frame.zone, tz_name=frame.tz, by="alertname", top=_RULES_SHOWN)
        series = await self._counting.series.series(asked, wish)
        judged = msgspec.structs.replace(asked, since=min(asked.since, asked.until - _MONTH))
        names = [each.value for each in series.series]
        scores = await self._counting.noise.of_rules(judged, Hours(frame.zone), names)
        rows = _noisy_rules(series, scores, frame, span)
        days = (judged.until - judged.since).days
        return rendered("now/noisiest.html.jinja", frame=frame, rows=rows, span=span, days=days)

    async def _flapping(self, frame: Frame, span: Span) -> str:
        counting = self._counting
        answer = await counting.flapping.flapping(span.asked(), counting.flap_rule, top=_FLAPPING_SHOWN)
        return rendered("now/flapping.html.jinja", frame=frame, answer=answer, span=span)

    async def _deliveries(self, frame: Frame, span: Span) -> str:
        counts = None if is_narrowed() else await self._counting.deliveries.by_target(span.asked())
        return rendered("now/deliveries.html.jinja", frame=frame, counts=counts, span=span)

    async def _changes(self, frame: Frame, span: Span) -> str:
        changes = await self._counting.changes.changes(span.asked(), top=_CHANGES_SHOWN)
        before = here(frame, **absolute(span.since - span.length, span.since)) + ANCHOR
        tiles = changed_tiles(changes)
        return rendered("now/changes.html.jinja", frame=frame, changes=changes, tiles=tiles, span=span, before=before)

    async def _hours(self, frame: Frame, span: Span) -> str:
        """Of the span if it is long enough to have each hour of the week twice; else of the month up to its end."""
        asked = span.asked()
        is_longer = span.length < _LEAST_HEATMAP_SPAN
        if is_longer:
            asked = msgspec.structs.replace(asked, since=asked.until - _MONTH)
        answer = await self._counting.heatmap.heatmap(asked, frame.zone, tz_name=frame.tz)
        rates = [Rate(cell.begun, cell.per_hour) for cell in answer.cells]
        chart = heatmap(rates, title="When alerts begin, by hour of the week", noun="began")
        return rendered("now/hours.html.jinja", frame=frame, chart=chart, answer=answer, is_longer=is_longer)


def timeline_of(answer: SeriesAnswer, frame: Frame, count: Count) -> Stacked:
    """The series as bars, the worst severity at the foot; each leads to its own span."""
    return severity_chart(
        answer,
        frame,
        title=_TITLES[count],
        noun=_NOUNS[count],
        href=lambda since, until: here(frame, **absolute(since, until)) + ANCHOR,
    )


def changed_tiles(changes: SpanChanges) -> list[tuple[str, Changed]]:
    """The worst severities with their words, and all others as one, so that they add up to the whole."""
    shown = changes.severities[:_CHANGED_SEVERITIES]
    whole = changes.whole
    other = Changed("", whole.now - sum(each.now for each in shown), whole.before - sum(each.before for each in shown))
    tiles = [(each.value or "no severity", each) for each in shown]
    return [*tiles, ("other", other)] if other.now or other.before else tiles


def _data_of(answer: SeriesAnswer, chart: Stacked, frame: Frame) -> str:
    """What `timeline.js` draws: when buckets begin and end, in seconds, and the layers."""
    layers = [
        {"name": key.name, "mark": key.mark, "counts": [bar.numbers[place] for bar in chart.bars]}
        for place, key in enumerate(chart.keys)
    ]
    begins = [int(bucket.begin.timestamp()) for bucket in answer.buckets]
    end = int(answer.buckets[-1].end.timestamp()) if answer.buckets else 0
    when = [bar.when for bar in chart.bars]
    data = {"begins": begins, "end": end, "when": when, "layers": layers, "tz": frame.tz}
    return msgspec.json.encode(data).decode()


def _noisy_rules(series: SeriesAnswer, scores: Sequence[RuleNoise], frame: Frame, span: Span) -> list[NoisyRule]:
    counted = [Counted(each.value, sum(each.counts)) for each in series.series]
    bars = shares(counted, title="", noun="began", total=series.total or 0).bars
    return [
        NoisyRule(
            noise,
            sparkline(of_rule.counts, noun="began", unit=f"bar of {series.step}"),
            bar,
            frame.href("dashboard/rules", rule=of_rule.value, **span.parameters),
        )
        for of_rule, noise, bar in zip(series.series, scores, bars, strict=True)
    ]
