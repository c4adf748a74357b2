"""The tool about a night: what the one who comes in the morning has to know."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, TypeAlias

from msgspec import Meta

from alert_history.domain.night import Night
from alert_history.domain.night_text import text_of
from alert_history.engine.night import NightRequest, Nights
from alert_history.mcp.tool import Answer, Parameters, Tool
from alert_history.mcp.tools.asking import TIME, Zone
from alert_history.mcp.tools.neighbours import left_out_of
from alert_history.mcp.writing import quoted, written

_Evening: TypeAlias = date
_DATE = "The date of the evening: 2026-03-04 is the night from 4 March, 20:00, to 5 March, 08:00. Without: last night"


class NightParameters(Parameters, frozen=True, kw_only=True):
    """Which night; or, with `since`, another span of up to seven days."""

    date: Annotated[_Evening, Meta(description=_DATE)] | None = None
    tz: Zone = "UTC"
    since: Annotated[str, Meta(description=f"Another begin: {TIME}; excludes date")] | None = None
    until: Annotated[str, Meta(description=f"Another end: {TIME}. Without it: now")] | None = None


class NightReportAnswer(Answer, frozen=True, kw_only=True):
    """The hand-over of a night; each list says of how many lines it has the first."""

    night: Night


class NightTools:
    """The tool, on the reports of nights."""

    def __init__(self, nights: Nights) -> None:
        self._nights = nights

    def tools(self) -> list[Tool]:
        """All of them."""
        return [
            Tool(
                name="night_report",
                title="Tell what the night brought",
                description="The hand-over of a night, or of another span: what began, ended and is open, who was not "
                "notified and why, what was muted by whom, storms, new rules, noise, and what to look at first.",
                parameters=NightParameters,
                answer=NightReportAnswer,
                handle=self.report,
                write=_text,
            )
        ]

    async def report(self, asked: NightParameters) -> NightReportAnswer:
        """`night_report`."""
        night = await self._nights.report(NightRequest(asked.date, asked.tz, asked.since, asked.until))
        counts = night.counts
        return NightReportAnswer(
            summary=f"The night of {night.date}: {counts.began} occurrences of {counts.rules} rules began, "
            f"{counts.ended} ended, {counts.open} are open; nobody was notified of {counts.unnotified} of them.",
            left_out=left_out_of(night.covers),
            night=night,
        )


def _text(answer: NightReportAnswer) -> Iterator[str]:
    """The report as its own text, a quoted line each: names and comments of others stand in it."""
    return written(answer, (quoted(line) for line in re.split("\n", text_of(answer.night).rstrip("\n"))))
