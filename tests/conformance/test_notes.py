"""Promise 3, nothing is dropped without a trace: quarantine. And notes and silences, which change no state."""

import msgspec
import pytest

from alert_history.domain.alert import Refused
from alert_history.errors import InvalidQuery
from alert_history.ports import Store
from alert_history.storage.shared import reads
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, id_of, kinds, note, receipt, silence

FIRING = alert()
RESOLVED = alert(status="resolved")
NEWEST = alert(starts_at=NOW)
BEFORE = FIRING.starts_at - MINUTE
BAD = Refused(2, "startsAt: not a time", b'{"startsAt": "\xff"}')


async def test_refused_alert_is_in_quarantine_with_reason_and_raw(store: Store) -> None:
    request = receipt(FIRING, refused=[BAD])
    await store.recorder.commit([request])
    entry = (await store.history.quarantine(limit=10, cursor=None)).quarantine[0]
    assert (
        entry.receipt_id,
        entry.position,
        entry.reason,
        entry.raw,
        entry.source,
        entry.receiver,
        entry.received_at,
    ) == (
        request.id,
        2,
        "startsAt: not a time",
        '{"startsAt": "\ufffd"}',
        "alertmanager",
        "team-x",
        NOW,
    )


async def test_others_of_the_request_are_kept(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING, refused=[BAD])])
    assert await kinds(store, FIRING) == ["fired"]


async def test_refused_again_is_in_quarantine_again(store: Store) -> None:
    for _ in range(2):
        await store.recorder.commit([receipt(refused=[BAD])])
    assert (await store.history.quarantine(limit=10, cursor=None)).total == 2


async def test_quarantine_is_paged_newest_first_without_doubles(store: Store) -> None:
    for n in range(5):
        await store.recorder.commit([receipt(at=NOW + n * SECOND, refused=[Refused(n, "bad", b"")])])
    positions: list[int] = []
    cursor: str | None = None
    while not positions or cursor is not None:
        page = await store.history.quarantine(limit=2, cursor=cursor)
        positions += [entry.position for entry in page.quarantine]
        cursor = page.next_cursor
    assert positions == [4, 3, 2, 1, 0]


async def test_a_total_of_quarantine_beyond_its_bound_is_a_lower_bound(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "COUNT_BOUND", 2)
    for count, (total, is_exact) in enumerate([(1, True), (2, True), (2, False)], start=1):
        await store.recorder.commit([receipt(refused=[Refused(0, "no labels", b"{}")], at=NOW + count * SECOND)])
        page = await store.history.quarantine(limit=1, cursor=None)
        assert (page.total, page.is_total_exact) == (total, is_exact)


@pytest.mark.parametrize("limit", [-1, 0, 1001])
async def test_quarantine_refuses_a_limit_it_cannot_keep(store: Store, limit: int) -> None:
    await store.recorder.commit([receipt(refused=[BAD])])
    with pytest.raises(InvalidQuery):
        await store.history.quarantine(limit=limit, cursor=None)


async def test_note_is_an_event_of_the_newest_occurrence(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING, RESOLVED, NEWEST)])
    await store.recorder.commit([receipt(notes=[note(FIRING)])])
    assert (await kinds(store, FIRING), await kinds(store, NEWEST)) == (["fired", "resolved"], ["fired", "silenced"])


async def test_note_is_an_event_of_the_occurrence_it_names(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING, RESOLVED, NEWEST)])
    await store.recorder.commit([receipt(notes=[note(FIRING, starts_at=FIRING.starts_at)])])
    assert (await kinds(store, FIRING), await kinds(store, NEWEST)) == (["fired", "resolved", "silenced"], ["fired"])


async def test_note_on_a_later_start_than_that_of_what_fires_is_an_event_of_it(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(notes=[note(FIRING, starts_at=FIRING.starts_at + MINUTE)])])
    assert await kinds(store, FIRING) == ["fired", "silenced"]


async def test_note_says_who_and_what(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(notes=[note(FIRING)], source="event_recorder")])
    event = (await store.history.timeline(id_of(FIRING)))[-1]
    assert (event.at, event.source, event.detail) == (NOW, "event_recorder", {"instance": "am-0", "silence": "s-1"})


async def test_note_on_an_alert_of_the_same_request_finds_it(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING, notes=[note(FIRING)])])
    assert await kinds(store, FIRING) == ["fired", "silenced"]


async def test_note_on_an_unknown_alert_is_in_quarantine(store: Store) -> None:
    outcome = (await store.recorder.commit([receipt(notes=[note(FIRING)])]))[0]
    entry = (await store.history.quarantine(limit=10, cursor=None)).quarantine[0]
    assert (outcome.quarantined, FIRING.fingerprint in entry.reason, FIRING.fingerprint in entry.raw) == (1, True, True)


async def test_note_on_a_start_before_all_that_is_known_is_in_quarantine(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    outcome = (await store.recorder.commit([receipt(notes=[note(FIRING, starts_at=BEFORE)])]))[0]
    assert (outcome.quarantined, await kinds(store, FIRING)) == (1, ["fired"])


async def test_note_on_a_start_after_the_end_is_in_quarantine(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING, RESOLVED)])
    outcome = (await store.recorder.commit([receipt(notes=[note(FIRING, starts_at=NOW)])]))[0]
    assert (outcome.quarantined, await kinds(store, FIRING)) == (1, ["fired", "resolved"])


async def test_note_on_an_unknown_start_leads_no_other_note_astray(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    notes = [note(FIRING, starts_at=BEFORE), note(FIRING, "inhibited")]
    outcome = (await store.recorder.commit([receipt(notes=notes)]))[0]
    assert (outcome.quarantined, await kinds(store, FIRING)) == (1, ["fired", "inhibited"])


async def test_notes_on_an_alert_known_by_neither_start_nor_fingerprint_are_in_quarantine(store: Store) -> None:
    notes = [note(FIRING, starts_at=NOW + MINUTE), note(FIRING, "inhibited")]
    assert (await store.recorder.commit([receipt(notes=notes)]))[0].quarantined == 2


async def test_same_note_twice_is_one_event(store: Store, open_replica: OpenReplica) -> None:
    await store.recorder.commit([receipt(FIRING)])
    await store.recorder.commit([receipt(notes=[note(FIRING), note(FIRING)])])
    await (await open_replica()).recorder.commit([receipt(notes=[note(FIRING)])])
    assert await kinds(store, FIRING) == ["fired", "silenced"]


async def test_a_notification_by_each_of_two_instances_is_two_events(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING)])
    notes = [note(FIRING, "notified", by="am-0"), note(FIRING, "notified", by="am-1")]
    await store.recorder.commit([receipt(notes=notes)])
    assert await kinds(store, FIRING) == ["fired", "notified", "notified"]


async def test_a_silence_that_goes_on_muting_is_one_event_whoever_says_it(store: Store) -> None:
    await store.recorder.commit([receipt(FIRING, notes=[note(FIRING, by="am-0")])])
    later = msgspec.structs.replace(note(FIRING, by="am-1"), at=NOW + MINUTE)
    await store.recorder.commit([receipt(notes=[later])])
    assert await kinds(store, FIRING) == ["fired", "silenced"]


async def test_note_leaves_the_numbers_of_state_changes_alone(store: Store, database_url: str) -> None:
    await store.recorder.commit([receipt(FIRING, notes=[note(FIRING)])])
    await store.recorder.commit([receipt(alert(status="resolved"))])
    assert await raw.state_keys(database_url) == {FIRING.fingerprint: [1, 2]}


async def test_newest_word_on_a_silence_wins(store: Store, database_url: str) -> None:
    newest, older = silence(updated_at=NOW + MINUTE, comment="longer"), silence(comment="older")
    await store.recorder.commit([receipt(silences=[newest])])
    await store.recorder.commit([receipt(silences=[older])])
    assert await raw.fetch(database_url, "SELECT id, comment FROM silences") == [("s-1", "longer")]


async def test_newest_word_on_a_silence_wins_within_a_batch(store: Store, database_url: str) -> None:
    newest, older = silence(updated_at=NOW + MINUTE, comment="longer"), silence(comment="older")
    await store.recorder.commit([receipt(silences=[newest, older]), receipt(silences=[older])])
    assert await raw.fetch(database_url, "SELECT id, comment FROM silences") == [("s-1", "longer")]


async def test_newer_word_on_a_silence_replaces_the_older(store: Store, database_url: str) -> None:
    await store.recorder.commit([receipt(silences=[silence(comment="first")])])
    await store.recorder.commit([receipt(silences=[silence(updated_at=NOW + MINUTE, comment="second")])])
    assert await raw.fetch(database_url, "SELECT id, comment FROM silences") == [("s-1", "second")]
