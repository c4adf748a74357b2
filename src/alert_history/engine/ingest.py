"""Ingest: requests that arrive together share one transaction, and each is answered after its commit.

Requests that queue up while a commit runs become the next batch, so batches grow with the load and a lone request
starts at once. Some batches are under way at a time, and each holds a share of the alerts that wait, never all: while
the database works on one batch, the next is made ready, answers go out and requests come in. A batch of all that waits
was measured to make the event loop and the database take turns, each idle half of the time. Two batches that name the
same alert follow each other, so the events of an alert stay in the order in which they arrived.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter
from typing import NamedTuple

import structlog

from alert_history.domain.receipt import Outcome, Receipt
from alert_history.engine.switchboard import CommitEnded, DeliveriesDue, ReceiptKept, Switchboard
from alert_history.errors import (
    AlertHistoryError,
    Overloaded,
    StorageUnavailable,
    UnstorableReceipt,
)
from alert_history.ports import Recorder

ANSWER_SECONDS = 4.5
"""How long a request may wait for its commit before its sender is asked to come back: under the contract's 5 s."""

_COMMIT_SECONDS = 10.0
BATCHES_AT_ONCE = 3
_SHARES = 4
"""A batch holds at most this part of the alerts that wait, so that one part is left to be read and answered."""

_SMALL_BATCH_ALERTS = 50
"""Fewer alerts are never split: the fixed costs of a transaction would weigh more than what is won."""

_BATCH_ALERTS = 1_500
_BATCH_REQUESTS = 256
_RETRY_AFTER_SECONDS = 5
_REQUEST_OVERHEAD_BYTES = 2_048

_FAULT_OF_OURS = "a fault of ours, which is in the log"  # its own text may hold anything

_log = structlog.get_logger()


class _Waiting(NamedTuple):
    receipt: Receipt
    answer: asyncio.Future[Outcome]


class _Batch(NamedTuple):
    """A batch that is being committed: its alerts' fingerprints, and how many alerts there are."""

    fingerprints: set[str]
    alerts: int


class Ingest:
    """The queue before the database, bounded by the bytes of the bodies in it."""

    def __init__(self, recorder: Recorder, *, max_pending_bytes: int, switchboard: Switchboard) -> None:
        self._recorder = recorder
        self._max_pending_bytes = max_pending_bytes
        self._switchboard = switchboard
        self._pending_bytes = 0
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._under_way: dict[asyncio.Task[None], _Batch] = {}
        self._queued_alerts = 0

    @property
    def pending_bytes(self) -> int:
        """The bytes that are reserved now, for bodies being read, waiting, or being committed."""
        return self._pending_bytes

    def reserve(self, body_bytes: int) -> int:
        """Claim room for a body before it is read; give the result to `release`.

        A body larger than the whole bound is let in while the queue is empty. Raises Overloaded.
        """
        claim = body_bytes + _REQUEST_OVERHEAD_BYTES
        if self._is_stopping:
            raise Overloaded("stopping", after_seconds=_RETRY_AFTER_SECONDS)
        if self._pending_bytes and self._pending_bytes + claim > self._max_pending_bytes:
            raise Overloaded("the ingest queue is full", after_seconds=_RETRY_AFTER_SECONDS)
        self._pending_bytes += claim
        return claim

    def resize(self, claim: int, body_bytes: int) -> int:
        """A new claim instead of `claim`, for a body that is larger. Raises Overloaded: then `claim` stays."""
        self._pending_bytes -= claim
        try:
            return self.reserve(body_bytes)
        except Overloaded:
            self._pending_bytes += claim
            raise

    def release(self, claim: int) -> None:
        """Give back what `reserve` returned, once the request is answered."""
        self._pending_bytes -= claim

    async def submit(self, receipt: Receipt) -> Outcome:
        """Wait until a receipt is committed.

        Raises:
            StorageUnavailable: the commit failed, or its end is unknown; the sender may safely send it again.
            UnstorableReceipt: the database refuses this very request.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(receipt, answer)
        self._queue.append(waiting)
        self._queued_alerts += receipt.group.received
        self._wake.set()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            with suppress(ValueError):  # a commit of it is under way
                self._queue.remove(waiting)  # its room is given back; mostly it is the first
                self._queued_alerts -= receipt.group.received
            raise StorageUnavailable(
                f"not committed within {ANSWER_SECONDS} s", after_seconds=_RETRY_AFTER_SECONDS
            ) from None

    async def run(self) -> None:
        """Commit batches until `stop`; requests that wait then are still committed."""
        while not (self._is_stopping and not self._queue):
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._start_batch()
        while self._under_way:
            await self._wait_for_batch()

    async def _start_batch(self) -> None:
        """Start the next batch once there is room for it and its alerts are in no other batch."""
        while len(self._under_way) >= BATCHES_AT_ONCE:
            await self._wait_for_batch()
        batch = self._take()
        if not batch:
            return
        fingerprints = _fingerprints(batch)
        while any(not fingerprints.isdisjoint(busy.fingerprints) for busy in self._under_way.values()):
            await self._wait_for_batch()
        alerts = sum(waiting.receipt.group.received for waiting in batch)
        self._under_way[asyncio.create_task(self._settle(batch))] = _Batch(fingerprints, alerts)

    async def _wait_for_batch(self) -> None:
        done, _ = await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._under_way[task]

    def stop(self) -> None:
        """Refuse further requests; `run` returns when the queue is empty."""
        self._is_stopping = True
        self._wake.set()

    def _take(self) -> list[_Waiting]:
        """The next batch. A request that gave up waiting is left out: its sender has the answer that it failed."""
        batch: list[_Waiting] = []
        alerts, most = 0, self._most_alerts()
        while self._queue and alerts < most and len(batch) < _BATCH_REQUESTS:
            waiting = self._queue.popleft()
            self._queued_alerts -= waiting.receipt.group.received
            if not waiting.answer.done():
                batch.append(waiting)
                alerts += waiting.receipt.group.received
        return batch

    def _most_alerts(self) -> int:
        """How many alerts the next batch may hold: a share of all that wait for an answer.

        A batch of all of them would leave nothing to do while the database works on it, and the database nothing to do
        while the answers go out and the next requests are read: the two would take turns instead of working at once.
        """
        unanswered = self._queued_alerts + sum(batch.alerts for batch in self._under_way.values())
        return min(max(unanswered // _SHARES, _SMALL_BATCH_ALERTS), _BATCH_ALERTS)

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Commit a batch and answer. If the database refuses the data, commit each request alone: one is to blame."""
        try:
            outcomes = await self._commit([waiting.receipt for waiting in batch])
        except UnstorableReceipt as error:
            if len(batch) > 1:
                for waiting in batch:
                    await self._settle([waiting])
            else:
                _log.warning("receipt_refused", receipt_id=batch[0].receipt.id, reason=str(error))
                _fail(batch, error)
        except AlertHistoryError as error:
            _log.warning("commit_failed", requests=len(batch), reason=str(error))
            _fail(batch, error)
        except Exception:  # noqa: BLE001  # whatever the error, the next batch deserves its try
            _log.exception("commit_failed", requests=len(batch))
            _fail(batch, StorageUnavailable(_FAULT_OF_OURS, after_seconds=_RETRY_AFTER_SECONDS))
        else:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                with suppress(asyncio.InvalidStateError):  # the request gave up while the commit ran
                    waiting.answer.set_result(outcome)

    async def _commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        begin = perf_counter()
        outcomes = None
        try:
            async with asyncio.timeout(_COMMIT_SECONDS):
                outcomes = await self._recorder.commit(receipts)
        except TimeoutError:
            raise StorageUnavailable(f"no commit within {_COMMIT_SECONDS} s") from None
        finally:
            self._switchboard.say(CommitEnded(receipts, outcomes, perf_counter() - begin, self._pending_bytes))
        self._say_events(receipts, outcomes)
        return outcomes

    def _say_events(self, receipts: Sequence[Receipt], outcomes: Sequence[Outcome]) -> None:
        for receipt in receipts:
            self._switchboard.say(ReceiptKept(receipt))
        if targets := frozenset[str]().union(*(outcome.targets for outcome in outcomes)):
            self._switchboard.say(DeliveriesDue(targets))


def _fingerprints(batch: Sequence[_Waiting]) -> set[str]:
    """The fingerprints of the alerts and notes of a batch."""
    groups = [waiting.receipt.group for waiting in batch]
    named = {alert.fingerprint for group in groups for alert in group.alerts}
    return named.union(note.fingerprint for group in groups for note in group.notes)


def _fail(batch: Sequence[_Waiting], error: AlertHistoryError) -> None:
    for waiting in batch:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
