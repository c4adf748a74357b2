"""The ingest queue, over a recorder whose commits begin and end when the test says so."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from alert_history.domain.alert import Alert, AlertGroup, Note, Status, fingerprint
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.standing import Witnesses
from alert_history.engine import ingest as engine
from alert_history.engine.ingest import BATCHES_AT_ONCE, Ingest
from alert_history.engine.switchboard import CommitEnded, ReceiptKept, Switchboard
from alert_history.errors import Overloaded, StorageUnavailable, UnstorableReceipt

pytestmark = pytest.mark.timeout(20)

NOW = datetime(2026, 11, 24, 3, 12, 45, tzinfo=UTC)
_ROOM = 100_000


class Commit:
    """One call of the recorder. It returns when the test ends it."""

    def __init__(self, receipts: Sequence[Receipt]) -> None:
        self.ids = [receipt.id for receipt in receipts]
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def succeed(self) -> None:
        self.end.set_result(None)

    def fail(self, error: Exception) -> None:
        self.end.set_exception(error)


class StagedRecorder:
    """Fulfils `ports.Recorder`. A receipt named `poison` is refused, as a database refuses data."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[Commit] = asyncio.Queue()
        self.is_staged = True
        self.witnesses = Witnesses()

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        commit = Commit(receipts)
        self.begun.put_nowait(commit)
        if self.is_staged:
            await commit.end
        if "poison" in commit.ids:
            raise UnstorableReceipt("invalid byte sequence")
        return [Outcome(id_, received=1, stored=1, repeated=0, quarantined=0) for id_ in commit.ids]


class Stage:
    """A running Ingest, its recorder, and what its observer was told."""

    def __init__(self) -> None:
        self.recorder = StagedRecorder()
        self.observed: list[tuple[int, bool]] = []
        self.switchboard = Switchboard()
        self.switchboard.join(CommitEnded, self._observe)
        self.ingest = Ingest(self.recorder, max_pending_bytes=_ROOM, switchboard=self.switchboard)
        self.running: asyncio.Task[None] = asyncio.create_task(self.ingest.run())
        self._senders: list[asyncio.Task[Outcome]] = []

    def send(self, receipt: Receipt) -> asyncio.Task[Outcome]:
        sender = asyncio.create_task(self.ingest.submit(receipt))
        self._senders.append(sender)
        return sender

    async def next_commit(self) -> Commit:
        return await self.recorder.begun.get()

    async def occupy(self) -> list[Commit]:
        """As many batches under way as there may be, so that what follows has to wait."""
        commits = []
        for number in range(BATCHES_AT_ONCE):
            self.send(receipt(f"busy-{number}"))
            commits.append(await self.next_commit())
        return commits

    async def close(self) -> None:
        for task in (self.running, *self._senders):
            task.cancel()
            with suppress(asyncio.CancelledError, StorageUnavailable, UnstorableReceipt):
                await task

    def _observe(self, event: CommitEnded) -> None:
        self.observed.append((len(event.receipts), event.outcomes is not None))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    await made.close()


def receipt(id_: str, *, alertname: str = "", status: Status = "firing", notes: Sequence[Note] = ()) -> Receipt:
    """A request with one alert of its own, or with the one named."""
    labels = {"alertname": alertname or id_}
    ends_at = NOW if status == "resolved" else None
    alert = Alert(fingerprint(labels), status, labels, {}, NOW, ends_at)
    group = AlertGroup("alertmanager", "default", "", "", [] if notes else [alert], notes=list(notes))
    return Receipt(id_, NOW, "/webhook", False, group, b"{}", b"")


async def everything_ready_ran() -> None:
    """Give each task that waits for nothing its turn."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_lone_request_is_committed_at_once(stage: Stage) -> None:
    stage.send(receipt("lone"))
    assert (await stage.next_commit()).ids == ["lone"]


async def test_request_is_answered_only_after_its_commit(stage: Stage) -> None:
    sender = stage.send(receipt("one"))
    commit = await stage.next_commit()
    await everything_ready_ran()
    assert not sender.done()
    commit.succeed()
    assert (await sender).receipt_id == "one"


async def test_requests_that_arrive_during_a_commit_share_the_next_transaction(stage: Stage) -> None:
    first, *_ = await stage.occupy()
    senders = [stage.send(receipt(id_)) for id_ in ("a", "b", "c")]
    await everything_ready_ran()
    first.succeed()
    commit = await stage.next_commit()
    commit.succeed()
    assert commit.ids == [(await sender).receipt_id for sender in senders] == ["a", "b", "c"]


async def test_no_more_than_so_many_transactions_are_under_way(stage: Stage) -> None:
    await stage.occupy()
    stage.send(receipt("one-more"))
    await everything_ready_ran()
    assert stage.recorder.begun.empty()


async def test_a_transaction_is_bounded_in_requests(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_BATCH_REQUESTS", 3)
    first, *_ = await stage.occupy()
    for number in range(5):
        stage.send(receipt(str(number)))
    await everything_ready_ran()
    first.succeed()
    full = await stage.next_commit()
    full.succeed()
    assert (full.ids, (await stage.next_commit()).ids) == (["0", "1", "2"], ["3", "4"])


async def test_a_transaction_is_bounded_in_alerts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_BATCH_ALERTS", 2)
    first, *_ = await stage.occupy()
    for number in range(3):
        stage.send(receipt(str(number)))
    await everything_ready_ran()
    first.succeed()
    assert (await stage.next_commit()).ids == ["0", "1"]


async def test_a_batch_leaves_a_share_of_what_waits_for_the_next(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of all that waits would leave the database and the event loop to take turns."""
    monkeypatch.setattr(engine, "_SMALL_BATCH_ALERTS", 1)
    for number in range(40):
        stage.send(receipt(str(number)))
    first = await stage.next_commit()
    second = await stage.next_commit()
    assert len(first.ids) == len(second.ids) == 10
    first.succeed()
    second.succeed()


async def test_few_alerts_are_never_split(stage: Stage) -> None:
    first, *_ = await stage.occupy()
    for number in range(40):
        stage.send(receipt(str(number)))
    await everything_ready_ran()
    first.succeed()
    assert len((await stage.next_commit()).ids) == 40


async def test_the_resolve_of_an_alert_never_overtakes_its_firing(stage: Stage) -> None:
    stage.send(receipt("fired", alertname="DiskFull"))
    firing = await stage.next_commit()
    stage.send(receipt("resolved", alertname="DiskFull", status="resolved"))
    await everything_ready_ran()
    assert stage.recorder.begun.empty()
    firing.succeed()
    assert (await stage.next_commit()).ids == ["resolved"]


async def test_a_note_never_overtakes_its_alert(stage: Stage) -> None:
    stage.send(receipt("fired", alertname="DiskFull"))
    firing = await stage.next_commit()
    note = Note(fingerprint({"alertname": "DiskFull"}), None, "silenced", NOW, "am-0", {})
    stage.send(receipt("silenced", notes=[note]))
    await everything_ready_ran()
    assert stage.recorder.begun.empty()
    firing.succeed()
    assert (await stage.next_commit()).ids == ["silenced"]


async def test_other_alerts_do_not_wait_for_a_slow_commit(stage: Stage) -> None:
    first, *_ = await stage.occupy()
    first.succeed()
    sender = stage.send(receipt("other"))
    (await stage.next_commit()).succeed()
    assert (await sender).receipt_id == "other"


async def test_requests_of_one_alert_stay_in_order_inside_a_transaction(stage: Stage) -> None:
    first, *_ = await stage.occupy()
    for id_ in ("1", "2", "3"):
        stage.send(receipt(id_, alertname="DiskFull"))
    await everything_ready_ran()
    first.succeed()
    assert (await stage.next_commit()).ids == ["1", "2", "3"]


async def test_poison_is_refused_alone(stage: Stage) -> None:
    first, *_ = await stage.occupy()
    before, poison, after = (stage.send(receipt(id_)) for id_ in ("before", "poison", "after"))
    await everything_ready_ran()
    stage.recorder.is_staged = False
    first.succeed()
    with pytest.raises(UnstorableReceipt, match="invalid byte sequence"):
        await poison
    assert ((await before).receipt_id, (await after).receipt_id) == ("before", "after")


async def test_a_request_is_answered_as_committed_whoever_fails_to_take_that_up(stage: Stage) -> None:
    def fail(event: ReceiptKept) -> None:
        raise RuntimeError(event.receipt.id)

    stage.switchboard.join(ReceiptKept, fail)
    stage.recorder.is_staged = False
    assert (await stage.send(receipt("kept"))).receipt_id == "kept"


async def test_what_was_kept_is_said_in_order_and_of_what_was_not_nothing(stage: Stage) -> None:
    ids: list[str] = []
    stage.switchboard.join(ReceiptKept, lambda event: ids.append(event.receipt.id))
    first, *others = await stage.occupy()
    third, fourth = stage.send(receipt("third")), stage.send(receipt("fourth"))
    await everything_ready_ran()
    stage.recorder.is_staged = False
    others[0].fail(StorageUnavailable("no connection"))
    first.succeed()
    await asyncio.gather(third, fourth)
    assert ids == ["busy-0", "third", "fourth"]


async def test_lone_poison_is_not_tried_twice(stage: Stage) -> None:
    stage.recorder.is_staged = False
    with pytest.raises(UnstorableReceipt):
        await stage.send(receipt("poison"))
    assert stage.observed == [(1, False)]


@pytest.mark.parametrize("error", [StorageUnavailable("no connection"), RuntimeError("a fault of ours"), OSError(5)])
async def test_a_commit_that_fails_fails_its_own_requests(stage: Stage, error: Exception) -> None:
    first, *_ = await stage.occupy()
    failed = [stage.send(receipt(id_)) for id_ in ("a", "b")]
    await everything_ready_ran()
    first.succeed()
    (await stage.next_commit()).fail(error)
    for sender in failed:
        with pytest.raises(StorageUnavailable):
            await sender
    later = stage.send(receipt("later"))
    (await stage.next_commit()).succeed()
    assert (await later).receipt_id == "later"


async def test_an_unknown_error_is_answered_without_its_text(stage: Stage) -> None:
    failed = stage.send(receipt("a"))
    (await stage.next_commit()).fail(ValueError("netloc 'ada:s3cret@db' is no URL"))
    with pytest.raises(StorageUnavailable) as caught:
        await failed
    assert str(caught.value) == "a fault of ours, which is in the log"


async def test_request_whose_commit_hangs_is_told_to_come_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.02)
    with pytest.raises(StorageUnavailable, match=r"not committed within 0\.02 s") as caught:
        await stage.send(receipt("one"))
    assert caught.value.after_seconds > 0


async def test_commit_that_hangs_makes_room_for_the_next(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_COMMIT_SECONDS", 0.02)
    first, *others = await stage.occupy()
    sender = stage.send(receipt("later"))
    (await stage.next_commit()).succeed()
    assert (await sender).receipt_id == "later"
    assert any(commit.end.cancelled() for commit in (first, *others))


async def test_request_that_gave_up_is_not_committed_later(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = await stage.occupy()
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.02)
    with pytest.raises(StorageUnavailable):
        await stage.send(receipt("given-up"))
    patient = stage.send(receipt("patient"))
    first.succeed()
    assert (await stage.next_commit()).ids == ["patient"]
    patient.cancel()


class _Alerts(list[Alert]):
    """A list that can be watched for its end."""


async def test_request_that_gave_up_takes_no_memory(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.occupy()
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.02)
    alerts = _Alerts()
    memory = weakref.ref(alerts)
    group = AlertGroup("alertmanager", "default", "", "", alerts)
    given_up = Receipt("given-up", NOW, "/webhook", False, group, b"", b"")
    sender = asyncio.create_task(stage.ingest.submit(given_up))
    await asyncio.wait([sender])
    assert isinstance(sender.exception(), StorageUnavailable)
    del alerts, group, given_up, sender
    gc.collect()
    assert memory() is None


async def test_stop_commits_what_waits(stage: Stage) -> None:
    first, *others = await stage.occupy()
    waiting = stage.send(receipt("waiting"))
    await everything_ready_ran()
    stage.ingest.stop()
    first.succeed()
    (await stage.next_commit()).succeed()
    for commit in others:
        commit.succeed()
    await stage.running
    assert (await waiting).receipt_id == "waiting"


async def test_stop_waits_for_the_commits_under_way(stage: Stage) -> None:
    first, *others = await stage.occupy()
    stage.ingest.stop()
    first.succeed()
    await everything_ready_ran()
    assert not stage.running.done()
    for commit in others:
        commit.succeed()
    await stage.running


async def test_stop_of_an_idle_queue_ends_it(stage: Stage) -> None:
    await everything_ready_ran()
    stage.ingest.stop()
    await stage.running


async def test_no_body_is_let_in_after_stop(stage: Stage) -> None:
    stage.ingest.stop()
    with pytest.raises(Overloaded, match="stopping"):
        stage.ingest.reserve(1)


async def test_full_queue_is_overloaded(stage: Stage) -> None:
    stage.ingest.reserve(_ROOM // 2)
    with pytest.raises(Overloaded) as caught:
        stage.ingest.reserve(_ROOM // 2)
    assert caught.value.after_seconds > 0


async def test_many_small_bodies_fill_the_queue_too(stage: Stage) -> None:
    claim = stage.ingest.reserve(0)
    for _ in range(_ROOM // claim - 1):
        stage.ingest.reserve(0)
    with pytest.raises(Overloaded):
        stage.ingest.reserve(0)


async def test_room_given_back_is_room_again(stage: Stage) -> None:
    claim = stage.ingest.reserve(_ROOM // 2)
    stage.ingest.release(claim)
    assert stage.ingest.pending_bytes == 0
    stage.ingest.reserve(_ROOM // 2)


async def test_body_larger_than_the_bound_is_let_in_alone(stage: Stage) -> None:
    claim = stage.ingest.reserve(_ROOM * 2)
    with pytest.raises(Overloaded):
        stage.ingest.reserve(1)
    stage.ingest.release(claim)
    assert stage.ingest.pending_bytes == 0


async def test_claim_grows_with_a_body_that_turns_out_larger(stage: Stage) -> None:
    claim = stage.ingest.reserve(10)
    larger = stage.ingest.resize(claim, 1010)
    assert stage.ingest.pending_bytes == larger == claim + 1000


async def test_claim_that_can_not_grow_stays(stage: Stage) -> None:
    stage.ingest.reserve(_ROOM // 2)
    claim = stage.ingest.reserve(10)
    before = stage.ingest.pending_bytes
    with pytest.raises(Overloaded):
        stage.ingest.resize(claim, _ROOM)
    assert stage.ingest.pending_bytes == before


async def test_observer_is_told_of_every_transaction(stage: Stage) -> None:
    first, *others = await stage.occupy()
    for id_ in ("a", "b"):
        stage.send(receipt(id_))
    await everything_ready_ran()
    first.succeed()
    (await stage.next_commit()).succeed()
    others[0].fail(StorageUnavailable("no connection"))
    await everything_ready_ran()
    assert stage.observed == [(1, True), (2, True), (1, False)]
