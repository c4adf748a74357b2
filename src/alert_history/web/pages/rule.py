"""The page of one rule: its noise with the parts opened up, how long and when it fires, what with, who responds.

Each part of the page asks for itself, so that what is known at once is seen at once.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from alert_history.domain.covers import Covers
from alert_history.domain.durations import DurationCounts, durations_from, survival_steps
from alert_history.domain.interruptions import Hours
from alert_history.domain.noise import NoisePart, PartName, RuleNoise, query_text
from alert_history.domain.together import TogetherRules
from alert_history.engine.analysis import Asked
from alert_history.engine.as_of import history_as_of
from alert_history.engine.companions import Companions
from alert_history.engine.durations import DurationCounting
from alert_history.engine.heatmap import HeatmapCounting
from alert_history.engine.labels import Labels
from alert_history.engine.noise_scores import NoiseAnswer, NoiseScores
from alert_history.engine.people_response import PeopleResponse
from alert_history.engine.rule_names import names_like
from alert_history.engine.series import SeriesAnswer, SeriesCounting
from alert_history.engine.series_parts import SeriesWish
from alert_history.ports import History, HistoryFilter, PageRequest
from alert_history.web.pages.charts.heatmap import Rate, heatmap
from alert_history.web.pages.charts.stacked import Layer, Slot, Stacked, stacked
from alert_history.web.pages.charts.survival import percent, survival
from alert_history.web.pages.frame import Frame, length_words
from alert_history.web.pages.page import rendered
from alert_history.web.pages.spans import Span, absolute, picker_of
from alert_history.web.pages.streaming import Part, streamed

_EPISODES = 20
_PAIRS = 10
_PEOPLE = 5
_STEADY_SINCE = timedelta(days=365)


class PartWords(NamedTuple):
    """What a part of the score says, for people."""

    title: str
    meaning: str


PART_WORDS: Mapping[PartName, PartWords] = {
    "ends_by_itself": PartWords("Ends by itself", "of those that ended, were over within five minutes"),
    "flaps": PartWords("Comes again", "began again within an hour of the last end"),
    "repeats": PartWords("Repeats", "of its messages said nothing new"),
    "nobody_acted": PartWords("Nobody acted", "nobody acknowledged, noted, silenced or corrected"),
    "always_on": PartWords("Always on", "of the time, at least one alert of it fired"),
    "said_better": PartWords("Another rule says it", "came with or soon after an alert that explains them"),
    "wakes_people": PartWords("Wakes people", "of its interruptions came while people sleep"),
}


class RuleAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers for the parts of the page."""

    noise: NoiseScores
    durations: DurationCounting
    heatmap: HeatmapCounting
    series: SeriesCounting
    together: Companions
    response: PeopleResponse
    history: History
    labels: Labels


class RulePage:
    """Makes the page of a rule."""

    def __init__(self, answers: RuleAnswers) -> None:
        self._answers = answers

    async def show(self, request: Request, frame: Frame, span: Span, *, rule: str, query: str) -> Response:
        """The page of a rule in a span, narrowed by a query. Raises InvalidQuery."""
        parts = _Parts(self._answers, frame, span, rule=rule, query=query)
        return await streamed(
            request,
            frame,
            "rules/rule.html.jinja",
            parts.by_name(),
            rule=rule,
            query=query,
            span=span,
            picker=picker_of(span, frame),
            everything=_rules_href(frame, span, query),
            history=parts.history_href(),
        )


class _Parts:
    """The parts of one page."""

    def __init__(self, answers: RuleAnswers, frame: Frame, span: Span, *, rule: str, query: str) -> None:
        self._answers = answers
        self._frame = frame
        self._span = span
        self._rule = rule
        self._query = query
        self._history = history_as_of(answers.history, frame.then)
        self._all = span.asked(query)
        self._asked: Asked = span.asked(query, wanted=HistoryFilter(alertname=rule))
        self._scoring: asyncio.Future[NoiseAnswer] | None = None
        self._lasting: asyncio.Future[tuple[DurationCounts, Covers]] | None = None

    def by_name(self) -> dict[str, Part]:
        """All of them."""
        return {
            "always": self.always,
            "noise": self.noise,
            "durations": self.durations,
            "response": self.response,
            "series": self.series,
            "hours": self.hours,
            "together": self.together,
            "episodes": self.episodes,
        }

    def history_href(self) -> str:
        """The occurrences of the rule in the history."""
        text = query_text(self._rule, self._all.wanted.query)
        return self._frame.href("dashboard/history", query=text, **self._span.parameters)

    async def always(self) -> str:
        """One sentence: how often, when last, how long, how many healed by themselves."""
        answer, (counts, _), page = await asyncio.gather(
            self._scored(), self._lasted(), self._history.page(self._asked.filter, PageRequest(limit=1))
        )
        durations = await asyncio.to_thread(durations_from, counts)
        score = self._score_of(answer)
        parts = {part.name: part for part in score.parts} if score is not None else {}
        unheeded = parts.get("nobody_acted")
        last = next(iter(page.alerts), None)
        return self._rendered(
            "always",
            score=score,
            healed=healed_words(parts.get("ends_by_itself")),
            acted=int(unheeded.of - unheeded.count) if unheeded is not None else 0,
            typical=durations.p50_seconds,
            last=last,
            alike=await names_like(self._answers.labels, self._rule) if score is None else None,
            href=self._rule_href,
        )

    async def noise(self) -> str:
        """The score, and the parts that add up to it."""
        answer = await self._scored()
        score = self._score_of(answer)
        return self._rendered(
            "noise", score=score, covers=answer.covers, words=PART_WORDS, counted=_counted, href=self._evidence
        )

    async def durations(self) -> str:
        """How long it fires: percentiles, the curve, and how ends are known."""
        counts, covers = await self._lasted()
        durations = await asyncio.to_thread(durations_from, counts)
        chart = survival(survival_steps(counts), title="How many fire still after a time")
        return self._rendered("durations", durations=durations, chart=chart, covers=covers)

    async def response(self) -> str:
        """How soon people acknowledge."""
        answer = await self._answers.response.response(self._asked, top=_PEOPLE)
        return self._rendered("response", times=answer.times, people=answer.people, covers=answer.covers)

    async def series(self) -> str:
        """How many began over time."""
        wish = SeriesWish(self._frame.zone, self._frame.tz)
        answer = await self._answers.series.series(self._asked, wish)
        return self._rendered("series", chart=self._stacked(answer), answer=answer)

    async def hours(self) -> str:
        """In which hours of the week it begins."""
        answer = await self._answers.heatmap.heatmap(self._asked, self._frame.zone, tz_name=self._frame.tz)
        rates = [Rate(cell.begun, cell.per_hour) for cell in answer.cells]
        chart = heatmap(rates, title="When it begins, by hour of the week", noun="began")
        return self._rendered("hours", chart=chart, total=answer.total)

    async def together(self) -> str:
        """What begins near it."""
        rules = TogetherRules(top=_PAIRS)
        answer = await self._answers.together.together(self._all, rules, rule=self._rule)
        return self._rendered("together", answer=answer, href=self._rule_href)

    async def episodes(self) -> str:
        """Its newest occurrences."""
        page = await self._history.page(self._asked.filter, PageRequest(limit=_EPISODES))
        return self._rendered("episodes", page=page, history=self.history_href())

    def _scored(self) -> "asyncio.Future[NoiseAnswer]":
        """The noise of the rule: counted once, for all parts that need it."""
        if self._scoring is None:
            asking = self._answers.noise.noise(self._asked, Hours(self._frame.zone), tz=self._frame.tz, top=1)
            self._scoring = asyncio.ensure_future(asking)
        return self._scoring

    def _lasted(self) -> "asyncio.Future[tuple[DurationCounts, Covers]]":
        """How long it fires, counted once as well."""
        if self._lasting is None:
            self._lasting = asyncio.ensure_future(self._answers.durations.counts(self._asked))
        return self._lasting

    def _score_of(self, answer: NoiseAnswer) -> RuleNoise | None:
        return next((each for each in answer.rules if each.rule == self._rule), None)

    def _stacked(self, answer: SeriesAnswer) -> Stacked:
        text = query_text(self._rule, self._all.wanted.query)
        layer = Layer("began", "c0", [bucket.total for bucket in answer.buckets])
        return stacked(
            [Slot(bucket.begin, bucket.end) for bucket in answer.buckets],
            [layer],
            title="How many began over time",
            noun="began",
            zone=self._frame.zone,
            href=lambda begin, end: self._frame.href("dashboard/history", query=text, **absolute(begin, end)),
        )

    def _evidence(self, part: NoisePart) -> str:
        """The occurrences behind a part; what fires all the time may have begun long before the span."""
        evidence = part.evidence
        since = evidence.since or evidence.until - _STEADY_SINCE
        return self._frame.href("dashboard/history", query=evidence.query, **absolute(since, evidence.until))

    def _rule_href(self, rule: str) -> str:
        return self._frame.href("dashboard/rules", rule=rule, query=self._query, **self._span.parameters)

    def _rendered(self, name: str, **values: object) -> str:
        return rendered(
            f"rules/{name}.html.jinja",
            frame=self._frame,
            rule=self._rule,
            span=self._span,
            length=length_words,
            percent=percent,
            **values,
        )


def healed_words(part: NoisePart | None) -> str:
    """How many of those that ended were over soon by themselves, as a clause."""
    if part is None or not part.of:
        return "none has ended"
    if part.of == 1:
        return f"it {'healed' if part.count else 'did not heal'} by itself within five minutes"
    number = {0: "none", part.of: "all"}.get(part.count, f"{part.count:,.0f}".replace(",", " "))
    selves = "itself" if part.count == 1 else "themselves"
    return f"{number} of {part.of:,.0f} that ended healed by {selves} within five minutes".replace(",", " ")


def _counted(part: NoisePart) -> str:
    """How many of how many, in the unit of the part."""
    if part.unit == "seconds":
        return f"{length_words(part.count)} of {length_words(part.of)}"
    return f"{part.count:,.0f} of {part.of:,.0f}".replace(",", " ")


def _rules_href(frame: Frame, span: Span, query: str) -> str:
    parameters = {**({"query": query} if query else {}), **span.parameters}
    return f"{frame.root}dashboard/rules?{urlencode(parameters)}"
