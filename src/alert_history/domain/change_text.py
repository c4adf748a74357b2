"""Changes of an occurrence in words: why its start moved, why no sender confirms it, how its end is known."""

from collections.abc import Callable, Mapping
from typing import Any

from alert_history.domain.note_text import note_text
from alert_history.domain.occurrence import EventKind

_Detail = Mapping[str, Any]

_ASSUMED: Mapping[EventKind, str] = {
    "expired": "its sender fell silent",
    "inferred": "a sender names a later start, and nobody spoke of it between",
    "reconciled": "a poll shows that it is over",
}


def change_text(kind: EventKind, detail: _Detail) -> str:
    """A sentence without a full stop; empty where the kind says it all."""
    write = _WRITERS.get(kind)
    return "" if write is None else write(detail)


def end_reason(kind: EventKind, reason: str | None) -> str:
    """Why it is taken as over where no sender said so; empty where one did."""
    return (reason or _ASSUMED[kind]) if kind in _ASSUMED else ""


def _published(detail: _Detail) -> str:
    return _reason(detail) or "the first request that is to be published says that it fires"


def _start_moved(detail: _Detail) -> str:
    began, shown = _time(detail, "claimed"), _time(detail, "starts_at")
    return f"{_sender(detail)} says that it began {began}; it is shown from {shown}"


def _left(detail: _Detail) -> str:
    return str(detail.get("reason") or "its group goes on without it")


def _unconfirmed(detail: _Detail) -> str:
    return f"nobody confirms any more that it fires: {detail.get('reason', 'there was no sign of it')}"


def _confirmed(detail: _Detail) -> str:
    return f"{_sender(detail)} says again that it fires"


def _expired(detail: _Detail) -> str:
    return f"ended at {_time(detail, 'ends_at')}, because {end_reason('expired', detail.get('reason'))}"


def _inferred(detail: _Detail) -> str:
    between = detail.get("between")
    span = f", between {between[0]} and {between[1]}" if isinstance(between, list) else ""
    return f"taken as over{span}, because {end_reason('inferred', detail.get('reason'))}"


def _reconciled(detail: _Detail) -> str:
    return f"ended, because {end_reason('reconciled', detail.get('reason'))}"


def _reason(detail: _Detail) -> str:
    return str(detail.get("reason", ""))


def _muted(kind: EventKind) -> Callable[[_Detail], str]:
    return lambda detail: note_text(kind, detail)


def _sender(detail: _Detail) -> str:
    return str(detail.get("sender") or "a sender")


def _time(detail: _Detail, name: str) -> str:
    return str(detail.get(name, "?")).replace("+00:00", "Z")


_WRITERS: dict[EventKind, Callable[[_Detail], str]] = {
    "published": _published,
    "start_moved": _start_moved,
    "left": _left,
    "unconfirmed": _unconfirmed,
    "confirmed": _confirmed,
    "expired": _expired,
    "inferred": _inferred,
    "reconciled": _reconciled,
    "fired": _reason,
    "refired": _reason,
    "silenced": _muted("silenced"),
    "inhibited": _muted("inhibited"),
    "unsilenced": _reason,
    "conflict": _reason,
    "joined": _reason,
}
