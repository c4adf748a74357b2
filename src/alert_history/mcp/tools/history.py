"""Tools about occurrences: the search, one alert's story, and why its targets were notified or not."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from alert_history.domain.query import parse_query
from alert_history.engine.history import ShownAct, shown
from alert_history.engine.story import Stories, Story
from alert_history.engine.why import Explaining, ReceiverWhy, WhyStep
from alert_history.mcp.tool import Answer, LeftOut, Parameters, Tool
from alert_history.mcp.tools.asking import TIME, Id, Query, followed, time_of
from alert_history.mcp.tools.rows import AlertRow, row_line, row_of
from alert_history.mcp.writing import counted, named, quoted, time_text, written
from alert_history.ports import Clock, History, HistoryFilter, PageRequest, StoredEvent

_MOST_EVENTS = 2_000
_MOST_RECEIVERS = 20


class SearchParameters(Parameters, frozen=True, kw_only=True):
    """Which occurrences: all conditions must hold."""

    query: Query = ""
    since: Annotated[str, Meta(description=f"First received at or after: {TIME}")] | None = None
    until: Annotated[str, Meta(description=f"First received before: {TIME}")] | None = None
    status: (
        Annotated[Literal["firing", "resolved"], Meta(description="firing includes what nobody confirms any more")]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=200, description="So many occurrences at most")] = 50
    cursor: Annotated[str, Meta(max_length=2_000, description="next_cursor of the answer before")] | None = None
    archive: Annotated[bool, Meta(description="Also what left the database for an archive; slower")] = False


class SearchAnswer(Answer, frozen=True, kw_only=True):
    """Occurrences, the newest received first. Where `is_total_exact` is false, more than `total` match.

    `next_cursor` goes on behind the last one; null where there is no more. `searched_until`: a search that would take
    too long has looked at what was received since then, and `next_cursor` goes on from there.
    """

    alerts: tuple[AlertRow, ...]
    total: int
    is_total_exact: bool
    next_cursor: str | None
    searched_until: datetime | None = None


class IdParameters(Parameters, frozen=True, kw_only=True):
    """One occurrence."""

    id: Id


class StoryEvent(msgspec.Struct, frozen=True):
    """Something that happened to it. `detail` is JSON: what the sender said more, as it wrote it."""

    at: datetime
    kind: str
    source: str
    receiver: str
    detail: str


class MutedBy(msgspec.Struct, frozen=True):
    """A silence that muted it: who made it, until when, and with which comment, as that person wrote it."""

    id: str
    created_by: str
    comment: str
    ends_at: datetime


class StoryAnswer(Answer, frozen=True, kw_only=True):
    """One occurrence, what happened to it and what people did about it, both oldest first.

    `before` is the last episode of the same label set. `imported_from` is empty for what was sent here.
    """

    alert: AlertRow
    events: tuple[StoryEvent, ...]
    acts: tuple[ShownAct, ...]
    silences: tuple[MutedBy, ...]
    before: AlertRow | None
    imported_from: str = ""


class WhyParameters(IdParameters, frozen=True, kw_only=True):
    """One occurrence, and the target that is meant."""

    target: Annotated[str, Meta(max_length=300, description="Only what concerns this target")] | None = None


class WhyNotifiedAnswer(Answer, frozen=True, kw_only=True):
    """Who was notified, who was not, and why: one sentence, and the steps that led there, oldest first.

    `receivers` are sentences on the receivers of Alertmanagers: what is on record, or follows from the configuration of
    then, and what would have been without what muted the alert.
    """

    id: str
    sentence: str
    receivers: tuple[str, ...]
    steps: tuple[WhyStep, ...]


class HistoryTools:
    """The tools, on one history and those who tell of its occurrences."""

    def __init__(self, history: History, stories: Stories, explaining: Explaining, *, clock: Clock) -> None:
        self._history = history
        self._stories = stories
        self._explaining = explaining
        self._clock = clock

    def tools(self) -> list[Tool]:
        """All of them."""
        return [
            Tool(
                name="search_alerts",
                title="Search the history of alerts",
                description="Find occurrences of alerts, fired or resolved, by labels, words and time; the newest "
                "first. An occurrence is one firing of one alert. Its id is what the other tools take.",
                parameters=SearchParameters,
                answer=SearchAnswer,
                handle=self.search,
                write=_search_text,
                pages="alerts",
                again=self._search_fewer,
                ask_for={"alerts": "search_alerts with the same arguments and cursor = next_cursor"},
            ),
            Tool(
                name="alert_story",
                title="Tell the story of one alert",
                description="Everything that happened to one occurrence: fired, repeated, silenced, inhibited, "
                "notified, resolved; who acknowledged or noted what; its labels and annotations; the episode before.",
                parameters=IdParameters,
                answer=StoryAnswer,
                handle=self.story,
                write=_story_text,
                newest_last=frozenset({"events", "acts"}),
            ),
            Tool(
                name="why_notified",
                title="Say why somebody was notified of an alert, or was not",
                description="For one occurrence: which targets and receivers were notified, which were not, and why: "
                "silenced, inhibited, no route, quiet hours, refused, not delivered. One sentence, then the steps.",
                parameters=WhyParameters,
                answer=WhyNotifiedAnswer,
                handle=self.why,
                write=_why_text,
                newest_last=frozenset({"steps"}),
            ),
        ]

    async def search(self, asked: SearchParameters) -> SearchAnswer:
        """`search_alerts`."""
        return await self._search_fewer(asked, asked.limit)

    async def _search_fewer(self, asked: SearchParameters, limit: int) -> SearchAnswer:
        now = self._clock()
        wanted = HistoryFilter(
            query=parse_query(asked.query),
            status=asked.status,
            since=time_of("since", asked.since, now),
            until=time_of("until", asked.until, now),
            includes_archive=asked.archive,
        )
        page = await self._history.page(wanted, PageRequest(limit, cursor=asked.cursor))
        number = len(page.alerts)
        total = f"{page.total}" if page.is_total_exact else f"more than {page.total}"
        summary = f"{number} of {total} occurrences that match, the newest received first."
        return SearchAnswer(
            summary=summary if page.total or page.searched_until else "No occurrence matches.",
            left_out=tuple(_further(page.next_cursor, page.searched_until)),
            alerts=tuple(map(row_of, page.alerts)),
            total=page.total,
            is_total_exact=page.is_total_exact,
            next_cursor=page.next_cursor,
            searched_until=page.searched_until,
        )

    async def story(self, asked: IdParameters) -> StoryAnswer:
        """`alert_story`."""
        return _told(await followed(self._stories.story, asked.id))

    async def why(self, asked: WhyParameters) -> WhyNotifiedAnswer:
        """`why_notified`."""
        answer = await followed(lambda id_: self._explaining.why(id_, target=asked.target), asked.id)
        left_out = () if answer.is_complete else (LeftOut("older steps, which are too many to be read"),)
        about = f" about the target {quoted(asked.target)}" if asked.target else ""
        summary = f"Why targets were notified of the occurrence {named(answer.id)}, or were not{about}."
        return WhyNotifiedAnswer(
            summary=summary,
            left_out=left_out,
            id=answer.id,
            sentence=answer.sentence,
            receivers=tuple(_receivers(answer.receivers)),
            steps=tuple(answer.steps),
        )


def _receivers(receivers: Sequence[ReceiverWhy]) -> Iterator[str]:
    """What is said of those that it goes to, or may; not of those without a route."""
    routed = [each for each in receivers if each.outcome != "not_routed"]
    for each in routed[:_MOST_RECEIVERS]:
        yield " ".join(text for text in (each.sentence, each.counterfactual) if text)
    if len(routed) > _MOST_RECEIVERS:
        yield f"{len(routed) - _MOST_RECEIVERS} more receivers are left out; ask with target = the name of a receiver."


def _further(cursor: str | None, searched_until: datetime | None) -> Iterator[LeftOut]:
    """What is behind a page."""
    if cursor is None:
        return
    how = "search_alerts with the same arguments and cursor = next_cursor, or a narrower query or time"
    if searched_until is not None:
        yield LeftOut(f"what was received before {time_text(searched_until)}: the search would take too long", how)
    else:
        yield LeftOut("older occurrences that match", how)


def _told(story: Story) -> StoryAnswer:
    alert, records = story.alert, story.records
    events = records.events[-_MOST_EVENTS:]
    left_out = [] if story.ledger.is_complete and len(events) == len(records.events) else ["the oldest events"]
    row = row_of(alert)
    end = f"ended {time_text(row.ends_at)} ({row.ended_by})" if row.ends_at else f"is {row.state}"
    number = counted(len(events), "event")
    return StoryAnswer(
        summary=f"{quoted(alert.alertname)} fired at {time_text(alert.starts_at)} and {end}; {number}.",
        left_out=tuple(LeftOut(f"{what}, which are too many to be read") for what in left_out),
        alert=row,
        events=tuple(map(_event, events)),
        acts=tuple(shown(act) for act in records.acts),
        silences=tuple(
            MutedBy(each.id, each.created_by, each.comment, each.ends_at) for each in story.silences.values()
        ),
        before=None if story.before is None else row_of(story.before),
        imported_from="" if story.brought_in is None else story.brought_in.title,
    )


def _event(event: StoredEvent) -> StoryEvent:
    return StoryEvent(event.at, event.kind, event.source or "", event.receiver or "", _json(event.detail))


def _json(detail: Mapping[str, Any] | None) -> str:
    return msgspec.json.encode(detail).decode() if detail else ""


def _search_text(answer: SearchAnswer) -> Iterator[str]:
    cursor = [f"next_cursor: {answer.next_cursor}"] if answer.next_cursor else []
    return written(answer, [*map(row_line, answer.alerts), *cursor])


def _story_text(answer: StoryAnswer) -> Iterator[str]:
    return written(answer, _story_lines(answer))


def _story_lines(answer: StoryAnswer) -> Iterator[str]:
    yield row_line(answer.alert)
    yield from (f"  {quoted(name)}: {quoted(text)}" for name, text in answer.alert.annotations.items())
    for event in answer.events:
        receiver = f" {quoted(event.receiver)}" if event.receiver else ""
        via = f" by {event.source}{receiver}" if event.source else ""
        yield f"{time_text(event.at)} {event.kind}{via}{f' {quoted(event.detail)}' if event.detail else ''}"
    for act in answer.acts:
        yield f"{time_text(act.at)} {act.kind} by {quoted(act.by)} ({act.source}): {quoted(act.text)}"
    for silence in answer.silences:
        until = time_text(silence.ends_at)
        yield f"Silence {named(silence.id)} by {quoted(silence.created_by)} until {until}: {quoted(silence.comment)}"
    if answer.before is not None:
        yield f"The episode before: {row_line(answer.before)[2:]}"
    if answer.imported_from:
        yield f"It was imported from {answer.imported_from}."


def _why_text(answer: WhyNotifiedAnswer) -> Iterator[str]:
    steps = (f"{time_text(step.at, 'not yet')} {step.event}, {step.step}: {quoted(step.text)}" for step in answer.steps)
    return written(answer, [quoted(answer.sentence), *map(quoted, answer.receivers), *steps])
