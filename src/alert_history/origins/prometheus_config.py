"""The configuration that a running Prometheus shows, as far as it says which labels alerts are sent with.

Pure. `/api/v1/status/config` shows the configuration as it is loaded: defaults are filled in, and a field that is empty
may be left out. Source: `config` and `model/relabel` of prometheus/prometheus.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import msgspec
import yaml

from alert_history.domain.regex import check_regex
from alert_history.domain.relabelling import Action, RelabelRule, check_rule
from alert_history.errors import InvalidQuery

_SECTION = re.compile(r"^(?:global|alerting):.*(?:\n(?![A-Za-z_\"']).*)*", re.MULTILINE)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.\d", re.ASCII)
_NULL = "tag:yaml.org,2002:null"
_UTF8_NAMES = "utf8-names"

_KEEPS_ORDER = (2, 43)
_CLEARS_TARGET = (2, 50)
_DOT_TAKES_NEWLINE = (3, 0)
_OBEYS_SCHEME = (3, 7)

T = TypeVar("T")


class Naming(msgspec.Struct, frozen=True):
    """The labels that alerts are sent with. `unnamed_because` says why they are unknown; None if they are known."""

    external_labels: dict[str, str] | None
    relabel_configs: list[RelabelRule]
    unnamed_because: str | None


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    """A rule as it is shown: a default regex is left out by 2.54 and newer, empty fields before 3.14."""

    action: Action = "replace"
    source_labels: list[str] = []
    separator: str | None = ""
    regex: str | None = "(.*)"
    modulus: int = 0
    target_label: str | None = ""
    replacement: str | None = ""


class _Alertmanager(msgspec.Struct):
    alert_relabel_configs: list[Any] | None = None


class _Alerting(msgspec.Struct):
    alert_relabel_configs: list[_Rule] | None = None
    alertmanagers: list[_Alertmanager] | None = None


class _Global(msgspec.Struct):
    external_labels: dict[str, str] | None = None
    metric_name_validation_scheme: str | None = None


class _Dialect(msgspec.Struct, frozen=True):
    """How a version relabels."""

    is_dot_newline: bool
    takes_any_name: bool
    clears_template: bool
    sorts_first: bool


class _Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
    """Makes nothing but texts and nulls: Go writes `null` for an empty regex, and quotes a text that looks like one."""


_Loader.add_implicit_resolver(_NULL, re.compile(r"(?:null|~|)$"), ["n", "~", ""])
_Loader.add_constructor(_NULL, lambda _loader, _node: None)


def unknown(reason: str) -> Naming:
    """The naming of a Prometheus whose labels are unknown, with the reason."""
    return Naming(None, [], reason)


def read_config(text: str, *, version: str, features: Collection[str] = ()) -> Naming:
    """What the configuration `text` of a Prometheus of this version says. `features` are those it has enabled."""
    document = _sections(text)
    if "global" not in document:
        return unknown("it does not show its configuration")
    try:
        section = _converted(document["global"], _Global)
    except ValueError:
        return unknown("its external_labels can't be read")
    external = section.external_labels or {}
    try:
        rules = _rules(_converted(document.get("alerting"), _Alerting), section, version=version, features=features)
    except (ValueError, InvalidQuery) as error:
        return Naming(external, [], f"its alert_relabel_configs can't be followed: {error}")
    return Naming(external, rules, None)


def _sections(text: str) -> dict[str, Any]:
    """The two sections that matter, read alone as the rest is long. Empty where the text is no such YAML."""
    try:
        document = yaml.load("\n".join(_SECTION.findall(text)), Loader=_Loader)  # noqa: S506  # see _Loader
    except (yaml.YAMLError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _converted(section: Any, kind: type[T]) -> T:
    """Raises: ValueError."""
    return msgspec.convert(section or {}, kind, strict=False)


def _rules(alerting: _Alerting, section: _Global, *, version: str, features: Collection[str]) -> list[RelabelRule]:
    """Raises: ValueError, InvalidQuery."""
    if any(alertmanager.alert_relabel_configs for alertmanager in alerting.alertmanagers or []):
        raise ValueError("an Alertmanager has some of its own, so another may get other labels")
    shown: Sequence[_Rule] = alerting.alert_relabel_configs or []
    if not shown:
        return []
    dialect = _dialect(version, section, features)
    return [_rule(rule, dialect) for rule in shown]


def _dialect(version: str, section: _Global, features: Collection[str]) -> _Dialect:
    """Raises: ValueError."""
    match = _VERSION.match(version)
    if match is None:
        raise ValueError("its version is unknown")
    number = (int(match[1]), int(match[2]))
    is_legacy = number >= _OBEYS_SCHEME and section.metric_name_validation_scheme == "legacy"
    return _Dialect(
        is_dot_newline=number >= _DOT_TAKES_NEWLINE,
        takes_any_name=(number >= _DOT_TAKES_NEWLINE or _UTF8_NAMES in features) and not is_legacy,
        clears_template=number < _CLEARS_TARGET,
        sorts_first=number < _KEEPS_ORDER,
    )


def _rule(shown: _Rule, dialect: _Dialect) -> RelabelRule:
    """Raises: ValueError, InvalidQuery."""
    check_regex(shown.regex or "")  # by itself: `a)|(b` would come through between the anchors, and not be anchored
    rule = RelabelRule(
        action=shown.action,
        source_labels=tuple(shown.source_labels),
        separator=shown.separator or "",
        regex=f"^(?{'s' if dialect.is_dot_newline else ''}:{shown.regex or ''})$",
        modulus=shown.modulus,
        target_label=shown.target_label or "",
        replacement=shown.replacement or "",
        takes_any_name=dialect.takes_any_name,
        clears_template=dialect.clears_template,
        sorts_first=dialect.sorts_first,
    )
    check_rule(rule)
    return rule
