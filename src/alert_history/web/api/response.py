"""How soon people acknowledge alerts. Holds the parameters; `engine.people_response` answers."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.engine.people_response import PeopleResponse, ResponseAnswer
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Until, Zone, asked_of
from alert_history.web.http.operation import Operation


class ResponseParameters(msgspec.Struct, frozen=True):
    """What the call takes. `tz` changes nothing here; all statistics take it."""

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None
    top: Annotated[int, Meta(ge=1, le=1000, description="So many rules, and so many people, are shown")] = 100


class ResponseApi:
    """The handler."""

    def __init__(self, response: PeopleResponse, *, clock: Clock) -> None:
        self._response = response
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/response",
                summary="How soon people acknowledge",
                handle=self.response,
                answer=ResponseAnswer,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=ResponseParameters,
                failures=FAILURES,
                description="The time from when an occurrence was first received until a person acknowledged it: of "
                "all, by rule and by person. What ended without, or waits still, counts as one that waited at least so "
                "long.",
            )
        ]

    async def response(self, _: Request, asked: ResponseParameters) -> ResponseAnswer:
        """`GET /api/v1/stats/response`."""
        span = asked_of(asked, self._clock())
        return await self._response.response(span, top=asked.top, is_compared=asked.compare is not None)
