"""The opening of a store: schema and partitions are made ready before the first row is written."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from alert_history.domain.receipt import Outcome, Receipt
from alert_history.errors import AlertHistoryError, StorageUnavailable
from alert_history.ports import Clock, Store

_RETRY_SECONDS = 1.0

_log = structlog.get_logger()


class Room(Protocol):
    """A room that has to read the store before anything is added to it."""

    async def open(self) -> None:
        """Take up what is stored. Raises StorageUnavailable: then the store stays closed, and all is tried again."""
        ...


class Opening:
    """Opens a store, trying until it succeeds, and then, in their order, the `rooms` that read it first.

    The log names the store as `database` says.

    An opening is a `ports.Recorder` as well, which waits for the first try: a commit ahead of the schema would be an
    error in the database's log, and rows ahead of their partitions would have to be moved.
    """

    def __init__(self, store: Store, *, database: str, clock: Clock, rooms: Sequence[Room] = ()) -> None:
        self._rooms = rooms
        self._store = store
        self._database = database
        self._clock = clock
        self._was_tried = asyncio.Event()
        self._has_schema = False
        self._fault = ""
        self.is_open = asyncio.Event()

    async def run(self) -> None:
        """Try until the store is open."""
        while not self.is_open.is_set():
            try:
                await self._open()
            except AlertHistoryError as error:
                self._fault = str(error)
                _log.warning("database_unavailable", reason=self._fault, database=self._database)
            self._was_tried.set()
            if not self.is_open.is_set():
                await asyncio.sleep(_RETRY_SECONDS)

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """See `ports.Recorder.commit`. Raises StorageUnavailable, too, until the schema is known to be there."""
        await self._was_tried.wait()
        if not self._has_schema:
            raise StorageUnavailable(self._fault)
        return await self._store.recorder.commit(receipts)

    async def _open(self) -> None:
        await self._store.lifecycle.open()
        try:
            await self._store.upkeep.prepare(self._clock())
        finally:
            self._has_schema = True  # without partitions of their own, rows lie in the default ones
        for room in self._rooms:
            await room.open()
        self.is_open.set()
        _log.info("ready")
