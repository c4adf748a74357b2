"""Several places of targets as one: none hides what another holds, and half is not taken for all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from alert_history.discovery.several import SeveralDiscoveries
from alert_history.domain.target import TargetSpec
from alert_history.ports import DiscoveryState, TargetsFound

_DEADLINE_SECONDS = 10


class Place:
    """A place that the test moves by hand."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._found: TargetsFound | None = None
        self.is_watched = asyncio.Event()
        self.fault: str | None = None

    async def watch(self, listener: TargetsFound) -> None:
        self._found = listener
        self.is_watched.set()
        await asyncio.Event().wait()

    async def refresh(self) -> None:
        """Nothing to look at."""

    def state(self) -> DiscoveryState:
        return DiscoveryState(self._kind, is_available=self.fault is None, refreshed_at=None, fault=self.fault)

    def tell(self, *names: str) -> None:
        assert self._found is not None
        self.fault = None
        self._found([TargetSpec(name=name, format=self._kind, fields={}) for name in names])


class Heard:
    """What discovery told, oldest first: name and format of each target."""

    def __init__(self) -> None:
        self.told: list[dict[str, str]] = []
        self._news = asyncio.Event()

    def __call__(self, targets: Sequence[TargetSpec]) -> None:
        self.told.append({spec.name: spec.format for spec in targets})
        self._news.set()

    async def first(self) -> dict[str, str]:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await self._news.wait()
        return self.told[0]


@asynccontextmanager
async def watched(*places: Place, patience_seconds: float) -> AsyncIterator[Heard]:
    heard = Heard()
    discovery = SeveralDiscoveries(places, patience_seconds=patience_seconds)
    watching = asyncio.create_task(discovery.watch(heard))
    try:
        for place in places:
            await place.is_watched.wait()
        yield heard
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_place_that_fails_after_the_other_told_hides_nothing() -> None:
    cluster, folder = Place("kubernetes"), Place("directory")
    async with watched(cluster, folder, patience_seconds=0) as heard:
        folder.tell("ops")
        assert heard.told == []
        cluster.fault = "the API server can't be reached"
        assert await heard.first() == {"ops": "directory"}


async def test_a_place_that_joins_later_adds_to_what_the_other_holds() -> None:
    cluster, folder = Place("kubernetes"), Place("directory")
    async with watched(cluster, folder, patience_seconds=0) as heard:
        cluster.fault = "the API server can't be reached"
        folder.tell("ops", "dev")
        await heard.first()
        cluster.tell("ops")
    assert heard.told[-1] == {"ops": "kubernetes", "dev": "directory"}


async def test_half_the_targets_do_not_pass_for_all_while_a_place_may_still_recover() -> None:
    cluster, folder = Place("kubernetes"), Place("directory")
    async with watched(cluster, folder, patience_seconds=_DEADLINE_SECONDS) as heard:
        cluster.fault = "the API server can't be reached"
        folder.tell("ops")
        assert heard.told == []
        cluster.tell("pager")
    assert heard.told == [{"ops": "directory", "pager": "kubernetes"}]
