"""What notes about an alert say, in words: why Alertmanager did not notify, whom it notified, what an alert means."""

from collections.abc import Callable, Mapping
from typing import Any

from alert_history.domain.occurrence import EventKind


def note_text(kind: EventKind, detail: Mapping[str, Any]) -> str:
    """A sentence without a full stop. What the detail does not say is left out, or is `?`."""
    write = _WRITERS.get(kind)
    if write is None:
        return kind
    return write({name: value for name, value in detail.items() if value not in (None, "", [])})


def _silenced(detail: Mapping[str, Any]) -> str:
    """`Alertmanager am-0 did not notify: silence s-1 by ada until 2026-03-04T12:00:00+00:00: maintenance`."""
    text = f"{_who(detail)} did not notify: silence {detail.get('silence_id', '?')}"
    for name, word in (("created_by", " by "), ("ends_at", " until "), ("comment", ": ")):
        if name in detail:
            text += f"{word}{detail[name]}"
    return text


def _unsilenced(detail: Mapping[str, Any]) -> str:
    return f"{_who(detail)} holds no silence against it any more"


def _inhibited(detail: Mapping[str, Any]) -> str:
    by = _listed(detail.get("inhibited_by")) or "another alert"
    rules = _listed(detail.get("rules"))
    return f"{_who(detail)} did not notify: inhibited by {by}" + (f" under rule {rules}" if rules else "")


def _notified(detail: Mapping[str, Any]) -> str:
    receiver = f"receiver {detail.get('receiver', '?')} ({detail.get('integration', '?')})"
    if detail.get("role") == "muted":
        return f"{_who(detail)} did not tell {receiver} of it: it was muted"
    state, reason = detail.get("role", "firing"), str(detail.get("reason", "unspecified")).replace("_", " ")
    return f"{_who(detail)} notified {receiver} that it is {state}: {reason}"


def _grouped(detail: Mapping[str, Any]) -> str:
    return f"{_who(detail)} put it into group {detail.get('group_key', '?')} of receiver {detail.get('receiver', '?')}"


def _classified(detail: Mapping[str, Any]) -> str:
    severity, confidence = detail.get("severity", "?"), detail.get("confidence", "?")
    return f"classified as {severity} with a confidence of {confidence} by {detail.get('model', '?')}"


def _who(detail: Mapping[str, Any]) -> str:
    return f"Alertmanager {detail['instance']}" if "instance" in detail else "Alertmanager"


def _listed(values: Any) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) else ""


_WRITERS: dict[EventKind, Callable[[Mapping[str, Any]], str]] = {
    "silenced": _silenced,
    "unsilenced": _unsilenced,
    "inhibited": _inhibited,
    "notified": _notified,
    "grouped": _grouped,
    "classified": _classified,
}
