"""What became of an occurrence at the receivers of an Alertmanager: the values that `explanation` decides.

Holds no words: `outcome_sentence` has them. Our own targets are in `domain.notified_sentence`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

OutcomeKind = Literal[
    "notified",
    "silenced",
    "inhibited",
    "time_muted",
    "waiting",
    "resolved_early",
    "repeated",
    "cut_off",
    "not_routed",
    "no_integration",
    "unreachable",
    "unknown",
]
"""What became of it, in a word that stays.

`waiting`: its group is not due yet. `resolved_early`: it was over before its group was due. `repeated`: its group had
been notified of the same labels before. `cut_off`: its group had more alerts than the receiver takes.
`no_integration`: the receiver notifies nobody. `unreachable`: its Alertmanager did not answer us at that time.
"""

MutingKind = Literal["silenced", "inhibited", "time_muted"]

Basis = Literal["known", "follows", "unknown"]
"""Whether somebody said so who knows, or it follows from the configuration of then, or it can't be known."""


class MutingSilence(msgspec.Struct, frozen=True):
    """A silence that matches the occurrence. `ends_at` is None where that is not on record."""

    id: str
    created_by: str
    comment: str
    starts_at: datetime
    ends_at: datetime | None


class InhibitingAlert(msgspec.Struct, frozen=True):
    """An alert that inhibits the occurrence through a rule, which is written as its matchers.

    `ends_at` is None while it fires. `is_named` is false where who asks may not see it. `labels` are empty where only
    its fingerprint is known.
    """

    fingerprint: str
    labels: Mapping[str, str]
    rule: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    is_named: bool = True


class Muting(msgspec.Struct, frozen=True):
    """What mutes the occurrence at a moment: at least one of the three. `until` is when all of it ended, if known."""

    silences: Sequence[MutingSilence] = ()
    inhibitors: Sequence[InhibitingAlert] = ()
    intervals: Sequence[str] = ()
    until: datetime | None = None

    @property
    def kind(self) -> MutingKind:
        """The first of them that Alertmanager asks about: inhibition, then time intervals, then silences."""
        if self.inhibitors:
            return "inhibited"
        return "time_muted" if self.intervals else "silenced"


class Counterfactual(msgspec.Struct, frozen=True):
    """Without `without` the receiver would have been notified at `at`; None: it would not have been, either."""

    without: Muting
    at: datetime | None


class Look(msgspec.Struct, frozen=True):
    """A time at which the group of the occurrence was due, and what muted the occurrence then; None: nothing did."""

    at: datetime
    muting: Muting | None = None


class ReceiverOutcome(msgspec.Struct, frozen=True):
    """What became of an occurrence at one receiver of one Alertmanager.

    `at` is when it was notified, `after` how long after it began to fire. `until` is when what `kind` says is over: its
    group is due, or what mutes it ends. `due_at` is when its group was due first. `route` is the key of the route that
    decides, `group` has the labels of its group there, `looks` are the times at which the group was due, where
    something changed. `end_at` is when the receiver was notified of its end, `ended_at` when it was over,
    `end_muting` what muted it then; `sends_end`: the receiver is to be notified of ends. `is_assumed`:
    it is not on record that this Alertmanager received the alert. `is_at_latest`: `at` may have been earlier. `reason`
    says what `unknown` and `unreachable` come from. `source` is who says it, where that is known. `group_wait` is that
    of the route. Without a `receiver` it is about those that nothing is on record of; `is_rest`: beside others.
    """

    receiver: str
    cluster: str
    kind: OutcomeKind
    basis: Basis
    at: datetime | None = None
    after: timedelta | None = None
    until: datetime | None = None
    due_at: datetime | None = None
    end_at: datetime | None = None
    ended_at: datetime | None = None
    end_muting: Muting | None = None
    sends_end: bool = True
    route: str = ""
    group: Mapping[str, str] = {}
    group_wait: timedelta = timedelta()
    integrations: Sequence[str] = ()
    muting: Muting | None = None
    counterfactuals: Sequence[Counterfactual] = ()
    looks: Sequence[Look] = ()
    is_assumed: bool = False
    is_at_latest: bool = False
    is_rest: bool = False
    reason: str = ""
    source: str = ""
    connect: str = ""
