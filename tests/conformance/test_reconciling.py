"""History is set right by what fires elsewhere: on both databases, with whoever is to be told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from alert_history.domain.alert import Alert, AlertGroup
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.poll import AlertmanagerPoll, PolledAlert
from alert_history.domain.receipt import Receipt
from alert_history.domain.standing import DEFAULT_RULES
from alert_history.domain.target import TargetSpec
from alert_history.engine.origins import Round
from alert_history.engine.reconcile import Comparing, Report
from alert_history.engine.witnesses import KnownWitnesses
from alert_history.ports import HistoryFilter, Store
from alert_history.storage import open_store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, everything, id_of, kinds, receipt, silence
from tests.leases import time_passes
from tests.polls import (
    EXTERNAL_URL,
    alertmanager_poll,
    answered,
    answered_by_prometheus,
    polled,
    prometheus_poll,
    ruled,
)

TARGETS = (TargetSpec("pager", "webhook", {}),)
FIRING = alert()
WATCHDOG = alert("Watchdog")


def _decide(alert: Alert, event: Event) -> Routing | None:
    return route(TARGETS, news_of(alert, event))


class Service:
    """One replica: it takes what is sent, compares what it asked, and tells a pager."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = NOW
        self.comparing = Comparing(store.reconciling, store.recorder, clock=lambda: self.now, rules=DEFAULT_RULES)
        self._known = KnownWitnesses(store.recorder, store.settings)

    async def take(self, *receipts: Receipt) -> None:
        await self.store.recorder.commit(receipts)
        for request in receipts:
            self._known.heard(request)

    async def poll(
        self, at: datetime, *alerts: PolledAlert, is_publishing: bool = False, is_dry_run: bool = False
    ) -> list[str]:
        """Ask the Alertmanager then; what that set right."""
        asked = answered(alertmanager_poll(at, *alerts), is_publishing=is_publishing)
        return _kinds(await self.compare(at, asked, is_dry_run=is_dry_run))

    async def ask_prometheus(self, at: datetime, *alerts: Alert, faulty_rules: Sequence[str] = ()) -> list[str]:
        poll = prometheus_poll(at, *map(ruled, alerts), faulty_rules=faulty_rules)
        return _kinds(await self.compare(at, answered_by_prometheus(poll, self.store.recorder.witnesses)))

    async def compare(self, at: datetime, *rounds: Round, is_dry_run: bool = False) -> Report:
        self.now = at
        return await self.comparing.compare(rounds, is_dry_run=is_dry_run)

    async def news(self) -> list[str]:
        """What the pager heard, since it was last asked; in no order."""
        heard: list[str] = []
        while leased := (await self.store.outbox.lease("pager", now=self.now + MINUTE, limit=99, lease_for=MINUTE))[0]:
            attempt = Attempt(self.now, "delivered", "", 1)
            await self.store.outbox.settle(
                [(delivery, Settlement(delivery.id, "delivered", attempt)) for delivery in leased]
            )
            heard += [f"{delivery.alert.labels['alertname']} {delivery.alert.status}" for delivery in leased]
        return sorted(heard)


def _kinds(report: Report) -> list[str]:
    return [f"{correction.kind} {correction.alert.split()[0]}" for correction in report.corrections]


@pytest.fixture
async def service(database_url: str) -> AsyncIterator[Service]:
    store = open_store(database_url, router=_decide)
    await store.lifecycle.open()
    yield Service(store)
    await store.lifecycle.close()


def sent(*alerts: Alert, at: datetime = NOW, path: str = "/webhook/proxy") -> Receipt:
    """A notification of the Alertmanager's."""
    made = receipt(*alerts, at=at)
    return msgspec.structs.replace(made, path=path, publish=path == "/webhook/proxy")


def posted(*alerts: Alert, at: datetime = NOW, client: str = "10.0.0.7") -> Receipt:
    """A post of a Prometheus."""
    linked = [
        msgspec.structs.replace(alert, generator_url=f"{EXTERNAL_URL}/graph?x", expires_at=at + 4 * MINUTE)
        for alert in alerts
    ]
    made = receipt(*alerts, at=at)
    group = AlertGroup("prometheus", "", "", "", linked)
    return msgspec.structs.replace(made, path="/api/v2/alerts", publish=True, group=group, client=client)


async def status(store: Store, of: Alert) -> tuple[str, str | None]:
    """The state of its occurrence, and how its end is known."""
    occurrence = await store.history.find(id_of(of))
    return occurrence.state, occurrence.ended_by


@pytest.fixture
async def known(service: Service) -> Service:
    """The API and the webhook are known to be one witness; the alert fires, and its page has gone out."""
    await service.take(sent(FIRING, WATCHDOG))
    assert await service.news() == ["DiskFull firing", "Watchdog firing"]
    assert await service.poll(NOW + SECOND, polled(FIRING), polled(WATCHDOG)) == []
    return service


async def test_what_is_not_listed_twice_is_over_and_told(known: Service) -> None:
    assert await known.poll(NOW + MINUTE, polled(WATCHDOG)) == []
    assert await known.poll(NOW + 2 * MINUTE, polled(WATCHDOG)) == ["ended DiskFull"]
    assert await status(known.store, FIRING) == ("resolved", "reconciled")
    assert await known.news() == ["DiskFull resolved"]


async def test_an_end_has_an_event_with_its_bounds_and_who_was_asked(known: Service) -> None:
    await known.poll(NOW + MINUTE, polled(WATCHDOG))
    await known.poll(NOW + 2 * MINUTE, polled(WATCHDOG))
    event = (await known.store.history.timeline(id_of(FIRING)))[-1]
    detail = event.detail or {}
    assert (event.kind, event.receipt_id, detail["asked"]) == ("reconciled", None, "alertmanager/eu")
    assert detail["between"] == [(NOW + SECOND).isoformat(), (NOW + MINUTE).isoformat()]
    assert detail["reason"] == "Alertmanager eu does not list it any more"


async def test_before_they_are_known_to_be_peers_the_api_ends_nothing_of_the_webhook(service: Service) -> None:
    await service.take(sent(FIRING))
    for minute in (1, 2, 3):
        assert await service.poll(NOW + minute * MINUTE) == []
    assert await status(service.store, FIRING) == ("firing", None)


async def test_the_peers_are_learnt_for_other_replicas(known: Service, open_replica: OpenReplica) -> None:
    await KnownWitnesses(known.store.recorder, known.store.settings).refresh()
    replica = Service(await open_replica())
    await KnownWitnesses(replica.store.recorder, replica.store.settings).refresh()
    await replica.poll(NOW + MINUTE)
    assert sorted(await replica.poll(NOW + 2 * MINUTE)) == ["ended DiskFull", "ended Watchdog"]


async def test_a_sign_in_between_keeps_it_open(known: Service) -> None:
    await known.poll(NOW + MINUTE, polled(WATCHDOG))
    await known.take(sent(FIRING, WATCHDOG, at=NOW + 90 * SECOND))
    assert await known.poll(NOW + 2 * MINUTE, polled(WATCHDOG)) == []
    assert await known.poll(NOW + 3 * MINUTE, polled(WATCHDOG)) == ["ended DiskFull"]


async def test_an_answer_that_a_repeat_overtook_changes_nothing(known: Service) -> None:
    await known.poll(NOW + MINUTE, polled(WATCHDOG))
    await known.take(sent(FIRING, WATCHDOG, at=NOW + 3 * MINUTE))
    assert await known.poll(NOW + 2 * MINUTE, polled(WATCHDOG)) == []
    assert await status(known.store, FIRING) == ("firing", None)


async def test_an_alertmanager_that_has_just_started_corrects_nothing(known: Service) -> None:
    for minute in (1, 2, 3):
        at = NOW + minute * MINUTE
        poll = alertmanager_poll(at, polled(alert("Unheard")), started_at=NOW)
        assert (await known.compare(at, answered(poll))).corrections == []
    assert await status(known.store, FIRING) == ("firing", None)


async def test_a_cluster_of_which_one_peer_is_silent_ends_nothing(known: Service) -> None:
    for minute in (1, 2, 3):
        at = NOW + minute * MINUTE
        poll = alertmanager_poll(at, silent={"http://am-1:9093": "can't connect"})
        assert (await known.compare(at, answered(poll))).corrections == []


async def test_what_nobody_sent_is_opened_and_told_to_nobody(service: Service) -> None:
    unheard = alert("Unheard")
    assert await service.poll(NOW, polled(unheard)) == ["opened Unheard"]
    (occurrence,) = await everything(service.store)
    assert (occurrence.alertname, occurrence.starts_at, occurrence.source) == (
        "Unheard",
        unheard.starts_at,
        "alertmanager",
    )
    (event,) = await service.store.history.timeline(occurrence.id)
    assert (event.kind, (event.detail or {})["reason"]) == ("fired", "Alertmanager eu lists it")
    assert await service.news() == []


async def test_what_nobody_sent_is_told_where_that_is_set(service: Service) -> None:
    await service.poll(NOW, polled(alert("Unheard")), is_publishing=True)
    assert await service.news() == ["Unheard firing"]
    await service.poll(NOW + MINUTE)
    await service.poll(NOW + 2 * MINUTE)
    assert await service.news() == ["Unheard resolved"]


async def test_what_was_found_and_is_sent_after_that_is_paged_once(service: Service) -> None:
    await service.poll(NOW, polled(FIRING))
    await service.take(sent(FIRING, at=NOW + SECOND))
    await service.poll(NOW + MINUTE, polled(FIRING))
    assert await service.news() == ["DiskFull firing"]
    assert len(await everything(service.store)) == 1


async def test_what_was_recorded_only_is_not_told_because_it_is_listed(service: Service) -> None:
    await service.take(sent(FIRING, path="/webhook"))
    await service.poll(NOW + MINUTE, polled(FIRING), is_publishing=True)
    assert await service.news() == []


async def test_labels_that_can_not_be_kept_are_refused_alone(service: Service) -> None:
    hostile = alert("Bad", labels={"pod": "a\0b"})
    assert await service.poll(NOW, polled(hostile), polled(alert("Good"))) == ["opened Good"]


async def test_an_alert_whose_history_is_known_and_whose_standing_is_forgotten_is_open_again(service: Service) -> None:
    await service.take(sent(FIRING), sent(alert(status="resolved", ends_at=NOW), at=NOW))
    while await service.store.standings.forget(NOW + timedelta(days=8)):
        pass
    assert await service.poll(NOW + timedelta(days=8), polled(FIRING)) == ["reopened DiskFull"]
    assert await kinds(service.store, FIRING) == ["fired", "resolved", "refired"]


async def test_a_silence_marks_the_alert_with_who_why_and_until_when(known: Service) -> None:
    maintenance = silence("s-9")
    poll = alertmanager_poll(
        NOW + MINUTE, polled(FIRING, silenced_by=["s-9"]), polled(WATCHDOG), silences=[maintenance]
    )
    report = await known.compare(NOW + MINUTE, answered(poll))
    (correction,) = report.corrections
    until = maintenance.ends_at.isoformat()
    assert (correction.kind, correction.reason) == (
        "silenced",
        f"Alertmanager eu did not notify: silence s-9 by ada until {until}: maintenance",
    )
    again = msgspec.structs.replace(poll, asked_at=NOW + 2 * MINUTE)
    assert (await known.compare(NOW + 2 * MINUTE, answered(again))).corrections == []
    assert await known.poll(NOW + 3 * MINUTE, polled(FIRING), polled(WATCHDOG)) == ["unsilenced DiskFull"]


async def test_what_resolved_while_it_was_silenced_is_over_after_two_answers_and_told(known: Service) -> None:
    await known.poll(NOW + MINUTE, polled(FIRING, silenced_by=["s-9"]), polled(WATCHDOG))
    await known.poll(NOW + 2 * MINUTE, polled(WATCHDOG))
    assert await known.poll(NOW + 3 * MINUTE, polled(WATCHDOG)) == ["ended DiskFull"]
    assert await known.news() == ["DiskFull resolved"]


async def test_what_is_inhibited_stays_open_as_such(known: Service) -> None:
    muted = polled(FIRING, inhibited_by=["a" * 16])
    assert await known.poll(NOW + MINUTE, muted, polled(WATCHDOG)) == ["inhibited DiskFull"]
    assert await status(known.store, FIRING) == ("firing", None)


async def test_a_second_firing_that_only_an_answer_shows_ends_the_first(known: Service) -> None:
    again = alert(starts_at=NOW + 30 * SECOND)
    assert await known.poll(NOW + MINUTE, polled(again), polled(WATCHDOG)) == ["ended DiskFull", "opened DiskFull"]
    await known.take(sent(again, WATCHDOG, at=NOW + 2 * MINUTE))
    assert await known.news() == ["DiskFull firing", "DiskFull resolved"]


async def test_answers_about_what_is_known_write_nothing_down_but_signs(known: Service) -> None:
    both = (polled(FIRING), polled(WATCHDOG))
    before = (await known.store.history.find(id_of(FIRING))).last_received_at
    report = await known.compare(NOW + MINUTE, answered(alertmanager_poll(NOW + MINUTE, *both)))
    assert (report.signs, report.corrections) == (0, [])
    at = NOW + 3 * MINUTE
    report = await known.compare(at, answered(alertmanager_poll(at, *both)))
    assert (report.signs, report.corrections) == (2, [])
    occurrence = await known.store.history.find(id_of(FIRING))
    assert (before, occurrence.last_received_at) == (NOW + SECOND, at)


async def test_a_dry_run_of_two_rounds_says_what_would_be_done_and_does_nothing(known: Service) -> None:
    rounds = [answered(alertmanager_poll(NOW + n * MINUTE, polled(WATCHDOG), polled(alert("Unheard")))) for n in (1, 2)]
    report = await known.compare(NOW + 3 * MINUTE, *rounds, is_dry_run=True)
    assert sorted(_kinds(report)) == ["ended DiskFull", "opened Unheard"]
    assert await status(known.store, FIRING) == ("firing", None)
    assert len(await everything(known.store)) == 2
    report = await known.compare(NOW + 3 * MINUTE, *rounds)
    assert sorted(_kinds(report)) == ["ended DiskFull", "opened Unheard"]


async def test_two_rounds_at_once_learn_peers_and_end(service: Service) -> None:
    """So that the command line needs no memory of its own."""
    await service.take(sent(FIRING, WATCHDOG))
    rounds = [answered(alertmanager_poll(NOW + n * MINUTE, polled(WATCHDOG))) for n in (1, 2)]
    assert _kinds(await service.compare(NOW + 3 * MINUTE, *rounds)) == ["ended DiskFull"]


async def test_label_sets_of_a_scope_are_compared_with_the_cluster_of_that_scope(service: Service) -> None:
    scoped = msgspec.structs.replace(sent(FIRING, WATCHDOG), scope="eu-1")
    await service.take(scoped)
    assert await service.poll(NOW + MINUTE, polled(WATCHDOG), polled(alert("Unheard"))) == ["opened Unheard"]
    assert await service.poll(NOW + 2 * MINUTE, polled(WATCHDOG), polled(alert("Unheard"))) == ["ended DiskFull"]
    occurrences = await everything(service.store)
    assert len(occurrences) == 3
    assert all("@eu-1-" in occurrence.id for occurrence in occurrences)


async def test_two_names_of_one_witness_end_only_what_neither_lists(known: Service) -> None:
    """Clusters that turned out to be one, because they named one alert with the same start."""

    def both(first: AlertmanagerPoll, other: AlertmanagerPoll) -> Round:
        return Round([*answered(first).listings, *answered(other).listings], {})

    for minute in (1, 2, 3):
        at = NOW + minute * MINUTE
        first = alertmanager_poll(at, polled(WATCHDOG))
        other = alertmanager_poll(at, polled(WATCHDOG), polled(FIRING), name="us")
        assert (await known.compare(at, both(first, other))).corrections == []
    for minute in (4, 5, 6):
        at = NOW + minute * MINUTE
        silent = Round(answered(alertmanager_poll(at, polled(WATCHDOG))).listings, {"alertmanager/us": "can't connect"})
        assert (await known.compare(at, silent)).corrections == []


async def test_a_prometheus_ends_what_it_posted_and_nothing_else(service: Service) -> None:
    other = alert("Other")
    await service.take(posted(FIRING), sent(other))
    assert await service.ask_prometheus(NOW + MINUTE) == []
    assert await service.ask_prometheus(NOW + 2 * MINUTE) == ["ended DiskFull"]
    assert await status(service.store, other) == ("firing", None)


async def test_a_prometheus_whose_rule_fails_knows_nothing_of_its_alerts(service: Service) -> None:
    await service.take(posted(FIRING))
    for minute in (1, 2, 3):
        assert await service.ask_prometheus(NOW + minute * MINUTE, faulty_rules=["DiskFull"]) == []


async def test_what_fires_in_a_prometheus_that_posts_to_us_is_opened(service: Service) -> None:
    await service.take(posted(WATCHDOG))
    assert await service.ask_prometheus(NOW + MINUTE, WATCHDOG, FIRING) == ["opened DiskFull"]
    await service.take(posted(WATCHDOG, FIRING, at=NOW + 2 * MINUTE))
    assert await service.news() == ["DiskFull firing", "Watchdog firing"]
    assert len(await everything(service.store)) == 2


async def test_a_prometheus_holds_what_its_lost_posts_would_let_lapse(service: Service) -> None:
    await service.take(posted(FIRING))
    for minute in range(1, 12):
        await service.ask_prometheus(NOW + minute * MINUTE, FIRING)
        await service.store.standings.let_pass(NOW + minute * MINUTE, stale_after={})
    assert await status(service.store, FIRING) == ("firing", None)


async def test_a_prometheus_that_never_posted_changes_nothing(service: Service) -> None:
    await service.take(sent(FIRING))
    assert await service.ask_prometheus(NOW + MINUTE, alert("Unheard")) == []


async def test_one_process_at_a_time_has_the_turn(
    service: Service, open_replica: OpenReplica, database_url: str
) -> None:
    first, other = service.store.reconciling, (await open_replica()).reconciling
    assert await first.take_turn("a", lasts=MINUTE)
    await time_passes(database_url, MINUTE / 2)
    assert not await other.take_turn("b", lasts=MINUTE)
    assert await first.take_turn("a", lasts=MINUTE)
    await time_passes(database_url, MINUTE / 2)
    assert not await other.take_turn("b", lasts=MINUTE)
    await time_passes(database_url, MINUTE / 2)
    assert await other.take_turn("b", lasts=MINUTE)
    assert not await first.take_turn("a", lasts=MINUTE)


async def test_a_turn_from_before_the_clock_was_set_back_is_free(
    service: Service, open_replica: OpenReplica, database_url: str
) -> None:
    first, other = service.store.reconciling, (await open_replica()).reconciling
    assert await first.take_turn("a", lasts=MINUTE)
    await time_passes(database_url, -9 * MINUTE)
    assert not await other.take_turn("b", lasts=MINUTE)
    await time_passes(database_url, -2 * MINUTE)
    assert await other.take_turn("b", lasts=MINUTE)


async def test_of_two_that_want_the_turn_at_once_one_gets_it(service: Service, open_replica: OpenReplica) -> None:
    stores = [service.store, await open_replica()]
    turns = await asyncio.gather(
        *(store.reconciling.take_turn(name, lasts=MINUTE) for store, name in zip(stores, "ab", strict=True))
    )
    assert sorted(turns) == [False, True]


async def test_more_than_a_page_is_compared(service: Service) -> None:
    many = [alert(f"A{n}") for n in range(2_500)]
    await service.take(sent(*many))
    await service.poll(NOW + SECOND, polled(many[0]))
    report = await service.compare(NOW + MINUTE, answered(alertmanager_poll(NOW + MINUTE, *map(polled, many))))
    assert (report.open, report.corrections) == (2_500, [])
    assert len(await everything(service.store, HistoryFilter(status="firing"))) == 2_500
