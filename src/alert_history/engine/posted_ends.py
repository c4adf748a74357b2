"""Until when senders had promised alerts at a past moment: what they posted says so, as long as its body is kept.

An Alertmanager that got the same posts shows that as `endsAt`, and when it came as `updatedAt`; it drops an alert whose
end has passed.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.ports import Moments, Post
from alert_history.sources.prometheus import read_ends

WITHIN = timedelta(minutes=6)
"""A sender repeats itself each minute, or promises four times as long as it waits: so old a post may still hold."""

MOST_POSTS = 64
MOST_BYTES = 16 * 1024 * 1024

_TIMES = frozenset({"endsAt", "updatedAt"})

_Identity = tuple[tuple[str, str], ...]


async def with_posted_ends(alerts: Sequence[MomentAlert], moments: Moments, at: datetime) -> list[MomentAlert]:
    """The alerts, with the end and the update of those that were posted, as far as a post by then still tells.

    One whose promise had passed is unconfirmed. Raises: StorageUnavailable, QueryTimeout.
    """
    asked = _asked(alerts)
    if not asked:
        return list(alerts)
    posts = await moments.posts(at, within=WITHIN, most=MOST_POSTS, most_bytes=MOST_BYTES)
    promised = await asyncio.to_thread(_promised, posts, asked)
    return [_filled(alert, promised.get(identity_of(alert.labels)), at) for alert in alerts]


def identity_of(labels: Mapping[str, str]) -> _Identity:
    """What is equal for equal label sets."""
    return tuple(sorted(labels.items()))


def _asked(alerts: Iterable[MomentAlert]) -> set[_Identity]:
    """The label sets of which the promise is not known, without those of two scopes, which posts don't tell apart."""
    identities = {id(alert): identity_of(alert.labels) for alert in alerts}
    counts = Counter(identities.values())
    return {
        identity
        for alert in alerts
        if alert.source == "prometheus" and "endsAt" in alert.unknown
        for identity in [identities[id(alert)]]
        if counts[identity] == 1
    }


def _promised(posts: Sequence[Post], asked: set[_Identity]) -> dict[_Identity, tuple[datetime, datetime]]:
    """Of each label set the end and the receipt of the newest post that says that it fires."""
    left = set(asked)
    promised: dict[_Identity, tuple[datetime, datetime]] = {}
    for post in posts:
        if not left:
            break
        for labels, ends_at in read_ends(post.body, received_at=post.received_at):
            identity = identity_of(labels)
            if identity in left and ends_at > post.received_at:
                promised[identity] = (ends_at, post.received_at)
                left.discard(identity)
    return promised


def _filled(alert: MomentAlert, promise: tuple[datetime, datetime] | None, at: datetime) -> MomentAlert:
    if promise is None or "endsAt" not in alert.unknown or alert.source != "prometheus":
        return alert
    ends_at, updated_at = promise
    unknown = tuple(name for name in alert.unknown if name not in _TIMES)
    if ends_at <= at and "status" not in unknown:
        unknown = ("status", *unknown)
    return msgspec.structs.replace(
        alert,
        ends_at=ends_at,
        updated_at=updated_at,
        is_unconfirmed=alert.is_unconfirmed or ends_at <= at,
        unknown=unknown,
    )
