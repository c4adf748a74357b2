"""What a caller sees who is narrowed to one team, on both databases: what a store of that team alone would tell.

Holds: `engine.reaching.store`, `engine.reaching.deliveries`, `engine.reaching.moments`, `engine.reaching.numbers`,
`engine.reaching.people`.
"""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from alert_history.domain.acts import Act
from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.grant import EVERYBODY, Grant, reach_of
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.target import TargetSpec
from alert_history.engine.caller import set_caller
from alert_history.engine.history import key_of
from alert_history.engine.notifications import Notifications, Wanted
from alert_history.engine.reaching.store import store_within_reach
from alert_history.errors import Forbidden, NotFound
from alert_history.ports import DeliveryFilter, HistoryFilter, PageRequest, Store, StoredAlert
from alert_history.storage import open_store
from tests.conformance.samples import DAY, MINUTE, NOW, alert, everything, id_of, note, receipt, silence

OWN, OTHER = "payments", "search"
_PAGER = TargetSpec("pager", "webhook", {})


def _route(alert: Alert, event: Event) -> Routing | None:
    return route([_PAGER], news_of(alert, event))


def _alert(team: str, name: str = "Shared", **more: Any) -> Alert:
    return alert(name, labels={"team": team, **more.pop("labels", {})}, **more)


@pytest.fixture
async def bare(database_url: str) -> AsyncIterator[Store]:
    opened = open_store(database_url, router=_route)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


@pytest.fixture
async def store(bare: Store) -> Store:
    """Two teams with the same rules, of which the other has much more; all of it began within an hour."""
    receipts = []
    for team, copies in ((OWN, 2), (OTHER, 9)):
        for number in range(copies):
            begin = NOW - 40 * MINUTE + number * MINUTE
            fires = _alert(team, starts_at=begin, labels={"n": str(number)})
            over = _alert(team, "Over", starts_at=begin, labels={"n": str(number)})
            ended = _alert(
                team, "Over", status="resolved", starts_at=begin, ends_at=NOW - 9 * MINUTE, labels={"n": str(number)}
            )
            receipts += [receipt(fires, over, at=begin), receipt(ended, at=NOW - 9 * MINUTE)]
    receipts = [each.__class__(**{**_fields(each), "publish": True}) for each in receipts]
    await bare.recorder.commit(sorted(receipts, key=lambda each: each.received_at))
    for team in (OWN, OTHER):
        await _about_one(bare, _alert(team, starts_at=NOW - 40 * MINUTE, labels={"n": "0"}), team)
    return store_within_reach(bare)


def _fields(receipt: Any) -> dict[str, Any]:
    return {name: getattr(receipt, name) for name in receipt.__struct_fields__}


async def _about_one(store: Store, of: Alert, team: str) -> None:
    labels = (of.labels["alertname"], of.labels["severity"], of.labels["namespace"])
    act = Act(f"act-{team}", of.fingerprint, of.starts_at, *labels, NOW - 5 * MINUTE, "noted", team, f"of {team}")
    await store.acts.keep(act)
    said = note(of, by=f"am-{team}")
    named = silence(f"s-{team}", comment=team)
    detail = {"silence_id": named.id, "ends_at": (NOW + DAY).isoformat()}
    said = said.__class__(**{**_fields(said), "detail": detail, "at": NOW - 5 * MINUTE})
    await store.recorder.commit([receipt(at=NOW - 5 * MINUTE, notes=[said], silences=[named])])


@pytest.fixture
def as_own() -> Iterator[None]:
    """Whoever asks sees the own team alone."""
    set_caller(Grant(reach=reach_of(f'{{team="{OWN}"}}')))
    yield
    set_caller(EVERYBODY)


async def _first(store: Store, team: str) -> StoredAlert:
    set_caller(EVERYBODY)
    fires = _alert(team, starts_at=NOW - 40 * MINUTE, labels={"n": "0"})
    found = await store.history.find(id_of(fires))
    set_caller(Grant(reach=reach_of(f'{{team="{OWN}"}}')))
    return found


pytestmark = pytest.mark.usefixtures("as_own")


async def test_pages_exports_and_totals_hold_the_own_alerts_alone(store: Store) -> None:
    page = await store.history.page(HistoryFilter(), PageRequest(limit=100, wants_exact_total=True))
    assert (page.total, len(page.alerts)) == (4, 4)
    assert {each.labels["team"] for each in (*page.alerts, *await everything(store))} == {OWN}
    other = await store.history.page(HistoryFilter(query=parse(f"team={OTHER}")), PageRequest())
    assert (other.total, other.alerts) == (0, [])


def parse(text: str) -> Any:
    """A query that is not empty."""
    query = reach_of(text)
    assert query is not None
    return query


async def test_an_occurrence_of_others_is_not_there(store: Store) -> None:
    other = await _first(store, OTHER)
    with pytest.raises(NotFound, match=other.id):
        await store.history.find(other.id)
    assert await store.history.timeline(other.id) == []
    assert await store.acts.of_occurrence(*key_of(other.id)) == []
    assert await store.acts.audience(*key_of(other.id)) == []
    own = await _first(store, OWN)
    assert await store.history.timeline(own.id)
    assert [act.by for act in await store.acts.of_occurrence(*key_of(own.id))] == [OWN]


async def test_what_fires_is_counted_within_the_reach(store: Store) -> None:
    assert await store.firing.by_severity() == {"critical": 2}
    groups = {(each.alertname, each.muted): each.number for each in await store.firing.groups(NOW)}
    assert groups == {("Shared", None): 1, ("Shared", "silenced"): 1}


async def test_a_night_is_read_within_the_reach(store: Store) -> None:
    received = await store.night.received(NOW - 60 * MINUTE, NOW, most=3)
    assert len(received) == 3  # the newest of the own team, however many others came later
    received = await store.night.received(NOW - 60 * MINUTE, NOW, most=100)
    assert sorted(row.episode.alertname for row in received) == ["Over", "Over", "Shared", "Shared"]
    assert any(event.kind == "silenced" for row in received for event in row.events)
    still = await store.night.open_at(NOW - 20 * MINUTE, received_since=NOW - DAY, most=100)
    assert len(still) == 4
    seen = await store.night.last_seen(["Shared", "Never"], before=NOW)
    assert seen == {"Shared": NOW - 39 * MINUTE}
    assert [act.by for act in await store.acts.between(NOW - DAY, NOW, limit=10)] == [OWN]
    assert [each.id for each in await store.silences.in_force(NOW, NOW + DAY, limit=10)] == [f"s-{OWN}"]


async def test_what_lies_around_is_looked_for_within_the_reach(store: Store) -> None:
    own = await _first(store, OWN)
    episode = next(each for each in await store.analytics.episodes(HistoryFilter(), most=100) if each.id == own.id)
    near = await store.surroundings.near(episode, timedelta(hours=1), most=100)
    firing = await store.surroundings.firing(NOW - 20 * MINUTE, began_after=NOW - DAY, most=100)
    alike = await store.surroundings.alike(episode, most=100)
    assert (len(near), len(firing), len(alike)) == (4, 4, 0)
    assert len(await store.surroundings.begins(HistoryFilter(), most=100)) == 4
    of_both = await store.analytics.episodes_of(
        [own.fingerprint, (await _first(store, OTHER)).fingerprint], since=NOW - DAY, until=NOW
    )
    assert [len(episodes) for episodes in of_both.values()] == [1, 0]


async def test_deliveries_are_listed_page_by_page_within_the_reach(store: Store) -> None:
    ids: list[str] = []
    cursor = None
    for _ in range(20):
        page = await store.delivery_log.deliveries(DeliveryFilter(limit=2, cursor=cursor))
        assert len(page.deliveries) <= 2
        ids += [each.id for each in page.deliveries]
        cursor = page.next_cursor
        if cursor is None:
            break
    whole = await store.delivery_log.deliveries(DeliveryFilter(limit=100))
    assert ids == [each.id for each in whole.deliveries]
    assert len(set(ids)) == len(ids) == 6
    entries = await Notifications(store.notifications, store.history, clock=lambda: NOW).page(Wanted(limit=100))
    assert len([each for each in entries.notifications if each.delivery_id is not None]) == 6
    assert {each.alert.labels["team"] for each in entries.notifications} == {OWN}


async def test_a_dead_delivery_of_others_is_not_replayed(bare: Store, store: Store) -> None:
    leased, _ = await bare.outbox.lease("pager", now=NOW, limit=100, lease_for=timedelta(seconds=30))
    dead = {each.alert.labels["team"]: each for each in leased if each.alert.event == "fired"}
    for each in dead.values():
        answer = Attempt(NOW, "dead", "answered 403", 7)
        await bare.outbox.settle([(each, Settlement(each.id, "dead", answer))])
    with pytest.raises(NotFound):
        await store.delivery_log.replay(now=NOW, delivery_id=dead[OTHER].id)
    assert await store.delivery_log.replay(now=NOW, delivery_id=dead[OWN].id) == 1


async def test_numbers_are_counted_from_the_own_occurrences(store: Store) -> None:
    span = HistoryFilter(since=NOW - DAY, until=NOW)
    recount = await store.analytics.recount(span, by=None, most=1)  # never a sample
    assert (recount.occurrences, recount.share) == (4, 1.0)
    counts = await store.statistics.value_counts(span, by=["team"], share=0.1)
    assert (counts.values["team"], counts.share) == ({OWN: 4}, 1.0)
    assert await store.analytics.firing(HistoryFilter(), by="team") == {OWN: 2}
    assert len(await store.statistics.label_sets(span)) == 4


async def test_what_fired_at_a_moment_is_what_fired_for_the_team(store: Store, bare: Store) -> None:
    moment = NOW - 20 * MINUTE
    teams = {alert.labels["team"] for alert in await bare.moments.alerts(moment, limit=99)}
    assert teams == {OWN, OTHER}
    assert {alert.labels["team"] for alert in await store.moments.alerts(moment, limit=99)} == {OWN}


async def test_configurations_and_posts_are_not_for_a_team(store: Store) -> None:
    with pytest.raises(Forbidden):
        await store.configurations.at(NOW)
    with pytest.raises(Forbidden):
        await store.moments.posts(NOW, within=MINUTE, most=1, most_bytes=1)
    with pytest.raises(Forbidden):
        await store.silence_versions.at(NOW, ended_since=NOW, limit=1)
    assert [each.silence.id for each in await store.silence_versions.of([f"s-{OWN}"])] == [f"s-{OWN}"]
