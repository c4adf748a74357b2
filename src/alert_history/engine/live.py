"""Live: what happens to occurrences, to all who follow it.

One reader in a process looks at the feed each second and tells all followers, so a look costs the same for one follower
and for hundreds; a query is asked once for all that follow it. A follower has a place in the feed and no queue: one
that reads slowly falls behind, and reads on from the feed itself at its own pace. Whoever fell behind what the feed
still holds is told so, and goes on from now.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, TypeVar, cast

import msgspec
import structlog

from alert_history.domain.microseconds import from_us
from alert_history.domain.news import State, state_after
from alert_history.domain.query import Query
from alert_history.engine.reach import is_narrowed, narrowed
from alert_history.errors import AlertHistoryError, Overloaded
from alert_history.ports import Clock, Feed, NumberedNews, StoredAlert

MOST_A_FRAME = 500
"""So many things one frame holds at most."""

_TICK_SECONDS = 1.0
_IDLE_SECONDS = 10.0  # without followers: news is numbered all the same, so that a follower can come back
_BEAT_SECONDS = 15.0
_FORGET_SECONDS = 60.0
_KEPT_FOR = timedelta(hours=1)
_MOST_KEPT = 500_000
_MOST_STEPS = 20
_MOST_BEHIND = 10 * MOST_A_FRAME
_MOST_TICKS = 60
_MOST_REMEMBERED = 2_000
_MOST_FOLLOWERS = 2_000
_MOST_CATCHING_UP = 4
_WOKEN_AT_ONCE = 25

_UNKNOWN = "no such number was given here"
_FORGOTTEN = "it is so long ago, or so much happened since, that it is forgotten here"

T = TypeVar("T")

_log = structlog.get_logger()


class Happening(msgspec.Struct, frozen=True):
    """One thing that happened to an occurrence. `state` is what the occurrence was in after it, as far as it tells."""

    number: int
    kind: str
    at: datetime
    state: State
    alert: StoredAlert


class Gap(msgspec.Struct, frozen=True):
    """What happened after `after` is not known here any more, or never was."""

    after: int
    reason: str


class Frame(msgspec.Struct, frozen=True):
    """What a follower is told at once, up to the number `last`; nothing but that number now and then: a heartbeat.

    `skipped` more things happened, at which nobody looked: all of them since about `skipped_since`. `made` is what was
    made of these happenings already, for another follower of the same query; None where they are told to this follower
    alone.
    """

    last: int
    happenings: Sequence[Happening] = ()
    skipped: int = 0
    skipped_since: datetime | None = None
    gap: Gap | None = None
    made: dict[Hashable, Any] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it is a heartbeat."""
        return not (self.happenings or self.skipped or self.gap)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is made of the frame, made once for all followers who are told the same. `key` says what is made."""
        if self.made is None:
            return make()
        if key not in self.made:
            self.made[key] = make()
        return cast("T", self.made[key])


class Tick:
    """What one look at the feed brought: the numbers above `after` up to `last`; `skipped` of them it left out.

    `at` is when the first of them was numbered.
    """

    def __init__(
        self, after: int, last: int, happenings: Sequence[Happening], *, skipped: int, at: datetime | None
    ) -> None:
        self.after = after
        self.last = last
        self.happenings = happenings
        self.skipped = skipped
        self.at = at
        self._frames: dict[Query, Frame] = {}

    def frame(self, query: Query) -> Frame:
        """The frame for all who follow a query; they wait for the first who asks."""
        frame = self._frames.get(query)
        if frame is None:
            frame = Frame(self.last, _matching(self.happenings, query), self.skipped, self.at, made={})
            self._frames[query] = frame
        return frame


class Follower:
    """One who follows a query from a place in the feed on. `is_whole` says whether it wants each single thing.

    Whoever does not is told of the newest things, and how many others there were.
    """

    def __init__(self, live: "Live", query: Query, *, after: int, newest: int, is_whole: bool, gap: Gap | None) -> None:
        self._live = live
        self._query = query
        self.after = after
        self._newest = newest
        self._is_whole = is_whole
        self._gap = gap
        self._beat = live.beat
        self._told_at = 0.0
        self.wake = asyncio.Event()
        self.is_over = False

    def end(self) -> None:
        """Have `frames` end."""
        self.is_over = True
        self.wake.set()

    async def frames(self) -> AsyncGenerator[Frame]:
        """First the number from which on it follows, then what happens. Ends with `end` alone.

        While much happens there is about one frame a second.

        Raises: StorageUnavailable.
        """
        self._live.add(self)
        try:
            yield Frame(self.after, gap=self._gap)
            while not self.is_over:
                frame = await self._next()
                if frame is None:
                    await self.wake.wait()
                    self.wake.clear()
                elif not frame.is_empty or self._is_time_for_a_beat():
                    self._told_at = monotonic()
                    self._beat = self._live.beat
                    yield frame
        finally:
            self._live.remove(self)

    def _is_time_for_a_beat(self) -> bool:
        return self._beat != self._live.beat

    async def _next(self) -> Frame | None:
        """What follows; None where the follower has to wait."""
        last = self._newest if self._live.last is None else self._live.last
        if self.after >= last:
            return Frame(self.after) if self._is_time_for_a_beat() else None
        tick = self._live.tick_after(self.after)
        if tick is None or (tick.skipped and self._is_whole):
            return await self._behind(last)
        frame = tick.frame(self._query)
        if self.after > tick.after:
            rest = [each for each in frame.happenings if each.number > self.after]
            frame = Frame(tick.last, rest, tick.skipped, tick.at)
        self.after = tick.last
        return frame

    async def _behind(self, last: int) -> Frame | None:
        """What follows for one that fell behind, or came back."""
        if not self._is_whole and last - self.after > MOST_A_FRAME:
            since = await self._live.numbered_at(self.after)
            skipped, self.after = last - self.after, last
            return Frame(last, skipped=skipped, skipped_since=since)
        await self._rest(self._told_at + _TICK_SECONDS - monotonic())
        if self.is_over:
            return None
        frame = await self._live.catch_up(self.after, self._query)
        self.after = frame.last
        self._told_at = monotonic()
        return frame

    async def _rest(self, seconds: float) -> None:
        """Wait a while, unless the end comes before."""
        end = monotonic() + seconds
        while not self.is_over and (left := end - monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self.wake.wait()
            except TimeoutError:
                return
            self.wake.clear()


class Live:
    """The reader of a process, and its followers."""

    def __init__(self, feed: Feed, *, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self._followers: set[Follower] = set()
        self._ticks: deque[Tick] = deque()
        self._catching_up = asyncio.Semaphore(_MOST_CATCHING_UP)
        self._called = asyncio.Event()
        self._beat_at = self._forgotten_at = monotonic()
        self.last: int | None = None
        self.beat = 0

    async def newest(self) -> int:
        """The number up to which the feed has come. Raises StorageUnavailable."""
        return await self._feed.newest()

    async def recent(self, query: Query, *, most: int) -> tuple[int, Sequence[Happening]]:
        """The newest number, and what happened last up to it, the oldest first. Raises StorageUnavailable.

        Looks at no more than a frame holds.
        """
        query = narrowed(query)
        newest = await self._feed.newest()
        news = await self._feed.after(max(newest - MOST_A_FRAME, 0), most=MOST_A_FRAME)
        return newest, _matching(await self._happenings(news), query)[-most:]

    async def follow(self, query: Query, *, after: int | None, is_whole: bool) -> Follower:
        """A follower of a query, from what comes behind that number on; from now on without one.

        Raises: StorageUnavailable, or Overloaded where too many follow already.
        """
        if len(self._followers) >= _MOST_FOLLOWERS:
            raise Overloaded("too many follow what happens; try again later")
        newest = await self._feed.newest()
        gap = None if after is None or 0 <= after <= newest else Gap(after, _UNKNOWN)
        place = newest if after is None or gap is not None else after
        # How many things were skipped would tell who sees some alerts only how many there are: they get each.
        is_whole = is_whole or is_narrowed()
        return Follower(self, narrowed(query), after=place, newest=newest, is_whole=is_whole, gap=gap)

    def add(self, follower: Follower) -> None:
        """Tell a follower from now on."""
        self._followers.add(follower)
        self._called.set()

    def remove(self, follower: Follower) -> None:
        """Tell a follower no more."""
        self._followers.discard(follower)

    async def run(self) -> None:
        """Look at the feed each second until cancelled. A look that fails is logged and made again."""
        while True:
            try:
                await self._look()
            except AlertHistoryError as error:
                _log.warning("job_failed", job="live", reason=str(error))
            await self._pause()

    def close(self) -> None:
        """Have all followers end."""
        for follower in self._followers:
            follower.end()

    def tick_after(self, number: int) -> Tick | None:
        """The tick that goes on behind that number; None where it is forgotten."""
        return next((tick for tick in self._ticks if tick.after <= number < tick.last), None)

    async def numbered_at(self, after: int) -> datetime | None:
        """When the news that follows a number was numbered; None where it is forgotten. Raises StorageUnavailable."""
        async with self._catching_up:
            news = await self._feed.after(after, most=1)
        return news[0].at if news else None

    async def catch_up(self, after: int, query: Query) -> Frame:
        """What follows a number, from the feed itself. Few may do so at once. Raises StorageUnavailable."""
        async with self._catching_up:
            news = await self._feed.after(after, most=MOST_A_FRAME)
            if not news or news[0].number != after + 1:
                gap = Gap(after, _FORGOTTEN if news else _UNKNOWN)
                return Frame(await self._feed.newest(), gap=gap)
            return Frame(news[-1].number, _matching(await self._happenings(news), query))

    async def _pause(self) -> None:
        """Until the next look; whoever comes first after a while does not wait for it."""
        self._called.clear()
        if self._followers:
            await asyncio.sleep(_TICK_SECONDS)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._called.wait()

    async def _look(self) -> None:
        for _ in range(_MOST_STEPS):
            if not await self._feed.number():
                break
        is_news = bool(self._followers) and await self._read()
        is_beat = monotonic() - self._beat_at >= _BEAT_SECONDS
        if is_beat:
            self._beat_at = monotonic()
            self.beat += 1
        if is_news or is_beat:
            await self._wake()
        if not self._followers:
            self.last = None
            self._ticks.clear()
        await self._forget()

    async def _read(self) -> bool:
        """Make a tick of what is new; whether there is something for followers to see to."""
        if self.last is None:
            self.last = await self._feed.newest()
            return True
        news = await self._feed.after(self.last, most=MOST_A_FRAME)
        if not news:
            return False
        happenings = await self._happenings(news)
        last = news[-1].number
        if len(news) == MOST_A_FRAME and (newest := await self._feed.newest()) > last + _MOST_BEHIND:
            last = newest - MOST_A_FRAME
        skipped = last - self.last - len(news)
        self._remember(Tick(self.last, last, happenings, skipped=skipped, at=news[0].at))
        return True

    def _remember(self, tick: Tick) -> None:
        self._ticks.append(tick)
        self.last = tick.last
        remembered = sum(len(each.happenings) for each in self._ticks)
        while len(self._ticks) > _MOST_TICKS or (remembered > _MOST_REMEMBERED and len(self._ticks) > 1):
            remembered -= len(self._ticks.popleft().happenings)

    async def _happenings(self, news: Sequence[NumberedNews]) -> list[Happening]:
        """News with its occurrences. One that is gone by now is left out: nothing more can be said of it."""
        keys = {(each.news.fingerprint, from_us(each.news.key_us)) for each in news}
        alerts = await self._feed.alerts(keys)
        happenings = []
        for each in news:
            alert = alerts.get((each.news.fingerprint, from_us(each.news.key_us)))
            if alert is not None:
                kind = each.news.kind
                state = state_after(kind, alert.state)
                happenings.append(Happening(each.number, kind, from_us(each.news.at_us), state, alert))
        return happenings

    async def _wake(self) -> None:
        """Wake all followers, some at a time: a commit of ingest does not wait until all have been told."""
        for number, follower in enumerate(list(self._followers)):
            follower.wake.set()
            if number % _WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _forget(self) -> None:
        if monotonic() - self._forgotten_at < _FORGET_SECONDS:
            return
        self._forgotten_at = monotonic()
        before = self._clock() - _KEPT_FOR
        for _ in range(_MOST_STEPS):
            if not await self._feed.forget(before, most=_MOST_KEPT):
                break


def _matching(happenings: Sequence[Happening], query: Query) -> list[Happening]:
    return [each for each in happenings if query.matches(each.alert.labels, each.alert.annotations)]
