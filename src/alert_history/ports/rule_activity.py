"""What rules did, minute by minute, for whoever judges them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from alert_history.domain.activity import Activity


class RuleActivities(Protocol):
    """The activity of rules. Every call may raise StorageUnavailable or QueryTimeout."""

    async def activities(self, rules: Sequence[str], *, first_day: int) -> Mapping[str, Activity]:
        """The activity of these rules on a day (since 1970, UTC) and later; all numbers are as of one moment.

        What is not added up yet is in it. A rule of which nothing is known has nothing.
        """
        ...
