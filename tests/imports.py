"""What tests of origins of imports share: a request, and all that an origin makes of it."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from alert_history.domain.alert import Silence
from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.origins.imports.registry import find_origin
from alert_history.ports.past_origins import ImportRequest

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class Past(NamedTuple):
    """All that an origin gave, and how far it said that it was, batch by batch."""

    firings: list[PastFiring]
    refused: list[RefusedRow]
    silences: list[Silence]
    done: list[float | None]

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Where each refused row stands, and why it was refused."""
        return [(row.place, row.reason) for row in self.refused]

    @property
    def named(self) -> list[str]:
        """The names of the alerts that were taken."""
        return [firing.labels["alertname"] for firing in self.firings]


async def read_past(
    name: str, *, start: datetime | None = None, end: datetime | None = None, **given: str | Path | Sequence[str | Path]
) -> Past:
    """All that an origin makes of some options; `_` stands for `-` in their names."""
    options = {
        option.replace("_", "-"): tuple(map(str, [value] if isinstance(value, str | Path) else value))
        for option, value in given.items()
    }
    request = ImportRequest(options, NOW, start, end)
    past = Past([], [], [], [])
    async with aclosing(find_origin(name).read(request)) as batches:  # type: ignore[type-var]  # a generator
        async for batch in batches:
            past.firings.extend(batch.firings)
            past.refused.extend(batch.refused)
            past.silences.extend(batch.silences)
            past.done.append(batch.done)
    return past
