"""What notes about an alert say, in words: why Alertmanager did not notify, whom it notified, what an alert means."""

from collections.abc import Callable, Mapping
from typing import Any

from alert_history.domain.occurrence import EventKind


def note_text(kind: EventKind, detail: Mapping[str, Any]) -> str:
    """A sentence without a full stop. What the detail does not say is left out, or is `?`."""
    write = _WRITERS.get(kind)
    if write is None:
        return kind
    said = {name: held for name, held in detail.items() if held not in (None, "", [])}
    return write(said)


def _silenced(said: Mapping[str, Any]) -> str:
    """`Alertmanager am-0 did not notify: silence s-1 by ada until 2026-03-04T12:00:00+00:00: maintenance`."""
    text = f"{_who(said)} did not notify: silence {said.get('silence_id', '?')}"
    for name, word in (("created_by", " by "), ("ends_at", " until "), ("comment", ": ")):
        if name in said:
            text += f"{word}{said[name]}"
    return text


def _unsilenced(said: Mapping[str, Any]) -> str:
    return f"{_who(said)} holds no silence against it any more"


def _inhibited(said: Mapping[str, Any]) -> str:
    by = _listed(said.get("inhibited_by")) or "another alert"
    rules = _listed(said.get("rules"))
    return f"{_who(said)} did not notify: inhibited by {by}" + (f" under rule {rules}" if rules else "")


def _notified(said: Mapping[str, Any]) -> str:
    receiver = f"receiver {said.get('receiver', '?')} ({said.get('integration', '?')})"
    if said.get("role") == "muted":
        return f"{_who(said)} did not tell {receiver} of it: it was muted"
    state, reason = said.get("role", "firing"), str(said.get("reason", "unspecified")).replace("_", " ")
    return f"{_who(said)} notified {receiver} that it is {state}: {reason}"


def _grouped(said: Mapping[str, Any]) -> str:
    return f"{_who(said)} put it into group {said.get('group_key', '?')} of receiver {said.get('receiver', '?')}"


def _classified(said: Mapping[str, Any]) -> str:
    severity, confidence = said.get("severity", "?"), said.get("confidence", "?")
    return f"classified as {severity} with a confidence of {confidence} by {said.get('model', '?')}"


def _who(said: Mapping[str, Any]) -> str:
    return f"Alertmanager {said['instance']}" if "instance" in said else "Alertmanager"


def _listed(held: Any) -> str:
    return ", ".join(map(str, held)) if isinstance(held, list) else ""


_WRITERS: dict[EventKind, Callable[[Mapping[str, Any]], str]] = {
    "silenced": _silenced,
    "unsilenced": _unsilenced,
    "inhibited": _inhibited,
    "notified": _notified,
    "grouped": _grouped,
    "classified": _classified,
}
