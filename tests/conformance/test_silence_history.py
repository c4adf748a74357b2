"""The history of silences: what each muted, from when to when, and how they stood at a past moment, on both databases.

Holds: `engine.silence_mutings`, `engine.silences_as_of`, `engine.firing_alerts`.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import Note, Silence
from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.engine.silence_inventory import OneSilence, SilenceInventory, SilenceReads
from alert_history.errors import InvalidQuery, NotFound
from alert_history.ports import Store
from tests.conformance.samples import DAY, MINUTE, NOW, STARTS_AT, alert, id_of, receipt, silence

HOUR = timedelta(hours=1)
DISK = [[{"name": "alertname", "op": "=", "value": "DiskFull"}]]


def inventory(store: Store, now: datetime = NOW + DAY) -> SilenceInventory:
    reads = SilenceReads(store.silences, store.silence_versions, store.history, store.moments)
    return SilenceInventory(reads, clock=lambda: now)


def made(name: str = "s-1", **fields: Any) -> Silence:
    known = {"matchers": DISK, "starts_at": NOW - HOUR, "ends_at": NOW + 9 * HOUR, "updated_at": NOW - HOUR}
    return msgspec.structs.replace(silence(name), **{**known, **fields})


async def keep(store: Store, *silences: Silence) -> None:
    """Keep versions; the newest of each is its copy."""
    await store.silence_versions.keep([SilenceVersion(each, "main", each.updated_at) for each in silences])
    await store.reconciling.keep_silences(list({each.id: each for each in silences}.values()))


def spans(answer: OneSilence) -> list[tuple[str, timedelta, timedelta | None, str]]:
    return [
        (each.alertname, each.begin - NOW, None if each.end is None else each.end - NOW, each.way)
        for each in answer.mutings.spans
    ]


async def test_what_events_tell_that_a_silence_muted_has_a_begin_and_an_end(store: Store) -> None:
    await keep(store, made(matchers=[[{"name": "none", "op": "=", "value": "such"}]]))
    firing = alert("DiskFull")
    note = Note(firing.fingerprint, None, "silenced", NOW + MINUTE, "am-0", {"silence_id": "s-1"})
    await store.recorder.commit([receipt(firing)])
    await store.recorder.commit([receipt(notes=[note], at=NOW + MINUTE)])
    assert spans(await inventory(store, NOW + HOUR).one("s-1")) == [("DiskFull", MINUTE, None, "told")]
    await store.recorder.commit([receipt(alert("DiskFull", "resolved", ends_at=NOW + 2 * HOUR), at=NOW + 2 * HOUR)])
    assert spans(await inventory(store).one("s-1")) == [("DiskFull", MINUTE, 2 * HOUR, "told")]


async def test_what_nobody_told_of_is_known_by_what_each_version_matches(store: Store) -> None:
    others = [[{"name": "alertname", "op": "=", "value": "Other"}]]
    await keep(store, made(), made(matchers=others, updated_at=NOW + HOUR))
    await store.recorder.commit([receipt(alert("DiskFull"), alert("Elsewhere"))])
    assert spans(await inventory(store).one("s-1")) == [("DiskFull", STARTS_AT - NOW, HOUR, "matched")]


async def test_a_silence_is_told_of_as_it_stood_then(store: Store) -> None:
    ended = made(ends_at=NOW + HOUR, updated_at=NOW + HOUR, comment="done")
    await keep(store, made(comment="a move"), ended)
    await store.recorder.commit([receipt(alert("DiskFull"))])
    now = inventory(store)
    then = NOW + 30 * MINUTE
    assert [(each.silence.id, each.state) for each in (await now.page("expired")).entries] == [("s-1", "expired")]
    (entry,) = (await now.page("active", at=then)).entries
    assert (entry.silence.comment, entry.state, entry.firing.number) == ("a move", "active", 1)
    assert [each.kind for each in entry.changes] == ["created"]
    counts = await now.counts(at=then)
    assert (counts.active, counts.soon, counts.expired) == (1, 1, 0)
    one = await now.one("s-1", at=then)
    assert spans(one) == [("DiskFull", STARTS_AT - NOW, None, "matched")]
    assert [each.kind for each in (await now.one("s-1")).entry.changes] == ["created", "expired"]
    with pytest.raises(NotFound, match="of then"):
        await now.one("s-1", at=NOW - 2 * HOUR)


async def test_silences_that_would_match_what_fired_then_and_those_that_muted_nothing_by_then(store: Store) -> None:
    await keep(store, made("over", ends_at=NOW), made("used"))
    firing = alert("DiskFull")
    note = Note(firing.fingerprint, None, "silenced", NOW + 2 * HOUR, "am-0", {"silence_id": "used"})
    await store.recorder.commit([receipt(firing)])
    await store.recorder.commit([receipt(notes=[note], at=NOW + 2 * HOUR)])

    async def ids(view: Any, at: timedelta) -> list[str]:
        return [each.silence.id for each in (await inventory(store).page(view, at=NOW + at)).entries]

    assert await ids("again", HOUR) == ["over"]
    assert await ids("again", -2 * MINUTE) == []
    assert await ids("unused", HOUR) == ["used"]
    assert await ids("unused", 3 * HOUR) == []


async def test_pages_of_a_past_moment_go_on_where_they_stopped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.engine.silence_inventory.SHOWN", 2)
    await keep(store, *(made(f"s-{number}", ends_at=NOW + (9 - number) * HOUR) for number in range(5)))
    listed: list[str] = []
    cursor = None
    for _ in range(3):
        page = await inventory(store).page("active", at=NOW, cursor=cursor)
        listed += [each.silence.id for each in page.entries]
        cursor = page.next_cursor
    assert (listed, cursor) == (["s-4", "s-3", "s-2", "s-1", "s-0"], None)
    with pytest.raises(InvalidQuery, match="no page of these silences"):
        await inventory(store).page("expired", at=NOW, cursor="active.2")


async def test_what_was_not_looked_at_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.engine.silence_mutings.MOST_MATCHED", 1)
    await keep(store, made())
    await store.recorder.commit([receipt(alert(labels={"node": "a"}), alert(labels={"node": "b"}))])
    one = await inventory(store).one("s-1")
    assert len(one.mutings.spans) == 1
    assert "more than the newest 1" in " ".join(one.mutings.left_out)
    assert [each.id for each in one.mutings.spans] in ([id_of(alert(labels={"node": n}))] for n in "ab")
