"""Time passes for all that is claimed, at once."""

from collections.abc import Mapping
from datetime import datetime

from alert_history.ports import Standings

_LIMIT = 200


async def pass_all(standings: Standings, now: datetime, *, stale_after: Mapping[str, int] | None = None) -> int:
    """Look at all that lapsed or went stale by now; how many looks."""
    total = 0
    while looks := await standings.let_pass(now, stale_after=stale_after or {}, limit=_LIMIT):
        total += looks
        if looks < _LIMIT:
            break
    return total
