"""The quarantine over HTTP: which alerts were refused or cut, and why."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.ports import History, QuarantinedAlert, QuarantineFilter
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import Limit

_TAG = "History"


class QuarantineParameters(msgspec.Struct, frozen=True):
    """Which page of the quarantine."""

    source: str | None = None
    reason: Annotated[str, Meta(description="A part of the reason, as it is written")] | None = None
    limit: Limit = 50
    cursor: Annotated[UUID, Meta(description="`next_cursor` of the page before")] | None = None


class QuarantineAnswer(msgspec.Struct, frozen=True):
    """A page of what was refused, newest first.

    `total` is of the whole quarantine, a lower bound where `is_total_exact` is false.

    With `source` or `reason` a page looks at a bounded number; `next_cursor` goes on, also behind an empty page.
    """

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
        wanted = QuarantineFilter(asked.source, asked.reason)
        page = await self._history.quarantine(limit=asked.limit, cursor=cursor, wanted=wanted)
        return QuarantineAnswer(page.quarantine, page.total, page.is_total_exact, asked.limit, page.next_cursor)
