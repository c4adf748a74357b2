"""What is old is forgotten, and nothing else: history, receipts, quarantine, bodies."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

import pytest

from alert_history.domain.alert import Alert, Refused
from alert_history.domain.classification import Classification, ClassifiedBy, Usage, Verdict
from alert_history.engine.upkeep import Retention, forget_classifications
from alert_history.errors import NotFound
from alert_history.ids import new_id
from alert_history.ports import KeptVerdict, Store
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, everything, id_of, kinds, note, receipt
from tests.servers import PostgresServer

LATER = NOW + 60 * DAY
LIMIT = LATER - 30 * DAY
"""Once it is LATER, what was last received before then is to be forgotten."""

_STEPS = 500

OLD = alert("Old")
LASTING = alert("Lasting")
YOUNG = alert("Young", starts_at=LATER - MINUTE)
STRAYS = [alert("Stray", starts_at=datetime(year, 6, 1, tzinfo=UTC)) for year in (2, 1999, 9999)]


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """A copy of one's own, because partitions are made and dropped here."""
    url = postgres_server.create_database(template=prepared_postgres.rpartition("/")[2])
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
async def aged(store: Store) -> Store:
    """A store that has been running from NOW until LATER."""
    old = receipt(OLD, LASTING, *STRAYS, notes=[note(OLD), note(LASTING)], refused=[Refused(0, "bad", b"old")])
    await store.recorder.commit([old])
    await store.upkeep.prepare(LATER)
    young = receipt(LASTING, YOUNG, at=LATER, refused=[Refused(0, "bad", b"young")])
    await store.recorder.commit([young])
    return store


async def until_done(drop: Callable[[datetime], Awaitable[int]], before: datetime) -> int:
    """Drops step by step until nothing is left to drop; how many steps it took."""
    for step in range(_STEPS):
        if await drop(before) == 0:
            return step
    raise AssertionError(f"still not done after {_STEPS} steps")


async def names(store: Store) -> set[str]:
    return {occurrence.alertname for occurrence in await everything(store)}


async def test_old_history_is_forgotten(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await names(aged) == {"Lasting", "Young"}


async def test_forgotten_occurrence_is_not_found(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    with pytest.raises(NotFound):
        await aged.history.find(id_of(OLD))


async def test_events_are_forgotten_with_their_occurrence(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await raw.count(database_url, "events") == 3


async def test_what_is_still_received_keeps_its_events(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await kinds(aged, LASTING) == ["fired", "silenced"]


async def test_what_is_still_received_goes_on_being_counted(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    await aged.recorder.commit([receipt(LASTING, at=LATER)])
    assert (await aged.history.find(id_of(LASTING))).repeat_count == 2


async def test_what_is_no_longer_received_is_forgotten_in_its_turn(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    await until_done(aged.upkeep.drop_history, LATER + 30 * DAY)
    assert await names(aged) == set()


async def test_young_history_is_kept(aged: Store, database_url: str) -> None:
    before = await raw.count(database_url, "alerts"), await raw.count(database_url, "events")
    await until_done(aged.upkeep.drop_history, NOW - DAY)
    assert (await raw.count(database_url, "alerts"), await raw.count(database_url, "events")) == before


async def test_old_receipts_are_forgotten(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await raw.count(database_url, "receipts") == 1


async def test_old_quarantine_is_forgotten(aged: Store) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert [entry.raw for entry in (await aged.history.quarantine(limit=9, cursor=None)).quarantine] == ["young"]


async def test_two_replicas_forget_side_by_side(aged: Store, open_replica: OpenReplica) -> None:
    other = await open_replica()
    await asyncio.gather(*(until_done(replica.upkeep.drop_history, LIMIT) for replica in (aged, other)))
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await names(aged) == {"Lasting", "Young"}


async def test_forgotten_alert_that_comes_back_is_fired_anew(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_history, LIMIT)
    await aged.recorder.commit([receipt(OLD, at=LATER)])
    keys = await raw.state_keys(database_url)
    assert (await kinds(aged, OLD), keys[OLD.fingerprint]) == (["fired"], [1])


async def test_more_rows_than_a_step_holds_are_forgotten_in_steps(store: Store, database_url: str) -> None:
    many = [alert(f"A{n}", starts_at=datetime(1999, 1, 1, tzinfo=UTC)) for n in range(6000)]
    await store.recorder.commit([receipt(*many, body=b"")])
    steps = await until_done(store.upkeep.drop_history, NOW + DAY)
    assert (steps > 1, await raw.count(database_url, "alerts"), await raw.count(database_url, "events")) == (True, 0, 0)


async def test_ingest_goes_on_while_old_history_is_forgotten(aged: Store) -> None:
    async def ingest() -> None:
        for n in range(60):
            await aged.recorder.commit([receipt(alert(f"New{n}", starts_at=LATER), LASTING, at=LATER + n * SECOND)])

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ingest())
        tasks.create_task(until_done(aged.upkeep.drop_history, LIMIT))
    await until_done(aged.upkeep.drop_history, LIMIT)
    assert await names(aged) == {"Lasting", "Young", *(f"New{n}" for n in range(60))}
    assert (await aged.history.find(id_of(LASTING))).repeat_count == 61


async def test_bodies_are_forgotten_before_their_receipts(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_bodies, LIMIT)
    assert (await raw.count(database_url, "receipt_bodies"), await raw.count(database_url, "receipts")) == (1, 2)


async def test_bodies_without_a_partition_are_forgotten_too(store: Store, database_url: str) -> None:
    await store.recorder.commit([receipt(OLD, at=NOW - 900 * DAY)])
    await until_done(store.upkeep.drop_bodies, LIMIT)
    assert await raw.count(database_url, "receipt_bodies") == 0


async def test_forgotten_body_is_kept_again_when_it_is_sent_again(aged: Store, database_url: str) -> None:
    await until_done(aged.upkeep.drop_bodies, LATER + 2 * DAY)
    await aged.recorder.commit([receipt(YOUNG, at=LATER + 2 * DAY, body=b"again")])
    assert await raw.count(database_url, "receipt_bodies") == 1


async def test_prepare_may_be_called_any_time(store: Store) -> None:
    for time in (NOW, NOW, NOW - DAY, LATER):
        await store.upkeep.prepare(time)
    await store.recorder.commit([receipt(OLD, YOUNG)])
    assert await names(store) == {"Old", "Young"}


# --- What was classified, and the audit -------------------------------------------------------------------------------

KNOWN = alert("Known")
"""An alert that the history goes on to know; nothing else is."""


def word(shape: str, *, days: int, source: ClassifiedBy = "llm", of: Alert = KNOWN) -> KeptVerdict:
    """What was said of a shape so many days before LATER."""
    at = LATER - days * DAY
    classification = Classification("warning", 0.9, "c", "s", "p", (), "r", (), source, source, at)
    return KeptVerdict(new_id(at), shape, of.fingerprint, Verdict(classification))


async def left_of(store: Store, *words: KeptVerdict) -> set[str]:
    """The shapes and ages in days of what is left of these when all that is old has been forgotten."""
    await store.recorder.commit([receipt(KNOWN, at=LATER)])
    await store.classifications.keep(words, now=LATER)
    await until_done(store.upkeep.drop_classifications, LIMIT)
    shapes = {word.shape for word in words}
    left_words = [word for shape in shapes for word in await store.classification_history.history(shape, limit=1000)]
    return {f"{word.shape} {(LATER - word.verdict.classification.at) // DAY}" for word in left_words}


async def test_old_classifications_are_forgotten_but_for_the_newest_of_each_shape_in_use(store: Store) -> None:
    words = [word("a", days=90), word("a", days=60), word("b", days=50), word("b", days=5), word("c", days=29)]
    assert await left_of(store, *words) == {"a 60", "b 5", "c 29"}


async def test_a_classification_of_an_alert_that_is_forgotten_is_forgotten_when_it_is_old(store: Store) -> None:
    gone = alert("Gone")
    assert await left_of(store, word("a", days=60, of=gone), word("b", days=29, of=gone)) == {"b 29"}


async def test_a_correction_is_kept_until_there_is_another_whatever_a_model_says_later(store: Store) -> None:
    gone = alert("Gone")
    words = [
        word("a", days=90, source="person", of=gone),
        word("b", days=90, source="person", of=gone),
        word("b", days=80, of=gone),
        word("b", days=70, of=KNOWN),
        word("c", days=90, source="person", of=KNOWN),
        word("c", days=80, source="person", of=gone),
    ]
    assert await left_of(store, *words) == {"a 90", "b 90", "b 70", "c 80"}


async def test_classifications_are_forgotten_step_by_step(store: Store) -> None:
    """However many are kept among those that go, and again at the next turn."""
    words = [word(f"k{n}", days=60) for n in range(700)]
    assert len(await left_of(store, *words, *(word("a", days=60 + n) for n in range(700)))) == 701
    assert await until_done(store.upkeep.drop_classifications, LIMIT) <= 5
    assert len(await left_of(store, word("k0", days=59))) == 1


async def test_old_lines_of_the_audit_are_forgotten(store: Store, database_url: str) -> None:
    for days in (90, 31, 29, 1):
        await store.audit.note("switched", actor="ada", detail={"days": days}, now=LATER - days * DAY)
    await until_done(lambda before: store.audit_trail.drop(before, now=LATER), LIMIT)
    assert await raw.count(database_url, "audit") == 2


async def test_what_old_unusable_answers_took_is_forgotten(store: Store, database_url: str) -> None:
    for days in (90, 31, 29, 1):
        await store.spending.keep_unusable(Usage(1, 1, 0.1), model="m", now=LATER - days * DAY)
    await until_done(store.upkeep.drop_classifications, LIMIT)
    assert await raw.count(database_url, "unusable_answers") == 2


async def test_what_serves_longer_than_history_is_kept_as_long_as_it_serves(store: Store) -> None:
    gone = alert("Gone")
    await store.classifications.keep([word("a", days=40, of=gone), word("b", days=60, of=gone)], now=LATER)
    retention = Retention(history=30 * DAY, bodies=DAY, serves=50 * DAY)
    await forget_classifications(store.upkeep, retention=retention, now=LATER)
    assert [len(await store.classification_history.history(shape, limit=9)) for shape in "ab"] == [1, 0]
