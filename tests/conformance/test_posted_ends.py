"""What senders had last said of alerts at a past moment, on both databases: what they posted tells.

Holds: `storage.shared.posts`.
"""

import json
from datetime import datetime

import msgspec

from alert_history.domain.alert import Alert
from alert_history.domain.alertmanager.moment import MomentAlert
from alert_history.engine.posted_ends import with_posted_ends
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, posted


async def _post(store: Store, of: Alert, *, at: datetime, ends_at: datetime) -> None:
    described = {"annotations": of.annotations, "generatorURL": of.generator_url}
    body = json.dumps([{"labels": of.labels | {"empty": ""}, "endsAt": ends_at.isoformat(), **described}]).encode()
    await store.recorder.commit([msgspec.structs.replace(posted(of, client="p", at=at), body=body)])


async def _at(store: Store, at: datetime) -> MomentAlert:
    [found] = await with_posted_ends(await store.moments.alerts(at, limit=5), store.moments, at)
    return found


async def _history(store: Store) -> None:
    """Posted at once and after a minute, then silence for three minutes and a resolve."""
    firing = alert("Posted", expires_at=NOW + 2 * MINUTE)
    await _post(store, firing, at=NOW, ends_at=NOW + 2 * MINUTE)
    again = alert("Posted", expires_at=NOW + 3 * MINUTE)
    await _post(store, again, at=NOW + MINUTE, ends_at=NOW + 3 * MINUTE)
    over = alert("Posted", "resolved", ends_at=NOW + 4 * MINUTE)
    await _post(store, over, at=NOW + 4 * MINUTE, ends_at=NOW + 4 * MINUTE)


async def test_an_alert_ends_when_the_newest_post_by_then_had_promised(store: Store) -> None:
    await _history(store)
    first = await _at(store, NOW + MINUTE - SECOND)
    assert (first.ends_at, first.updated_at, first.unknown) == (NOW + 2 * MINUTE, NOW, ())
    second = await _at(store, NOW + MINUTE)
    assert (second.ends_at, second.updated_at, second.unknown) == (NOW + 3 * MINUTE, NOW + MINUTE, ())


async def test_an_alert_whose_promise_has_passed_is_unconfirmed(store: Store) -> None:
    await _history(store)
    silent = await _at(store, NOW + 3 * MINUTE + SECOND)
    assert (silent.is_unconfirmed, silent.ends_at, silent.unknown) == (True, NOW + 3 * MINUTE, ("status",))


async def test_what_can_not_be_known_without_bodies_is_said(store: Store) -> None:
    await _history(store)
    while await store.upkeep.drop_bodies(NOW + 2 * DAY):
        pass
    found = await _at(store, NOW + MINUTE)
    assert (found.ends_at, found.updated_at, found.unknown) == (None, NOW, ("endsAt", "updatedAt"))


async def test_of_what_is_open_the_row_knows_the_end(store: Store) -> None:
    firing = alert("Open", expires_at=NOW + 4 * MINUTE)
    await _post(store, firing, at=NOW, ends_at=NOW + 4 * MINUTE)
    [found] = await store.moments.alerts(NOW + SECOND, limit=5)
    assert (found.ends_at, found.updated_at, found.unknown) == (NOW + 4 * MINUTE, NOW, ())


async def test_what_an_occurrence_waits_for_is_not_what_its_sender_promised(store: Store) -> None:
    firing = alert("Waited", expires_at=NOW + DAY)  # as where an Alertmanager tells of it, too
    await _post(store, firing, at=NOW, ends_at=NOW + 4 * MINUTE)
    assert (await _at(store, NOW + SECOND)).ends_at == NOW + 4 * MINUTE


async def test_an_alert_is_described_as_in_the_newest_post_by_then(store: Store) -> None:
    for minute, text in enumerate(("half full", "full", "half full")):
        described = msgspec.structs.replace(
            alert("Described", annotations={"summary": text}), generator_url=f"http://p/{text}"
        )
        at = NOW + minute * MINUTE
        await _post(store, described, at=at, ends_at=at + 4 * MINUTE)
    found = [await _at(store, NOW + minute * MINUTE) for minute in range(3)]
    assert [each.annotations["summary"] for each in found] == ["half full", "full", "half full"]
    assert [each.generator_url for each in found] == ["http://p/half full", "http://p/full", "http://p/half full"]


async def test_posts_are_read_newest_first_within_bounds(store: Store) -> None:
    await _history(store)
    posts = await store.moments.posts(NOW + 4 * MINUTE, within=10 * MINUTE, most=2, most_bytes=10_000)
    assert [post.received_at for post in posts] == [NOW + 4 * MINUTE, NOW + MINUTE]
    size = len(posts[0].body)
    assert len(await store.moments.posts(NOW + 4 * MINUTE, within=10 * MINUTE, most=9, most_bytes=size)) == 1
    assert [post.received_at for post in await store.moments.posts(NOW, within=MINUTE, most=9, most_bytes=size)] == [
        NOW
    ]


async def test_posts_of_two_days_are_read_newest_first(store: Store) -> None:
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    times = [midnight + seconds * SECOND for seconds in (-2, -1, 0, 1)]
    for at in times:
        await _post(store, alert("Nightly", expires_at=at + 4 * MINUTE), at=at, ends_at=at + 4 * MINUTE)
    posts = await store.moments.posts(times[-1], within=MINUTE, most=3, most_bytes=10_000)
    assert [post.received_at for post in posts] == times[:0:-1]
