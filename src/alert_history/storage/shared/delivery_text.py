"""What both stores say alike of deliveries: what a leased one means, and whose target never heard what an alert means.

Must not decide who is notified: that is the matter of `domain.notifying`.
"""

from typing import Any

import msgspec

from alert_history.domain.classification import Verdict
from alert_history.domain.notifying import AWAITED, NOT_IN_TIME

MOST_UNANSWERED = 5_000
UNANSWERED_COLUMNS = "fingerprint, starts_at, target, event, state, shape"
IS_UNANSWERED = """d.shape IS NULL AND d.event IN ('fired', 'refired', 'published', 'annotations_changed')
    AND d.state IN ('pending', 'leased', 'delivered')""" + "".join(
    f""" AND NOT EXISTS (SELECT 1 FROM {table} c WHERE c.starts_at = d.starts_at AND c.fingerprint = d.fingerprint
        AND c.target = d.target AND c.event = 'classified' LIMIT 1 OFFSET 0)"""
    for table in ("deliveries", "delivery_queue")
)
"""Of a delivery `d` that may still be made, or was: its target never hears what the alert means.

With an OFFSET no join is made of it, so PostgreSQL looks up by the alert, whatever it believes of the tables' sizes.
"""


def meaning(verdict: str | None, enrichment: str | None) -> dict[str, Any]:
    """The fields of `Outgoing` that a leased delivery's classification fills."""
    if verdict is not None:
        return {"classification": msgspec.json.decode(verdict, type=Verdict).classification}
    if enrichment == AWAITED:
        return {"unenriched": NOT_IN_TIME}
    return {"unenriched": enrichment}
