"""`/dashboard/alerts/{id}`: one alert's story, at an address that stays.

Who was notified and why stands on top; then what happened over time, the ledger in words, labels and annotations with
what is different to last time, what people did, earlier episodes and what fired around it. `engine.story` reads it.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal, TypeAlias, get_args
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.alert_links import AlertLink, alert_links, is_link
from alert_history.domain.alertmanager.outcome import ReceiverOutcome
from alert_history.domain.noise import query_text
from alert_history.domain.notified_sentence import is_for_settings, notified_sentence
from alert_history.domain.permission import Permission
from alert_history.domain.severity import Severity, urgency
from alert_history.domain.text_differences import ComparedText, compared
from alert_history.engine.alertmanager_explaining import AlertmanagerExplaining
from alert_history.engine.archives import Archives
from alert_history.engine.caller import signed_as
from alert_history.engine.history import Moved
from alert_history.engine.neighbours import MOST_AROUND, AroundAnswer, AroundRule, Neighbours
from alert_history.engine.story import Stories, Story
from alert_history.engine.why import ReceiverWhy, facts_of, receiver_why
from alert_history.errors import NotFound
from alert_history.web.http.parameters import read_page_parameters
from alert_history.web.pages.done import done_of, said
from alert_history.web.pages.frame import Frame, Frames, length_words
from alert_history.web.pages.page import Link, Page, apology, message, page_response, rendered
from alert_history.web.pages.reader_name import remembered_name
from alert_history.web.pages.story_acts import Done, StoryDone
from alert_history.web.pages.story_lanes import story_lanes
from alert_history.web.pages.story_words import (
    BASIS_WORDS,
    ENDED_WORDS,
    FATE_WORDS,
    acknowledged_by,
    entries_of,
    is_by_label_alone,
)
from alert_history.web.pages.streaming import streamed

PATH = "/dashboard/alerts/{id}"

_CURRENT = "dashboard/history"
_BACK = Link(_CURRENT, "Look for it in the history")
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_EPISODES = 10
_RULES_AROUND = 12
_MOST_TARGETS = 12

Within: TypeAlias = Literal["5m", "15m", "1h", "6h"]
_WITHIN: Mapping[Within, timedelta] = {
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
}


class StoryParameters(msgspec.Struct, frozen=True):
    """The id of an occurrence, how far to look `around` it, and whether at all rules."""

    id: str
    within: Within = "15m"
    around: Literal["all"] | None = None
    tz: str | None = None
    part: str | None = None


class StoryTop(msgspec.Struct, frozen=True):
    """What stands on top of a story, and is made anew while the alert is open.

    `is_for_settings`: nobody was notified because of how Alert History is set up. `receivers` are those of
    Alertmanagers, without those that no route leads to: these are `unrouted`, by name.
    """

    story: Story
    sentence: str
    links: list[AlertLink]
    is_for_settings: bool = False
    receivers: Sequence[ReceiverWhy] = ()
    unrouted: Sequence[str] = ()


class StoryTexts(msgspec.Struct, frozen=True):
    """Labels and annotations beside those of the last time; `before` is when that began, None the first time."""

    labels: list[ComparedText]
    annotations: list[ComparedText]
    values: Mapping[str, object]
    before: datetime | None


class StoryPage:
    """The page of an alert."""

    def __init__(
        self,
        stories: Stories,
        neighbours: Neighbours,
        *,
        alertmanagers: AlertmanagerExplaining,
        archives: Archives,
        frames: Frames,
    ) -> None:
        self._alertmanagers = alertmanagers
        self._stories = stories
        self._neighbours = neighbours
        self._archives = archives
        self._frames = frames

    def pages(self) -> list[Page]:
        """All pages of this noun."""
        return [Page(path=PATH, handle=self.show, needs=Permission.READ, keeps_to_reach=True)]

    async def show(self, request: Request) -> Response:
        """`GET /dashboard/alerts/{id}`."""
        asked = read_page_parameters(request, StoryParameters)
        frame = await self._frames.of(request, _CURRENT, page="dashboard/alerts")
        try:
            story = await self._stories.story(asked.id, at=frame.then)
        except NotFound as error:
            return await self._absent(request, asked.id, error)
        if isinstance(story, Moved):
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"{quote(story.id)}{query}", HTTPStatus.PERMANENT_REDIRECT)
        if frame.then is not None and story.alert.timestamp > frame.then:
            return _not_yet(request, frame, story)
        done = done_of(request, StoryDone)
        if done is None or done.id != asked.id:
            return await self._shown(request, frame, story, asked)
        return said(await self._shown(request, frame, story, asked, done=done.done))

    async def _shown(
        self, request: Request, frame: Frame, story: Story, asked: StoryParameters, *, done: Done | None = None
    ) -> Response:
        outcomes = await self._alertmanagers.outcomes(story.records, now=frame.then or frame.now)
        alert, top, verdict = story.alert, _top(story, outcomes, frame), story.records.verdict
        word = verdict.verdict.classification if verdict is not None else None

        async def state() -> str:
            return rendered("story/state.html.jinja", frame=frame, top=top, most=_MOST_TARGETS, **_words(story))

        async def earlier() -> str:
            answer = await self._neighbours.similar(alert.id, most=_EPISODES, at=frame.then)
            if isinstance(answer, Moved):  # it was joined to another while the page was made
                return ""
            return rendered("story/earlier.html.jinja", frame=frame, similar=answer, alert=alert, **_words(story))

        async def around() -> str:
            answer = await self._neighbours.around(alert.id, _WITHIN[asked.within], top=MOST_AROUND, at=frame.then)
            return "" if isinstance(answer, Moved) else _around(answer, frame, asked)

        return await streamed(
            request,
            frame,
            "story/story.html.jinja",
            {"state": state, "earlier": earlier, "around": around},
            top=top,
            alert=alert,
            chart=story_lanes(story, now=frame.now, zone=frame.zone, say_time=_clock_of(story, frame)),
            entries=entries_of(story),
            texts=_texts(story),
            word=word,
            is_default=is_by_label_alone(word),
            severities=_SEVERITIES,
            by=signed_as(remembered_name(request.cookies)),
            is_signed=bool(signed_as("")),
            done=done,
            within=asked.within,
            withins=_WITHIN,
            **_words(story),
        )

    async def _absent(self, request: Request, occurrence_id: str, error: NotFound) -> Response:
        """What is said of an id that the database does not have: perhaps an archive does."""
        try:
            absence = await self._archives.absence(occurrence_id)
        except NotFound:
            return apology(request, error, back=_BACK)
        status = HTTPStatus.GONE if absence.archived or absence.is_forgotten else HTTPStatus.NOT_FOUND
        frame = await self._frames.of(request, _CURRENT)
        return page_response(
            frame, "story/absent.html.jinja", status=status, id=occurrence_id, absence=absence, quoted=shlex.quote
        )


def _not_yet(request: Request, frame: Frame, story: Story) -> Response:
    """What is said of an alert that nobody had sent by the moment: its present is one click away."""
    text = f"It was first received {frame.exact(story.alert.timestamp)}, after the moment that you look at."
    back = Link(_CURRENT, "Look for others in the history of then")
    return message(request, HTTPStatus.NOT_FOUND, "This alert was not known then", text, back=back)


def _top(story: Story, outcomes: Sequence[ReceiverOutcome], frame: Frame) -> StoryTop:
    alert, say_time = story.alert, _clock_of(story, frame)
    facts = facts_of(story.records, story.ledger, now=frame.now, say_time=say_time)
    links = alert_links(
        labels=alert.labels,
        annotations=alert.annotations,
        generator_url=alert.generator_url,
        details=alert.details,
        external_url=story.external_url,
    )
    answers = [receiver_why(outcome, say_time=say_time) for outcome in outcomes]
    return StoryTop(
        story,
        notified_sentence(facts, say_time=say_time),
        links,
        is_for_settings(facts),
        [answer for answer in answers if answer.outcome != "not_routed"],
        [answer.receiver for answer in answers if answer.outcome == "not_routed"],
    )


def _words(story: Story) -> dict[str, object]:
    """What all templates of a story need beside it."""
    return {
        "basis_words": BASIS_WORDS,
        "fate_words": FATE_WORDS,
        "ended_words": ENDED_WORDS,
        "acknowledged": acknowledged_by(story.ledger),
        "length": length_words,
        "is_link": is_link,
    }


def _around(answer: AroundAnswer, frame: Frame, asked: StoryParameters) -> str:
    """What was around it: critical rules first, then the nearest; the first of them, unless all are asked for."""
    rules = sorted(answer.rules, key=_by_urgency)
    return rendered(
        "story/around.html.jinja",
        frame=frame,
        around=answer,
        rules=rules if asked.around == "all" else rules[:_RULES_AROUND],
        everything=f"{quote(asked.id)}?within={asked.within}&around=all#around",
        history=lambda rule: _history_of(rule, answer, frame),
        length=length_words,
    )


def _by_urgency(rule: AroundRule) -> tuple[bool, float, str]:
    return urgency(rule.severity) < urgency("critical"), abs(rule.lag_seconds), rule.alertname


def _history_of(rule: AroundRule, around: AroundAnswer, frame: Frame) -> str:
    """The alerts of a rule around the occurrence, in the history."""
    since, until = (time.isoformat() for time in (around.covers.since, around.covers.until))
    return frame.href(_CURRENT, query=query_text(rule.alertname), since=since, until=until)


def _texts(story: Story) -> StoryTexts:
    alert, before = story.alert, story.before
    values = (alert.details or {}).get("values")
    return StoryTexts(
        compared(alert.labels, None if before is None else before.labels),
        compared(alert.annotations, None if before is None else before.annotations),
        values if isinstance(values, dict) else {},
        None if before is None else before.starts_at,
    )


def _clock_of(story: Story, frame: Frame) -> Callable[[datetime], str]:
    """Writes a time on the clocks of the reader; with its date where that is not the day on which it began."""
    begin = frame.local(story.alert.starts_at).date()

    def clock(at: datetime) -> str:
        try:
            local = frame.local(at)
        except OverflowError:  # a silence for ever
            return f"{at:%d %b %Y}"
        if local.date() == begin:
            return f"{local:%H:%M:%S}"
        return f"{local:%d %b %H:%M:%S}" if local.year == begin.year else f"{local:%d %b %Y %H:%M}"

    return clock
