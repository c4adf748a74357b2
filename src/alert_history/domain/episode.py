"""An episode: one occurrence as the analysis sees it: who fired, from when to when, and how its end is known."""

from datetime import datetime

import msgspec

from alert_history.domain.standing import EndedBy


class Episode(msgspec.Struct, frozen=True, gc=False):
    """One occurrence. Times are aware UTC.

    `id` is that of the HTTP API. `fingerprint` has its scope. `received_at` is when it was first received, by which
    history is searched and counted. `ends_at` is None while it fires, and so is `ended_by`. `repeats` are the messages
    that changed nothing.
    """

    id: str
    fingerprint: str
    alertname: str
    severity: str
    namespace: str
    starts_at: datetime
    ends_at: datetime | None
    received_at: datetime
    ended_by: EndedBy | None = None
    repeats: int = 0

    def seconds(self, now: datetime) -> float:
        """How long it fired, or has fired by now; never negative, because clocks of senders differ."""
        return max(((self.ends_at or now) - self.starts_at).total_seconds(), 0.0)
