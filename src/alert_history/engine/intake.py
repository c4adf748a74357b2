"""Intake: the bytes that somebody sent become a receipt.

Holds the ways in, each with its decoder, and what a receipt needs beside the bytes. A request, the demo and a test come
in alike. Must not know HTTP, and must not store or send anything: `ingest` commits the receipts.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec

from alert_history.domain.alert import AlertGroup
from alert_history.domain.receipt import Receipt
from alert_history.ids import new_id
from alert_history.sources import decode_prometheus, decode_webhook

ALERTMANAGER_PATH = "/api/v2/alerts"


MakeId = Callable[[datetime], str]
"""Makes an id that sorts by that time."""


class WayIn(NamedTuple):
    """How bodies on a path are decoded, and whether targets are notified of their alerts."""

    decode: Callable[..., AlertGroup]
    publishes: bool


WAYS_IN: dict[str, WayIn] = {
    "/webhook/proxy": WayIn(decode_webhook, publishes=True),
    "/webhook": WayIn(decode_webhook, publishes=False),
    ALERTMANAGER_PATH: WayIn(decode_prometheus, publishes=True),
}
"""By the path that a receipt has."""


class Intake:
    """Decodes bodies of at most `max_alerts`. `interval_of` says how often a receipt's group is looked at."""

    def __init__(self, *, max_alerts: int, interval_of: Callable[[Receipt], int | None] = lambda _: None) -> None:
        self._max_alerts = max_alerts
        self._interval_of = interval_of

    def receipt(
        self,
        path: str,
        content: bytes,
        *,
        received_at: datetime,
        id_: str | None = None,
        client: str = "",
        scope: str = "",
    ) -> Receipt:
        """The receipt of a body that came in on one of `WAYS_IN`, from the address `client`.

        Raises:
            MalformedPayload: the way in can't decode the body.
            PayloadTooLarge: the body has more alerts than one request may.
        """
        way_in = WAYS_IN[path]
        group = way_in.decode(content, received_at=received_at, max_alerts=self._max_alerts)
        receipt_id = id_ or new_id(received_at)
        digest = sha256(content).digest()
        receipt = Receipt(receipt_id, received_at, path, way_in.publishes, group, content, digest, client, scope)
        interval_us = self._interval_of(receipt)
        return receipt if interval_us is None else msgspec.structs.replace(receipt, group_interval_us=interval_us)
