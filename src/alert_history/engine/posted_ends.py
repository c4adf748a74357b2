"""What senders had last said of alerts at a past moment: what they posted tells, as long as its body is kept.

An Alertmanager that got the same posts shows the annotations and the link of the newest post, its end as `endsAt`, and
when it came as `updatedAt`; it drops an alert whose end has passed. An occurrence knows by itself when it is given up:
that is later than its sender promised, where an Alertmanager tells of it, too.
"""

import asyncio
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
    return await asyncio.to_thread(_described, alerts, posts, asked, at)


def identity_of(labels: Mapping[str, str]) -> _Identity:
    """What is equal for equal label sets."""
    return frozenset(labels.items())


def _asked(alerts: Iterable[MomentAlert]) -> dict[_Identity, str]:
    """The occurrences that are looked for, by their label sets; posts don't tell the scopes of label sets apart."""
    asked: dict[_Identity, str] = {}
    twice: set[_Identity] = set()
    for alert in alerts:
        if alert.source == "prometheus":
            identity = identity_of(alert.labels)
            if asked.setdefault(identity, alert.occurrence_id) != alert.occurrence_id:
                twice.add(identity)
    return {identity: occurrence for identity, occurrence in asked.items() if identity not in twice}


def _described(
    alerts: Sequence[MomentAlert], posts: Sequence[Post], asked: Mapping[_Identity, str], at: datetime
) -> list[MomentAlert]:
    """The alerts, as the posts describe them."""
    promised = _promised(posts, asked)
    return [_filled(alert, promised.get(alert.occurrence_id), at) for alert in alerts]


def _promised(posts: Sequence[Post], asked: Mapping[_Identity, str]) -> dict[str, tuple[Posted, datetime]]:
    """Of each occurrence the newest post that says that it fires, and when it came."""
    left = dict(asked)
    promised: dict[str, tuple[Posted, datetime]] = {}
    for post in posts:
        if not left:
            break
        for posted in read_posted(post.body, received_at=post.received_at):
            identity = identity_of(posted.labels)
            if identity in left and posted.ends_at > post.received_at:
                promised[left.pop(identity)] = (posted, post.received_at)
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
