"""What an Alertmanager without a memory lists of the posts that it gets; and senders that post as Prometheus does.

Source of the listing: `types.Alert.Merge`, `provider/mem` and `api/v2` of prometheus/alertmanager.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from alert_history.sources.prometheus import RESOLVE_TIMEOUT

_TICK = timedelta(seconds=1)


class Held(msgspec.Struct, frozen=True):
    """An alert that an Alertmanager holds. `is_timeout`: its sender named no end."""

    labels: Mapping[str, str]
    summary: str
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    is_timeout: bool


class PlainAlertmanager:
    """Takes posts in the order of time, and lists what has not ended."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def take(self, post: Mapping[str, Any], at: datetime) -> None:
        """Take one posted alert."""
        ends = post.get("endsAt")
        ends_at = at + RESOLVE_TIMEOUT if ends is None else datetime.fromisoformat(ends)
        starts_at = datetime.fromisoformat(post["startsAt"])
        new = Held(post["labels"], post["annotations"]["summary"], starts_at, ends_at, at, ends is None)
        key = post["labels"]["alertname"]
        old = self._held.get(key)
        self._held[key] = new if old is None or not _overlap(old, new) else _merged(old, new, at)

    def listed(self, at: datetime) -> dict[str, Held]:
        """What it lists, by name."""
        return {name: held for name, held in self._held.items() if held.ends_at > at}


def _overlap(old: Held, new: Held) -> bool:
    return old.starts_at < new.ends_at < old.ends_at or old.starts_at < new.starts_at < old.ends_at


def _merged(old: Held, new: Held, at: datetime) -> Held:
    starts_at, ends_at = min(old.starts_at, new.starts_at), new.ends_at
    if new.ends_at <= at:
        if old.ends_at <= at:
            ends_at = max(old.ends_at, new.ends_at)
    elif old.ends_at > new.ends_at and not old.is_timeout:
        ends_at = old.ends_at
    return msgspec.structs.replace(new, starts_at=starts_at, ends_at=ends_at)


class PlainSender:
    """Evaluates one rule, and posts its alert as Prometheus does: whole, again and again, and its end a few times."""

    def __init__(self, name: str, story: str) -> None:
        self.labels = {"alertname": name, "story": story}
        self._is_firing = False
        self._start = self._end = self._last = datetime.min.replace(tzinfo=UTC)
        self._wording = 0

    def post(self, action: str, at: datetime, *, ago: timedelta) -> dict[str, Any] | None:
        """What it posts when this happens; None where it can't happen now."""
        if action == "fire" and not self._is_firing and at > self._end:
            self._is_firing, self._start = True, max(at - ago, self._end + _TICK)
            return self._firing(at)
        if action in {"resolve", "late resolve"} and self._is_firing:
            self._is_firing, self._end = False, max(at - ago if action == "resolve" else self._last, self._start)
            return self._document(self._end)
        if action == "resend" and not self._is_firing and self._end > self._start:
            return self._document(self._end)
        if action in {"repeat", "reword", "restart", "no end"} and self._is_firing:
            self._wording += action == "reword"
            self._start = max(at - ago, self._start) if action == "restart" else self._start
            return self._firing(at, promises=action != "no end")
        return None

    def _firing(self, at: datetime, *, promises: bool = True) -> dict[str, Any]:
        self._last = at
        return self._document(at + timedelta(minutes=4) if promises else None)

    def _document(self, ends_at: datetime | None) -> dict[str, Any]:
        times = {"startsAt": self._start.isoformat()} | ({} if ends_at is None else {"endsAt": ends_at.isoformat()})
        annotations = {"summary": f"wording {self._wording}"}
        return {"labels": self.labels, "annotations": annotations, "generatorURL": "http://p:9090/graph"} | times
