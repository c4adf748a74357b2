"""The audit keeps what was done, in chains in which a change, a gap and an insertion are found.

Holds: `storage.shared.audit`, `engine.audit_check`, `engine.auditing`, `domain.audit`.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.domain.audit import AuditEntry
from alert_history.engine.audit_check import AuditReport, check_audit
from alert_history.engine.auditing import Auditing
from alert_history.engine.tokens import TokenDesk, TokenWish
from alert_history.errors import InvalidQuery, StorageUnavailable
from alert_history.ids import new_id
from alert_history.ports import AuditFilter, Store
from alert_history.storage import is_sqlite
from tests.conformance import raw
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import NOW

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
ONE = "host/one"


def entry(action: str, *, at: datetime = NOW, actor: str = "ada", **fields: Any) -> AuditEntry:
    return AuditEntry(id=new_id(at), at=at, actor=actor, action=action, **fields)


async def fill(store: Store, *, days: int = 3, each: int = 4, replica: str = ONE) -> list[AuditEntry]:
    """So many entries on each of so many days, the last of which is that of NOW."""
    times = [NOW - (days - 1 - day) * DAY + number * MINUTE for day in range(days) for number in range(each)]
    made = [entry(f"deed {number}", at=time, detail={"n": number}) for number, time in enumerate(times)]
    return [link for each_ in made for link in await store.audit_trail.append([each_], replica=replica)]


async def faults(store: Store, *, since: str = "") -> Sequence[str]:
    return (await check_audit(store.audit_trail, since=since)).faults


def parameter(url: str, number: int) -> str:
    return "?" if is_sqlite(url) else f"${number}"


async def change(url: str, sql: str, *values: Any) -> None:
    """Run SQL as somebody would who may write to the database; `{}` is a parameter."""
    for number in range(1, len(values) + 1):
        sql = sql.replace("{}", parameter(url, number), 1)
    await raw.fetch(url, sql, *values)


async def test_an_entry_is_read_as_it_was_written(store: Store) -> None:
    detail = {"from": None, "to": {"scopes": ["read"], "ends": None}, "text": "ünï\u2028 \"'<", "n": 2**60}
    written = entry("token_created", from_address="10.0.0.7", outcome="failed", detail=detail)
    [kept] = await store.audit_trail.append([written], replica=ONE)
    page = await store.audit_trail.page(AuditFilter(), limit=10)
    assert page.entries == [kept]
    assert msgspec.structs.replace(kept, day="", replica="", position=0, digest="") == written
    assert (kept.day, kept.replica, kept.position, len(kept.digest)) == (f"{NOW:%Y-%m-%d}", ONE, 1, 64)
    assert await faults(store) == []


async def test_entries_are_found_by_who_what_when_and_how_it_ended(store: Store) -> None:
    await fill(store, days=2, each=3)
    await store.audit_trail.append([entry("refused", actor="", outcome="refused", at=NOW + DAY)], replica=ONE)

    async def found(**wanted: Any) -> list[str]:
        return [each.action for each in (await store.audit_trail.page(AuditFilter(**wanted), limit=10)).entries]

    assert await found() == ["refused", *(f"deed {n}" for n in (5, 4, 3, 2, 1, 0))]
    assert await found(actor="ada", since=NOW) == ["deed 5", "deed 4", "deed 3"]
    assert await found(until=NOW) == ["deed 2", "deed 1", "deed 0"]
    assert await found(action="deed 4") == ["deed 4"]
    assert await found(outcome="refused") == ["refused"]
    assert await found(outcome="done", actor="nobody") == []


async def test_pages_hold_every_entry_once(store: Store) -> None:
    written = await fill(store, days=2, each=5)
    cursor, seen = None, []
    while True:
        page = await store.audit_trail.page(AuditFilter(), limit=3, cursor=cursor)
        seen += page.entries
        if (cursor := page.next_cursor) is None:
            break
    assert seen == written[::-1]
    with pytest.raises(InvalidQuery):
        await store.audit_trail.page(AuditFilter(), limit=3, cursor="\0")


async def test_entries_of_before_the_chains_stay_readable(store: Store, database_url: str) -> None:
    await change(
        database_url,
        "INSERT INTO audit (id, at, actor, action, detail) VALUES ({}, "
        + _now(database_url)
        + ", 'ada', 'old', '{\"from\": 1}')",
        new_id(NOW - DAY),
    )
    await fill(store, days=1, each=1)
    page = await store.audit_trail.page(AuditFilter(outcome="done"), limit=10)
    old = page.entries[-1]
    assert (old.action, old.outcome, old.detail, old.position) == ("old", "done", {"from": 1}, 0)
    assert await faults(store) == []


def _now(url: str) -> str:
    return "1" if is_sqlite(url) else "now()"


async def test_an_append_that_is_made_again_keeps_each_entry_once(store: Store) -> None:
    made = [entry("a"), entry("b", at=NOW - DAY)]
    first = await store.audit_trail.append(made, replica=ONE)
    again = await store.audit_trail.append([*made, entry("c")], replica=ONE)
    assert {each.id: each.digest for each in first}.items() <= {each.id: each.digest for each in again}.items()
    assert sorted(each.position for each in again) == [1, 1, 2]
    assert await faults(store) == []


async def test_processes_have_chains_of_their_own_and_all_are_whole(store: Store, open_replica: OpenReplica) -> None:
    stores = [store, await open_replica(), await open_replica()]

    async def write(index: int) -> None:
        for number in range(8):
            await stores[index].audit_trail.append([entry(f"{index} {number}")], replica=f"host/{index}")

    await asyncio.gather(*(write(index) for index in range(len(stores))))
    await asyncio.gather(*(store.audit.note("note", actor="ada", detail={}, now=NOW) for store in stores))
    chains = await store.audit_trail.chains()
    assert [chain.number for chain in chains] == [1, 2, 3, 4, 5, 6]
    assert sorted(chain.entries for chain in chains) == [1, 1, 1, 8, 8, 8]
    assert await faults(store) == []


async def test_two_writers_of_one_chain_do_not_break_it(store: Store, open_replica: OpenReplica) -> None:
    other = await open_replica()
    both = [each.audit_trail.append([entry(f"{n}")], replica=ONE) for n in range(10) for each in (store, other)]
    await asyncio.gather(*both)
    [chain] = await store.audit_trail.chains()
    assert chain.entries == 20
    assert await faults(store) == []


CHANGES: dict[str, tuple[str, str]] = {
    "what was done": ("UPDATE audit SET action = 'nothing' WHERE id = {}", "it was changed"),
    "who did it": ("UPDATE audit SET actor = 'eve' WHERE id = {}", "it was changed"),
    "from where": ("UPDATE audit SET from_address = '10.9.9.9' WHERE id = {}", "it was changed"),
    "how it ended": ("UPDATE audit SET outcome = 'failed' WHERE id = {}", "it was changed"),
    "the detail": ("UPDATE audit SET detail = '{\"n\": 77}' WHERE id = {}", "it was changed"),
    "its digest": ("UPDATE audit SET digest = 'f00' WHERE id = {}", "it was changed"),
    "its place": ("UPDATE audit SET position = 99 WHERE id = {}", "missing"),
    "that it is": ("DELETE FROM audit WHERE id = {}", "missing"),
    "its chain": ("UPDATE audit SET day = NULL, position = NULL WHERE id = {}", "missing"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_change_by_sql_is_found_and_names_the_entry(store: Store, database_url: str, what: str) -> None:
    written = await fill(store)
    sql, words = CHANGES[what]
    await change(database_url, sql, written[5].id)
    found = await faults(store)
    assert any(words in fault and written[5].day in fault for fault in found), found
    assert any(each.id in fault for each in written[5:7] for fault in found)


async def test_the_last_entry_of_a_day_can_not_be_removed_unseen(store: Store, database_url: str) -> None:
    written = await fill(store)
    await change(database_url, "DELETE FROM audit WHERE id = {}", written[-1].id)
    assert ["its last 1 entries are missing" in fault for fault in await faults(store)] == [True]


async def test_an_entry_that_was_inserted_is_found(store: Store, database_url: str) -> None:
    await fill(store)
    columns = "id, at, actor, action, detail, from_address, outcome, day, replica, position, digest"
    made = _now(database_url)
    link = f"'eve', 'x', '{{}}', '', 'done', '{NOW:%Y-%m-%d}', '{ONE}', 5, 'f00'"
    await change(database_url, f"INSERT INTO audit ({columns}) VALUES ({{}}, {made}, {link})", new_id(NOW + MINUTE))
    assert [f"position {5 - 1}" in fault or "changed" in fault for fault in await faults(store)] == [True]


async def test_an_entry_in_no_chain_is_found(store: Store, database_url: str) -> None:
    await fill(store)
    ids = [new_id(NOW), new_id(NOW)]
    made = _now(database_url)
    await change(
        database_url,
        f"INSERT INTO audit (id, at, actor, action, detail) VALUES ({{}}, {made}, 'eve', 'x', '{{}}'".replace(
            "'{}'", "'[]'"
        )
        + ")",
        ids[0],
    )
    await change(
        database_url,
        "INSERT INTO audit (id, at, actor, action, detail, day, replica, position, digest) "
        f"VALUES ({{}}, {made}, 'eve', 'x', '[]', '2026-01-01', 'host/eve', 1, 'f00')",
        ids[1],
    )
    found = await faults(store)
    assert [any(id_ in fault and "in no chain" in fault for fault in found) for id_ in ids] == [True, True]


async def test_a_whole_chain_can_not_be_removed_unseen(store: Store, database_url: str) -> None:
    await fill(store)
    day = f"{NOW - DAY:%Y-%m-%d}"
    await change(database_url, "DELETE FROM audit WHERE day = {}", day)
    assert any("missing" in fault for fault in await faults(store))
    await change(database_url, "DELETE FROM audit_days WHERE day = {}", day)
    assert any("the chain before it is missing" in fault for fault in await faults(store))


async def test_a_chain_that_was_written_anew_does_not_fit_the_next(store: Store, database_url: str) -> None:
    """Whoever rewrites a day must rewrite every later one, too."""
    written = await fill(store)
    day = written[0].day
    await change(database_url, "DELETE FROM audit WHERE day = {}", day)
    empty = "entries = 0, first_digest = '', last_digest = ''"
    await change(database_url, f"UPDATE audit_days SET {empty} WHERE day = {{}}", day)
    await store.audit_trail.append([entry("harmless", at=written[0].at)], replica=ONE)
    assert ["follows a digest that it does not have" in fault for fault in await faults(store)] == [True]


async def test_old_days_are_dropped_whole_and_their_digests_are_kept(store: Store, database_url: str) -> None:
    written = await fill(store, days=4, each=300)
    before = NOW - DAY
    total = 0
    while removed := await store.audit_trail.drop(before, now=NOW):
        total += removed
        assert await faults(store) == []
    assert total == 600
    chains = await store.audit_trail.chains()
    assert [chain.dropped_at is not None for chain in chains] == [True, True, False, False]
    assert (chains[0].first_digest, chains[0].last_digest) == (written[0].digest, written[299].digest)
    assert chains[0].entries == 300
    await change(
        database_url, "UPDATE audit_days SET dropped_at = {} WHERE number = 4", 5 if is_sqlite(database_url) else NOW
    )
    assert any("marked as dropped" in fault for fault in await faults(store))


async def test_a_check_of_the_newest_days_looks_at_these_alone(store: Store, database_url: str) -> None:
    written = await fill(store)
    await change(database_url, "UPDATE audit SET actor = 'eve' WHERE id = {}", written[0].id)
    report: AuditReport = await check_audit(store.audit_trail, since=written[-1].day)
    assert (report.faults, report.days, report.chains, report.entries) == ([], 1, 1, 4)
    assert report.newest is not None
    assert report.newest.last_digest == written[-1].digest
    assert len(await faults(store)) == 1


async def test_a_chain_that_began_late_for_an_earlier_day_is_no_gap(store: Store) -> None:
    await fill(store, days=1, each=1)
    await store.audit_trail.append([entry("waited", at=NOW - DAY)], replica="host/two")
    await store.audit_trail.append([entry("after")], replica="host/three")
    report = await check_audit(store.audit_trail, since=f"{NOW:%Y-%m-%d}")
    assert (report.faults, report.chains, report.entries) == ([], 3, 3)


# --- what one process keeps -------------------------------------------------------------------------------------------


class Away:
    """A trail whose database is away until it is back."""

    def __init__(self, trail: Any) -> None:
        self._trail = trail
        self.is_away = True

    async def append(self, entries: Sequence[AuditEntry], *, replica: str) -> Sequence[AuditEntry]:
        if self.is_away:
            raise StorageUnavailable("away")
        kept: Sequence[AuditEntry] = await self._trail.append(entries, replica=replica)
        return kept


def auditing(store: Store, trail: Any = None, clock: Callable[[], datetime] = lambda: NOW) -> Auditing:
    return Auditing(trail or store.audit_trail, replica=ONE, clock=clock)


async def actions(store: Store) -> list[str]:
    return [each.action for each in (await store.audit_trail.page(AuditFilter(), limit=100)).entries]


async def test_what_was_done_is_kept_when_the_note_returns(store: Store) -> None:
    await auditing(store).note("switched", actor="ada", detail={"from": "a", "to": "b"}, now=NOW)
    [kept] = (await store.audit_trail.page(AuditFilter(), limit=10)).entries
    assert (kept.actor, kept.detail) == ("ada", {"from": "a", "to": "b"})


async def test_what_many_do_at_once_is_one_whole_chain(store: Store) -> None:
    audit = auditing(store)
    await asyncio.gather(*(audit.note(f"deed {n}", actor="ada", detail={}, now=NOW) for n in range(50)))
    [chain] = await store.audit_trail.chains()
    assert chain.entries == 50
    assert await faults(store) == []


async def test_a_database_that_is_away_fails_no_call_and_gets_the_entry_later(store: Store) -> None:
    trail = Away(store.audit_trail)
    audit = auditing(store, trail)
    await audit.note("while away", actor="ada", detail={}, now=NOW)
    assert await actions(store) == []
    trail.is_away = False
    await audit.stop()
    assert await actions(store) == ["while away"]


async def test_a_flood_of_refusals_is_a_few_entries_and_a_count(store: Store) -> None:
    audit = auditing(store)
    for _ in range(10_000):
        audit.refuse("GET /history", status=401)
    await audit.stop()
    entries = (await store.audit_trail.page(AuditFilter(), limit=100)).entries
    assert [each.action for each in entries].count("refused") == 3
    [count] = [each for each in entries if each.action == "refused_often"]
    assert (count.detail["count"], count.outcome, count.detail["requests"]) == (9_997, "refused", ["GET /history 401"])


async def test_whatever_a_request_says_can_be_stored(store: Store) -> None:
    await auditing(store).note(
        "\0\ud800",
        actor="x" * 5_000,
        detail={"\0": {"a": 0.1, "b": [{1, 2}, "\udcff"]}, "n": {"n": {"n": {"n": {"n": {"n": {}}}}}}},
        now=NOW,
    )
    assert len(await actions(store)) == 1
    assert await faults(store) == []


async def test_tokens_leave_what_they_may_do_and_never_their_secret(store: Store, database_url: str) -> None:
    desk = TokenDesk(store.tokens, clock=lambda: NOW, audit=auditing(store))
    made = await desk.create(TokenWish(name="pay", scopes=["read"], match='{team="pay"}'), by="ada")
    fresh = await desk.rotate("pay", overlap="1h", by="bob")
    await desk.revoke("pay", by="cid")
    page = await store.audit_trail.page(AuditFilter(), limit=10)
    entries = sorted(page.entries, key=lambda each: -each.position)  # all at the same time
    assert [(each.action, each.actor) for each in entries] == [
        *[("token_revoked", "cid")] * 2,
        ("token_rotated", "bob"),
        ("token_created", "ada"),
    ]
    assert entries[-1].detail["to"]["match"] == '{team="pay"}'
    assert entries[0].detail["to"] is None
    kept = str(await raw.fetch(database_url, "SELECT * FROM audit"))
    assert made.secret not in kept
    assert fresh.secret not in kept
    assert made.token.digest.hex() not in kept
