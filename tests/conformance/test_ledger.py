"""The ledger of a real store: what was decided stays, and what became of it is found again."""

from datetime import timedelta

import msgspec

from alert_history.domain.alert import Alert
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.target import TargetSpec
from alert_history.engine.ledger import Ledger, ledger
from alert_history.ports import DeliveryFilter, Store
from alert_history.storage import open_store
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, id_of, note, receipt

TARGETS = (TargetSpec("ops", "webhook", {}), TargetSpec("off", "webhook", {}, is_enabled=False))


def _route(alert: Alert, event: Event) -> Routing | None:
    return route(TARGETS, news_of(alert, event))


async def _opened(database_url: str) -> Store:
    store = open_store(database_url, router=_route)
    await store.lifecycle.open()
    return store


async def _ledger(store: Store, of: Alert) -> Ledger:
    events = await store.history.timeline(id_of(of))
    page = await store.delivery_log.deliveries(DeliveryFilter(fingerprint=of.fingerprint, starts_at=of.starts_at))
    return ledger(events, page.deliveries, classified=None, now=NOW + 5 * MINUTE)


async def test_what_was_decided_and_what_became_of_it_survive_a_restart(database_url: str) -> None:
    store = await _opened(database_url)
    notes = [note(alert(), "silenced")]
    await store.recorder.commit([msgspec.structs.replace(receipt(alert(), notes=notes), publish=True)])
    leased, _ = await store.outbox.lease("ops", now=NOW, limit=9, lease_for=timedelta(seconds=30))
    done = Settlement(leased[0].id, "delivered", Attempt(NOW + SECOND, "delivered", "", 7))
    await store.outbox.settle([(leased[0], done)])
    resolved = msgspec.structs.replace(receipt(alert(status="resolved"), at=NOW + MINUTE), publish=True)
    await store.recorder.commit([resolved])
    await store.lifecycle.close()

    store = await _opened(database_url)
    alert_ledger = await _ledger(store, alert())
    await store.lifecycle.close()
    assert [each.event for each in alert_ledger.events] == ["fired", "silenced", "resolved"]
    fired, silenced, ended = alert_ledger.events
    assert [(line.target, line.fate, line.reason) for line in fired.targets] == [
        ("ops", "delivered", "it matches, and there are no routes"),
        ("off", "not_told", "the target is disabled"),
    ]
    assert fired.targets[0].log == [done.attempt]
    assert silenced.steps[0].reason.startswith("Alertmanager am-0 did not notify: silence")
    assert [(line.target, line.fate) for line in ended.targets] == [("ops", "pending"), ("off", "not_told")]
    assert [(each.target, each.told_at) for each in alert_ledger.targets] == [("off", None), ("ops", NOW + SECOND)]


async def test_what_was_only_recorded_says_so(database_url: str) -> None:
    store = await _opened(database_url)
    await store.recorder.commit([receipt(alert())])
    alert_ledger = await _ledger(store, alert())
    await store.lifecycle.close()
    assert alert_ledger.events[0].steps[-1].reason == "it was sent to be recorded only, so nobody is told"


async def test_of_a_long_timeline_the_newest_events_can_be_had(database_url: str) -> None:
    store = await _opened(database_url)
    for minute in range(6):
        changed = alert(annotations={"summary": str(minute)})
        await store.recorder.commit([receipt(changed, at=NOW + minute * MINUTE)])
    newest = await store.history.timeline(id_of(alert()), newest=2)
    await store.lifecycle.close()
    assert [(event.at, event.number) for event in newest] == [(NOW + 4 * MINUTE, 5), (NOW + 5 * MINUTE, 6)]
