"""Enrichment asks once for a shape, on one replica, and nothing that it does can hold an alert up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from time import perf_counter

import msgspec
import pytest

from alert_history.domain.alert import Alert
from alert_history.domain.classification import Case, Classification, Mode, Usage, Verdict
from alert_history.domain.delivery import Attempt, Leased, Routing, Settlement
from alert_history.domain.occurrence import Event
from alert_history.engine.arrivals import Arrivals
from alert_history.engine.breaker import Breaker
from alert_history.engine.enrich import Enrichment, EnrichmentPolicy
from alert_history.engine.modes import Modes
from alert_history.engine.storms import WINDOW
from alert_history.engine.switchboard import Classified, ModeSwitched, ModeTakenUp, Switchboard
from alert_history.errors import Rejected, Retryable, StorageUnavailable
from alert_history.ids import new_id
from alert_history.ports import Spent, Store
from alert_history.storage import open_store
from tests.conformance.samples import MINUTE, NOW, SECOND, alert, receipt
from tests.leases import time_passes

POLICY = EnrichmentPolicy(deadline=10 * SECOND, call_timeout=30 * SECOND, serves_for=timedelta(days=1))
WITHIN_SECONDS = 10


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


class Model:
    """An enricher whose answers a test decides: `answer` is called with each batch of cases."""

    name = "gpt-4"
    most_cases = 4
    most_of_a_rule: int | None = 8

    def __init__(self) -> None:
        self.calls: list[list[Case]] = []
        self.answer: Callable[[Sequence[Case]], Sequence[Verdict | None]] = lambda cases: [verdict()] * len(cases)
        self.unusable = Usage()
        self.hangs = asyncio.Event()
        self.hangs.set()

    async def classify(self, cases: Sequence[Case]) -> list[Verdict | None]:
        self.calls.append(list(cases))
        await self.hangs.wait()
        return list(self.answer(cases))

    async def offered(self) -> list[str] | None:
        return [self.name]

    def take_unusable(self) -> Usage:
        taken, self.unusable = self.unusable, Usage()
        return taken

    async def close(self) -> None:
        """Nothing is open."""


class Counted:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.severities: list[str] = []
        self.tokens = 0

    def classified(self, severity: str, model: str, seconds: float) -> None:
        assert model == "gpt-4"
        assert seconds >= 0
        self.severities.append(severity)

    def failed(self, error_type: str) -> None:
        self.failures.append(error_type)

    def spent(self, prompt: int, completion: int, usd: float) -> None:
        del usd
        self.tokens += prompt + completion

    def cache(self, cache_type: str, *, is_hit: bool) -> None:
        assert cache_type in {"memory", "database"}
        del is_hit


def verdict() -> Verdict:
    classification = Classification(
        "warning", 0.9, "disk", "It fills.", "Logs.", ("Look.",), "So.", ("disk",), "llm", "gpt-4", NOW
    )
    return Verdict(classification, Usage(100, 20, 0.01), "{}")


class Replica:
    """A store and the enrichment before it, as one process has them."""

    def __init__(
        self,
        database_url: str,
        *,
        mode: Mode,
        model: Model | None = None,
        breaker_clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.clock = Clock()
        self.model = model or Model()
        self.observer = Counted()
        self.refusal: Retryable | None = None
        self.under_way: list[list[int]] = []
        self.was_let_go = asyncio.Event()
        self.switchboard = Switchboard()
        self.switchboard.join(Classified, lambda _: self.was_let_go.set())
        self.arrivals = Arrivals(
            deadline=POLICY.deadline,
            breaker=Breaker(failures=5, pause=MINUTE / 2, clock=breaker_clock or self.clock),
            observer=self.observer,
        )
        self.store: Store = open_store(database_url, router=self._route)
        self.enrichment = Enrichment(
            self.store,
            self.model,
            arrivals=self.arrivals,
            policy=POLICY,
            allowance=self._allow,
            takes_follow_ups=lambda name: name == "pager",
            clock=self.clock,
            make_id=new_id,
            observer=self.observer,
            switchboard=self.switchboard,
        )
        self.arrivals.take_up_mode(mode)

    def _route(self, alert: Alert, event: Event) -> Routing:
        return self.arrivals.enriched(Routing(("pager", "log"), {}), alert, event)

    def _allow(
        self, minute: Spent, day: Spent, cases: int, under_way: Sequence[int], now: datetime
    ) -> Retryable | None:
        del minute, day, cases, now
        if under_way:
            self.under_way.append(list(under_way))
        return self.refusal

    async def record(self, *alerts: Alert) -> None:
        sent = msgspec.structs.replace(receipt(*alerts, at=self.clock.now), publish=True)
        await self.store.recorder.commit([sent])
        self.enrichment.wake()

    async def lease(self, target: str = "pager", *, later: timedelta = timedelta()) -> list[Leased]:
        now = self.clock.now + later
        return (await self.store.outbox.lease(target, now=now, limit=100, lease_for=MINUTE))[0]

    async def deliver(self, target: str = "pager") -> None:
        done = Attempt(NOW, "delivered", "", 1)
        leased = await self.lease(target)
        await self.store.outbox.settle([(delivery, Settlement(delivery.id, "delivered", done)) for delivery in leased])

    async def let_go(self) -> None:
        async with asyncio.timeout(WITHIN_SECONDS):
            await self.was_let_go.wait()
        self.was_let_go.clear()


@asynccontextmanager
async def running(
    database_url: str,
    mode: Mode = "enriched",
    *,
    model: Model | None = None,
    breaker_clock: Callable[[], datetime] | None = None,
) -> AsyncIterator[Replica]:
    replica = Replica(database_url, mode=mode, model=model, breaker_clock=breaker_clock)
    await replica.store.lifecycle.open()
    task = asyncio.create_task(replica.enrichment.run())
    try:
        yield replica
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await replica.store.lifecycle.close()


def pods(count: int) -> list[Alert]:
    return [alert(labels={"pod": f"web-{number}"}) for number in range(count)]


async def test_an_alert_goes_with_its_classification_as_soon_as_there_is_one(database_url: str) -> None:
    async with running(database_url) as replica:
        await replica.record(alert())
        await replica.let_go()
        (leased,) = await replica.lease()
        assert leased.alert.classification == verdict().classification
        assert replica.observer.severities == ["warning"]
        assert replica.observer.tokens == 120


@pytest.mark.parametrize("brief", [0, 4, 5])
async def test_only_the_history_says_whether_it_agrees_with_noise(database_url: str, brief: int) -> None:
    async with running(database_url) as replica:
        classification = msgspec.structs.replace(
            verdict().classification, severity="noise", is_noise_by_history=not brief
        )
        replica.model.answer = lambda _: [Verdict(classification)]
        for days in range(1, brief + 1):
            start = NOW - days * timedelta(days=1)
            over = alert(status="resolved", starts_at=start, ends_at=start + SECOND)
            await replica.store.recorder.commit([receipt(over, at=start)])
        await replica.record(alert())
        await replica.let_go()
        leased = [delivery.alert for delivery in await replica.lease() if delivery.alert.status == "firing"]
        assert [outgoing.classification and outgoing.classification.is_noise_by_history for outgoing in leased] == [
            brief == 5
        ]


async def test_a_storm_of_one_rule_is_one_question(database_url: str) -> None:
    async with running(database_url) as replica:
        replica.model.hangs.clear()
        for _ in range(10):
            await replica.record(*pods(1_000))
        replica.model.hangs.set()
        await replica.let_go()
        assert len(replica.model.calls) == 1
        assert len(await replica.lease()) == 100


async def test_a_storm_whose_alerts_all_differ_costs_a_few_questions_and_holds_nobody_up(database_url: str) -> None:
    async with running(database_url) as replica:
        await replica.record(*[alert(labels={"customer": "x" * length}) for length in range(100)], alert("Other"))
        while len(replica.model.calls) < 3:  # the timeout of the test bounds it
            await asyncio.sleep(0.01)
        assert sorted(len(cases) for cases in replica.model.calls) == [1, 4, 4]
        reasons = [
            delivery.alert.unenriched for delivery in await replica.lease() if delivery.alert.classification is None
        ]
        assert set(reasons) == {"a storm: 8 kinds of alerts of its rule were asked about within 5 min"}
        assert replica.observer.failures == ["storm"] * 92
        replica.clock.now += WINDOW
        await replica.record(alert(labels={"customer": "later"}))
        while len(replica.model.calls) < 4:  # the timeout of the test bounds it
            await asyncio.sleep(0.01)


async def test_a_known_shape_does_not_wait_and_asks_nobody(database_url: str) -> None:
    async with running(database_url) as replica:
        await replica.record(alert())
        await replica.let_go()
        await replica.record(*pods(3))
        assert len(await replica.lease("log")) == 4
        assert len(replica.model.calls) == 1


async def test_shapes_of_one_alertname_share_a_call_up_to_its_bound(database_url: str) -> None:
    async with running(database_url) as replica:
        await replica.record(*[alert(labels={"team": team}) for team in "abcdef"], alert("Other"))
        while len(replica.model.calls) < 3:  # the timeout of the test bounds it
            await asyncio.sleep(0.01)
        assert sorted(len(cases) for cases in replica.model.calls) == [1, 2, 4]


async def test_a_proxy_that_hangs_delays_nothing_past_the_deadline(database_url: str) -> None:
    async with running(database_url) as replica:
        replica.model.hangs.clear()
        await replica.record(alert())
        assert await replica.lease(later=POLICY.deadline - SECOND) == []
        (leased,) = await replica.lease(later=POLICY.deadline)
        assert leased.alert.unenriched == "no classification came in time"


async def test_an_answer_that_makes_no_sense_lets_the_alert_go_and_says_why(database_url: str) -> None:
    def refuse(cases: Sequence[Case]) -> list[Verdict | None]:
        raise Rejected(f"gpt-4 answered nonsense to {len(cases)}")

    async with running(database_url) as replica:
        replica.model.answer = refuse
        await replica.record(alert())
        await replica.let_go()
        (leased,) = await replica.lease()
        assert leased.alert.unenriched == "gpt-4 answered nonsense to 1"
        assert replica.observer.failures == ["rejected"]


async def test_what_an_unusable_answer_took_is_spent_and_counted(database_url: str) -> None:
    async with running(database_url) as replica:

        def babble(cases: Sequence[Case]) -> list[Verdict | None]:
            replica.model.unusable += Usage(1000, 500, 0.25)
            raise Rejected(f"gpt-4 answered nonsense to {len(cases)}")

        replica.model.answer = babble
        await replica.record(alert())
        await replica.let_go()
        assert replica.observer.tokens == 1500
        spent = [await replica.store.spending.spent(since=NOW - MINUTE) for _ in range(2)]
        assert spent == [Spent(1, 1500, 0.25)] * 2


async def test_what_could_not_be_kept_of_the_usage_is_kept_with_the_next(database_url: str) -> None:
    async with running(database_url) as replica:
        keep = replica.store.spending.keep_unusable
        failures = [StorageUnavailable("away")]

        async def flaky(usage: Usage, *, model: str, now: datetime) -> None:
            if failures:
                raise failures.pop()
            await keep(usage, model=model, now=now)

        replica.store.spending.keep_unusable = flaky  # type: ignore[method-assign]  # a database's bad moment
        for name in ("One", "Other"):
            replica.model.unusable = Usage(100, 0, 0.5)
            await replica.record(alert(name))
            await replica.let_go()
        assert await replica.store.spending.spent(since=NOW - MINUTE) == Spent(3, 440, 1.02)
        assert len(await replica.lease()) == 2


async def test_one_case_without_an_answer_spoils_no_other(database_url: str) -> None:
    async with running(database_url) as replica:
        replica.model.answer = lambda cases: [verdict(), *[None] * (len(cases) - 1)]
        await replica.record(alert(labels={"team": "a"}), alert(labels={"team": "b"}))
        await replica.let_go()
        reasons = sorted(str(delivery.alert.unenriched) for delivery in await replica.lease())
        assert reasons == ["None", "gpt-4 gave no answer for it"]


async def test_while_the_breaker_is_open_nobody_waits(database_url: str) -> None:
    def limited(cases: Sequence[Case]) -> list[Verdict | None]:
        del cases
        raise Retryable("gpt-4 is over its rate", after_seconds=60)

    async with running(database_url) as replica:
        replica.model.answer = limited
        await replica.record(alert())
        await replica.let_go()
        await replica.record(alert("Other"))
        (delivery,) = [each for each in await replica.lease() if each.alert.labels["alertname"] == "Other"]
        assert delivery.alert.unenriched == "gpt-4 is over its rate"
        assert len(replica.model.calls) == 1


async def test_a_limited_proxy_is_asked_again_when_it_says_so_if_that_is_before_the_deadline(database_url: str) -> None:
    answers: list[Callable[[], Sequence[Verdict | None]]] = []

    def limited() -> list[Verdict | None]:
        raise Retryable("gpt-4 is over its rate", after_seconds=0.2)

    def answer(cases: Sequence[Case]) -> Sequence[Verdict | None]:
        return answers.pop()() if answers else [verdict()] * len(cases)

    begin = perf_counter()
    async with running(database_url, breaker_clock=lambda: since(begin)) as replica:
        replica.model.answer = answer
        answers.append(limited)
        await replica.record(alert())
        while not replica.observer.failures:  # the timeout of the test bounds it
            await asyncio.sleep(0.01)
        await replica.record(alert("Other"))
        while len(await replica.store.classification_history.recent(limit=9, severity=None)) < 2:
            await asyncio.sleep(0.01)
        assert perf_counter() - begin >= 0.2
        assert [delivery.alert.unenriched for delivery in await replica.lease()] == [None, None]


def since(begin: float) -> datetime:
    return NOW + timedelta(seconds=perf_counter() - begin)


async def test_beyond_the_budget_nobody_is_asked(database_url: str) -> None:
    async with running(database_url) as replica:
        replica.refusal = Retryable("the budget of the day is used up", after_seconds=3600)
        await replica.record(alert())
        await replica.let_go()
        (leased,) = await replica.lease()
        assert leased.alert.unenriched == "the budget of the day is used up"
        assert replica.model.calls == []


async def test_calls_under_way_count_on_the_budget_until_their_usage_is_kept(database_url: str) -> None:
    async with running(database_url) as replica:
        replica.model.hangs.clear()
        await replica.record(alert(), alert("Other", labels={"team": "a"}), alert("Other", labels={"team": "b"}))
        while len(replica.model.calls) < 2:  # the timeout of the test bounds it
            await asyncio.sleep(0.01)
        replica.model.hangs.set()
        while len(await replica.store.classification_history.recent(limit=9, severity=None)) < 3:
            await asyncio.sleep(0.01)
        replica.was_let_go.clear()
        await replica.record(alert("Third"))
        await replica.let_go()
        assert replica.under_way in ([[1]], [[2]])


async def test_a_short_outage_is_tried_again_within_the_deadline(database_url: str) -> None:
    failures = [Retryable("reset", after_seconds=None)]

    def flaky(cases: Sequence[Case]) -> list[Verdict | None]:
        if failures:
            raise failures.pop()
        return [verdict()] * len(cases)

    async with running(database_url) as replica:
        replica.model.answer = flaky
        await replica.record(alert())
        await replica.let_go()
        (leased,) = await replica.lease()
        assert leased.alert.classification == verdict().classification


async def test_what_is_committed_just_after_its_shape_was_known_does_not_wait(database_url: str) -> None:
    async with running(database_url) as replica:
        await replica.record(alert())
        await replica.let_go()
        replica.arrivals._known.clear()  # noqa: SLF001  # as it was when the straggler was routed
        late = msgspec.structs.replace(receipt(alert(labels={"pod": "web-9"}), at=NOW), publish=True)
        await replica.store.recorder.commit([late])
        assert replica.arrivals.take() is not None  # it was collected together with the first
        await replica.let_go()
        assert len(await replica.lease()) == 2
        assert len(replica.model.calls) == 1


async def test_two_replicas_ask_once(database_url: str) -> None:
    model = Model()
    model.hangs.clear()
    async with running(database_url, model=model) as first, running(database_url, model=model) as other:
        await first.record(*pods(3))
        await other.record(alert(labels={"pod": "web-9"}))
        while not model.calls:  # the timeout of the test bounds it
            await asyncio.sleep(0.01)
        model.hangs.set()
        await asyncio.gather(first.let_go(), other.let_go())
        assert len(await first.lease()) == 4
        assert len(model.calls) == 1


async def test_transparent_asks_nobody_and_says_nothing(database_url: str) -> None:
    async with running(database_url, "transparent") as replica:
        await replica.record(alert())
        (leased,) = await replica.lease()
        assert (leased.alert.classification, leased.alert.unenriched) == (None, None)
        assert replica.model.calls == []


async def test_with_recommendations_an_alert_goes_at_once_and_its_meaning_follows(database_url: str) -> None:
    async with running(database_url, "transparent_with_recommendations") as replica:
        replica.model.hangs.clear()
        await replica.record(alert())
        await replica.deliver("pager")
        await replica.deliver("log")
        replica.model.hangs.set()
        await replica.let_go()
        (leased,) = await replica.lease("pager")
        assert (leased.alert.event, leased.alert.classification) == ("classified", verdict().classification)
        assert await replica.lease("log") == []


@pytest.mark.parametrize("is_delivered", [True, False])
async def test_what_a_process_owed_that_died_is_taken_up_by_the_next(database_url: str, *, is_delivered: bool) -> None:
    mode: Mode = "transparent_with_recommendations"
    async with running(database_url, mode) as died:
        died.model.hangs.clear()
        await died.record(alert())
        if is_delivered:
            await died.deliver("pager")
            await died.deliver("log")
    async with running(database_url, mode) as replica:
        await time_passes(database_url, POLICY.call_timeout + 6 * SECOND)  # the other's claim has run out
        await replica.enrichment.recover()
        replica.clock.now = NOW + POLICY.call_timeout + 6 * SECOND
        await replica.let_go()
        (leased,) = await replica.lease("pager")
        assert leased.alert.event == ("classified" if is_delivered else "fired")
        assert leased.alert.classification == verdict().classification
        assert [delivery.alert.event for delivery in await replica.lease("log")] == ([] if is_delivered else ["fired"])


async def test_what_another_replica_tells_is_told_once(database_url: str) -> None:
    mode: Mode = "transparent_with_recommendations"
    async with running(database_url, mode) as first, running(database_url, mode) as other:
        first.model.hangs.clear()
        await first.record(alert())
        await first.deliver("pager")
        while not first.model.calls:  # the timeout of the test bounds it
            await asyncio.sleep(0.01)
        await other.enrichment.recover()  # another pod starts meanwhile
        first.model.hangs.set()
        await first.let_go()
        await first.deliver("pager")
        await other.let_go()
        assert other.model.calls == []
        assert await other.lease("pager") == []
        unanswered = await other.store.classifications.unanswered(since=NOW - MINUTE)
        assert [each.target for each in unanswered] == ["log"]  # which takes no follow-ups


@pytest.mark.parametrize("mode", ["transparent", "enriched"])
async def test_in_other_modes_nobody_is_owed_anything(database_url: str, mode: Mode) -> None:
    async with running(database_url, "transparent") as replica:
        await replica.record(alert())
        await replica.deliver("pager")
        replica.arrivals.take_up_mode(mode)
        await replica.enrichment.recover()
        assert not replica.arrivals


async def owed(replica: Replica, *, since: datetime) -> list[str]:
    """The alerts of which the target that takes follow-ups was told without a meaning."""
    unanswered = await replica.store.classifications.unanswered(since=since)
    return [each.labels["alertname"] for each in unanswered if each.target == "pager"]


async def test_nothing_is_taken_up_that_is_long_ago_or_over_or_told(database_url: str) -> None:
    async with running(database_url, "transparent_with_recommendations") as replica:
        await replica.record(alert("Told"))
        await replica.deliver("pager")
        await replica.let_go()
        replica.arrivals.take_up_mode("transparent")
        await replica.record(alert("Over"))
        await replica.deliver("pager")
        await replica.record(alert("Over", status="resolved", ends_at=NOW))
        await replica.record(alert("Owed"))
        assert await owed(replica, since=NOW - MINUTE) == ["Owed"]
        assert await owed(replica, since=NOW + MINUTE) == []


async def test_a_resolve_never_waits(database_url: str) -> None:
    async with running(database_url) as replica:
        replica.model.hangs.clear()
        await replica.record(alert())
        await replica.record(alert(status="resolved", ends_at=NOW))
        assert [delivery.alert.event for delivery in await replica.lease()] == ["resolved"]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = open_store(database_url)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


def modes(store: Store, taken_up: list[Mode], switches: list[tuple[Mode, Mode]]) -> Modes:
    board = Switchboard()
    board.join(ModeTakenUp, lambda event: taken_up.append(event.mode))
    board.join(ModeSwitched, lambda event: switches.append((event.was, event.now)))
    made = Modes(
        "transparent",
        settings=store.settings,
        audit=store.audit,
        clock=Clock(),
        switchboard=board,
    )
    made.begin()
    return made


async def test_a_switch_reaches_the_other_replica_and_outlives_a_restart(store: Store) -> None:
    switches: list[tuple[Mode, Mode]] = []
    taken_up: list[Mode] = []
    first, other = modes(store, [], switches), modes(store, taken_up, switches)
    following = asyncio.create_task(other.follow())
    state = await first.switch("enriched", by="ada")
    async with asyncio.timeout(10):  # the contract's two seconds, and a busy machine
        while taken_up[-1] != "enriched":
            await asyncio.sleep(0.01)
    following.cancel()
    assert (state.source, state.switched_by, switches) == ("database", "ada", [("transparent", "enriched")])
    restarted = modes(store, [], [])
    await restarted.refresh()
    assert restarted.state.mode == "enriched"
