"""SQLite: a batch without surprises as an order for the process that writes, with the ids of its occurrences."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import Key, Sighting
from alert_history.domain.receipt import Receipt
from alert_history.storage.shared.foreseen import Foreseen
from alert_history.storage.shared.rows import news_rows
from alert_history.storage.sqlite import rows as sql
from alert_history.storage.sqlite.writer_main import Order

_MOST_AHEAD = 900 * sql.IDS_A_MICROSECOND
"""How far an id may run ahead of its time: reads know of a millisecond."""


class Ids:
    """Gives ids without asking the file. An id that is taken already is refused there, as a surprise."""

    def __init__(self) -> None:
        self._highest = -1

    def take(self, times: Sequence[datetime]) -> list[int] | None:
        """An id for an occurrence of each `timestamp`, above all ids before; None where time went back."""
        ids: list[int] = []
        highest = self._highest
        for time in times:
            lowest = to_us(time) * sql.IDS_A_MICROSECOND
            highest = max(highest + 1, lowest)
            if highest - lowest > _MOST_AHEAD:
                return None
            ids.append(highest)
        self._highest = highest
        return ids


def order_of(
    foreseen: Foreseen,
    groups: Mapping[str, Sequence[Sighting]],
    *,
    ids: Mapping[Key, int],
    receipts: Sequence[Receipt],
    bodies: Mapping[tuple[int, bytes], bytes],
) -> Order:
    """The rows of a batch."""
    changes = foreseen.changes(groups)
    entries = [(entry, entry.first) for d in foreseen.begun for entry in d.entries.values()]
    return Order(
        standings=[sql.standing_row(d.fingerprint, d.standing) for d in foreseen.begun],
        repeats=[sql.plain_repeats(seen, groups[f]) for f, seen in foreseen.plain.items()],
        alerts=[
            sql.alert_row(ids[first.alert.fingerprint, entry.starts_at], first, entry)
            for entry, first in entries
            if first is not None
        ],
        events=[sql.event_row(ids[event.fingerprint, event.starts_at], event) for event in foreseen.events],
        queue=list(map(sql.queue_row, foreseen.queue)),
        receipts=[sql.receipt_row(*pair) for pair in zip(receipts, foreseen.outcomes, strict=True)],
        bodies=[(*key, body) for key, body in bodies.items()],
        changes=[] if changes is None else [(changes,)],
        news=news_rows(foreseen.events),
    )
