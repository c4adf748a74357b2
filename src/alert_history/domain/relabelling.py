"""Which labels Prometheus sends an alert with: external labels added, then `alert_relabel_configs` applied.

Holds the rules and what each does. Must not know how a configuration is written (that is `origins/`).
Source: `notifier` and `model/relabel` of prometheus/prometheus, 2.7 to 3.x; regexes are Go's, matched with RE2.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, Protocol

import msgspec
import re2

Action = Literal[
    "replace",
    "keep",
    "drop",
    "keepequal",
    "dropequal",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
]
_LABEL_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
_COMPILED_BYTES = 1 << 20
_LARGEST_GROUP = 100_000_000


class RelabelRule(msgspec.Struct, frozen=True):
    """One rule. `regex` is written as Prometheus compiles it: with the anchors around it.

    Versions differ: `takes_any_name` (3.0 and newer) where a label's name may be any text; `clears_template` (before
    2.50) where a replacement that comes to nothing removes the label that `target_label` names literally; `sorts_first`
    (before 2.43) where labels are sorted before each rule, which counts where a labelmap gives two of them one name.
    """

    action: Action = "replace"
    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    regex: str = "^(?:(.*))$"
    modulus: int = 0
    target_label: str = ""
    replacement: str = "$1"
    takes_any_name: bool = False
    clears_template: bool = False
    sorts_first: bool = False


class Match(Protocol):
    """What is used of a match; google-re2 has no types."""

    def group(self, number: int) -> str | None:
        """What this group matched."""


class Regex(Protocol):
    """What is used of a compiled regex."""

    groups: int
    groupindex: Mapping[str, int]

    def search(self, text: str) -> Match | None:
        """The first match anywhere."""


def check_rule(rule: RelabelRule) -> None:
    """Refuse what can't be applied. Raises: ValueError, which says why."""
    try:
        _compiled(rule.regex)
    except (re2.error, UnicodeEncodeError):
        raise ValueError("a regex that RE2 refuses") from None
    if rule.action == "hashmod" and rule.modulus <= 0:
        raise ValueError("hashmod without a modulus")


def sent_labels(
    labels: Mapping[str, str], *, external_labels: Mapping[str, str], relabel_configs: Sequence[RelabelRule]
) -> dict[str, str] | None:
    """The labels with which Prometheus sends an alert; None for an alert that a rule drops.

    An external label is added to an alert without a label of that name. Rules have passed `check_rule`.
    """
    sent = _Labels(labels)
    for name, value in sorted(external_labels.items()):
        if not sent.get(name):
            sent.set(name, value)
    if all(_keeps(rule, sent) for rule in relabel_configs):
        return dict(sent.items())
    return None


class _Labels:
    """Labels in the order that Prometheus goes through them: those it began with by name, then what was set since."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._first = {name: value for name, value in sorted(labels.items()) if value}
        self._since: dict[str, str] = {}

    def get(self, name: str) -> str:
        """Its value; none, and it is empty."""
        return self._since.get(name) or self._first.get(name, "")

    def set(self, name: str, value: str) -> None:
        """An empty value means no label."""
        self._first.pop(name, None)
        if value:
            self._since[name] = value
        else:
            self._since.pop(name, None)

    def items(self) -> list[tuple[str, str]]:
        """Names and values, in order."""
        return [*self._first.items(), *self._since.items()]

    def sort(self) -> None:
        """As if it began with what there is."""
        self._first, self._since = dict(sorted(self.items())), {}


def _keeps(rule: RelabelRule, labels: _Labels) -> bool:
    """Change the labels by the rule; whether the alert is kept."""
    if rule.sorts_first:
        labels.sort()
    text = rule.separator.join(map(labels.get, rule.source_labels))
    match rule.action:
        case "keep" | "drop":
            return (_compiled(rule.regex).search(text) is not None) == (rule.action == "keep")
        case "keepequal" | "dropequal":
            return (labels.get(rule.target_label) == text) == (rule.action == "keepequal")
        case "replace":
            _replace(rule, labels, text)
        case "hashmod":
            rest = int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:], "big") % rule.modulus
            labels.set(rule.target_label, str(rest))
        case "lowercase":
            labels.set(rule.target_label, "".join(map(_lower, text)))
        case "uppercase":
            labels.set(rule.target_label, "".join(map(_upper, text)))
        case "labelmap" | "labeldrop" | "labelkeep":
            _apply_to_names(rule, labels)
    return True


def _apply_to_names(rule: RelabelRule, labels: _Labels) -> None:
    regex = _compiled(rule.regex)
    for name, value in labels.items():
        match = regex.search(name)
        if match is not None and rule.action == "labelmap":
            labels.set(_expanded(rule.replacement, regex, match), value)
        elif rule.action != "labelmap" and (match is not None) == (rule.action == "labeldrop"):
            labels.set(name, "")


def _replace(rule: RelabelRule, labels: _Labels, text: str) -> None:
    regex = _compiled(rule.regex)
    match = regex.search(text)
    if match is None:
        return
    target = _expanded(rule.target_label, regex, match)
    value = _expanded(rule.replacement, regex, match)
    if _is_name(target, takes_any=rule.takes_any_name) and (value or not rule.clears_template):
        labels.set(target, value)
    elif rule.clears_template:
        labels.set(rule.target_label, "")


def _is_name(text: str, *, takes_any: bool) -> bool:
    return bool(text) and (takes_any or _compiled(f"^(?:{_LABEL_NAME})$").search(text) is not None)


def _expanded(template: str, regex: Regex, match: Match) -> str:
    """The template with `$1`, `$name`, `${1}` and `${name}` filled in, and `$$` for a dollar, as Go's Expand does."""
    before, dollar, rest = template.partition("$")
    pieces = [before]
    while dollar:
        name, after = _reference(rest)
        if rest.startswith("$"):
            pieces.append("$")
            after = rest[1:]
        elif name is None:  # malformed: the dollar stands for itself
            pieces.append("$")
        else:
            pieces.append(_group(name, regex, match))
        before, dollar, rest = after.partition("$")
        pieces.append(before)
    return "".join(pieces)


def _reference(text: str) -> tuple[str | None, str]:
    """The name after a dollar, and what follows it; no name where none is well written."""
    braced = text.startswith("{")
    start = end = int(braced)
    while end < len(text) and (text[end] == "_" or text[end].isalpha() or text[end].isdecimal()):
        end += 1
    if end == start or (braced and text[end : end + 1] != "}"):
        return None, text
    return text[start:end], text[end + braced :]


def _group(name: str, regex: Regex, match: Match) -> str:
    """What the group of this number or name matched; nothing where there is no such group."""
    if (
        name.isascii()
        and name.isdigit()
        and (name == "0" or not name.startswith("0"))
        and len(name) < len(str(_LARGEST_GROUP))
    ):
        number = int(name)
        return (match.group(number) or "") if number <= regex.groups else ""
    number = regex.groupindex.get(name, 0)
    return (match.group(number) or "") if number else ""


def _lower(char: str) -> str:
    """Go maps each character to one: İ to i."""
    return char.lower()[0]


def _upper(char: str) -> str:
    """Go maps each character to one, or leaves it: ß stays."""
    return next((mapped for mapped in (char.upper(), char.title()) if len(mapped) == 1), char)


@lru_cache(maxsize=128)
def _compiled(regex: str) -> Regex:
    options = re2.Options()
    options.max_mem = _COMPILED_BYTES
    options.log_errors = False
    compiled: Regex = re2.compile(regex, options=options)
    return compiled
