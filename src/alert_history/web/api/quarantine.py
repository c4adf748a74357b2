"""The quarantine over HTTP: which alerts were refused or cut, and why."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.ports import History, QuarantinedAlert
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import Limit

_TAG = "History"


class QuarantineParameters(msgspec.Struct, frozen=True):
    """Which page of the quarantine."""

    limit: Limit = 50
    cursor: Annotated[UUID, Meta(description="`next_cursor` of the page before")] | None = None


class QuarantineAnswer(msgspec.Struct, frozen=True):
    """A page of what was refused, newest first. `total` is a lower bound where `is_total_exact` is false."""

    quarantine: list[QuarantinedAlert]
    total: int
    is_total_exact: bool
    limit: int
    next_cursor: str | None


class QuarantineApi:
    """Pages of the quarantine, which the read side of a store has."""

    def __init__(self, history: History) -> None:
        self._history = history

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/quarantine",
                summary="What was refused or cut, and why",
                handle=self.page,
                answer=QuarantineAnswer,
                tag=_TAG,
                needs=Permission.READ,
                parameters=QuarantineParameters,
                failures=(400, 503),
                description="Alerts refused inside requests that were otherwise accepted, and how those came whose "
                "annotations were cut; newest first.",
            ),
        ]

    async def page(self, _: Request, asked: QuarantineParameters) -> QuarantineAnswer:
        """`GET /api/v1/quarantine`."""
        cursor = None if asked.cursor is None else str(asked.cursor)
        page = await self._history.quarantine(limit=asked.limit, cursor=cursor)
        return QuarantineAnswer(page.quarantine, page.total, page.is_total_exact, asked.limit, page.next_cursor)
