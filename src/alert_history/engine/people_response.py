"""How soon people acknowledged the occurrences of a span: in all, by rule, by person; from its newest occurrences."""

import asyncio
from collections.abc import Sequence

import msgspec

from alert_history.domain.covers import Covers
from alert_history.domain.response import PersonResponse, Response, ResponseTimes, RuleResponse, response_of
from alert_history.engine.analysis import Asked
from alert_history.engine.newest_episodes import read_newest
from alert_history.engine.people_acts import KeptActs, read_acts
from alert_history.ports import Analytics


class ResponseBefore(msgspec.Struct, frozen=True):
    """The span before. The changes are how much more the share and the median are now; None where one is not known."""

    times: ResponseTimes
    change_share: float
    change_p50_seconds: float | None
    covers: Covers


class ResponseAnswer(msgspec.Struct, frozen=True):
    """The response to all occurrences; by rule, the slowest first; and by person, the busiest first."""

    times: ResponseTimes
    rules: Sequence[RuleResponse]
    people: Sequence[PersonResponse]
    covers: Covers
    compared: ResponseBefore | None = None


class PeopleResponse:
    """Answers how soon people acknowledged. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    def __init__(self, analytics: Analytics, *, acts: KeptActs | None = None) -> None:
        self._analytics = analytics
        self._acts = acts

    async def response(self, asked: Asked, *, top: int, is_compared: bool = False) -> ResponseAnswer:
        """The response in a span, of `top` rules and people."""
        response, covers = await self._response(asked)
        compared = await self._before(asked, response.times) if is_compared else None
        return ResponseAnswer(response.times, response.rules[:top], response.people[:top], covers, compared)

    async def _before(self, asked: Asked, now: ResponseTimes) -> ResponseBefore:
        response, covers = await self._response(asked.before)
        was = response.times
        is_known = was.p50_seconds is not None and now.p50_seconds is not None
        change = (now.p50_seconds or 0.0) - (was.p50_seconds or 0.0) if is_known else None
        return ResponseBefore(was, now.share - was.share, change, covers)

    async def _response(self, asked: Asked) -> tuple[Response, Covers]:
        newest = await read_newest(self._analytics, asked)
        acts = await read_acts(self._acts, newest.since, now=asked.now)
        response = await asyncio.to_thread(response_of, newest.episodes, acts.for_response, now=asked.now)
        return response, newest.covers(asked, left_out=acts.left_out)
