"""The inventory of silences: which there are, in pages, and what each muted, on both databases."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.domain.alert import Alert, Note, Silence
from alert_history.engine.silence_inventory import SilenceInventory, SilenceReads, View
from alert_history.errors import InvalidQuery, NotFound
from alert_history.ports import SilenceState, Store
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, id_of, receipt, silence

HOUR = timedelta(hours=1)


def _matcher(alertname: str) -> dict[str, str]:
    return {"name": "alertname", "op": "=", "value": alertname}


def _silence(name: str, begins: timedelta, ends: timedelta) -> Silence:
    matchers = [[_matcher("DiskFull")]]
    return msgspec.structs.replace(silence(name), matchers=matchers, starts_at=NOW + begins, ends_at=NOW + ends)


def _muted(of: Alert, by: str, *, at: datetime = NOW) -> Note:
    detail: Mapping[str, Any] = {"silence_id": by, "created_by": "ada", "comment": "", "ends_at": None}
    return Note(of.fingerprint, None, "silenced", at, "am-0", dict(detail))


async def _keep(store: Store, *silences: Silence) -> None:
    await store.reconciling.keep_silences(silences)


async def _listed(store: Store, state: SilenceState, **asked: Any) -> list[str]:
    page = await store.silences.page(state, NOW, **({"limit": 50} | asked))
    return [each.id for each in page.silences]


async def test_silences_are_listed_by_state_and_what_ends_next_comes_first(store: Store) -> None:
    await _keep(
        store,
        _silence("later", -HOUR, 2 * DAY),
        _silence("sooner", -HOUR, HOUR),
        _silence("ahead", HOUR, 2 * HOUR),
        _silence("far ahead", DAY, 2 * DAY),
        _silence("over", -DAY, -HOUR),
        _silence("long over", -9 * DAY, -8 * DAY),
        _silence("over just now", -HOUR, timedelta()),
        _silence("begins now", timedelta(), 3 * DAY),
    )
    assert await _listed(store, "active") == ["sooner", "later", "begins now"]
    assert await _listed(store, "pending") == ["ahead", "far ahead"]
    assert await _listed(store, "expired") == ["over just now", "over", "long over"]
    assert await _listed(store, "active", ends_before=NOW + DAY) == ["sooner"]
    counts = await store.silences.counts(NOW, soon=NOW + DAY)
    assert (counts.active, counts.soon, counts.pending, counts.expired) == (3, 1, 2, 3)


@pytest.mark.parametrize("state, begins, step", [("active", -DAY, 1), ("pending", HOUR, 1), ("expired", -9 * DAY, -1)])
async def test_pages_hold_each_silence_once_also_where_times_are_equal(
    store: Store, state: SilenceState, begins: timedelta, step: int
) -> None:
    ends = {"active": HOUR, "pending": 2 * DAY, "expired": -DAY}[state]
    made = [_silence(f"s-{number:02}", begins, ends + number // 3 * MINUTE) for number in range(20)]
    await _keep(store, *made)
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(9):
        page = await store.silences.page(state, NOW, limit=3, cursor=cursor)
        seen += [each.id for each in page.silences]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [each.id for each in made][::step]


@pytest.mark.parametrize("cursor", ["", "x", "active", "expired.1.s-1", "active.x.y", "active.99999999999999999999.y"])
async def test_a_cursor_of_another_list_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidQuery, match="cursor"):
        await store.silences.page("active", NOW, limit=5, cursor=cursor)


async def test_a_silence_knows_the_alerts_that_it_muted_the_newest_first_and_each_once(store: Store) -> None:
    first, second, other = (alert(name) for name in ("First", "Second", "Other"))
    await store.recorder.commit([receipt(first, second, other)])
    notes = [_muted(first, "s-1"), _muted(second, "s-1", at=NOW + SECOND), _muted(first, "s-1", at=NOW + MINUTE)]
    await store.recorder.commit([receipt(notes=[*notes, _muted(other, "s-2")], at=NOW + MINUTE)])
    muted = await store.silences.muted(["s-1", "s-2", "s-3"], newest=5)
    assert muted.keys() == {"s-1", "s-2"}
    of_first = muted["s-1"]
    assert (of_first.number, of_first.is_exact) == (2, True)
    assert [(each.occurrence_id, each.alertname, each.at) for each in of_first.newest] == [
        (id_of(second), "Second", NOW + SECOND),
        (id_of(first), "First", NOW),
    ]
    assert [each.alertname for each in (await store.silences.muted(["s-1"], newest=1))["s-1"].newest] == ["Second"]


async def test_a_silence_that_muted_more_than_is_counted_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.storage.shared.silences._MOST_MUTED", 3)
    alerts = [alert(f"Rule{number}") for number in range(5)]
    await store.recorder.commit([receipt(*alerts)])
    await store.recorder.commit([receipt(notes=[_muted(each, "s-1") for each in alerts], at=NOW + MINUTE)])
    muted = (await store.silences.muted(["s-1"], newest=2))["s-1"]
    assert (muted.number, muted.is_exact, len(muted.newest)) == (3, False, 2)


def _reads(store: Store) -> SilenceReads:
    return SilenceReads(store.silences, store.silence_versions, store.history, store.moments)


async def _inventory(store: Store, view: View) -> list[tuple[str, int]]:
    """The ids of a view, with how many alerts that fire match each."""
    page = await SilenceInventory(_reads(store), clock=lambda: NOW).page(view)
    return [(entry.silence.id, entry.firing.number) for entry in page.entries]


async def test_the_inventory_tells_which_silences_muted_nothing_and_which_would_match_now(store: Store) -> None:
    firing, over = alert("DiskFull"), alert("Other", "resolved")
    await _keep(
        store,
        _silence("used", -HOUR, 30 * HOUR),
        _silence("unused", -HOUR, HOUR),
        _silence("over", -DAY, -HOUR),
        msgspec.structs.replace(_silence("over elsewhere", -DAY, -HOUR), matchers=[[_matcher("Other")]]),
        msgspec.structs.replace(_silence("ahead", HOUR, DAY), matchers=[[_matcher("Other")]]),
    )
    await store.recorder.commit([receipt(firing, over)])
    await store.recorder.commit([receipt(notes=[_muted(firing, "used")], at=NOW + MINUTE)])
    assert await _inventory(store, "active") == [("unused", 1), ("used", 1)]
    assert await _inventory(store, "soon") == [("unused", 1)]
    assert await _inventory(store, "unused") == [("unused", 1)]
    assert await _inventory(store, "pending") == [("ahead", 0)]
    assert await _inventory(store, "again") == [("over", 1)]


async def test_an_entry_says_that_it_ends_soon_and_what_it_muted(store: Store) -> None:
    await _keep(store, _silence("s-1", -HOUR, HOUR), _silence("s-2", -HOUR, 30 * HOUR))
    await store.recorder.commit([receipt(alert())])
    await store.recorder.commit([receipt(notes=[_muted(alert(), "s-1")], at=NOW + MINUTE)])
    page = await SilenceInventory(_reads(store), clock=lambda: NOW).page("active")
    first, second = page.entries
    assert (first.ends_soon, second.ends_soon) == (True, False)
    assert first.muted is not None
    assert ([each.occurrence_id for each in first.muted.newest], second.muted) == ([id_of(alert())], None)
    assert first.queries == [('{alertname="DiskFull"}', True)]


async def test_the_inventory_says_what_it_did_not_look_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alert_history.engine.silence_inventory.LOOKED_AT", 2)
    monkeypatch.setattr("alert_history.engine.silence_inventory.FIRING", 1)
    await _keep(store, *(_silence(f"s-{number}", -HOUR, HOUR) for number in range(3)))
    inventory = SilenceInventory(_reads(store), clock=lambda: NOW)
    assert (await inventory.page("unused")).is_cut
    assert not (await inventory.page("active")).is_cut
    assert (await inventory.page("active")).compares_all
    await store.recorder.commit([receipt(alert("A"), alert("B"))])
    assert not (await inventory.page("active")).compares_all


async def test_one_silence_has_a_page_of_its_own(store: Store) -> None:
    await _keep(store, _silence("s-1", -DAY, -HOUR), _silence("s-2", -HOUR, HOUR))
    inventory = SilenceInventory(_reads(store), clock=lambda: NOW)
    entry = (await inventory.one("s-1")).entry
    assert (entry.silence.id, entry.state) == ("s-1", "expired")
    for unknown in ("s-3", "s-\0", "s-\ud800"):
        with pytest.raises(NotFound):
            await inventory.one(unknown)
