"""What the classification of a leased delivery means, alike on both databases.

Must not decide who is notified: that is the matter of `domain.notifying`.
"""

from typing import Any

import msgspec

from alert_history.domain.classification import Verdict
from alert_history.domain.notifying import AWAITED, NOT_IN_TIME


def meaning(verdict: str | None, enrichment: str | None) -> dict[str, Any]:
    """The fields of `Outgoing` that a leased delivery's classification fills."""
    if verdict is not None:
        return {"classification": msgspec.json.decode(verdict, type=Verdict).classification}
    if enrichment == AWAITED:
        return {"unenriched": NOT_IN_TIME}
    return {"unenriched": enrichment}
