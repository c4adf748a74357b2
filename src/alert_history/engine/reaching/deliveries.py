"""What was sent and what was not, as far as it concerns alerts that exist for who calls."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from alert_history.domain.occurrence import Key
from alert_history.engine.caller import reach
from alert_history.engine.reach import check_sees_all, is_narrowed, is_within
from alert_history.engine.reaching.keys import ReachedKeys
from alert_history.errors import NotFound
from alert_history.ports import (
    Choice,
    DecidedAlert,
    DeliveryFilter,
    DeliveryLog,
    DeliveryPage,
    NotificationReads,
    NotifiedAlert,
    Place,
    Queued,
    QueuedChunk,
    QueueDepth,
    SentDelivery,
    StoredDelivery,
    Stretch,
)

_READ = 1_000
_MOST_READS = 20
_NOBODY = NotifiedAlert("", "")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_ALONE = "who calls may see some of the alerts only: replay one delivery at a time"


class ReachingDeliveryLog:
    """See `ports.DeliveryLog`."""

    def __init__(self, delivery_log: DeliveryLog, notifications: NotificationReads, keys: ReachedKeys) -> None:
        self._delivery_log = delivery_log
        self._notifications = notifications
        self._keys = keys

    async def depth(self) -> dict[str, QueueDepth]:
        """See `ports.DeliveryLog.depth`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._delivery_log.depth()

    async def dead(self) -> dict[str, int]:
        """See `ports.DeliveryLog.dead`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._delivery_log.dead()

    async def replay(self, *, now: datetime, delivery_id: str | None = None, target: str | None = None) -> int:
        """See `ports.DeliveryLog.replay`. Raises Forbidden for more than one delivery where there is a reach."""
        if delivery_id is None:
            check_sees_all(_ONE_ALONE)
        elif is_narrowed() and not await self._is_reached(delivery_id):
            raise NotFound(f"no dead delivery {delivery_id!r} of which its target knows nothing newer")
        return await self._delivery_log.replay(now=now, delivery_id=delivery_id, target=target)

    async def _is_reached(self, delivery_id: str) -> bool:
        deliveries = await self._notifications.sent([Queued(delivery_id, "", "dead", _EARLIEST)])
        return any(is_within(each.alert.labels, each.alert.annotations) for each in deliveries)

    async def deliveries(self, wanted: DeliveryFilter) -> DeliveryPage:
        """See `ports.DeliveryLog.deliveries`. With a reach a page may be empty before the last one."""
        if not is_narrowed():
            return await self._delivery_log.deliveries(wanted)
        own: list[StoredDelivery] = []
        cursor = wanted.cursor
        for _ in range(_MOST_READS):
            lacking = wanted.limit - len(own)
            page = await self._page(msgspec.structs.replace(wanted, limit=_READ, cursor=cursor), lacking)
            own += await self._own(page.deliveries)
            cursor = page.next_cursor
            if cursor is None or len(own) >= wanted.limit:
                break
        return DeliveryPage(own, cursor)

    async def _page(self, wanted: DeliveryFilter, lacking: int) -> DeliveryPage:
        """A page that ends with the last delivery that is lacking: its cursor goes on behind that one."""
        page = await self._delivery_log.deliveries(wanted)
        own = {each.id for each in await self._own(page.deliveries)}
        places = [place for place, each in enumerate(page.deliveries) if each.id in own]
        if len(places) < lacking or places[lacking - 1] == len(page.deliveries) - 1:
            return page
        return await self._delivery_log.deliveries(msgspec.structs.replace(wanted, limit=places[lacking - 1] + 1))

    async def _own(self, deliveries: Sequence[StoredDelivery]) -> list[StoredDelivery]:
        reached = await self._keys.of_ids({each.occurrence_id for each in deliveries})
        return [each for each in deliveries if each.occurrence_id in reached]


class ReachingNotificationReads:
    """See `ports.NotificationReads`. What is beyond the reach keeps its place, and has nothing that tells of it."""

    def __init__(self, notifications: NotificationReads, keys: ReachedKeys) -> None:
        self._notifications = notifications
        self._keys = keys

    async def queued(
        self, within: Stretch, *, behind: str | None, most: int, choice: Choice | None = None, with_labels: bool = False
    ) -> QueuedChunk:
        """See `ports.NotificationReads.queued`."""
        own = reach()
        chunk = await self._notifications.queued(
            within, behind=behind, most=most, choice=choice, with_labels=with_labels or own is not None
        )
        if own is None:
            return chunk
        rows = [row for row in chunk.rows if row.labels and all(each.matches(row.labels) for each in own.matchers)]
        return msgspec.structs.replace(chunk, rows=rows)

    async def queued_of(
        self, occurrences: Sequence[Key], within: Stretch, *, behind: str | None, most: int
    ) -> QueuedChunk:
        """See `ports.NotificationReads.queued_of`."""
        return await self._notifications.queued_of(await self._own(occurrences), within, behind=behind, most=most)

    async def sent(self, rows: Sequence[Queued]) -> Sequence[SentDelivery]:
        """See `ports.NotificationReads.sent`."""
        deliveries = await self._notifications.sent(rows)
        if not is_narrowed():
            return deliveries
        return [each for each in deliveries if is_within(each.alert.labels, each.alert.annotations)]

    async def decided(
        self, within: Stretch, *, to: Place | None, most: int, fingerprint: str | None = None
    ) -> Sequence[DecidedAlert]:
        """See `ports.NotificationReads.decided`."""
        decided = await self._notifications.decided(within, to=to, most=most, fingerprint=fingerprint)
        return [_shown(each) for each in decided] if is_narrowed() else decided

    async def decided_of(self, occurrences: Sequence[Key]) -> Sequence[DecidedAlert]:
        """See `ports.NotificationReads.decided_of`."""
        return await self._notifications.decided_of(await self._own(occurrences))

    async def _own(self, occurrences: Sequence[Key]) -> Sequence[Key]:
        if not is_narrowed():
            return occurrences
        reached = await self._keys.among(occurrences)
        return [key for key in occurrences if key in reached]


def _shown(decided: DecidedAlert) -> DecidedAlert:
    """It, or its place alone."""
    if is_within(decided.alert.labels, decided.alert.annotations):
        return decided
    return msgspec.structs.replace(decided, alert=_NOBODY, decisions=())
