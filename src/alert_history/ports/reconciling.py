"""What corrects the history of a store: answers of senders, and occurrences that older releases left open."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.correcting import OpenLabelSet, Sign
from alert_history.domain.decision import Decision
from alert_history.domain.reconciling import Answer
from alert_history.domain.standing import Witnesses


class Conflict(msgspec.Struct, frozen=True):
    """A label set about which two senders contradicted each other, the last time at `at`."""

    occurrence_id: str
    labels: dict[str, str]
    at: datetime


class Reconciling(Protocol):
    """Corrections of the history. Each write is one short transaction.

    Where another writer changed the same meanwhile, the later word counts.
    """

    def read_open(self) -> AsyncIterator[list[OpenLabelSet]]:
        """All label sets with an open occurrence and a standing, in bounded pages; no order is promised."""
        ...

    async def confirm(self, signs: Sequence[Sign]) -> None:
        """Keep plain signs, except where another claim holds the occurrence, or another writer is busy with it."""
        ...

    async def answer(
        self,
        answers: Mapping[str, Sequence[Answer]],
        now: datetime,
        *,
        witnesses: Witnesses,
        is_dry_run: bool = False,
    ) -> list[Decision]:
        """Take the answers about each label set, by the fingerprint with its scope; returns the decisions.

        A dry run decides, and writes nothing.
        """
        ...

    async def keep_silences(self, silences: Sequence[Silence]) -> None:
        """Keep silences. A later version of a silence stays as it is."""
        ...

    async def take_turn(self, holder: str, *, lasts: timedelta) -> bool:
        """Whether this process has the turn to ask, from now on for so long: then no other process has the turn.

        The store's clock says how long that is, so the clocks of processes need not agree. No time at all: the turn of
        this process is over.
        """
        ...

    async def repair(self, now: datetime, *, after: str = "", limit: int = 100, is_dry_run: bool) -> list[Decision]:
        """Give some open occurrences without a standing their standing; returns the decisions, by fingerprint.

        `after` is the last fingerprint of the step before. An empty list: the last step is done. A dry run writes
        nothing.
        """
        ...

    async def conflicts(self, since: datetime, *, limit: int) -> list[Conflict]:
        """Label sets in conflict since then, the latest first."""
        ...
