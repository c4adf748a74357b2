"""The report of a night over HTTP. Holds parameters; `engine.night` makes the report."""

from datetime import date
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.night import Night
from alert_history.domain.permission import Permission
from alert_history.engine.night import NightRequest, Nights
from alert_history.web.http.operation import Operation

_Evening: TypeAlias = date
_DATE = "The date of the evening: `2026-03-04` is the night from 4 March, 20:00, to 5 March, 08:00. Without: last night"
_TZ = "The time zone of these hours, by its IANA name"
_TIME = "RFC 3339, unix seconds, or relative to now: `-12h`"


class NightParameters(msgspec.Struct, frozen=True):
    """Which night; or, with `since`, another span of up to seven days."""

    date: Annotated[_Evening | None, Meta(description=_DATE)] = None
    tz: Annotated[str, Meta(description=_TZ)] = "UTC"
    since: Annotated[str, Meta(description=f"Another begin: {_TIME}; excludes `date`")] | None = None
    until: Annotated[str, Meta(description=f"Another end: {_TIME}. Without: now")] | None = None


class NightApi:
    """The handler, on the reports of nights."""

    def __init__(self, nights: Nights) -> None:
        self._nights = nights

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/report/night",
                summary="The hand-over of a night",
                handle=self.report,
                answer=Night,
                tag="Reports",
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=NightParameters,
                failures=(400, 503),
                description="What began, ended and is open, who was not notified and why, what was muted by whom, and "
                "what to look at first, with reasons. Lists are cut and say how many there are. No model is asked.",
            )
        ]

    async def report(self, _: Request, asked: NightParameters) -> Night:
        """`GET /api/v1/report/night`."""
        return await self._nights.report(NightRequest(asked.date, asked.tz, asked.since, asked.until))
