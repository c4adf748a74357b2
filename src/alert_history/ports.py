"""What the engine needs of a store and a clock, as Protocols. Failure and order are promised in the docstrings."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import msgspec

from alert_history.domain.alert import Alert
from alert_history.domain.archive import Entry, Row, Shape
from alert_history.domain.classification import Case, Past, Usage, Verdict
from alert_history.domain.delivery import Leased, Routing, Settlement, State
from alert_history.domain.matching import Query
from alert_history.domain.occurrence import Event, EventKind
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.routes import Routes
from alert_history.domain.severity import Severity
from alert_history.domain.target import Message, Sent, TargetSpec


class StoredAlert(msgspec.Struct, frozen=True):
    """One occurrence as the HTTP API shows it. `id` is `<fingerprint>-<startsAt in µs since 1970>`; times are UTC."""

    id: str
    fingerprint: str
    alertname: str
    namespace: str
    severity: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    expires_at: datetime | None
    timestamp: datetime
    last_received_at: datetime
    repeat_count: int
    generator_url: str
    source: str
    receiver: str
    details: dict[str, Any] | None = None


class StoredEvent(msgspec.Struct, frozen=True):
    """One event of a timeline. `receiver` and `source` are those of the receipt that brought it, if one did.

    `number` counts the changes of state from 1 and is null for notes. `is_published` says whether the receipt was to be
    passed on (`/webhook/proxy`), where there is one still.
    """

    kind: EventKind
    at: datetime
    receipt_id: str | None
    source: str | None
    receiver: str | None
    detail: dict[str, Any] | None
    number: int | None = None
    is_published: bool | None = None


class QuarantinedAlert(msgspec.Struct, frozen=True):
    """An alert that was refused inside an accepted request. `raw` is its JSON as sent, undecodable bytes replaced."""

    id: str
    received_at: datetime
    receipt_id: str
    position: int
    reason: str
    source: str
    receiver: str
    raw: str


class HistoryFilter(msgspec.Struct, frozen=True):
    """Which occurrences: all conditions must hold. `since` ≤ `timestamp` < `until`."""

    query: Query = Query((), ())
    alertname: str | None = None
    status: str | None = None
    severity: str | None = None
    namespace: str | None = None
    fingerprint: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class PageRequest(msgspec.Struct, frozen=True):
    """Which page. `sort` is a column, `-` before it for descending; `cursor` a `next_cursor` of the same sort."""

    limit: int = 50
    offset: int = 0
    cursor: str | None = None
    sort: str = "-timestamp"
    wants_exact_total: bool = False


class HistoryPage(msgspec.Struct, frozen=True):
    """A page. `total` counts all that match; it is a lower bound where `is_total_exact` is false."""

    alerts: list[StoredAlert]
    total: int
    is_total_exact: bool
    next_cursor: str | None


class QuarantinePage(msgspec.Struct, frozen=True):
    """Newest first; `next_cursor` is None on the last page. `total` is a lower bound if `is_total_exact` is false."""

    quarantine: list[QuarantinedAlert]
    total: int
    is_total_exact: bool
    next_cursor: str | None


class Recorder(Protocol):
    """The write side."""

    async def commit(self, receipts: Sequence[Receipt]) -> list[Outcome]:
        """Keep all of it in one transaction; return after the commit, one outcome a receipt, in order.

        Sightings of one occurrence are taken in the order given. It may be called again before it returns, with
        other fingerprints. Whoever retries after an error changes
        nothing twice, except that repeats are counted again.

        Raises:
            StorageUnavailable: nothing was kept, or it is not known whether it was.
            UnstorableReceipt: the database refused the data itself; nothing was kept.
        """
        ...


class History(Protocol):
    """The read side. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        """One page of occurrences; its cost does not grow with what lies outside the page and the count's bound."""
        ...

    async def find(self, occurrence_id: str) -> StoredAlert:
        """One occurrence. Raises NotFound."""
        ...

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """Its newest so many events, oldest first. Empty if there is no such occurrence."""
        ...

    async def quarantine(self, *, limit: int, cursor: str | None) -> QuarantinePage:
        """What was refused, newest first."""
        ...

    def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """Everything that matches, oldest first, in batches; memory does not grow with the result."""
        ...


class Upkeep(Protocol):
    """What a background job does to a store. None of it may hold up ingest for longer than a commit takes."""

    prepare_every: timedelta
    """How often `prepare` wants to be called."""

    forgetting_share: float
    """How much of the time the steps of the drops may take, while there is something to drop."""

    async def prepare(self, now: datetime) -> None:
        """Make room for what comes (partitions ahead, index backlog)."""
        ...

    async def expire(self, now: datetime, *, limit: int = 500) -> int:
        """End firing occurrences whose `expires_at` has passed; how many. Fewer than `limit`: none are left."""
        ...

    async def drop_history(self, before: datetime) -> int:
        """Forget one bounded step of occurrences last received before then; rows removed, 0 when done."""
        ...

    async def drop_bodies(self, before: datetime) -> int:
        """Forget one bounded step of raw bodies received before then; rows removed, 0 when done."""
        ...

    async def drop_classifications(self, before: datetime) -> int:
        """Forget one bounded step of what was said of shapes, what it took, and the audit; rows seen, 0 when done.

        What serves on stays: the newest word on a shape while the history knows the alert that it was said of, and a
        person's for good until a person says something else.
        """
        ...

    async def read_setting(self, name: str) -> Any:
        """A setting's value, or None."""
        ...

    async def write_setting(self, name: str, value: Any) -> None:
        """Keep a setting (any JSON value), durably."""
        ...


class QueueDepth(msgspec.Struct, frozen=True):
    """What waits for a target, and since when the oldest of it could have been told (in the future: all are held)."""

    waiting: int
    oldest: datetime


class StoredDelivery(msgspec.Struct, frozen=True):
    """One delivery with all its attempts (the last 20). `due_at` is when it is tried next.

    `event_number` is that of the event in its timeline, 0 for what follows up. `shape` is set where a classification
    was to go with it; `enrichment` is `awaited`, or why it went without one.
    """

    id: str
    occurrence_id: str
    fingerprint: str
    target: str
    event: EventKind
    state: State
    created_at: datetime
    due_at: datetime | None
    settled_at: datetime | None
    attempts: int
    log: list[dict[str, Any]]
    event_number: int = 0
    shape: str | None = None
    enrichment: str | None = None


class DeliveryFilter(msgspec.Struct, frozen=True):
    """Which deliveries, newest first; `cursor` is a `next_cursor`."""

    target: str | None = None
    state: State | None = None
    fingerprint: str | None = None
    starts_at: datetime | None = None
    limit: int = 50
    cursor: str | None = None


class DeliveryPage(msgspec.Struct, frozen=True):
    """A page of deliveries; `next_cursor` is None on the last one."""

    deliveries: list[StoredDelivery]
    next_cursor: str | None


class Outbox(Protocol):
    """What is still to be said, and what became of it. Filled by `Recorder.commit`."""

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        """Take up to `limit` due deliveries of a target, at most one an alert: the newest that is due.

        Also returns how many older ones of those alerts that superseded. No other replica gets them before the
        lease runs out; what ran out is due again.
        """
        ...

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        """Keep what became of leased deliveries, in one transaction.

        A lease that was lost changes nothing, also where another replica holds the delivery by now.
        """
        ...

    async def depth(self) -> dict[str, QueueDepth]:
        """What waits, by target."""
        ...

    async def dead(self) -> dict[str, int]:
        """How many dead letters are kept, by target."""
        ...

    async def replay(self, *, now: datetime, delivery_id: str | None = None, target: str | None = None) -> int:
        """Make dead deliveries due again: one, a target's, or all; how many.

        Not those whose target was told newer of the alert, or will be: they stay dead. Raises NotFound if it was to be
        one, and it is none of these.
        """
        ...

    async def deliveries(self, wanted: DeliveryFilter) -> DeliveryPage:
        """A page of deliveries, newest first."""
        ...


class Router(Protocol):
    """Who decides, inside the ingest transaction, which targets are told of an event."""

    def __call__(self, alert: Alert, event: Event) -> Routing | None:
        """The decision for all targets; None if there is nothing to decide. Pure and quick."""
        ...


class KeptVerdict(msgspec.Struct, frozen=True):
    """A classification as it is kept: for which shape, asked for by which alert, with what it took."""

    id: str
    shape: str
    fingerprint: str
    verdict: Verdict


class Unanswered(msgspec.Struct, frozen=True):
    """A target that was told of an alert, which still fires, and never of what it means."""

    fingerprint: str
    starts_at: datetime
    target: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Spent(msgspec.Struct, frozen=True):
    """What classifications used in a span, all replicas together, and answers that could not be used."""

    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0


class ClassifiedCount(msgspec.Struct, frozen=True):
    """How many shapes were classified so by a model."""

    model: str
    severity: Severity
    count: int


class Accuracy(msgspec.Struct, frozen=True):
    """Of the classifications that a person looked at on one day (UTC): how many had the severity right."""

    day: str
    model: str
    reviewed: int
    right: int


class Classifications(Protocol):
    """What was classified, by shape, newest wins; and what waits for it. Every call may raise StorageUnavailable."""

    async def newest(self, shapes: Sequence[str], *, since: datetime) -> dict[str, KeptVerdict]:
        """The newest of each shape, if it is not older than `since` or a person's (these never age)."""
        ...

    async def claim(self, shapes: Sequence[str], *, owner: str, now: datetime, until: datetime) -> list[str]:
        """Those of `shapes` that this owner alone may ask for until then; the others are being asked for."""
        ...

    async def keep(self, kept: Sequence[KeptVerdict], *, now: datetime) -> int:
        """Keep them, end their claims and let the deliveries go that wait for them; how many went. One transaction."""
        ...

    async def let_go(self, shapes: Sequence[str], *, unenriched: str | None, now: datetime) -> int:
        """Let the deliveries go that wait for these, and end the claims; how many went.

        `unenriched` says why they go without; None: because a classification is known by now.
        """
        ...

    async def follow_up(self, kept: KeptVerdict, *, told: Sequence[tuple[str, datetime, str]], now: datetime) -> int:
        """Tell the targets that know of an alert (fingerprint, start, target) what it means: a `classified` event.

        Once, whoever else does: a target that was told of something as new is passed over.
        """
        ...

    async def unanswered(self, *, since: datetime) -> list[Unanswered]:
        """Who was told of an alert since then, without its shape: among the newest 5 000 of each kind of delivery."""
        ...

    async def past(self, case: Case) -> Past:
        """What the history knows of an alert, at most a few ms of work however long it is."""
        ...

    async def history(self, shape: str, *, limit: int) -> list[KeptVerdict]:
        """All that was ever said of a shape, newest first."""
        ...

    async def recent(self, *, limit: int, severity: Severity | None) -> list[KeptVerdict]:
        """The newest word on each shape, newest first; only those of one severity, if it is given."""
        ...

    async def spent(self, *, since: datetime) -> Spent:
        """What was used since then."""
        ...

    async def keep_unusable(self, usage: Usage, *, model: str, now: datetime) -> None:
        """Count what answers took that could not be used: it is spent all the same."""
        ...

    async def counts(self, *, since: datetime, until: datetime) -> list[ClassifiedCount]:
        """How many were classified how."""
        ...

    async def accuracy(self, *, since: datetime, until: datetime) -> list[Accuracy]:
        """How often people agreed, by day and model, oldest first."""
        ...

    async def note(self, action: str, *, actor: str, detail: dict[str, Any], now: datetime) -> None:
        """Write a line into the audit."""
        ...


class Enricher(Protocol):
    """Who classifies: a model behind a proxy, or rules."""

    name: str
    """Of the model, as metrics and messages show it."""

    most_cases: int
    """How many cases it takes in one call."""

    async def classify(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """One verdict a case, in order; None where it has none. One attempt.

        Raises:
            Retryable: not reached, too slow, or over its rate.
            Rejected: it refuses this, or its answer makes no sense.
        """
        ...

    async def offered(self) -> list[str] | None:
        """The names of the models that could be asked, as their proxy lists them; None where nobody lists any.

        Raises: Retryable, Rejected.
        """
        ...

    def take_unusable(self) -> Usage:
        """What answers took that could not be used, since this was last asked."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class Signals(Protocol):
    """What replicas call out to each other. Lossy: whoever hears nothing finds out a little later."""

    async def send(self, word: str) -> None:
        """Tell all replicas, this one too. Never raises, and takes half a second at most."""
        ...

    async def follow(self, heard: Callable[[str], None]) -> None:
        """Call `heard` with every word until cancelled. Never raises for what the outside does."""
        ...

    def state(self) -> str:
        """`ok`, or what is wrong."""
        ...


class Lifecycle(Protocol):
    """Opening, checking and closing a store."""

    async def open(self) -> None:
        """Bring the schema to head and get ready. Raises StorageUnavailable; may be called again then."""
        ...

    async def check(self) -> dict[str, str]:
        """`{"database": "ok"|fault, "schema": "ok"|fault}`; answers within 2 s and never raises."""
        ...

    async def close(self) -> None:
        """Give connections and threads back."""
        ...


class Archivable(Protocol):
    """Old history as rows, for an archive. No step holds up ingest for longer than a commit takes."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """While it lasts, nobody else archives or restores this database. Raises Busy."""
        ...

    async def count(self, shape: Shape, *, before: datetime) -> int | None:
        """How many rows `take` would give; None if counting takes too long."""
        ...

    async def take(self, shape: Shape, *, before: datetime, after: Row | None) -> tuple[list[Entry], Row | None]:
        """A page of what is older than `before`, in the shape's order, and where the next one begins.

        None: that was the last page. Occurrences are as old as they were last received; what is still to be delivered
        stays, and so do the deliveries of occurrences that stay.
        """
        ...

    async def drop(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """Remove these, each with its events, unless it changed since it was taken; how many, in one transaction."""
        ...

    async def put(self, shape: Shape, entries: Sequence[Entry]) -> int:
        """Bring these back, except those whose key is there; how many, in one transaction. Nobody is told of them."""
        ...

    async def make_room(self, shape: Shape, day: date) -> None:
        """Get ready to be given rows of that day."""
        ...


class Shelf(Protocol):
    """Where the files of an archive lie; names are relative, with slashes. Every call may raise ArchiveFault."""

    async def write(self, name: str, data: bytes) -> None:
        """Keep a file, whole and durably, or not at all."""
        ...

    async def read(self, name: str) -> bytes:
        """A file's content."""
        ...

    async def move(self, name: str, to: str) -> None:
        """Give a file its place, durably, in one step."""
        ...

    async def remove(self, name: str) -> None:
        """Remove a file, or a folder with all in it; nothing if it isn't there."""
        ...

    async def names(self, folder: str) -> list[str]:
        """All files in a folder and below, sorted; none if there is no such folder."""
        ...


class RowFormat(Protocol):
    """How rows become the bytes of a file, and rows again."""

    suffix: str
    """What names of such files end with."""

    def encode(self, shape: Shape, rows: Sequence[Row]) -> bytes:
        """The file."""
        ...

    def decode(self, shape: Shape, data: bytes, *, only: Sequence[str] = ()) -> Iterator[Row]:
        """Its rows in order (of `only` some columns, if any are named), one batch in memory at a time.

        Raises: ArchiveFault if it is no such file.
        """
        ...


class Store(msgspec.Struct, frozen=True):
    """A whole store, by what is asked of it: PostgreSQL or SQLite."""

    recorder: Recorder
    history: History
    upkeep: Upkeep
    lifecycle: Lifecycle
    outbox: Outbox
    archivable: Archivable
    classifications: Classifications


class Target(Protocol):
    """One target, ready to be told. Stateless: what must be remembered is in the messages."""

    speaks_of_groups: bool
    """Whether a message may hold several alerts of one group."""

    takes_follow_ups: bool
    """Whether it can be told afterwards what an alert means: an Outgoing whose event is `classified`."""

    default_rate_per_minute: float
    """How many messages it takes when its own settings don't say."""

    async def send(self, message: Message) -> Sent:
        """Tell it. One attempt, within the HTTP client's timeouts; it tries nothing again by itself.

        Raises:
            Retryable: rate-limited, out of order, or not reached.
            Rejected: it refuses this message for good.
        """
        ...

    def url_shown(self) -> str:
        """Where it is, with everything secret masked."""
        ...


class Discovery(Protocol):
    """Where targets are found."""

    async def watch(self, found: "TargetsFound") -> None:
        """Call `found` with all targets now, and again within 2 s of every change, until cancelled.

        Never raises for what the outside does: it goes on with what it knows, and says so in `state`.
        """
        ...

    async def refresh(self) -> None:
        """Look anew at once."""
        ...

    def state(self) -> "DiscoveryState":
        """How it is doing."""
        ...


class TargetsFound(Protocol):
    """Who wants to know the targets."""

    def __call__(self, targets: Sequence[TargetSpec]) -> None:
        """All targets there are now, broken ones with their fault."""
        ...


class DiscoveryState(msgspec.Struct, frozen=True):
    """`fault` is None while it works; `refreshed_at` is when it last knew for certain."""

    kind: str
    is_available: bool
    refreshed_at: datetime | None
    fault: str | None = None


class RoutesState(msgspec.Struct, frozen=True):
    """The routes in force, since when, and what is wrong with what the file says now, if it is not they."""

    path: str
    routes: Routes
    read_at: datetime
    faults: tuple[str, ...] = ()


class RoutesSource(Protocol):
    """Where routes come from."""

    def state(self) -> RoutesState:
        """What is in force."""
        ...

    async def watch(self, changed: Callable[[Routes], None]) -> None:
        """Call `changed` within 2 s of a change, until cancelled. Faulty routes leave the old ones in force."""
        ...


class Clock(Protocol):
    """Where time comes in."""

    def __call__(self) -> datetime:
        """Now, aware UTC."""
        ...
