"""Past firings: what another system remembers of its alerts, on its way into the history.

An origin says what it remembers in these values, in any order and in pieces. What is joined with what the history holds
already is decided in `domain.importing`. Pure.
"""

from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.acts import ActKind
from alert_history.domain.alert import fingerprint
from alert_history.domain.microseconds import to_us
from alert_history.domain.speaker import scoped
from alert_history.domain.standing import EndedBy


class PastAct(msgspec.Struct, frozen=True, gc=False):
    """What a person did about a firing, as the origin remembers it. `id` names the act for good at the origin."""

    id: str
    kind: ActKind
    at: datetime
    by: str
    text: str = ""


class PastFiring(msgspec.Struct, frozen=True, gc=False):
    """One firing of one alert, or a piece of one, as an origin remembers it. All times are aware UTC.

    `labels` are those that Alertmanager has, without empty values. `ends_at` is None where it fires still, as far as
    the origin knows; then `last_seen_at` is when the origin last knew it. `ended_by` is how the end is known: resolved
    where the origin recorded it, inferred where only its silence tells. `repeats` are messages that changed nothing.
    `source` is the source that the origin itself names for it; empty means the name of the origin. `place` is where it
    stands at the origin, as a person finds it: `alerts.jsonl, line 7`, or an id. `identity` is the fingerprint that its
    sender gives it, where that is not the one of the labels: a Grafana's counts a label that it does not send.
    """

    labels: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    last_seen_at: datetime | None = None
    ended_by: EndedBy = "resolved"
    annotations: dict[str, str] = {}
    generator_url: str = ""
    receiver: str = ""
    repeats: int = 0
    source: str = ""
    details: dict[str, Any] | None = None
    acts: tuple[PastAct, ...] = ()
    scope: str = ""
    place: str = ""
    identity: str = ""

    @property
    def fingerprint(self) -> str:
        """The fingerprint under which it is kept: its sender's or that of its labels, with its scope."""
        return scoped(self.identity or fingerprint(self.labels), self.scope)

    @property
    def last_sign_us(self) -> int:
        """Until when the origin knows that it fired: its end, or when it was last seen; never before its start."""
        return max(to_us(self.ends_at or self.last_seen_at or self.starts_at), to_us(self.starts_at))


class RefusedRow(msgspec.Struct, frozen=True, gc=False):
    """A row of an origin that can't be kept: where it stands, why, and the row as it came."""

    place: str
    reason: str
    raw: bytes
