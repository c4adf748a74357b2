"""Redaction: secrets and personal data are blanked before a text leaves this house, in linear time."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import re2

_NAMED_SO = (
    r"(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authorization|cookie|session)"
)
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"),
    ("token", r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
    (
        "token",
        r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{8,}|sk-[\w-]{16,}|AIza[\w-]{30,})",
    ),
    ("token", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("secret", r"(?i)\b(?:bearer|basic)\s+[\w.~+/=-]{8,}"),
    ("address", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    ("phone", r"\+\d[\d ()-]{7,}\d"),
    ("ip", r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
    (
        "ip",
        r"(?i)\b(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}\b|\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,5}::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,5})?",
    ),
)
_URL_USER = re.compile(r"(?<=://)[^\s/@]{1,256}@")
_ASSIGNED = re.compile(rf"(?i)([\w.-]{{0,64}}{_NAMED_SO}[\w.-]{{0,64}}[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]{{1,4096}}")
_SECRET_NAME = re.compile(_NAMED_SO, re.IGNORECASE)
_CARD = re.compile(r"\b(?:\d[ -]?){12,18}\d\b")
_CARD_LENGTH = range(13, 20)


class Redactor:
    """Blanks the texts of one call. `patterns` are further regular expressions (RE2), one a line.

    The same address or IP has the same stand-in (`ip-1`) throughout, so that who is who can still be told apart.
    """

    def __init__(self, patterns: str | None = None) -> None:
        own = [("redacted", line) for line in (patterns or "").splitlines() if line.strip()]
        self._patterns = [(name, re2.compile(pattern)) for name, pattern in [*own, *_PATTERNS]]
        self._stand_ins: dict[str, str] = {}

    def text(self, text: str) -> str:
        """The text without them."""
        text = _URL_USER.sub("[secret]@", text)
        text = _ASSIGNED.sub(r"\1[secret]", text)
        text = _CARD.sub(lambda found: "[card]" if _is_card(found[0]) else found[0], text)
        for name, pattern in self._patterns:
            text = pattern.sub(self._replace(name), text)
        return text

    def pairs(self, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Labels or annotations without them; what is named like a secret is one."""
        return {name: "[secret]" if _SECRET_NAME.search(name) else self.text(value) for name, value in pairs}

    def _replace(self, name: str) -> Callable[[Any], str]:
        if name not in {"ip", "address"}:
            return lambda _: f"[{name}]"

        def stand_in(found: Any) -> str:
            number = sum(held.startswith(f"{name}-") for held in self._stand_ins.values()) + 1
            return self._stand_ins.setdefault(found.group(), f"{name}-{number}")

        return stand_in


def _is_card(text: str) -> bool:
    """Whether the digits are those of a payment card, by their check digit (Luhn)."""
    digits = [int(character) for character in text if character.isdigit()]
    if len(digits) not in _CARD_LENGTH:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
