"""The noise of rules: a score whose parts add up. Holds the parameters; `engine.noise_scores` answers."""

from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.calendar import parse_zone
from alert_history.domain.interruptions import Hours
from alert_history.domain.permission import Permission
from alert_history.engine.noise_scores import NoiseAnswer, NoiseScores
from alert_history.ports import Clock
from alert_history.web.api.span import FAILURES, TAG, Compare, Query, Since, Until, Zone, asked_of
from alert_history.web.http.operation import Operation


class NoiseParameters(msgspec.Struct, frozen=True):
    """What the call takes. `tz` decides when people sleep, are off, and work."""

    query: Query = ""
    since: Since | None = None
    until: Until | None = None
    tz: Zone = "UTC"
    compare: Compare | None = None
    top: Annotated[int, Meta(ge=1, le=100, description="So many of the noisiest rules")] = 20


class NoiseApi:
    """The handler."""

    def __init__(self, scores: NoiseScores, *, clock: Clock) -> None:
        self._scores = scores
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/stats/noise",
                summary="Which rules are noise",
                handle=self.noise,
                answer=NoiseAnswer,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=NoiseParameters,
                failures=FAILURES,
                description="The noisiest rules, each with a score from 0 to 100, whose parts add up to it: each part "
                "with its count, its bounds, its weight, and a query for the occurrences behind it. Rules are ranked "
                "by the low end of the score, so that three firings never look certain.",
            )
        ]

    async def noise(self, _: Request, asked: NoiseParameters) -> NoiseAnswer:
        """`GET /api/v1/stats/noise`."""
        span, hours = asked_of(asked, self._clock()), Hours(parse_zone(asked.tz))
        is_compared = asked.compare is not None
        return await self._scores.noise(span, hours, tz=asked.tz, top=asked.top, is_compared=is_compared)
