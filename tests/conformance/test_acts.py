"""What people did about occurrences is kept once, read by occurrence and by time, and forgotten with the history."""

import asyncio
from collections.abc import Iterator
from datetime import datetime

import msgspec
import pytest

from alert_history.domain.acts import Act, ActKind, acknowledgement_id, clean, is_storable, vendor_act_id
from alert_history.domain.occurrence import Key
from alert_history.ids import new_id
from alert_history.ports import Store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, everything, kinds, receipt
from tests.servers import PostgresServer

FIRING = alert()
KEY: Key = (FIRING.fingerprint, FIRING.starts_at)
LASTING = alert("Lasting")
LATER = NOW + 60 * DAY
KINDS: tuple[ActKind, ...] = ("acknowledged", "noted", "unacknowledged", "resolved")
OTHER: Key = (FIRING.fingerprint, FIRING.starts_at + MINUTE)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, prepared_postgres: str) -> Iterator[str]:
    """A copy of one's own, because partitions are made and dropped here."""
    url = postgres_server.create_database(template=prepared_postgres.rpartition("/")[2])
    yield url
    postgres_server.drop_database(url)


def act(
    kind: ActKind = "acknowledged",
    *,
    by: str = "ada",
    at: datetime = NOW,
    key: Key = KEY,
    text: str = "",
    act_id: str | None = None,
) -> Act:
    """An act of a person about the sample alert, which is another one each time unless its id is given."""
    return Act(act_id or new_id(at), *key, "DiskFull", "critical", "shop", at, kind, by, text)


async def test_an_act_comes_back_whole(store: Store) -> None:
    whole = msgspec.structs.replace(act(text="on it ✓", by="Ada Ünal"), source="pagerduty", external_id="PGR0VU2")
    assert await store.acts.keep(whole)
    assert await store.acts.of_occurrence(*KEY) == [whole]


async def test_acts_of_an_occurrence_are_its_own_and_oldest_first(store: Store) -> None:
    later, earlier, foreign = act("noted", at=NOW + SECOND), act(at=NOW), act(key=OTHER)
    for each in (later, earlier, foreign):
        await store.acts.keep(each)
    assert await store.acts.of_occurrence(*KEY) == [earlier, later]
    assert await store.acts.of_occurrence("0" * 16, NOW) == []


async def test_acts_of_several_occurrences_are_read_at_once_and_no_others(store: Store) -> None:
    later, earlier, foreign = act("noted", at=NOW + SECOND, key=OTHER), act(at=NOW), act(key=(KEY[0], NOW + DAY))
    for each in (later, earlier, foreign):
        await store.acts.keep(each)
    assert await store.acts.of_occurrences([OTHER, KEY, ("0" * 16, NOW)]) == [earlier, later]
    assert await store.acts.of_occurrences([]) == []


async def test_the_same_act_again_changes_nothing(store: Store) -> None:
    first = act(act_id="same", text="first")
    assert await store.acts.keep(first)
    assert not await store.acts.keep(act(act_id="same", text="second", at=NOW + MINUTE))
    assert await store.acts.of_occurrence(*KEY) == [first]


async def test_of_two_replicas_that_keep_the_same_act_one_keeps_it(open_replica: OpenReplica) -> None:
    stores = [await open_replica() for _ in range(2)]
    are_new = await asyncio.gather(*(store.acts.keep(act(act_id="same")) for store in stores))
    assert sorted(are_new) == [False, True]


async def test_acts_between_two_times_are_those_of_that_span_oldest_first(store: Store) -> None:
    acts = [act(at=NOW + number * MINUTE) for number in range(4)]
    for each in reversed(acts):
        await store.acts.keep(each)
    assert await store.acts.between(NOW + MINUTE, NOW + 3 * MINUTE, limit=10) == acts[1:3]
    assert await store.acts.between(NOW, NOW + DAY, limit=3) == acts[:3]
    assert await store.acts.between(NOW + DAY, NOW + 2 * DAY, limit=10) == []


async def test_acts_survive_a_restart(open_replica: OpenReplica) -> None:
    made = act()
    await (await open_replica()).acts.keep(made)
    assert await (await open_replica()).acts.of_occurrence(*KEY) == [made]


async def test_an_act_changes_nothing_of_its_occurrence(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    before = (await everything(store), await kinds(store, FIRING))
    for kind in KINDS:
        await store.acts.keep(act(kind))
    assert (await everything(store), await kinds(store, FIRING)) == before


def test_a_person_acknowledges_once_until_it_is_taken_back() -> None:
    first = acknowledgement_id(KEY, by="ada", acts=[])
    mine = act(act_id=first)
    assert acknowledgement_id(KEY, by="ada", acts=[mine]) == first
    assert acknowledgement_id(KEY, by="bob", acts=[mine]) != first
    assert acknowledgement_id(OTHER, by="ada", acts=[]) != first
    taken_back = act("unacknowledged", at=NOW + MINUTE)
    again = acknowledgement_id(KEY, by="ada", acts=[mine, taken_back])
    assert again != first
    assert acknowledgement_id(KEY, by="ada", acts=[mine, taken_back, act(act_id=again)]) == again


def test_one_event_of_a_vendor_is_one_act() -> None:
    act_id = vendor_act_id(KEY, source="pagerduty", event_id="01ABC")
    assert act_id == vendor_act_id(KEY, source="pagerduty", event_id="01ABC")
    assert act_id != vendor_act_id(KEY, source="rootly", event_id="01ABC")
    assert act_id != vendor_act_id(OTHER, source="pagerduty", event_id="01ABC")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_text_that_no_database_can_hold_is_told_apart(text: str) -> None:
    assert not is_storable(text)
    assert is_storable(clean(text, max_characters=9))
    assert is_storable("on it ✓ 😀")


async def test_old_acts_are_forgotten_once_their_occurrence_is_gone(store: Store) -> None:
    await store.upkeep.prepare(LATER)
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(LASTING)])
    await store.recorder.commit([receipt(LASTING, at=LATER)])
    lasting = (LASTING.fingerprint, LASTING.starts_at)
    gone, stays, young = act(), act(key=lasting), act("noted", at=LATER)
    for each in (gone, stays, young):
        await store.acts.keep(each)
    while await store.upkeep.drop_history(LATER - 30 * DAY):
        pass
    assert await store.acts.of_occurrence(*KEY) == [young]
    assert await store.acts.of_occurrence(*lasting) == [stays]
