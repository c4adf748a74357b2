"""What happens is numbered in the order of commits, each thing once, and nothing is left out.

Holds: `storage.shared.feed`, `domain.news`.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from alert_history.domain.acts import Act
from alert_history.domain.microseconds import from_us
from alert_history.domain.news import News, read_news, written_news
from alert_history.ports import NumberedNews, Store
from alert_history.storage import is_sqlite
from tests.conformance import raw, sequences
from tests.conformance.conftest import OpenReplica
from tests.conformance.replaying import Replayer
from tests.conformance.samples import MINUTE, NOW, STARTS_AT, alert, note, receipt

_POSTGRES_EVENTS = "SELECT fingerprint, starts_at, kind, at FROM events"
_SQLITE_EVENTS = """SELECT a.fingerprint, a.starts_at, e.kind, e.at
    FROM events e JOIN alerts a ON a.id = e.alert_id"""
_FAR = timedelta(days=1)


async def begin(store: Store, *names: str, at: datetime = NOW) -> None:
    await store.recorder.commit([receipt(*map(alert, names), at=at)])


async def whole_feed(store: Store, *, after: int = 0) -> Sequence[NumberedNews]:
    while await store.feed.number():
        pass
    return await store.feed.after(after, most=100_000)


async def events(url: str) -> Counter[tuple[object, ...]]:
    """All events that the history holds, as the news that they are."""
    rows = await raw.fetch(url, _SQLITE_EVENTS if is_sqlite(url) else _POSTGRES_EVENTS)
    times = from_us if is_sqlite(url) else lambda time: time
    return Counter((fingerprint, times(starts_at), kind, times(at)) for fingerprint, starts_at, kind, at in rows)


def news_in(feed: Sequence[NumberedNews]) -> Counter[tuple[object, ...]]:
    return Counter((n.fingerprint, from_us(n.key_us), n.kind, from_us(n.at_us)) for n in (each.news for each in feed))


async def test_events_are_numbered_one_after_the_other(store: Store) -> None:
    await begin(store, "A", "B")
    await begin(store, "A", at=NOW + MINUTE)  # a plain repeat is no news
    await store.recorder.commit([receipt(alert("A", "resolved"), at=NOW + 2 * MINUTE)])
    feed = await whole_feed(store)
    assert [(each.number, each.news.kind) for each in feed] == [(1, "fired"), (2, "fired"), (3, "resolved")]
    assert await store.feed.newest() == 3


@pytest.mark.parametrize("name", sequences.NAMES)
async def test_feed_tells_each_event_of_the_history_once(name: str, replicas: list[Store], database_url: str) -> None:
    sequence = sequences.read(name)
    replayer = Replayer(replicas, sequence.start)
    for number, each in enumerate(sequence.receipts()):
        await replayer.pass_to(each.received_at, every=timedelta(seconds=5))
        await replayer.take(each, replica=number % 2)
        await replicas[number % 2].feed.number()
    feed = await whole_feed(replicas[0])
    assert news_in(feed) == await events(database_url)
    assert [each.number for each in feed] == list(range(1, len(feed) + 1))


async def test_note_that_is_told_twice_is_news_once(store: Store, database_url: str) -> None:
    await begin(store, "A")
    muted = note(alert("A"), "silenced", starts_at=STARTS_AT)
    for minute in (1, 2):
        await store.recorder.commit([receipt(notes=[muted, muted], at=NOW + minute * MINUTE)])
    feed = await whole_feed(store)
    assert [each.news.kind for each in feed] == ["fired", "silenced"]
    assert news_in(feed) == await events(database_url)


async def test_act_is_news(store: Store) -> None:
    await begin(store, "A")
    fingerprint = alert("A").fingerprint
    act = Act("1", fingerprint, STARTS_AT, "A", "critical", "", NOW, "acknowledged", "ann")
    assert [await store.acts.keep(act), await store.acts.keep(act)] == [True, False]
    assert [each.news.kind for each in await whole_feed(store)] == ["fired", "acknowledged"]


async def test_reader_can_stop_after_each_thing_and_go_on(store: Store) -> None:
    for names in (["A", "B", "C"], ["D"], ["E", "F"]):
        await begin(store, *names)
    feed = await whole_feed(store)
    for number in range(len(feed) + 1):
        assert await store.feed.after(number, most=2) == feed[number : number + 2]


async def test_two_replicas_give_each_thing_one_number(store: Store, open_replica: OpenReplica) -> None:
    other = await open_replica()
    seen: list[NumberedNews] = []
    for minute in range(20):
        await begin(store, f"A{minute}", at=NOW + minute * MINUTE)
        await begin(other, f"B{minute}", f"C{minute}", at=NOW + minute * MINUTE)
        await (store, other)[minute % 2].feed.number()
        seen += await (other, store)[minute % 2].feed.after(len(seen), most=100)
    assert [each.number for each in seen] == list(range(1, 61))
    assert len({each.news.fingerprint for each in seen}) == 60


async def test_occurrences_of_news_are_found(store: Store) -> None:
    await begin(store, "A", "B")
    feed = await whole_feed(store)
    assert all(each.at is not None for each in feed), "when it was numbered"
    keys = {(each.news.fingerprint, from_us(each.news.key_us)) for each in feed}
    alerts = await store.feed.alerts(keys | {("0000000000000000", NOW)})
    assert {each.alertname for each in alerts.values()} == {"A", "B"}
    assert alerts.keys() == keys
    assert await store.feed.alerts([]) == {}


async def test_numbers_go_on_when_all_was_forgotten(store: Store) -> None:
    for minute in range(3):
        await begin(store, f"A{minute}", at=NOW + minute * MINUTE)
    await whole_feed(store)
    assert await store.feed.forget(datetime.now(UTC) + _FAR, most=1000) == 2
    assert await store.feed.forget(datetime.now(UTC) + _FAR, most=0) == 0
    await begin(store, "B", at=NOW + 9 * MINUTE)
    assert [each.number for each in await whole_feed(store)] == [3, 4]


async def test_feed_holds_so_much_and_the_newest(store: Store) -> None:
    for minute in range(10):
        await begin(store, f"A{minute}", f"B{minute}", at=NOW + minute * MINUTE)
    await whole_feed(store)
    await store.feed.forget(datetime.now(UTC) - _FAR, most=6)
    assert [each.number for each in await store.feed.after(0, most=100)] == list(range(15, 21))


async def test_much_news_of_one_transaction_is_read_in_parts(store: Store) -> None:
    await begin(store, *(f"A{number}" for number in range(1_500)))
    assert await store.feed.number() == 1
    parts = [await store.feed.after(number, most=500) for number in (0, 500, 1_000, 1_500)]
    assert [len(part) for part in parts] == [500, 500, 500, 0]
    assert len({each.number for part in parts for each in part}) == 1_500


def test_news_is_small_and_keeps_its_order() -> None:
    many = [News(f"{number:016x}", 10**15 - number, "fired", 10**15 + 5) for number in range(100)]
    others = [
        News("0123456789abcdef@eu", 10**15, "resolved", 10**15 + 6),
        News("0123456789ABCDEF", -5, "fired", 10**15),
        News("not hexadecimal!", 10**15 + 10**12, "fired", 10**15),
    ]
    for news in (many, [*others, *many, *reversed(others)], []):
        assert read_news(written_news(news)) == news
    assert len(written_news(many)) < 2_000
