"""What sets a store's history right: by what fires elsewhere, and by what is kept of older releases."""

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
    """A label set of which two senders contradicted each other, last at `at`."""

    occurrence_id: str
    labels: dict[str, str]
    at: datetime


class Reconciling(Protocol):
    """Each write is one short transaction; of what somebody else changed meanwhile, the later word counts."""

    def read_open(self) -> AsyncIterator[list[OpenLabelSet]]:
        """All label sets with an open occurrence and a standing, in bounded pages; no order is promised."""
        ...

    async def confirm(self, signs: Sequence[Sign]) -> None:
        """Write down plain signs. One whose occurrence is held by another claim by now, or is busy, is left out."""
        ...

    async def answer(
        self,
        answers: Mapping[str, Sequence[Answer]],
        now: datetime,
        *,
        witnesses: Witnesses,
        is_dry_run: bool = False,
    ) -> list[Decision]:
        """Take the answers about each label set, by the fingerprint with its scope; what they came to.

        A dry run decides and writes nothing.
        """
        ...

    async def keep_silences(self, silences: Sequence[Silence]) -> None:
        """Keep these silences, unless something later is kept of them."""
        ...

    async def take_turn(self, holder: str, now: datetime, *, lasts: timedelta) -> bool:
        """Whether it is this process that asks, from now on for so long: nobody else holds the turn."""
        ...

    async def repair(self, now: datetime, *, after: str = "", limit: int = 100, is_dry_run: bool) -> list[Decision]:
        """Give some open occurrences that have none a standing; what it came to, in the order of their fingerprints.

        `after` is the last fingerprint of the step before. None left: an empty list. A dry run writes nothing.
        """
        ...

    async def conflicts(self, since: datetime, *, limit: int) -> list[Conflict]:
        """Label sets in conflict since then, the latest first."""
        ...
