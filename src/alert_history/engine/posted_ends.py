"""What senders had last said of alerts at a past moment: what they posted tells, as long as its body is kept.

An Alertmanager that got the same posts shows the annotations and the link of the newest post, its end as `endsAt`, and
when it came as `updatedAt`; it drops an alert whose end has passed. An occurrence knows by itself when it is given up:
that is later than its sender promised, where an Alertmanager tells of it, too.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.ports import Moments, Post
from alert_history.sources.prometheus import Posted, read_posted

WITHIN = timedelta(minutes=6)
"""A sender repeats itself each minute, or promises four times as long as it waits: so old a post may still hold."""

MOST_POSTS = 64
MOST_BYTES = 16 * 1024 * 1024
_Identity = frozenset[tuple[str, str]]


async def with_posted_ends(alerts: Sequence[MomentAlert], moments: Moments, at: datetime) -> list[MomentAlert]:
    """The alerts, those that were posted as the newest post by then described them, as far as one still tells.

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
    return frozenset(labels.items())


def _asked(alerts: Iterable[MomentAlert]) -> set[_Identity]:
    """The label sets that are looked for; posts don't tell the scopes of label sets apart."""
    counts = Counter(identity_of(alert.labels) for alert in alerts if alert.source == "prometheus")
    return {identity for identity, count in counts.items() if count == 1}


def _promised(posts: Sequence[Post], asked: set[_Identity]) -> dict[_Identity, tuple[Posted, datetime]]:
    """Of each label set the newest post that says that it fires, and when it came."""
    left = set(asked)
    promised: dict[_Identity, tuple[Posted, datetime]] = {}
    for post in posts:
        if not left:
            break
        for posted in read_posted(post.body, received_at=post.received_at):
            identity = identity_of(posted.labels)
            if identity in left and posted.ends_at > post.received_at:
                promised[identity] = (posted, post.received_at)
                left.discard(identity)
    return promised


def _filled(alert: MomentAlert, promise: tuple[Posted, datetime] | None, at: datetime) -> MomentAlert:
    if promise is None or alert.source != "prometheus":
        return alert
    posted, updated_at = promise
    is_over = posted.ends_at <= at
    return msgspec.structs.replace(
        alert,
        annotations=posted.annotations,
        generator_url=posted.generator_url,
        ends_at=posted.ends_at,
        updated_at=updated_at,
        is_unconfirmed=is_over,
        unknown=("status",) if is_over else (),
    )
