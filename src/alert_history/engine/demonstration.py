"""The demonstration: a company's past and an incident go in as requests do, once, so that pages have something to show.

Must not know what happened: `demo.scenes` tells. A demonstration that was broken off goes on where it was: it has the
same messages again, each of which has the same id, and takes in those that are not kept.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

import structlog

from alert_history.domain.receipt import Receipt
from alert_history.engine.classify import Classifying
from alert_history.engine.ingest import Ingest
from alert_history.engine.intake import Intake
from alert_history.errors import AlertHistoryError, StorageUnavailable, UnstorableReceipt
from alert_history.ports import Clock, Store

if TYPE_CHECKING:
    from alert_history.demo.firing import Message
    from alert_history.demo.scenes import Scenes

_OVER, _BEGUN = "demo_replayed_at", "demo_begun_at"
_TRIES = 30
_REST_SECONDS = 1.0
_AT_ONCE = 1024
"""How many messages wait for their commit at once: `ingest` makes a few large batches of them."""

_ASKED_AT_ONCE = 1_000
_NEWS_AT_ONCE = 2_000

_log = structlog.get_logger()


class Demonstration:
    """Fills the history and explains it."""

    def __init__(self, store: Store, *, intake: Intake, ingest: Ingest, classifying: Classifying, clock: Clock) -> None:
        self._store = store
        self._intake = intake
        self._ingest = ingest
        self._classifying = classifying
        self._clock = clock

    async def is_over(self) -> bool:
        """Whether this history holds the demonstration already."""
        return await self._store.settings.read(_OVER) is not None

    async def play(self, make: "Callable[[datetime], Scenes]") -> None:
        """Take in the scenes that `make` makes for the time at which this history's demonstration began.

        Raises: StorageUnavailable after several tries; then a later call goes on.
        """
        scenes = await asyncio.to_thread(make, await self._begun_at())
        await self._record(scenes.past)
        for begin in range(0, len(scenes.news), _NEWS_AT_ONCE):
            await self._store.demonstrations.add_news(scenes.news[begin : begin + _NEWS_AT_ONCE])
        await self._record(scenes.incident)
        await self._store.settings.write(_OVER, self._clock().isoformat())
        await self._classify(scenes.explained)
        _log.info("demo_replayed", messages=len(scenes.past) + len(scenes.incident))

    async def _begun_at(self) -> datetime:
        """When the demonstration began: now, unless it was broken off."""
        known = await self._store.settings.read(_BEGUN)
        if known is not None:
            return datetime.fromisoformat(known)
        now = self._clock()
        await self._store.settings.write(_BEGUN, now.isoformat())
        return now

    async def _record(self, messages: "Sequence[Message]") -> None:
        """Have all messages committed, in their order; those that are kept already are passed over.

        A commit that seemed to have failed may still end well; then the database refuses its receipts the next time,
        because it has their ids. Where a commit failed and a later one did not, an alert may miss one of its firings,
        as it may where a sender comes again.
        """
        for _ in range(_TRIES):
            try:
                return await self._submit_in_order(await self._not_kept(messages))
            except (StorageUnavailable, UnstorableReceipt) as error:
                _log.warning("demo_interrupted", reason=str(error))
            await asyncio.sleep(_REST_SECONDS)
        raise StorageUnavailable("the demonstration was broken off too often")

    async def _not_kept(self, messages: "Sequence[Message]") -> "list[Message]":
        kept_ids: set[str] = set()
        for begin in range(0, len(messages), _ASKED_AT_ONCE):
            ids = [message.id for message in messages[begin : begin + _ASKED_AT_ONCE]]
            kept_ids |= await self._store.demonstrations.kept_ids(ids)
        return [message for message in messages if message.id not in kept_ids]

    async def _submit_in_order(self, messages: "Iterable[Message]") -> None:
        """Hand messages to `ingest`. A note is about what is newest, so it shares no batch with what fires."""
        for _, receipts in groupby(map(self._receipt, messages), key=lambda receipt: bool(receipt.group.notes)):
            await self._submit(receipts)

    def _receipt(self, message: "Message") -> Receipt:
        return self._intake.receipt(message.path, message.body, received_at=message.received_at, id_=message.id)

    async def _submit(self, receipts: Iterable[Receipt]) -> None:
        """Hand receipts to `ingest`, a bounded number at once, and wait until all are answered; stop at a failure."""
        room = asyncio.Semaphore(_AT_ONCE)
        failures: list[AlertHistoryError] = []

        async def submit(receipt: Receipt) -> None:
            try:
                await self._ingest.submit(receipt)
            except AlertHistoryError as error:
                failures.append(error)
            finally:
                room.release()

        async with asyncio.TaskGroup() as tasks:
            for receipt in receipts:
                await room.acquire()
                if failures:
                    break
                tasks.create_task(submit(receipt))
        if failures:
            raise failures[0]

    async def _classify(self, fingerprints: Iterable[str]) -> None:
        try:
            for fingerprint in fingerprints:
                await self._classifying.classify(fingerprint, force=False)
        except AlertHistoryError as error:
            _log.warning("demo_not_classified", reason=str(error))
