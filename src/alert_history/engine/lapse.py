"""The lapse of claims that their senders do not repeat: let time pass, follow groups, adopt rows of other releases.

Each replica follows the groups whose payloads it receives, in memory, and exchanges their state with the others once in
a while. An alert that a payload lacks is looked up before that counts: another replica may have received a later
payload.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from alert_history.domain.group import Payload, SeenGroup, group_id, see, stale_after
from alert_history.domain.microseconds import to_us
from alert_history.domain.receipt import Receipt
from alert_history.domain.speaker import scoped, witness_id
from alert_history.domain.standing import DEFAULT_GROUP_INTERVAL_US, Witnesses
from alert_history.engine.upkeep import STANDING_RETENTION, every, until_done
from alert_history.ports import Clock, Left, Standings

_PASS_SECONDS = 1.0
_STALE_SECONDS = 10.0
_LEAVE_SECONDS = 1.0
_EXCHANGE_SECONDS = 10.0
_EXCHANGE_OVERLAP = timedelta(seconds=30)  # another replica may store after our query what it received before
_FORGET_SECONDS = 60.0
_FORGETTING_SHARE = 0.02  # of the time, however many standings there are: thousands a second
_COUNT_SECONDS = 15.0
_LIMIT = 200
_STEPS = 5  # a second, so that ingest never waits for long where thousands lapse at once
_REST_SECONDS = 0.05
_LEAVE_LIMIT = 100
_MOST_WAITING = 10_000
_MOST_GROUPS = 20_000


class OpenObserver(Protocol):
    """Shows how many occurrences are open."""

    def open_are(self, counts: Mapping[str, int]) -> None:
        """How many occurrences are firing and unconfirmed, and how many label sets are in conflict."""
        ...


class Groups:
    """The groups of Alertmanager as their payloads show them. `heard` is called with every committed receipt."""

    def __init__(self, witnesses: Callable[[], Witnesses] = Witnesses) -> None:
        self._witnesses = witnesses
        self._groups: dict[str, SeenGroup] = {}
        self._changed: dict[str, None] = {}
        self._left: dict[str, Left] = {}

    def heard(self, receipt: Receipt) -> None:
        """Take up the payload of a group; any other receipt is passed over."""
        payload = payload_of(receipt, self._witnesses())
        if payload is None:
            return
        after, left = see(self._groups.pop(payload.id, None), payload)
        self._groups[payload.id] = after
        self._changed[payload.id] = None
        for fingerprint, missed_us in left.items():
            if len(self._left) < _MOST_WAITING:
                self._left[fingerprint] = Left(fingerprint, payload.sender, missed_us)
        if len(self._groups) > _MOST_GROUPS:
            del self._groups[next(iter(self._groups))]

    def interval_us(self, receipt: Receipt) -> int | None:
        """How often Alertmanager looks at the group of a payload; None where that is unknown.

        A gap longer than Alertmanager's default may be a gap between repeats: it counts as that default.
        """
        seen = self._groups.get(_group_id(receipt, self._witnesses()))
        if seen is None or seen.interval_us is None:
            return None
        return min(seen.interval_us, DEFAULT_GROUP_INTERVAL_US)

    def stale_after(self) -> Mapping[str, int]:
        """See `domain.group.stale_after`."""
        return stale_after(self._groups.values())

    def take_left(self, limit: int) -> list[Left]:
        """Take out some of the alerts that have left their groups."""
        names = list(self._left)[:limit]
        return [self._left.pop(name) for name in names]

    def take_changed(self) -> list[SeenGroup]:
        """Take out the groups that changed since the last call."""
        changed, self._changed = self._changed, {}
        return [self._groups[name] for name in changed if name in self._groups]

    def seen(self) -> list[SeenGroup]:
        """All groups that are known."""
        return list(self._groups.values())

    def load(self, groups: Sequence[SeenGroup]) -> None:
        """Take up stored groups, unless this replica has a later payload of the group."""
        for group in sorted(groups, key=lambda group: group.last_us)[-_MOST_GROUPS:]:
            own = self._groups.get(group.id)
            if own is None or own.last_us < group.last_us:
                self._groups[group.id] = group


def payload_of(receipt: Receipt, witnesses: Witnesses) -> Payload | None:
    """The payload of a group in a receipt; None where the receipt has another kind of body."""
    group, speaker = receipt.group, receipt.speaker
    if not speaker.is_listing:
        return None
    firing = frozenset([alert.fingerprint for alert in group.alerts if alert.status == "firing"])
    resolved = frozenset([alert.fingerprint for alert in group.alerts if alert.status != "firing"])
    if speaker.scope:
        firing, resolved = (frozenset([scoped(name, speaker.scope) for name in names]) for names in (firing, resolved))
    sender = witnesses.of(witness_id(speaker.origin))
    return Payload(
        _group_id(receipt, witnesses),
        group.receiver,
        sender,
        to_us(receipt.received_at),
        firing,
        resolved,
        is_truncated=group.truncated_alerts > 0 or bool(group.refused),
        restarted_us=witnesses.restarted_us.get(sender),
    )


def _group_id(receipt: Receipt, witnesses: Witnesses) -> str:
    """One id for the group of a cluster, whichever of its peers sent the payload."""
    group, speaker = receipt.group, receipt.speaker
    sender = witnesses.of(witness_id(speaker.origin))
    return group_id(speaker.scope, sender, group.receiver, group.group_key)


class Lapsing:
    """The jobs that let time pass for claims."""

    def __init__(self, standings: Standings, groups: Groups, *, clock: Clock, observer: OpenObserver) -> None:
        self._standings = standings
        self._groups = groups
        self._clock = clock
        self._observer = observer
        self._exchanged_at: datetime | None = None
        self._has_unclaimed = False

    async def open(self) -> None:
        """Take up open occurrences without a standing, and the stored groups."""
        await self.adopt()
        await self.exchange()

    async def run(self) -> None:
        """All jobs, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(every(_PASS_SECONDS, "let_pass", self.let_pass))
            tasks.create_task(every(_STALE_SECONDS, "find_stale", self.find_stale))
            tasks.create_task(every(_LEAVE_SECONDS, "leave_groups", self.leave))
            tasks.create_task(every(_EXCHANGE_SECONDS, "exchange_groups", self.exchange))
            tasks.create_task(every(_FORGET_SECONDS, "forget_standings", self.forget))
            tasks.create_task(every(_COUNT_SECONDS, "count_open", self.count))

    async def adopt(self) -> None:
        """Give most occurrences without a standing one; the rest follows in the next seconds, or with a claim."""
        for _ in range(_STEPS):
            await self._adopt_some()
            if not self._has_unclaimed:
                return

    async def _adopt_some(self) -> None:
        adopted = await self._standings.adopt(self._clock(), limit=_LIMIT)
        self._has_unclaimed = adopted == _LIMIT

    async def let_pass(self) -> None:
        """Apply the claims that lapsed by now, and adopt more of the occurrences that an upgrade found."""
        if self._has_unclaimed:
            await self._adopt_some()
        await self._pass(None)

    async def find_stale(self) -> None:
        """Apply the long silence of witnesses, and adopt what earlier releases write."""
        await self._adopt_some()
        await self._pass(self._groups.stale_after())

    async def _pass(self, stale_after: Mapping[str, int] | None) -> None:
        for _ in range(_STEPS):
            if await self._standings.let_pass(self._clock(), stale_after=stale_after, limit=_LIMIT) < _LIMIT:
                return
            await asyncio.sleep(_REST_SECONDS)

    async def leave(self) -> None:
        """Apply some departures of alerts from their groups: so few at a time that ingest goes on."""
        left = self._groups.take_left(_LEAVE_LIMIT)
        if left:
            await self._standings.leave(left, self._clock())

    async def exchange(self) -> None:
        """Store the groups that changed, and take up those of other replicas: of two payloads each may receive one."""
        now = self._clock()
        changed = self._groups.take_changed()
        for begin in range(0, len(changed), _LIMIT):
            await self._standings.save_groups(changed[begin : begin + _LIMIT])
        self._groups.load(await self._standings.load_groups(self._exchanged_at))
        self._exchanged_at = now - _EXCHANGE_OVERLAP

    async def forget(self) -> None:
        """Forget standings whose firings are long over, from the first to the last, in steps with rests between.

        A turn reads them all. A bounded number a turn would let them pile up where more label sets arrive than that.
        """
        await until_done(self._standings.forget, self._clock() - STANDING_RETENTION, share=_FORGETTING_SHARE)

    async def count(self) -> None:
        """Count the open occurrences."""
        self._observer.open_are(await self._standings.count())
