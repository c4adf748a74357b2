"""Tools about what an occurrence is like, and what was around it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from alert_history.domain.covers import Covers
from alert_history.engine.neighbours import AroundAnswer, AroundRule, Neighbours, SimilarAnswer, SimilarEpisode
from alert_history.mcp.tool import Answer, LeftOut, Tool
from alert_history.mcp.tools.asking import duration_of, followed
from alert_history.mcp.tools.history import IdParameters
from alert_history.mcp.writing import named, quoted, time_text, written

_LONGEST = timedelta(hours=6)


class SimilarParameters(IdParameters, frozen=True, kw_only=True):
    """One occurrence, and how many others."""

    limit: Annotated[int, Meta(ge=1, le=50, description="So many episodes of each kind")] = 10


class SimilarAlertsAnswer(Answer, frozen=True, kw_only=True):
    """Earlier episodes of the same alert, and of others with the same alertname and namespace, newest first."""

    similar: SimilarAnswer


class AroundParameters(IdParameters, frozen=True, kw_only=True):
    """One occurrence, and how far to look."""

    within: Annotated[str, Meta(max_length=40, description="So long before and after it began, up to 6h: 15m")] = "15m"
    top: Annotated[int, Meta(ge=1, le=200, description="So many rules")] = 50


class AroundAlertAnswer(Answer, frozen=True, kw_only=True):
    """What began or fired near an occurrence, by rule, nearest first."""

    around: AroundAnswer


class NeighbourTools:
    """The tools, on the neighbours of occurrences."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def tools(self) -> list[Tool]:
        """All of them."""
        return [
            Tool(
                name="similar_alerts",
                title="Find how such an alert went before",
                description="Earlier episodes of the same alert, then of others with the same alertname and namespace: "
                "how each ended, how long it fired, what people said and did about it.",
                parameters=SimilarParameters,
                answer=SimilarAlertsAnswer,
                handle=self.similar,
                write=_similar_text,
            ),
            Tool(
                name="around_alert",
                title="Find what else began or fired near an alert",
                description="What began shortly before or after an occurrence, and what fired already, by rule: to "
                "find a common cause. lag_seconds is how much later than it each began.",
                parameters=AroundParameters,
                answer=AroundAlertAnswer,
                handle=self.around,
                write=_around_text,
            ),
        ]

    async def similar(self, asked: SimilarParameters) -> SimilarAlertsAnswer:
        """`similar_alerts`."""
        answer = await followed(lambda id_: self._neighbours.similar(id_, most=asked.limit), asked.id)
        sums = answer.sums
        least = "" if sums.is_all else "at least "
        middle = f", in the middle for {sums.median_seconds:g} s" if sums.median_seconds is not None else ""
        return SimilarAlertsAnswer(
            summary=f"The alert fired {least}{sums.episodes} times before{middle}; "
            f"{len(answer.same_shape)} episodes of alerts like it are listed.",
            left_out=left_out_of(answer.covers),
            similar=answer,
        )

    async def around(self, asked: AroundParameters) -> AroundAlertAnswer:
        """`around_alert`."""
        within = duration_of("within", asked.within, _LONGEST)
        answer = await followed(lambda id_: self._neighbours.around(id_, within, top=asked.top), asked.id)
        return AroundAlertAnswer(
            summary=f"{answer.began} alerts began within {asked.within} of it, and {answer.fired} fired already.",
            left_out=left_out_of(answer.covers),
            around=answer,
        )


def left_out_of(covers: Covers) -> tuple[LeftOut, ...]:
    """What an answer about a span does not count."""
    how = "" if covers.is_exact else "ask for a shorter time"
    return tuple(LeftOut(what, how) for what in covers.left_out)


def _similar_text(answer: SimilarAlertsAnswer) -> Iterator[str]:
    similar = answer.similar
    same, alike = map(_episode, similar.same_alert), map(_episode, similar.same_shape)
    return written(answer, ["The same alert:", *same, "Others with its alertname and namespace:", *alike])


def _episode(episode: SimilarEpisode) -> str:
    end = time_text(episode.ends_at, "still open")
    acts = "; ".join(f"{quoted(act.by)} {act.kind} {quoted(act.text)}" for act in episode.acts)
    seconds = f"{episode.seconds:.0f} s, {episode.ended_by or 'open'}"
    return f"- {named(episode.id)}: {time_text(episode.starts_at)} to {end}, {seconds}{f'; {acts}' if acts else ''}"


def _around_text(answer: AroundAlertAnswer) -> Iterator[str]:
    return written(answer, map(_rule, answer.around.rules))


def _rule(rule: AroundRule) -> str:
    ids = ", ".join(named(alert.id) for alert in rule.alerts)
    counts = f"{rule.began} began, {rule.fired} fired already, nearest {rule.lag_seconds:+.0f} s"
    return f"- {quoted(rule.alertname)} {quoted(rule.severity)}: {counts}: {ids}"
