"""A delivery: one event for one target. Its states, and when a worker tries it again."""

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from alert_history.domain.occurrence import ENDINGS, EventKind
from alert_history.domain.target import Outgoing

State = Literal["pending", "leased", "delivered", "superseded", "dead"]
"""`outbox.py` of each database says which delivery a newer one supersedes; one withheld is `superseded`, too."""

Fate = Literal["not_told", "held", "pending", "leased", "delivered", "withheld", "superseded", "dead", "unknown"]
"""What became of an event at a target, in one word; `engine.ledger.LedgerLine` says what each means."""

FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=10)
GIVES_UP_AFTER = timedelta(hours=24)
FEWEST_ATTEMPTS = 30  # two hours of them, about
MAX_LOGGED_ATTEMPTS = 20

TOLD_EVENTS: frozenset[EventKind] = ENDINGS | {"fired", "refired", "published", "annotations_changed"}
"""Events that are news, of which targets are notified; the other events are notes about an alert."""


class Leased(msgspec.Struct, frozen=True):
    """A delivery this process may make until `lease_until`. `attempt` counts from 1.

    `lease_until` is a time of the database's clock. It tells this lease from a later one of the same delivery, and is
    not to be compared with the clock of a process.
    `was_told`: the target took an earlier delivery of the same occurrence.
    """

    id: str
    target: str
    attempt: int
    created_at: datetime
    lease_until: datetime
    alert: Outgoing
    was_told: bool = False


class Attempt(msgspec.Struct, frozen=True):
    """The result of one try: `outcome` is delivered, retried, dead, handed_back or withheld."""

    at: datetime
    outcome: str
    reason: str
    milliseconds: int


class Settlement(msgspec.Struct, frozen=True):
    """What becomes of a leased delivery. `due_at` is set for a delivery that goes back to `pending`."""

    id: str
    state: Literal["pending", "delivered", "superseded", "dead"]
    attempt: Attempt
    due_at: datetime | None = None
    external_id: str | None = None


class Awaited(msgspec.Struct, frozen=True):
    """The classification of the alert's shape, which goes out with the deliveries of an event.

    Deliveries wait for the classification until `until`, if it is set; then they go without. `unenriched` says why
    deliveries do not wait although the shape is unknown.
    """

    shape: str
    until: datetime | None = None
    unenriched: str | None = None


class Routing(msgspec.Struct, frozen=True, rename={"targets": "told", "left_out": "not_told"}):
    """The targets that are notified of an event, and why the others are left out (target → reason).

    `routes` holds the route by which a target is notified, `due_at` from when on (absent: at once). `reason` says why
    no target is notified, where that is about no single target. A routing is the decision of that time; deliveries are
    what became of the decision.
    """

    targets: tuple[str, ...]
    left_out: dict[str, str]
    awaits: Awaited | None = None
    routes: dict[str, str] = {}
    due_at: dict[str, datetime] = {}
    reason: str | None = None

    def on_record(self) -> dict[str, Any]:
        """The routing as the event keeps it: without empty parts, except `told` and `not_told`, which always stand."""
        rest = {"routes": self.routes, "due_at": self.due_at, "reason": self.reason}
        return {"told": self.targets, "not_told": self.left_out} | {name: part for name, part in rest.items() if part}


def retry_at(now: datetime, *, attempt: int, randomness: float, at_least: float | None = None) -> datetime:
    """When to try again: exponential with full jitter (`randomness` in [0, 1)), never before `at_least` seconds."""
    ceiling = min(FIRST_RETRY * (1 << min(attempt - 1, 20)), LONGEST_RETRY)
    wait = ceiling * randomness
    if at_least is not None:
        wait = max(wait, timedelta(seconds=at_least))
    return now + wait


def is_given_up(now: datetime, *, created_at: datetime, attempt: int) -> bool:
    """Whether a delivery has been tried for so long that no target wants it any more.

    A delivery that waited over a weekend of quiet hours, or while this service was down, is old at its first attempt
    and deserves others.
    """
    return now - created_at >= GIVES_UP_AFTER and attempt >= FEWEST_ATTEMPTS
