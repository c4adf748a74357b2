"""A series by severity as bars over time, the worst at the foot."""

from alert_history.domain.severity import urgency
from alert_history.engine.series import SeriesAnswer
from alert_history.web.pages.charts.scale import REST, marks
from alert_history.web.pages.charts.stacked import Href, Layer, Slot, Stacked, stacked
from alert_history.web.pages.frame import Frame


def severity_chart(answer: SeriesAnswer, frame: Frame, *, title: str, noun: str, href: Href) -> Stacked:
    """The chart, on the clocks of the reader; `href` says where the bar of a span leads."""
    series = sorted(answer.series, key=lambda each: (-urgency(each.value), each.value))
    colours = marks([each.value for each in series], by="severity")
    layers = [Layer(each.value or "no severity", mark, each.counts) for each, mark in zip(series, colours, strict=True)]
    if answer.other is not None:
        layers.append(Layer("other", REST, answer.other.counts))
    slots = [Slot(bucket.begin, bucket.end) for bucket in answer.buckets]
    return stacked(slots, layers, title=title, noun=noun, zone=frame.zone, href=href)
