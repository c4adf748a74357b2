"""What alerts mean: who classifies them, and where a store keeps the classifications."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from alert_history.domain.accuracy import Accuracy
from alert_history.domain.classification import Case, KeptVerdict, Past, Usage, Verdict
from alert_history.domain.severity import Severity
from alert_history.errors import Retryable


class Unanswered(msgspec.Struct, frozen=True):
    """A target that was notified of an alert without its classification, while the alert still fires."""

    fingerprint: str
    starts_at: datetime
    target: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Spent(msgspec.Struct, frozen=True):
    """What all replicas together spent in a span, on classifications and on unusable answers."""

    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0


Allowance = Callable[[Spent, Spent, int, Sequence[int], datetime], Retryable | None]
"""Decides whether the budget allows another call; returns the refusal, or None.

The arguments: spent in the last minute, spent today (UTC), the cases of the call, the cases of each call that is under
way, now."""


class ClassifiedCount(msgspec.Struct, frozen=True):
    """How many shapes a model classified with this severity."""

    model: str
    severity: Severity
    count: int


class Classifications(Protocol):
    """Classifications by shape, and deliveries that wait for them. Every call may raise StorageUnavailable."""

    async def newest(self, shapes: Sequence[str], *, since: datetime) -> dict[str, KeptVerdict]:
        """The newest verdict on each shape: since `since`, or of any age where a person gave it."""
        ...

    async def claim(self, shapes: Sequence[str], *, owner: str, lasts: timedelta) -> list[str]:
        """The shapes that this owner alone may ask about for so long. Other owners ask about the rest.

        The store's clock says how long that is, so the clocks of owners need not agree.
        """
        ...

    async def keep(self, verdicts: Sequence[KeptVerdict], *, now: datetime) -> int:
        """Keep verdicts, end their claims and let waiting deliveries go, in one transaction; returns how many went."""
        ...

    async def let_go(self, shapes: Sequence[str], *, unenriched: str | None, now: datetime) -> int:
        """Let the deliveries go that wait for these shapes, and end the claims; returns how many went.

        `unenriched` says why deliveries go without a classification; None: a classification is known by now.
        """
        ...

    async def follow_up(
        self, verdict: KeptVerdict, *, targets: Sequence[tuple[str, datetime, str]], now: datetime
    ) -> int:
        """Notify targets of what their alert means (fingerprint, start, target), with a `classified` event.

        Replicas that do the same at once notify each target once. A target that knows an equally new classification is
        passed over.
        """
        ...

    async def unanswered(self, *, since: datetime) -> list[Unanswered]:
        """Targets that were notified since then without a shape, from the newest 5 000 of each kind of delivery."""
        ...


class ClassificationHistory(Protocol):
    """Earlier classifications, and what is known of an alert. Every call may raise StorageUnavailable."""

    async def history(self, shape: str, *, limit: int) -> list[KeptVerdict]:
        """All verdicts on a shape, newest first."""
        ...

    async def recent(self, *, limit: int, severity: Severity | None) -> list[KeptVerdict]:
        """The newest verdict on each shape, newest first; `severity` narrows them to one severity."""
        ...

    async def counts(self, *, since: datetime, until: datetime) -> list[ClassifiedCount]:
        """How many shapes each model gave each severity."""
        ...

    async def accuracy(self, *, since: datetime, until: datetime) -> list[Accuracy]:
        """How often people agreed with each model, by day, oldest first."""
        ...

    async def past(self, case: Case) -> Past:
        """What the history knows of an alert; takes a few milliseconds, however long the history is."""
        ...


class Spending(Protocol):
    """What classifying costs all replicas together. Every call may raise StorageUnavailable."""

    async def spent(self, *, since: datetime) -> Spent:
        """What was spent since then."""
        ...

    async def keep_unusable(self, usage: Usage, *, model: str, now: datetime) -> None:
        """Count what unusable answers cost: the money is spent all the same."""
        ...


class Enricher(Protocol):
    """What classifies alerts: a model behind a proxy, or rules."""

    name: str
    """The name of the model, as metrics and messages show it."""

    most_cases: int
    """How many cases one call takes."""

    most_of_a_rule: int | None
    """How many shapes of one alertname a call may ask about in five minutes; None where asking costs nothing."""

    async def classify(self, cases: Sequence[Case]) -> list[Verdict | None]:
        """One verdict for each case, in order, or None. Makes one attempt.

        Raises:
            Retryable: the model can't be reached, is too slow, or is over its rate.
            Rejected: the model refuses the cases, or its answer makes no sense.
        """
        ...

    async def offered(self) -> list[str] | None:
        """The names of the models that the proxy offers; None where no proxy lists models.

        Raises: Retryable, Rejected.
        """
        ...

    def take_unusable(self) -> Usage:
        """What unusable answers cost since the last call of this method."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
