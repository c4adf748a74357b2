"""Why targets were notified of an occurrence or not, over HTTP. Holds the parameters; `engine.why` answers."""

from http import HTTPStatus
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.engine.history import Moved
from alert_history.engine.why import Explaining, WhyAnswer
from alert_history.web.http.operation import Operation


class WhyParameters(msgspec.Struct, frozen=True):
    """The id of an occurrence, and the target that is meant."""

    id: Annotated[str, Meta(description="`id` of an alert in `/history`")]
    target: Annotated[str, Meta(description="Only what concerns this target, or receiver of Alertmanager")] | None = (
        None
    )


class WhyApi:
    """The handler."""

    def __init__(self, explaining: Explaining) -> None:
        self._explaining = explaining

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/alerts/{id}/why",
                summary="Who was notified, who was not, and why",
                handle=self.why,
                parameters=WhyParameters,
                answer=WhyAnswer,
                tag="History",
                needs=Permission.READ,
                keeps_to_reach=True,
                failures=(400, 404, 503),
                description="In one sentence, and the steps that led there, oldest first: as they were decided then, "
                "and what became of them by now. `/api/v1/alerts/{id}` has the same as a ledger. "
                "`targets` and `receivers` say it of each; what receivers of Alertmanagers did is on record, or "
                "follows from the configuration, the silences and the other alerts of then.",
                moved="The id is of a double that was joined to another occurrence; the same call there is answered",
            )
        ]

    async def why(self, request: Request, asked: WhyParameters) -> WhyAnswer | Response:
        """`GET /api/v1/alerts/{id}/why`."""
        answer = await self._explaining.why(asked.id, target=asked.target)
        if isinstance(answer, Moved):
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"../{answer.id}/why{query}", HTTPStatus.PERMANENT_REDIRECT)
        return answer
