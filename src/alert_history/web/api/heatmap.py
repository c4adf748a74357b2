"""The heatmap of the statistics: hour by weekday. Holds parameters; `engine.heatmap` counts."""

import msgspec
from starlette.requests import Request

from alert_history.domain.calendar import parse_zone
from alert_history.domain.permission import Permission
from alert_history.engine.heatmap import Heatmap, HeatmapCounting
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Until, Zone, asked_of
from alert_history.web.http.operation import Operation


class HeatmapParameters(msgspec.Struct, frozen=True):
    """What a heatmap takes."""

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None


class HeatmapApi:
    """The handler."""

    def __init__(self, counting: HeatmapCounting, *, clock: Clock) -> None:
        self._counting = counting
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/heatmap",
                summary="In which hours of the week alerts begin",
                handle=self.heatmap,
                answer=Heatmap,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=HeatmapParameters,
                failures=FAILURES,
                description="168 cells by the clocks of `tz`, from Monday 00:00 on, each with how many hours of the "
                "span it had: an hour that clocks skip had none on that day, one that they show twice had two.",
            )
        ]

    async def heatmap(self, _: Request, asked: HeatmapParameters) -> Heatmap:
        """`GET /api/v1/stats/heatmap`."""
        span, tz = asked_of(asked, self._clock()), parse_zone(asked.tz)
        return await self._counting.heatmap(span, tz, tz_name=asked.tz, is_compared=asked.compare is not None)
