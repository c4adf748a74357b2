"""Late ends: which occurrences may have fired longer than they show. Kept with the events that tell of the ends."""

from collections.abc import Iterable

import msgspec
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.firing_spans import LateEnd
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import late_ends

_KEEP = insert(late_ends).on_conflict_do_nothing()


async def keep_late_ends(session: Session, ends: Iterable[LateEnd]) -> None:
    """Keep late ends; of one that is known nothing changes."""
    rows = [msgspec.structs.asdict(end) for end in ends]
    if rows:
        await session.execute_many(_KEEP, rows)
