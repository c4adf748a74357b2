"""What tests of imports share: reading all that an origin remembers, within bounds."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.ports.past_origins import ImportRequest, PastOrigin

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MAX_BATCH = 5_000


class Past(msgspec.Struct):
    """All that an origin gave. `done` has each share in the order of the batches."""

    firings: list[PastFiring] = []
    refused: list[RefusedRow] = []
    done: list[float] = []

    def of(self, alertname: str) -> list[PastFiring]:
        """The firings of one alertname, by their starts."""
        firings = [firing for firing in self.firings if firing.labels.get("alertname") == alertname]
        return sorted(firings, key=lambda firing: firing.starts_at)


async def read_past(
    origin: PastOrigin,
    given: Mapping[str, str],
    *,
    now: datetime = NOW,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Past:
    """All batches of an origin in one; no batch is large, and the share that is done only grows."""
    request = ImportRequest({name: (value,) for name, value in given.items()}, now, start, end)
    past = Past()
    async for batch in origin.read(request):
        assert len(batch.firings) + len(batch.refused) <= MAX_BATCH
        past.firings += batch.firings
        past.refused += batch.refused
        if batch.done is not None:
            past.done.append(batch.done)
    assert past.done == sorted(past.done), past.done
    assert all(0 <= share <= 1 for share in past.done), past.done
    return past


def at(text: str) -> datetime:
    """A time of 2026-02, as `14 10:00:00.250`, or any time as ISO 8601."""
    return datetime.fromisoformat(text if "T" in text else f"2026-02-{text.replace(' ', 'T')}+00:00")
