"""Silences as they are known: copies of those of Alertmanagers, in their latest version."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from alert_history.domain.alert import Silence

SilenceState = Literal["active", "pending", "expired"]


class SilencePage(msgspec.Struct, frozen=True):
    """A page of silences; `next_cursor` is None on the last page."""

    silences: list[Silence]
    next_cursor: str | None


class SilenceCounts(msgspec.Struct, frozen=True):
    """How many silences there are by state, each up to a bound: a higher number means more than the bound.

    `soon` of the active ones end before the time that was asked for.
    """

    active: int
    soon: int
    pending: int
    expired: int


class MutedAlert(msgspec.Struct, frozen=True):
    """An occurrence that a silence muted, the last time at `at`."""

    occurrence_id: str
    alertname: str
    at: datetime


class MutedAlerts(msgspec.Struct, frozen=True):
    """What one silence muted: how many occurrences, and the newest. `number` is a lower bound if not `is_exact`."""

    number: int
    is_exact: bool
    newest: Sequence[MutedAlert]


class Silences(Protocol):
    """The read side of silences; `ports.Reconciling.keep_silences` and the recorder write them.

    A silence that somebody ended early ends then. Every call may raise StorageUnavailable or QueryTimeout.
    """

    async def in_force(self, since: datetime, until: datetime, *, limit: int) -> list[Silence]:
        """Silences in force at some time of `since` ≤ t < `until`, those that end first come first."""
        ...

    async def named(self, ids: Collection[str]) -> list[Silence]:
        """The silences with these ids, as far as they are known, by id."""
        ...

    async def page(
        self,
        state: SilenceState,
        now: datetime,
        *,
        limit: int,
        cursor: str | None = None,
        ends_before: datetime | None = None,
    ) -> SilencePage:
        """A page of the silences in a state: what ends or begins next comes first, of the expired what ended last.

        With `ends_before` only those that end earlier. Raises InvalidQuery for a cursor of another list.
        """
        ...

    async def counts(self, now: datetime, *, soon: datetime) -> SilenceCounts:
        """How many silences there are in each state; of the active ones how many end before `soon`."""
        ...

    async def muted(self, ids: Collection[str], *, newest: int) -> dict[str, MutedAlerts]:
        """What each of these silences muted, as events say, with so many of the newest; a silence without is left out.

        Where several silences muted an alert and a poll alone told of it, the one that lasts longest has it.
        """
        ...
