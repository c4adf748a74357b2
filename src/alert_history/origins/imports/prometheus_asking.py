"""Questions to a Prometheus, and to whoever answers as it does: bounded, one span of time after the other.

A span is as long as its answer stays small: the samples are counted before they are asked for, and a question that is
too large is asked in halves. Must not know what the samples mean. Times are milliseconds since 1970.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec

from alert_history.errors import OriginUnavailable
from alert_history.origins.imports.http import Refused, Server
from alert_history.origins.imports.prometheus_wire import (
    Alert,
    Envelope,
    Matrix,
    Series,
    Vector,
    alert_of,
    milliseconds,
)

T = TypeVar("T")

FIRING = 'ALERTS{alertstate="firing"}'
SAMPLES_A_SPAN = 300_000
LONGEST_SPAN_MS = 4 * 24 * 3_600_000
_FIRST_SPAN_MS = 3_600_000
_SHORTEST_SPAN_MS = 60_000
_HALVES = 8
_YEARS_MS = 5 * 365 * 24 * 3_600_000
_FINEST_MS = 6 * 3_600_000

WHOLE = {"dedup": "true", "partial_response": "false"}
"""Thanos: replicas made one, and no answer in part. Others pass over it."""


class Span(msgspec.Struct):
    """All firing samples after `from_ms`, up to `until_ms`."""

    from_ms: int
    until_ms: int
    series: list[Series]


class Questions:
    """Asks one server. Each method raises OriginUnavailable, and ImportFault for an answer that can't be read."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def shown(self, path: str, kind: type[T]) -> T | None:
        """What the server answers there; None where it has no such path, or won't show it to us."""
        try:
            return await self._data(path, {}, kind=kind)
        except Refused:
            return None

    async def now_ms(self) -> int:
        """What time it is by the server's clock."""
        vector = await self._data("/api/v1/query", {"query": "vector(1)"}, kind=Vector)
        return milliseconds(vector.result[0].value[0]) if vector.result else 0

    async def vector(self, query: str, at_ms: int) -> Vector:
        """The answer at one moment."""
        return await self._data("/api/v1/query", {"query": query, "time": _seconds(at_ms), **WHOLE}, kind=Vector)

    async def current(self, at_ms: int) -> set[Alert]:
        """The alerts that fire at a moment."""
        return {alert_of(instant.metric) for instant in (await self.vector(FIRING, at_ms)).result}

    async def matrix(self, selector: str, *, from_ms: int, until_ms: int) -> list[Series]:
        """The raw samples from one time to another. A question that is too large is asked in halves, in order."""
        return await self._halved(selector, from_ms=from_ms, until_ms=until_ms, left=_HALVES)

    async def earliest_ms(self, now_ms: int) -> int | None:
        """About when the server's first alert fired, by its index, a few hours early; None where none ever did.

        Where the server refuses to look that far back in its index, it is five years ago: empty spans are read quickly.
        """
        low, high = now_ms - _YEARS_MS, now_ms
        try:
            if not await self._has_alerts(low, high):
                return None
        except Refused:
            return low
        while high - low > _FINEST_MS:
            middle = (low + high) // 2
            low, high = (low, middle) if await self._has_alerts(now_ms - _YEARS_MS, middle) else (middle, high)
        return low

    async def spans(self, from_ms: int, until_ms: int, *, longest_ms: int) -> AsyncIterator[Span]:
        """The firing samples in spans that follow each other, each as long as its answer stays small."""
        at, size = from_ms, min(_FIRST_SPAN_MS, longest_ms)
        while at < until_ms:
            end = min(at + size, until_ms)
            series, count = await self._counted_samples(at, end)
            if series is not None:
                yield Span(at, end, series)
                at = end
            fitting = max(_SHORTEST_SPAN_MS, size * SAMPLES_A_SPAN // max(1, count))
            size = min(longest_ms, 2 * size, fitting)

    async def _counted_samples(self, from_ms: int, until_ms: int) -> tuple[list[Series] | None, int]:
        """The firing samples and how many they are; no samples where that are too many for one answer."""
        try:
            count = await self._count(from_ms, until_ms)
            is_small = count <= 2 * SAMPLES_A_SPAN or until_ms - from_ms <= _SHORTEST_SPAN_MS
            if not is_small:
                return None, count
            return await self._samples(FIRING, from_ms=from_ms, until_ms=until_ms) if count else [], count
        except OriginUnavailable:
            if until_ms - from_ms <= _SHORTEST_SPAN_MS:
                raise
            await self.now_ms()  # it raises where the server does not answer at all
            return None, 2 * SAMPLES_A_SPAN

    async def _count(self, from_ms: int, until_ms: int) -> int:
        """How many firing samples there are."""
        vector = await self.vector(f"sum(count_over_time({FIRING}[{until_ms - from_ms}ms]))", until_ms)
        return int(float(vector.result[0].value[1])) if vector.result else 0

    async def _has_alerts(self, from_ms: int, until_ms: int) -> bool:
        params = {"match[]": FIRING, "start": _seconds(from_ms), "end": _seconds(until_ms), **WHOLE}
        return bool(await self._data("/api/v1/label/alertstate/values", params, kind=list[str]))

    async def _samples(self, selector: str, *, from_ms: int, until_ms: int) -> list[Series]:
        params = {"query": f"{selector}[{until_ms - from_ms}ms]", "time": _seconds(until_ms), **WHOLE}
        return (await self._data("/api/v1/query", params, kind=Matrix)).result

    async def _halved(self, selector: str, *, from_ms: int, until_ms: int, left: int) -> list[Series]:
        try:
            return await self._samples(selector, from_ms=from_ms, until_ms=until_ms)
        except OriginUnavailable:
            if left == 0:
                raise
            await self.now_ms()
        middle = (from_ms + until_ms) // 2
        earlier = await self._halved(selector, from_ms=from_ms, until_ms=middle, left=left - 1)
        return earlier + await self._halved(selector, from_ms=middle, until_ms=until_ms, left=left - 1)

    async def _data(self, path: str, params: dict[str, Any], *, kind: type[T]) -> T:
        body = await self._server.get(path, params)
        envelope: Envelope[T] = self._server.read(body, path, type_=Envelope[kind])  # type: ignore[valid-type]
        if envelope.warnings:
            raise OriginUnavailable(f"{self._server.url}{path}: it answers in part: {envelope.warnings[0][:200]}")
        if envelope.data is None:
            raise OriginUnavailable(f"{self._server.url}{path}: {envelope.error[:200] or 'it answers nothing'}")
        return envelope.data


async def one_ahead(items: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same items; the next one is made while the caller works on the last one."""
    coming: asyncio.Task[T] = asyncio.ensure_future(_next(items))
    try:
        while True:
            try:
                item = await coming
            except _Over:
                return
            coming = asyncio.ensure_future(_next(items))
            yield item
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


class _Over(Exception):
    """No more items; a task can't raise StopAsyncIteration's like into an async generator."""


async def _next(items: AsyncIterator[T]) -> T:
    async for item in items:
        return item
    raise _Over


def selector_of(name: str, labels: dict[str, str]) -> str:
    """The selector of the one series with exactly these labels."""
    matchers = ",".join(f"{label}={quoted(value)}" for label, value in labels.items() if label != "__name__")
    return f"{name}{{{matchers}}}"


def quoted(text: str) -> str:
    """A text as PromQL writes it."""
    return msgspec.json.encode(text).decode()


def _seconds(time_ms: int) -> str:
    return f"{time_ms // 1000}.{time_ms % 1000:03d}"
