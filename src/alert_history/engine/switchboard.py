"""The switchboard: what happens in one room of the service and matters in another.

Holds every such event, with the room that says it, and `connect`, which names all listeners. All listeners hear an
event in the order in which they joined, before `say` returns; so a listener must be quick, must not wait for anything,
and must not decide for the room that speaks. Work that a room waits for, or that may fail together with it, belongs
behind a port.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import msgspec
import structlog

from alert_history.domain.classification import Mode
from alert_history.domain.receipt import Outcome, Receipt
from alert_history.domain.routes import Routes
from alert_history.domain.target import Outgoing, TargetSpec

if TYPE_CHECKING:
    from alert_history.engine.arrivals import Arrivals
    from alert_history.engine.awaited_targets import AwaitedTargets
    from alert_history.engine.enrich import Enrichment
    from alert_history.engine.lapse import Groups
    from alert_history.engine.modes import Modes
    from alert_history.engine.publish import Publisher
    from alert_history.engine.replica_calls import Calls
    from alert_history.engine.router import Router
    from alert_history.engine.telemetry.commits import CommitMetrics
    from alert_history.engine.telemetry.enrichment import EnrichmentMetrics
    from alert_history.engine.telemetry.publishing import PublishingMetrics
    from alert_history.engine.watchdog import Watchdog
    from alert_history.engine.witnesses import KnownWitnesses

_log = structlog.get_logger()

Word = Literal["mode", "classified"]
"""What replicas call out to each other: `mode` was switched; something was `classified`, so deliveries are due."""


# --- what happens -----------------------------------------------------------------------------------------------------


class CommitEnded(msgspec.Struct, frozen=True):
    """`Ingest` says it after each transaction, also one that failed: then `outcomes`, one a receipt, is None."""

    receipts: Sequence[Receipt]
    outcomes: Sequence[Outcome] | None
    seconds: float
    pending_bytes: int


class ReceiptKept(msgspec.Struct, frozen=True):
    """`Ingest` says it of each receipt of a transaction that was committed, in their order."""

    receipt: Receipt


class DeliveriesDue(msgspec.Struct, frozen=True):
    """`Ingest` says it after a transaction in which deliveries to these targets, by name, were queued."""

    targets: frozenset[str]


class Classified(msgspec.Struct, frozen=True):
    """`Enrichment` says it when it has let deliveries go that waited for a classification."""


class AttemptEnded(msgspec.Struct, frozen=True):
    """`TargetWorker` says it when a delivery came to `success`, `failure`, `dead` or `superseded`.

    `seconds` is None where no message was sent, and `alert` where the delivery was superseded or no news of it.
    """

    target: str
    status: str
    seconds: float | None
    alert: Outgoing | None


class TargetsTakenUp(msgspec.Struct, frozen=True):
    """`Publisher` says it when it has taken up targets: `specs` are all there are, broken ones with their fault."""

    specs: Sequence[TargetSpec]


class RoutesChanged(msgspec.Struct, frozen=True):
    """`Service` says it when its source of routes has new ones."""

    routes: Routes


class ModeTakenUp(msgspec.Struct, frozen=True):
    """`Modes` says it when this replica begins with a mode, and when it takes up another."""

    mode: Mode


class ModeSwitched(msgspec.Struct, frozen=True):
    """`Modes` says it when the mode was switched by a request to this replica, after `ModeTakenUp`."""

    was: Mode
    now: Mode


class WordHeard(msgspec.Struct, frozen=True):
    """`Service` says it when a replica, this one too, has called out a word; other releases may have other words."""

    word: str


Event = (
    CommitEnded
    | ReceiptKept
    | DeliveriesDue
    | Classified
    | AttemptEnded
    | TargetsTakenUp
    | RoutesChanged
    | ModeTakenUp
    | ModeSwitched
    | WordHeard
)

E = TypeVar("E", bound=Event)


# --- who listens ------------------------------------------------------------------------------------------------------


class Listeners(NamedTuple):
    """All listeners. `calls` is None where replicas have no way to call out to each other."""

    commit_metrics: "CommitMetrics"
    publishing_metrics: "PublishingMetrics"
    enrichment_metrics: "EnrichmentMetrics"
    watchdog: "Watchdog"
    groups: "Groups"
    witnesses: "KnownWitnesses"
    router: "Router"
    publisher: "Publisher"
    arrivals: "Arrivals"
    enrichment: "Enrichment"
    modes: "Modes"
    targets: "AwaitedTargets"
    calls: "Calls | None"


def connect(board: "Switchboard", to: Listeners) -> None:
    """Join each listener to its events, in the order in which listeners hear them."""
    _connect_ingest(board, to)
    board.join(Classified, lambda _: to.publisher.wake())
    board.join(AttemptEnded, lambda event: to.publishing_metrics.attempted(event.target, event.status, event.seconds))
    board.join(AttemptEnded, lambda event: to.enrichment_metrics.attempted(event.status, event.alert))
    board.join(TargetsTakenUp, lambda _: to.targets.have_come())
    board.join(TargetsTakenUp, lambda event: to.publishing_metrics.discovered(event.specs))
    board.join(RoutesChanged, lambda event: to.router.take_up_routes(event.routes))
    board.join(ModeTakenUp, lambda event: to.arrivals.take_up_mode(event.mode))
    board.join(ModeTakenUp, lambda event: to.enrichment_metrics.mode_is(event.mode))
    board.join(ModeSwitched, lambda event: to.enrichment_metrics.switched(event.was, event.now))
    board.join(WordHeard, _at("mode", to.modes.look))
    board.join(WordHeard, _at("classified", to.enrichment.look))
    board.join(WordHeard, _at("classified", to.publisher.wake))
    if (calls := to.calls) is not None:
        board.join(Classified, lambda _: calls.send("classified"))
        board.join(ModeSwitched, lambda _: calls.send("mode"))


def _connect_ingest(board: "Switchboard", to: Listeners) -> None:
    """Join the listeners of events that happen once a batch, or once a receipt."""
    board.join(CommitEnded, to.commit_metrics.committed)
    board.join(ReceiptKept, lambda event: to.watchdog.heard(event.receipt.group.source, event.receipt.received_at))
    board.join(ReceiptKept, lambda event: to.groups.heard(event.receipt))
    board.join(ReceiptKept, lambda event: to.witnesses.heard(event.receipt))
    board.join(DeliveriesDue, lambda event: to.publisher.wake(event.targets))
    board.join(DeliveriesDue, lambda _: to.enrichment.wake())


def _at(word: Word, act: Callable[[], None]) -> Callable[[WordHeard], None]:
    """A listener that acts when it hears this word."""

    def listen(event: WordHeard) -> None:
        if event.word == word:
            act()

    return listen


# --- the switchboard --------------------------------------------------------------------------------------------------


class Switchboard:
    """Passes events on. Speakers and listeners know only the events; mypy holds each listener to its kind of event."""

    def __init__(self) -> None:
        self._listeners: dict[type, list[Callable[[Any], None]]] = defaultdict(list)  # `join` has checked the pairs

    def join(self, kind: type[E], listener: Callable[[E], None]) -> None:
        """From now on `listener` hears every event of this kind, after the listeners that joined before."""
        self._listeners[kind].append(listener)

    def say(self, event: Event) -> None:
        """Let all listeners hear an event. Never raises: a listener that fails is logged, and the next hears it.

        The event has happened, even where a listener fails: the room that speaks and the other listeners go on.
        """
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:  # noqa: BLE001  # see above
                _log.exception("listener_failed", happening=type(event).__name__)
