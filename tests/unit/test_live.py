"""Followers: each is told all that matches, once and in order, however slowly it reads, or told what it misses.

Holds: `engine.live`.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

import pytest

from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.news import News
from alert_history.domain.occurrence import Key
from alert_history.domain.query import Query, parse_query
from alert_history.engine import live as module
from alert_history.engine.live import MOST_A_FRAME, Follower, Frame, Live
from alert_history.errors import Overloaded, StorageUnavailable
from alert_history.ports import NumberedNews, StoredAlert

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ALL = Query((), ())


class MemoryFeed:
    """See `ports.Feed`. `fail` makes the next call fail; `reads` counts how often news was read."""

    def __init__(self) -> None:
        self.news: dict[int, News] = {}
        self.last = 0
        self.fail = False
        self.reads = 0

    def add(self, *names: str, kind: str = "fired") -> None:
        for name in names:
            self.last += 1
            self.news[self.last] = News(name, to_us(NOW), kind, to_us(NOW) + self.last)

    async def number(self) -> int:
        if self.fail:
            self.fail = False
            raise StorageUnavailable("down")
        return 0

    async def newest(self) -> int:
        return self.last

    async def after(self, number: int, *, most: int) -> Sequence[NumberedNews]:
        self.reads += 1
        later = (n for n in sorted(self.news) if n > number)
        return [NumberedNews(n, self.news[n]) for n in islice(later, most)]

    async def forget(self, before: datetime, *, most: int) -> int:
        raise NotImplementedError

    async def alerts(self, keys: Collection[Key]) -> Mapping[Key, StoredAlert]:
        return {key: stored(key) for key in keys}


def stored(key: Key) -> StoredAlert:
    name, at = key
    return StoredAlert(
        id=name,
        fingerprint=name,
        alertname=name,
        namespace="",
        severity="critical",
        status="firing",
        labels={"alertname": name},
        annotations={},
        starts_at=at,
        ends_at=None,
        expires_at=None,
        timestamp=at,
        last_received_at=at,
        repeat_count=0,
        generator_url="",
        source="test",
        receiver="",
        state="firing",
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds pass in milliseconds."""
    monkeypatch.setattr(module, "_TICK_SECONDS", 0.004)
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.02)
    monkeypatch.setattr(module, "_BEAT_SECONDS", 0.03)


@pytest.fixture
def feed() -> MemoryFeed:
    return MemoryFeed()


@pytest.fixture
async def live(feed: MemoryFeed) -> AsyncIterator[Live]:
    """A reader at work."""
    made = Live(feed, clock=lambda: NOW)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def following(
    live: Live, query: Query = ALL, *, after: int | None = None, is_whole: bool = True
) -> AsyncIterator[tuple[Follower, AsyncIterator[Frame]]]:
    """A follower, and its frames behind the first."""
    follower = await live.follow(query, after=after, is_whole=is_whole)
    async with aclosing(follower.frames()) as frames, asyncio.timeout(10):
        first = await anext(frames)
        assert first.gap is None
        yield follower, frames


async def numbers(frames: AsyncIterator[Frame], most: int) -> list[int]:
    """So many numbers that a follower is told."""
    own: list[int] = []
    while len(own) < most:
        own += [each.number for each in (await anext(frames)).happenings]
    return own


async def full_frame(frames: AsyncIterator[Frame]) -> Frame:
    """The next frame that tells something."""
    while True:
        frame = await anext(frames)
        if not frame.is_empty:
            return frame


async def test_follower_is_told_what_matches(live: Live, feed: MemoryFeed) -> None:
    async with following(live, parse_query("alertname=B")) as (_, frames):
        feed.add("A", "B", "C", "B")
        assert await numbers(frames, 2) == [2, 4]


async def test_state_is_that_after_the_event(live: Live, feed: MemoryFeed) -> None:
    feed.add("A", kind="resolved")
    feed.add("A", kind="unconfirmed")
    feed.add("A", kind="silenced")
    async with following(live, after=0) as (_, frames):
        frame = await full_frame(frames)
        assert [each.state for each in frame.happenings] == ["resolved", "unconfirmed", "firing"]


async def test_work_is_done_once_for_all_followers_of_a_query(live: Live, feed: MemoryFeed) -> None:
    made: list[str] = []

    def make() -> str:
        made.append("")
        return f"row {len(made)}"

    async with following(live) as (_, one), following(live) as (_, other):
        await anext(one), await anext(other)  # a heartbeat: both follow by now
        reads = feed.reads
        feed.add("A")
        frames = [await full_frame(one), await full_frame(other)]
        assert [frame.once("html", make) for frame in frames] == ["row 1", "row 1"]
    assert feed.reads - reads < 30


async def test_slow_follower_is_told_everything_later(live: Live, feed: MemoryFeed) -> None:
    async with following(live) as (_, frames):
        for number in range(300):
            feed.add(f"A{number}")
            if number % 3 == 0:
                await asyncio.sleep(0.005)
        assert await numbers(frames, 300) == list(range(1, 301))


async def test_slow_page_is_told_how_much_it_missed(live: Live, feed: MemoryFeed) -> None:
    async with following(live, is_whole=False) as (_, frames):
        feed.add(*(f"A{number}" for number in range(20 * MOST_A_FRAME)))
        total = 0
        while total < feed.last:
            frame = await anext(frames)
            total += len(frame.happenings) + frame.skipped
        assert total == feed.last


async def test_storm_is_told_whole_to_whoever_wants_it(live: Live, feed: MemoryFeed) -> None:
    async with following(live) as (_, frames):
        feed.add(*(f"A{number}" for number in range(15 * MOST_A_FRAME)))
        assert await numbers(frames, feed.last) == list(range(1, feed.last + 1))


async def test_frame_is_bounded(live: Live, feed: MemoryFeed) -> None:
    feed.add(*(f"A{number}" for number in range(3 * MOST_A_FRAME)))
    async with following(live, after=0) as (_, frames):
        assert len((await full_frame(frames)).happenings) == MOST_A_FRAME


async def test_what_is_forgotten_is_a_gap(live: Live, feed: MemoryFeed) -> None:
    feed.add(*"ABCDE")
    for number in (1, 2, 3):
        del feed.news[number]
    async with following(live, after=1) as (_, frames):
        gap = await full_frame(frames)
        assert (gap.gap is not None, gap.last) == (True, 5)
        feed.add("F")
        assert await numbers(frames, 1) == [6]
    async with following(live, after=3) as (_, frames):
        assert await numbers(frames, 3) == [4, 5, 6]


async def test_unknown_number_is_a_gap(live: Live, feed: MemoryFeed) -> None:
    feed.add("A")
    for after in (7, -1):
        follower = await live.follow(ALL, after=after, is_whole=True)
        async with aclosing(follower.frames()) as frames:
            first = await anext(frames)
        assert first.gap is not None
        assert (first.gap.after, first.last) == (after, 1)


async def test_heartbeat_tells_how_far_the_feed_has_come(live: Live, feed: MemoryFeed) -> None:
    async with following(live, parse_query("alertname=Z")) as (_, frames):
        feed.add("A", "B")
        last = 0
        while last < 2:
            frame = await anext(frames)
            last = frame.last
            assert frame.is_empty


async def test_database_that_is_away_for_a_while_loses_nothing(live: Live, feed: MemoryFeed) -> None:
    async with following(live) as (_, frames):
        feed.add("A")
        feed.fail = True
        assert await numbers(frames, 1) == [1]


async def test_end_ends_a_quiet_follower(live: Live) -> None:
    async with following(live) as (follower, frames):
        asyncio.get_running_loop().call_later(0.01, follower.end)
        async for frame in frames:
            assert frame.is_empty


async def test_followers_have_a_bound(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_FOLLOWERS", 1)
    async with following(live):
        with pytest.raises(Overloaded):
            await live.follow(ALL, after=None, is_whole=True)
    async with following(live):
        pass


async def test_recent_things_are_found(live: Live, feed: MemoryFeed) -> None:
    feed.add(*"ABAB")
    newest, happenings = await live.recent(parse_query("alertname=A"), most=10)
    assert (newest, [each.number for each in happenings]) == (4, [1, 3])
    assert [each.at for each in happenings] == [from_us(to_us(NOW) + number) for number in (1, 3)]


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_the_pace_each_number_is_told_once_or_is_in_a_gap(
    seed: int, live: Live, feed: MemoryFeed
) -> None:
    """Three followers read at their own pace and come again now and then, while news comes and old news goes."""
    random = Random(seed)
    numbers_of: list[list[int]] = [[], [], []]
    is_over = asyncio.Event()

    async def follow(place: int) -> None:
        last = 0
        while not (is_over.is_set() and last >= feed.last):
            follower = await live.follow(ALL, after=last, is_whole=True)
            async with aclosing(follower.frames()) as frames:
                for _ in range(random.randrange(1, 12)):
                    frame = await anext(frames)
                    if frame.gap is not None:
                        numbers_of[place] += range(last + 1, frame.last + 1)
                    numbers_of[place] += [each.number for each in frame.happenings]
                    last = frame.last
                    await asyncio.sleep(random.random() * 0.01)

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for place in range(3):
            tasks.create_task(follow(place))
        for _ in range(60):
            feed.add(*(f"A{n}" for n in range(random.choice((1, 3, 40, 700)))))
            for number in [n for n in feed.news if n < feed.last - 5_000]:
                del feed.news[number]
            await asyncio.sleep(random.random() * timedelta(milliseconds=4).total_seconds())
        is_over.set()
    assert numbers_of == [list(range(1, feed.last + 1))] * 3
