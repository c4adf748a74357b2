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
_Identity = tuple[tuple[str, str], ...]


async def with_posted_ends(alerts: Sequence[MomentAlert], moments: Moments, at: datetime) -> list[MomentAlert]:
    """The alerts, with the end and the update of those that were posted, as far as a post by then still tells.

    One whose promise had passed is unconfirmed, another is not. Raises: StorageUnavailable, QueryTimeout.
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
    """The label sets of which the promise is to be looked for.

    A silent sender promises nothing; posts don't tell the scopes of label sets apart.
    """
    identities = {id(alert): identity_of(alert.labels) for alert in alerts}
    counts = Counter(identities.values())
    return {
        identity
        for alert in alerts
        if alert.source == "prometheus" and "endsAt" in alert.unknown and alert.ends_at is None
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
    if promise is None or alert.ends_at is not None:
        return alert
    ends_at, updated_at = promise
    is_over = ends_at <= at
    return msgspec.structs.replace(
        alert,
        ends_at=ends_at,
        updated_at=updated_at,
        is_unconfirmed=is_over,
        unknown=("status",) if is_over else (),
    )
