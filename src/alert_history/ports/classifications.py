"""What alerts mean: who says it, and where it is kept."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.accuracy import Accuracy
from alert_history.domain.classification import Case, KeptVerdict, Past, Usage, Verdict
from alert_history.domain.severity import Severity
from alert_history.errors import Retryable


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


Allowance = Callable[[Spent, Spent, int, Sequence[int], datetime], Retryable | None]
"""Whether another call is within the budget: used in the last minute, used today (UTC), its cases, the cases of each
call that is under way, now. The refusal if it is not."""


class ClassifiedCount(msgspec.Struct, frozen=True):
    """How many shapes were classified so by a model."""

    model: str
    severity: Severity
    count: int


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


class ClassificationHistory(Protocol):
    """What was said of alerts before, and what is known of one. Every call may raise StorageUnavailable."""

    async def history(self, shape: str, *, limit: int) -> list[KeptVerdict]:
        """All that was ever said of a shape, newest first."""
        ...

    async def recent(self, *, limit: int, severity: Severity | None) -> list[KeptVerdict]:
        """The newest word on each shape, newest first; only those of one severity, if it is given."""
        ...

    async def counts(self, *, since: datetime, until: datetime) -> list[ClassifiedCount]:
        """How many were classified how."""
        ...

    async def accuracy(self, *, since: datetime, until: datetime) -> list[Accuracy]:
        """How often people agreed, by day and model, oldest first."""
        ...

    async def past(self, case: Case) -> Past:
        """What the history knows of an alert, at most a few ms of work however long it is."""
        ...


class Spending(Protocol):
    """What classifying took, all replicas together. Every call may raise StorageUnavailable."""

    async def spent(self, *, since: datetime) -> Spent:
        """What was used since then."""
        ...

    async def keep_unusable(self, usage: Usage, *, model: str, now: datetime) -> None:
        """Count what answers took that could not be used: it is spent all the same."""
        ...


class Enricher(Protocol):
    """Who classifies: a model behind a proxy, or rules."""

    name: str
    """Of the model, as metrics and messages show it."""

    most_cases: int
    """How many cases it takes in one call."""

    most_of_a_rule: int | None
    """How many shapes of one alertname it is asked about in five minutes; None where asking costs nothing."""

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
