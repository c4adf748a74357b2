"""Receipts committed in time, as the service does it: between them seconds pass, groups are followed, targets hear.

Nothing waits for real time: the clock is what the caller says.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.delivery import Attempt, Settlement
from alert_history.domain.receipt import Receipt
from alert_history.domain.standing import DEFAULT_RULES
from alert_history.domain.target import Outgoing
from alert_history.engine.lapse import Groups, Lapsing
from alert_history.engine.reconcile import Comparing
from alert_history.engine.witnesses import KnownWitnesses
from alert_history.ports import Clock, Store
from tests.conformance.samples import SECOND
from tests.lapsing import pass_all
from tests.pager import PAGER

_LEFT_A_TURN = 100
_LEASE = timedelta(seconds=30)
EXCHANGE_EVERY = timedelta(seconds=10)


class Replica:
    """One of the processes that serve a database: its store, and what it has learnt of groups and witnesses."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.groups = Groups(lambda: store.recorder.witnesses)
        self._witnesses = KnownWitnesses(store.recorder, store.settings)
        self.comparing = Comparing(store.reconciling, store.recorder, clock=clock, rules=DEFAULT_RULES, rest_seconds=0)
        self._lapsing = Lapsing(store.standings, self.groups, clock=clock, observer=_NobodyCounts())

    async def commit(self, receipts: Sequence[Receipt]) -> None:
        """Commit them as one batch, and take up what they say of groups and witnesses."""
        known = [
            msgspec.structs.replace(receipt, group_interval_us=self.groups.interval_us(receipt)) for receipt in receipts
        ]
        await self.store.recorder.commit(known)
        for receipt in known:
            self.groups.heard(receipt)
            self._witnesses.heard(receipt)

    async def look(self, now: datetime) -> None:
        """Look at who has left a group, and at what lapsed."""
        left = self.groups.take_left(_LEFT_A_TURN)
        if left:
            await self.store.standings.leave(left, now)
        await pass_all(self.store.standings, now, stale_after=self.groups.stale_after())

    async def exchange(self) -> None:
        """Tell the other replicas what this one has learnt, and learn from them."""
        await self._lapsing.exchange()
        await self._witnesses.refresh()


class Replayer:
    """One or more replicas on one database, and what the pager was told."""

    def __init__(self, stores: Sequence[Store], now: datetime) -> None:
        self.now = now
        self.replicas = [Replica(store, lambda: self.now) for store in stores]
        self.outgoing: list[Outgoing] = []
        self._exchanged_at = now

    async def take(self, *receipts: Receipt, replica: int = 0) -> None:
        """Let seconds pass until they are received, and commit them as one batch."""
        await self.pass_to(receipts[0].received_at)
        await self.replicas[replica].commit(receipts)
        self.now = max(self.now, receipts[-1].received_at)

    async def pass_to(self, time: datetime, *, every: timedelta = SECOND) -> None:
        """Let the replicas look at what lapsed, each so often, and deliver what is due."""
        while self.now + every <= time:
            self.now += every
            await self.look()

    async def look(self, *, first: int = 0) -> None:
        """Let the replicas look at what lapsed by now, one after the other, and deliver what is due."""
        if self.now - self._exchanged_at >= EXCHANGE_EVERY:
            await self.exchange()
        await self.look_alone(first=first)

    async def look_alone(self, *, first: int = 0) -> None:
        """As `look`, with what each replica knows by now."""
        for replica in self.replicas[first:] + self.replicas[:first]:
            await replica.look(self.now)
        await self.deliver()

    @property
    def has_news(self) -> bool:
        """Whether one replica knows something of witnesses that another does not."""
        first, *others = self.replicas
        return any(other.store.recorder.witnesses != first.store.recorder.witnesses for other in others)

    async def exchange(self) -> None:
        """Let each replica learn what the others have heard."""
        self._exchanged_at = self.now
        if len(self.replicas) > 1:
            for replica in [*self.replicas, *self.replicas[:-1]]:
                await replica.exchange()

    async def deliver(self) -> None:
        """Tell the pager what it has not heard yet."""
        outbox = self.replicas[0].store.outbox
        while leased := (await outbox.lease(PAGER.name, now=self.now, limit=100, lease_for=_LEASE))[0]:
            self.outgoing += [delivery.alert for delivery in leased]
            attempt = Attempt(self.now, "delivered", "", 1)
            await outbox.settle([(delivery, Settlement(delivery.id, "delivered", attempt)) for delivery in leased])


class _NobodyCounts:
    def open_are(self, counts: Mapping[str, int]) -> None:
        """Nobody wants to know."""
