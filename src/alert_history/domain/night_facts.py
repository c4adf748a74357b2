"""The facts from which the report of a night is made: what was open in it, what muted it, who was not notified.

Holds values only. `domain.night` says what they come to.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.acts import Act
from alert_history.domain.alert import Silence
from alert_history.domain.episode import Episode
from alert_history.domain.night_span import NightSpan


class Muting(msgspec.Struct, frozen=True, gc=False):
    """That an Alertmanager muted an occurrence. `by` names the silence, or the alerts that inhibit it.

    `created_by`, `comment` and `ends_at` are those of the silence, as far as they were told.
    """

    kind: Literal["silenced", "inhibited"]
    by: str
    created_by: str = ""
    comment: str = ""
    ends_at: datetime | None = None


class NightOccurrence(msgspec.Struct, frozen=True, gc=False):
    """One occurrence that was open in the night.

    `unconfirmed` is why no sender confirms now that it fires; None where one does, or where it is over. `mutings` are
    those in force in the night. `unnotified` is why no target was notified of its beginning; None where one was.
    `is_published` is false where it was sent to be recorded only.
    """

    episode: Episode
    unconfirmed: str | None = None
    mutings: tuple[Muting, ...] = ()
    unnotified: str | None = None
    is_published: bool = True


class FailedDelivery(msgspec.Struct, frozen=True, gc=False):
    """A delivery that was given up at `at`, or, where `is_dead` is false, that failed and is tried again.

    `reason` is that of the last attempt; `alertname` and `severity` are empty where the occurrence is gone.
    """

    target: str
    is_dead: bool
    occurrence_id: str
    alertname: str
    severity: str
    at: datetime
    reason: str


class NightFacts(msgspec.Struct, frozen=True):
    """All facts of a night, read at `now`.

    `began` are the occurrences first received in the night, `before` those received earlier and open in it.
    `last_seen` has the alertnames that are not new, each with when one was last received before the night; None where
    that was not looked up.
    `new_fingerprints` were never seen before; of those that were looked up. `silences` are those that muted something,
    by id, as they stand now; `silences_ahead` those in force at the end of the night, the first to end first.
    `acts` are what people did in the night, and `takers` who acknowledged, by the id of the occurrence.
    `left_out` names what is not among these facts.
    """

    span: NightSpan
    now: datetime
    began: Sequence[NightOccurrence] = ()
    before: Sequence[NightOccurrence] = ()
    last_seen: Mapping[str, datetime | None] = {}
    new_fingerprints: frozenset[str] = frozenset()
    failures: Sequence[FailedDelivery] = ()
    silences: Mapping[str, Silence] = {}
    silences_ahead: Sequence[Silence] = ()
    acts: Sequence[Act] = ()
    takers: Mapping[str, Sequence[str]] = {}
    left_out: Sequence[str] = ()
    is_exact: bool = True

    @property
    def is_over(self) -> bool:
        """Whether the night is over."""
        return self.now >= self.span.until

    @property
    def known_until(self) -> datetime:
        """The end of the night; while the night goes on, now."""
        return min(self.span.until, max(self.now, self.span.since))

    def is_open(self, episode: Episode) -> bool:
        """Whether an occurrence is open at the end of the night, or now where the night goes on."""
        return episode.ends_at is None or (self.is_over and episode.ends_at >= self.span.until)
