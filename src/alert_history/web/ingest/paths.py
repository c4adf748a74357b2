"""The paths that alerts are sent to: what each takes, what becomes of it, and how senders may spell it."""

from collections.abc import Callable
from typing import NamedTuple

from alert_history.domain.alert import AlertGroup
from alert_history.domain.permission import Permission
from alert_history.sources import decode_prometheus, decode_webhook

Decode = Callable[..., AlertGroup]

ALERTMANAGER_PATH = "/api/v2/alerts"


class IngestPath(NamedTuple):
    """One path, served for POST alone. `publishes`: whether its alerts are passed on to targets."""

    path: str
    decode: Decode
    publishes: bool
    needs: Permission
    method: str = "POST"


PATHS = {
    each.path: each
    for each in (
        IngestPath("/webhook/proxy", decode_webhook, publishes=True, needs=Permission.INGEST),
        IngestPath("/webhook", decode_webhook, publishes=False, needs=Permission.INGEST),
        IngestPath(ALERTMANAGER_PATH, decode_prometheus, publishes=True, needs=Permission.INGEST),
    )
}


def path_of(spelled: str) -> str | None:
    """The one of `PATHS` that a sender means: slashes too many, inside or at the end, change nothing.

    Senders join a prefix and a path as they like (`http://host/` and `/api/v2/alerts`). None where it means none.
    """
    if spelled in PATHS:
        return spelled
    plain = "/" + "/".join(filter(None, spelled.split("/")))
    return plain if plain in PATHS else None
