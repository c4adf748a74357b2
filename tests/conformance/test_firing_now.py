"""What fires now, counted by rule, severity, and what mutes it; on both databases.

Holds: `ports.firing`, `storage.shared.firing`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.acts import Act, ActKind
from alert_history.domain.alert import Alert, NoteKind
from alert_history.ports import FiringGroup, Store
from tests.conformance.samples import DAY, MINUTE, NOW, alert, note, receipt
from tests.histories import Firing, record
from tests.lapsing import pass_all


async def _muted(store: Store, of: Alert, kind: NoteKind, *, at: datetime, ends_at: datetime | None = None) -> None:
    detail = {"silence_id": "s-1", "ends_at": None if ends_at is None else ends_at.isoformat()}
    said = msgspec.structs.replace(note(of, kind), at=at, detail=detail)
    await store.recorder.commit([receipt(at=at, notes=[said])])


async def _fire(store: Store, name: str, *, begins: datetime = NOW - 10 * MINUTE, **labels: str) -> Alert:
    await record(store, Firing(name, begins, labels=labels))
    return alert(name, starts_at=begins, labels=labels)


def _numbers(groups: Sequence[FiringGroup]) -> dict[tuple[str, str | None], int]:
    return {(group.alertname, group.muted): group.number for group in groups}


async def test_a_history_in_which_nothing_fires_has_no_groups(store: Store) -> None:
    await record(store, Firing("Over", NOW - 10 * MINUTE, NOW - 5 * MINUTE))
    assert (await store.firing.by_severity(), await store.firing.groups(NOW)) == ({}, [])


async def test_what_fires_is_counted_by_rule_and_severity_with_its_first_and_last_begin(store: Store) -> None:
    for minutes, pod in ((30, "a"), (20, "b"), (10, "c")):
        await _fire(store, "PodDown", begins=NOW - minutes * MINUTE, pod=pod)
    await _fire(store, "PodDown", severity="warning")
    await record(store, Firing("PodDown", NOW - 40 * MINUTE, NOW - 35 * MINUTE, {"pod": "d"}))
    groups = {group.severity: group for group in await store.firing.groups(NOW)}
    first, last = NOW - 30 * MINUTE, NOW - 10 * MINUTE
    assert groups["critical"] == FiringGroup("PodDown", "critical", False, None, 3, first, last)
    assert groups["warning"].number == 1
    assert await store.firing.by_severity() == {"critical": 3, "warning": 1}


async def test_the_newest_word_says_what_mutes_an_alert(store: Store) -> None:
    silenced, freed, inhibited = [await _fire(store, "PodDown", pod=pod) for pod in ("a", "b", "c")]
    await _fire(store, "PodDown", pod="d")
    for each in (silenced, freed):
        await _muted(store, each, "silenced", at=NOW - 8 * MINUTE, ends_at=NOW + DAY)
    await _muted(store, freed, "unsilenced", at=NOW - 6 * MINUTE)
    await _muted(store, inhibited, "inhibited", at=NOW - 6 * MINUTE)
    groups = await store.firing.groups(NOW)
    assert _numbers(groups) == {("PodDown", None): 2, ("PodDown", "silenced"): 1, ("PodDown", "inhibited"): 1}


async def test_a_silence_that_has_run_out_mutes_nothing_and_several_make_one_group(store: Store) -> None:
    for number, ends_at in enumerate((NOW - MINUTE, NOW + DAY, NOW + 2 * DAY, None)):
        fired = await _fire(store, "PodDown", pod=str(number))
        await _muted(store, fired, "silenced", at=NOW - 5 * MINUTE, ends_at=ends_at)
    assert _numbers(await store.firing.groups(NOW)) == {("PodDown", None): 1, ("PodDown", "silenced"): 3}


async def test_what_somebody_acknowledged_is_a_group_of_its_own_until_it_is_taken_back(store: Store) -> None:
    taken, given_back, *_ = [await _fire(store, "PodDown", pod=pod) for pod in ("a", "b", "c")]
    steps: list[tuple[Alert, ActKind]] = [
        *((taken, "acknowledged"), (taken, "noted")),
        *((given_back, "acknowledged"), (given_back, "unacknowledged")),
    ]
    for number, (of, kind) in enumerate(steps):
        labels = ("PodDown", "critical", "shop")
        at = NOW - (9 - number) * MINUTE
        await store.acts.keep(Act(str(number), of.fingerprint, of.starts_at, *labels, at, kind, "ada"))
    groups = await store.firing.groups(NOW)
    assert {group.is_acknowledged: group.number for group in groups} == {True: 1, False: 2}


async def test_what_nobody_confirms_is_a_group_of_its_own(store: Store) -> None:
    await _fire(store, "DiskFull", begins=NOW - 30 * MINUTE)
    await _fire(store, "DiskFull", begins=NOW - MINUTE, pod="a")
    await pass_all(store.standings, NOW, stale_after={"team-x": 5 * MINUTE // timedelta(microseconds=1)})
    groups = await store.firing.groups(NOW)
    assert {group.is_unconfirmed: group.number for group in groups} == {True: 1, False: 1}
