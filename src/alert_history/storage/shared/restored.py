"""What rows that come back from an archive, or leave for one, mean for the numbers.

Numbers stay when their rows are removed. So a row that comes back is counted only if it was never counted here: because
it is from another database, or from the time before there were numbers. Then its day is whole.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from types import SimpleNamespace

from alert_history.domain.archive_tables import ALERTS, DELIVERIES, Entry, Shape
from alert_history.domain.counting import new_changes
from alert_history.domain.tally import OUTCOMES
from alert_history.storage.shared.counting_anew import counted_of
from alert_history.storage.shared.dropped import note_dropped, read_whole_from
from alert_history.storage.shared.rollup_log import add_changes, add_settled
from alert_history.storage.shared.session import Session

_AGES = {ALERTS.name: "last_received_at", DELIVERIES.name: "created_at"}


async def note_taken_out(session: Session, shape: Shape, entries: Sequence[Entry]) -> None:
    """Note, in the transaction that removes these rows, that their days can't be counted anew."""
    if entries and shape.name in _AGES:
        place = shape.places[_AGES[shape.name]]
        await note_dropped(session, max(entry.row[place] for entry in entries))


async def count_restored(session: Session, shape: Shape, entries: Sequence[Entry]) -> None:
    """Count rows, in the transaction that brings them back, of which no number tells yet."""
    if not entries or shape.name not in _AGES:
        return
    whole_from = await read_whole_from(session)
    if shape is ALERTS:
        await add_changes(session, _changes(entries, whole_from))
    else:
        await add_settled(session, _settled(entries, whole_from))


def _changes(entries: Iterable[Entry], whole_from: date | None) -> bytes | None:
    rows = [SimpleNamespace(**dict(zip(ALERTS.places, entry.row, strict=True))) for entry in entries]
    new = [row for row in rows if row.joined_into is None and _is_whole(row.timestamp, whole_from)]
    return new_changes((counted_of(row), row.repeat_count, row.labels) for row in new)


def _settled(entries: Iterable[Entry], whole_from: date | None) -> Counter[tuple[str, str, datetime]]:
    """How many deliveries were settled, by target, outcome and time."""
    counts: Counter[tuple[str, str, datetime]] = Counter()
    for entry in entries:
        target, state, settled_at, created_at = DELIVERIES.values(
            entry.row, ("target", "state", "settled_at", "created_at")
        )
        at = settled_at or created_at
        if state in OUTCOMES and _is_whole(at, whole_from):
            counts[target, state, at] += 1
    return counts


def _is_whole(time: datetime, whole_from: date | None) -> bool:
    return whole_from is None or time.astimezone(UTC).date() >= whole_from
