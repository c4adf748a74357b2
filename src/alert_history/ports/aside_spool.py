"""What of an import goes to an archive, on its way there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from alert_history.domain.archive_tables import Row
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.setting_aside import Aside, Held, Leaving


class AsideSpool(Protocol):
    """What goes to an archive, sorted by day, and what the archive holds, sorted by label set; for one import.

    Its calls take long, so they run in a thread. Raises OSError where the disk is full.
    """

    def hold(self, held: Sequence[Held]) -> None:
        """Remember what the archive holds of the label sets of the import."""
        ...

    def held(self, groups: Sequence[Sequence[PastFiring]]) -> dict[str, list[Held]]:
        """What the archive holds around the firings of label sets."""
        ...

    def put(self, aside: Aside) -> None:
        """Set rows aside; the archive holds them from now on."""
        ...

    def days(self) -> tuple[datetime, datetime] | None:
        """The first and the last time under which an occurrence that was set aside is filed; None without any."""
        ...

    def leaving(self, limit: int) -> list[Leaving]:
        """The next occurrences, oldest first; none at the end."""
        ...

    def acts(self, limit: int) -> list[Row]:
        """The next acts, oldest first; none at the end."""
        ...
