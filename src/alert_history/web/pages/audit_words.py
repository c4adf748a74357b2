"""An entry of the audit as people read it: a sentence, and what was before and after. Pure."""

from collections.abc import Mapping
from string import Formatter
from typing import Any, NamedTuple

import msgspec

from alert_history.domain.audit import AuditEntry

WORDS: Mapping[str, str] = {
    "enrichment_mode_switched": "switched the enrichment mode",
    "classification_corrected": "corrected a classification",
    "token_created": "made the token {token}",
    "token_rotated": "gave the token {token} a new secret",
    "token_revoked": "revoked the token {token}",
    "import_started": "started the import {import}: {what}",
    "import_undone": "began to take the import {import} back: {what}",
    "signed_in": "signed in",
    "signed_out": "signed out",
    "refused": "was refused: {request}",
    "failed": "was told that the call is wrong: {request}",
    "refused_often": "was refused {count} more times within a minute",
    "GET /dashboard/history/export": "exported the history as a file",
    "POST /api/v1/alerts/{id}/acknowledge": "acknowledged an alert",
    "POST /api/v1/alerts/{id}/notes": "wrote a note on an alert",
    "POST /api/v1/deliveries/{id}/replay": "had a delivery sent again",
    "POST /classification/classify": "had an alert classified anew",
    "POST /dashboard/alerts/{id}/acknowledge": "acknowledged an alert",
    "POST /dashboard/alerts/{id}/notes": "wrote a note on an alert",
    "POST /dashboard/history/views": "saved a view of the history",
    "POST /dashboard/history/views/{id}/delete": "deleted a saved view of the history",
    "POST /dashboard/history/views/{id}/rename": "renamed a saved view of the history",
    "POST /dashboard/notifications/replay": "had deliveries sent again",
    "POST /dashboard/targets/refresh": "had the targets looked for again",
    "POST /dashboard/targets/replay": "had a delivery sent again",
    "POST /dashboard/targets/test": "sent a test message",
    "POST /publishing/targets/refresh": "had the targets looked for again",
    "POST /publishing/test/{target}": "sent a test message to {target}",
}
"""What was done, behind the name of who did it. What is not here is told by its method and path."""

_TOLD = frozenset({"from", "to"})
_HIDDEN = frozenset({"id"})


class Change(NamedTuple):
    """What was before, and what is now; empty where it had no value, None where there was no such thing at all."""

    name: str
    before: str | None
    after: str | None


class Told(NamedTuple):
    """An entry in words. `facts` are the rest of its detail."""

    words: str
    changes: list[Change]
    facts: list[tuple[str, str]]


def name_of(action: str) -> str:
    """An action in words, without whom it concerned."""
    words = WORDS.get(action)
    if words is None:
        return action
    where = ", on a page" if " /dashboard/" in action and action.startswith("POST") else ""
    return "".join(text + ("…" if name else "") for text, name, _, _ in Formatter().parse(words)) + where


def tell(entry: AuditEntry) -> Told:
    """The entry in words."""
    words = WORDS.get(entry.action)
    names = {name for _, name, _, _ in Formatter().parse(words or "") if name}
    if words is None or not names <= entry.detail.keys():
        words, names = f"called {entry.action}" if " /" in entry.action else entry.action.replace("_", " "), set()
    text = words.format_map({name: _text(entry.detail[name]) for name in names}) if names else words
    facts = [(name, _text(value)) for name, value in entry.detail.items() if name not in _TOLD | names and value != ""]
    return Told(text, _changes(entry.detail), facts)


def _changes(detail: Mapping[str, Any]) -> list[Change]:
    """What differs between `from` and `to`."""
    before, after = detail.get("from"), detail.get("to")
    if not (isinstance(before, dict) or isinstance(after, dict)):
        return [Change("", _text(before) or None, _text(after) or None)] if "from" in detail or "to" in detail else []
    names = sorted({*(before or ()), *(after or ())} - _HIDDEN)
    pairs = [Change(name, _field(before, name), _field(after, name)) for name in names]
    return [change for change in pairs if (change.before or "") != (change.after or "")]


def _field(value: Any, name: str) -> str | None:
    """A field of what was or is; None where that has no fields."""
    return _text(value.get(name)) if isinstance(value, dict) else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
