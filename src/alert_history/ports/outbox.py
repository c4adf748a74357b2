"""The outbox: deliveries that wait for their targets, as the workers see them. `delivery_log` is what people see."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from alert_history.domain.delivery import Leased, Settlement


class Outbox(Protocol):
    """What the workers of the targets need: lease deliveries, settle them, hand them back.

    `Recorder.commit` fills the outbox.
    """

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        """Take up to `limit` due deliveries of a target: for each alert the newest due delivery alone.

        Also returns how many older deliveries of those alerts were superseded. Until a lease runs out no other replica
        gets the delivery; then the delivery is due again. A lease begins when the store is asked, and lasts `lease_for`
        by the clock of the store, whatever the clocks of replicas say.

        Only whether a delivery is due is judged by `now`, the clock of the process that asks. A replica whose clock
        differs tries a delivery too early or too late by that, and never while another replica has the delivery.
        """
        ...

    async def reserve(self, target: str, *, every: timedelta, burst: int, within: timedelta) -> timedelta | None:
        """Take the next turn to send to a target, among all replicas; returns the time until the turn.

        A turn comes `every` so often; after a rest up to `burst` turns come at once. Returns None, and takes no turn,
        if the turn would come later than `within`, which must be the same for all calls. An SQLite file has one
        process, which keeps the rate by itself: the turn is always now.
        """
        ...

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        """Keep what became of leased deliveries, in one transaction.

        A lost lease changes nothing, even where another replica holds the delivery by now.
        """
        ...
