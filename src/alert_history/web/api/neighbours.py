"""What an occurrence is like, and what was around it. Holds the parameters; `engine.neighbours` answers."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.engine.history import Moved
from alert_history.engine.neighbours import AroundAnswer, Neighbours, SimilarAnswer
from alert_history.web.api.together import duration_of
from alert_history.web.http.operation import Operation

_TAG = "History"
_LONGEST = timedelta(hours=6)
_MOVED = "The id is of a double that was joined to another occurrence; the same call there is answered"

Id = Annotated[str, Meta(description="`id` of an alert in `/history`")]


class SimilarParameters(msgspec.Struct, frozen=True):
    """The id of an occurrence."""

    id: Id
    limit: Annotated[int, Meta(ge=1, le=50, description="So many episodes of each kind")] = 10


class AroundParameters(msgspec.Struct, frozen=True):
    """The id of an occurrence, and how far to look."""

    id: Id
    within: Annotated[str, Meta(description="So long before and after, up to six hours: `15m`")] = "15m"
    top: Annotated[int, Meta(ge=1, le=200, description="So many rules are shown")] = 50


class NeighboursApi:
    """The handlers."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/alerts/{id}/similar",
                summary="How it was before",
                handle=self.similar,
                answer=SimilarAnswer,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=SimilarParameters,
                failures=(400, 404, 503),
                description="Earlier episodes of the same alert, then of others with the same alertname and namespace: "
                "how each ended, how long it fired, what was said and done.",
                moved=_MOVED,
            ),
            Operation(
                path="/api/v1/alerts/{id}/around",
                summary="What else began or fired",
                handle=self.around,
                answer=AroundAnswer,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=AroundParameters,
                failures=(400, 404, 503),
                description="What began shortly before or after it, and what fired already: by rule, nearest first, "
                "each with how much later it began.",
                moved=_MOVED,
            ),
        ]

    async def similar(self, _: Request, asked: SimilarParameters) -> SimilarAnswer | Response:
        """`GET /api/v1/alerts/{id}/similar`."""
        answer = await self._neighbours.similar(asked.id, most=asked.limit)
        return _redirect(answer, "similar") if isinstance(answer, Moved) else answer

    async def around(self, _: Request, asked: AroundParameters) -> AroundAnswer | Response:
        """`GET /api/v1/alerts/{id}/around`."""
        within = duration_of("within", asked.within, _LONGEST)
        answer = await self._neighbours.around(asked.id, within, top=asked.top)
        return _redirect(answer, "around") if isinstance(answer, Moved) else answer


def _redirect(moved: Moved, call: str) -> Response:
    """For good: what was joined to another occurrence stays joined."""
    return RedirectResponse(f"../{moved.id}/{call}", HTTPStatus.PERMANENT_REDIRECT)
