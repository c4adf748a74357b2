"""The series of the statistics: what began, or fired, over time. Holds parameters; `engine.series` counts."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.calendar import STEPS, parse_zone
from alert_history.domain.permission import Permission
from alert_history.engine.series import SeriesAnswer, SeriesCounting
from alert_history.engine.series_parts import Count, SeriesWish
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Top, Until, Zone, asked_of
from alert_history.web.http.operation import Operation

_COUNT = (
    "`begun`: an occurrence counts once, when it was first received. "
    "`open`: it counts in each bucket at whose end it fires"
)
_STEP = (
    "How long a bucket is. Buckets begin where clocks in `tz` show a multiple of it, weeks on Mondays. Without it: the "
    "shortest that makes at most 200 buckets"
)
_Step = Literal["1m", "5m", "15m", "1h", "6h", "1d", "1w", "4w", "52w"]


class SeriesParameters(msgspec.Struct, frozen=True):
    """What a series takes."""

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None
    by: Annotated[str, Meta(description="The label whose values are stacked; also `receiver` and `source`")] | None = (
        None
    )
    count: Annotated[Count, Meta(description=_COUNT)] = "begun"
    step: Annotated[_Step, Meta(description=_STEP)] | None = None
    top: Top = 10


class SeriesApi:
    """The handler."""

    def __init__(self, counting: SeriesCounting, *, clock: Clock) -> None:
        self._counting = counting
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/series",
                summary="How many alerts began, or fired, over time",
                handle=self.series,
                answer=SeriesAnswer,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=SeriesParameters,
                failures=FAILURES,
                description="Stacked by the values of a label: in each bucket, the values shown and all others add up "
                "to the total.",
            )
        ]

    async def series(self, _: Request, asked: SeriesParameters) -> SeriesAnswer:
        """`GET /api/v1/stats/series`."""
        wish = SeriesWish(
            tz=parse_zone(asked.tz),
            tz_name=asked.tz,
            count=asked.count,
            by=asked.by,
            step=None if asked.step is None else STEPS[asked.step],
            top=asked.top,
        )
        span = asked_of(asked, self._clock())
        return await self._counting.series(span, wish, is_compared=asked.compare is not None)
