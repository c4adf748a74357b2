"""A long queue: alerts recorded as the service records them, each of them to be told to one target."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from rich.progress import track

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.occurrence import Event
from alert_history.domain.receipt import Receipt
from alert_history.ids import new_id
from alert_history.sources import decode_webhook
from alert_history.storage import open_store
from bench.databases import Database, migrate
from bench.notifications import Notifications

_ALERTS_A_RECEIPT = 500


def fill_queue(database: Database, url: str, target: str, *, number: int) -> None:
    """Make the tables, and record `number` alerts."""
    migrate(url)
    asyncio.run(_fill(url, target, number=number))
    database.rest(url)


async def _fill(url: str, target: str, *, number: int) -> None:
    def router(alert: Alert, event: Event) -> Routing:
        del alert, event
        return Routing((target,), {})

    store = open_store(url, router=router)
    notifications = Notifications("/webhook/proxy", alerts=_ALERTS_A_RECEIPT, seed=1)
    for _ in track(range(number // _ALERTS_A_RECEIPT), "filling the queue", transient=True):
        await store.recorder.commit([_receipt(notifications.body().encode())])
    await store.lifecycle.close()


def _receipt(body: bytes) -> Receipt:
    now = datetime.now(UTC)
    group = decode_webhook(body, received_at=now, max_alerts=_ALERTS_A_RECEIPT)
    return Receipt(new_id(now), now, "/webhook/proxy", True, group, body, sha256(body).digest())


async def lease_times(url: str, target: str, *, leases: int, batch: int) -> list[float]:
    """Ms of each lease, its commit included; what was leased is settled as delivered each time."""
    store = open_store(url)
    milliseconds = []
    for _ in range(leases):
        now = datetime.now(UTC)
        begin = time.perf_counter()
        leased, _ = await store.outbox.lease(target, now=now, limit=batch, lease_for=timedelta(seconds=30))
        milliseconds.append((time.perf_counter() - begin) * 1000)
        delivered = Attempt(now, "delivered", "", 1)
        await store.outbox.settle([(delivery, Settlement(delivery.id, "delivered", delivered)) for delivery in leased])
    await store.lifecycle.close()
    return milliseconds
