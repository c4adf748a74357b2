"""The durations of the statistics: how long alerts fire. Holds parameters; `engine.durations` counts."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.engine.durations import DurationCounting, DurationLabel, DurationsAnswer
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Top, Until, Zone, asked_of
from alert_history.web.http.operation import Operation


class DurationParameters(msgspec.Struct, frozen=True):
    """What durations take. `tz` changes nothing here; all statistics take it."""

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None
    by: Annotated[DurationLabel, Meta(description="`alertname` for each rule")] | None = None
    top: Top = 10


class DurationsApi:
    """The handler."""

    def __init__(self, counting: DurationCounting, *, clock: Clock) -> None:
        self._counting = counting
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/durations",
                summary="How long alerts fire",
                handle=self.durations,
                answer=DurationsAnswer,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=DurationParameters,
                failures=FAILURES,
                description="p50, p90 and p99 by the Kaplan–Meier estimator, which takes what fires still into "
                "account; and by how the end is known. Of a span of two days or more, whole days count, UTC; `covers` "
                "says which.",
            )
        ]

    async def durations(self, _: Request, asked: DurationParameters) -> DurationsAnswer:
        """`GET /api/v1/stats/durations`."""
        span = asked_of(asked, self._clock())
        return await self._counting.durations(span, by=asked.by, top=asked.top, is_compared=asked.compare is not None)
