"""The rules behind past alerts: how often each is evaluated, its `for`, its annotations, the link of its posts.

Rules come from `/api/v1/rules` or from rule files. They are those of today: nobody keeps those of the past.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import msgspec
import yaml

from alert_history.domain.times import parse_duration
from alert_history.errors import ConfigurationError
from alert_history.origins.imports.go_functions import TemplateFault
from alert_history.origins.imports.go_template import Context, Template, parse_template
from alert_history.origins.imports.prometheus_wire import WireGroup

MAX_FILE_BYTES = 32 * 1024 * 1024


class AlertRule(msgspec.Struct, frozen=True):
    """One alerting rule. `labels` and `annotations` are templates; `interval_ms` is None where it is not written."""

    name: str
    query: str
    interval_ms: int | None
    hold_ms: int
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def says_value(self) -> bool:
        """Whether an annotation may ask for the value."""
        return any("$value" in text or ".Value" in text for text in self.annotations.values())

    def may_make(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels may be of this rule, by the labels that the rule sets."""
        return all(labels.get(name, "") == value for name, value in self.labels.items() if "{{" not in value)


class _FileRule(msgspec.Struct):
    alert: str = ""
    expr: Any = ""
    for_: Any = msgspec.field(default="0s", name="for")
    labels: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None


class _FileGroup(msgspec.Struct):
    rules: list[_FileRule] | None = None
    interval: Any = ""


class _File(msgspec.Struct):
    groups: list[_FileGroup] | None = None


class Annotations(msgspec.Struct, frozen=True):
    """The rendered annotations of an alert, and how many could not be."""

    rendered: dict[str, str]
    left_out: int


class RuleBook:
    """All rules that are known, by name."""

    def __init__(self, rules: Iterable[AlertRule]) -> None:
        self._rules: dict[str, list[AlertRule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.name, []).append(rule)
        self._templates: dict[str, Template | None] = {}

    def __len__(self) -> int:
        return sum(map(len, self._rules.values()))

    @property
    def longest_interval_ms(self) -> int:
        """The longest interval of a rule; 0 where none is known."""
        return max((rule.interval_ms or 0 for rules in self._rules.values() for rule in rules), default=0)

    def find(self, labels: Mapping[str, str]) -> AlertRule | None:
        """The one rule that an alert with these labels is of; None where there is none, or where several may be."""
        rules = [rule for rule in self._rules.get(labels.get("alertname", ""), ()) if rule.may_make(labels)]
        most = max((len(rule.labels) for rule in rules), default=0)
        closest = [rule for rule in rules if len(rule.labels) == most]
        return closest[0] if len(closest) == 1 else None

    def annotations(self, rule: AlertRule, context: Context) -> Annotations:
        """The rule's annotations as they read for an alert; those outside of what is understood are left out."""
        rendered, left_out = {}, 0
        for name, text in rule.annotations.items():
            template = self._template(text)
            try:
                rendered[name] = text if template is None and "{{" not in text else _rendered(template, context)
            except TemplateFault:
                left_out += 1
        return Annotations(rendered, left_out)

    def _template(self, text: str) -> Template | None:
        """The template of a text; None where the text has none, or has one that is not understood."""
        if text not in self._templates:
            try:
                self._templates[text] = parse_template(text) if "{{" in text else None
            except TemplateFault:
                self._templates[text] = None
        return self._templates[text]


def _rendered(template: Template | None, context: Context) -> str:
    """Raises: TemplateFault."""
    if template is None:
        raise TemplateFault("it is not understood")
    return template.render(context)


def rules_of_groups(groups: Sequence[WireGroup]) -> list[AlertRule]:
    """The alerting rules that a server shows."""
    return [
        AlertRule(
            name=rule.name,
            query=rule.query,
            interval_ms=round(group.interval * 1000) or None,
            hold_ms=round(rule.duration * 1000),
            labels=rule.labels or {},
            annotations=rule.annotations or {},
        )
        for group in groups
        for rule in group.rules or []
        if rule.type == "alerting"
    ]


def rules_of_file(path: str) -> list[AlertRule]:
    """The alerting rules of a file as Prometheus reads it. Raises: ConfigurationError, which names the file."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise ConfigurationError([f"{path}: it is larger than {MAX_FILE_BYTES} bytes"])
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # a safe one
        groups = msgspec.convert(document or {}, _File, strict=False).groups or []
        return [_rule_of_file(rule, group) for group in groups for rule in group.rules or [] if rule.alert]
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError([f"{path}: no file of rules: {' '.join(str(error).split())}"]) from None


def _rule_of_file(rule: _FileRule, group: _FileGroup) -> AlertRule:
    """Raises: ValueError."""
    return AlertRule(
        name=rule.alert,
        query=str(rule.expr).strip(),
        interval_ms=_duration_ms(group.interval) if group.interval else None,
        hold_ms=_duration_ms(rule.for_),
        labels=_texts(rule.labels),
        annotations=_texts(rule.annotations),
    )


def _duration_ms(text: Any) -> int:
    """Raises: ValueError."""
    return 0 if str(text) == "0" else round(parse_duration(str(text)).total_seconds() * 1000)


def _texts(values: dict[str, Any] | None) -> dict[str, str]:
    """As YAML means them for Go: a number or a word without quotes is a text, too."""
    return {name: _text(value) for name, value in (values or {}).items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def link_of(rule: AlertRule, external_url: str) -> str:
    """The link that Prometheus posts with an alert of this rule: `strutil.TableLinkForExpression`."""
    return f"{external_url}/graph?g0.expr={quote_plus(rule.query)}&g0.tab=1"
