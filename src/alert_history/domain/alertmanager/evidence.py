"""What is on record of what an Alertmanager did about an occurrence: its own words, and webhooks that it sent to us.

Holds the values. What follows from a configuration is no evidence: `explanation` sets both beside each other.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.alertmanager.outcome import Muting


class Notice(msgspec.Struct, frozen=True):
    """An Alertmanager notified a receiver, or left the occurrence out of a notification because it was muted.

    `is_ours`: the notification came to us. `cluster` is empty where it is not known which Alertmanager that was.
    """

    at: datetime
    receiver: str
    role: Literal["firing", "resolved", "muted"] = "firing"
    integration: str = ""
    instance: str = ""
    cluster: str = ""
    group_key: str = ""
    is_ours: bool = False


class SaidMuting(msgspec.Struct, frozen=True):
    """An Alertmanager said at `at` what mutes the occurrence; `lifted_at` is when it was seen not to any more."""

    at: datetime
    muting: Muting
    instance: str = ""
    cluster: str = ""
    lifted_at: datetime | None = None


class Evidence(msgspec.Struct, frozen=True):
    """All of it, oldest first. `groups` are receivers into whose groups it was put, with the time.

    `is_recorded`: an Alertmanager that says by itself whom it notifies said something of the occurrence.
    """

    notices: Sequence[Notice] = ()
    mutings: Sequence[SaidMuting] = ()
    groups: Sequence[tuple[str, datetime]] = ()
    is_recorded: bool = False

    def of(self, receiver: str, role: Literal["firing", "resolved", "muted"] = "firing") -> Notice | None:
        """The first notice of a receiver in this role."""
        return next((each for each in self.notices if (each.receiver, each.role) == (receiver, role)), None)

    def muting_at(self, at: datetime) -> SaidMuting | None:
        """What was said to mute it at that time; the last word."""
        mutings = [each for each in self.mutings if each.at <= at and (each.lifted_at is None or each.lifted_at > at)]
        mutings = [each for each in mutings if each.muting.until is None or each.muting.until > at]
        return mutings[-1] if mutings else None
