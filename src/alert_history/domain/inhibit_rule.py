"""An inhibit rule for Alertmanager, where the begins of one rule explain those of another on the same labels.

Alertmanager mutes the target while the source fires. So a rule is written only where labels show which source belongs
to which target: without them a source anywhere would mute targets everywhere.
"""

from collections import Counter
from collections.abc import Sequence

from alert_history.domain.begins import Begin

_NEARLY_ALL = 0.9
_NO_PLACE = frozenset({"alertname", "severity", "priority"})
"""Labels that say what an alert is, not where."""

Case = tuple[Begin, Sequence[Begin]]
"""A begin of the target, and the begins of the source that may have caused it, the latest first."""


def inhibit_rule(source: str, target: str, cases: Sequence[Case]) -> str | None:
    """The rule as the YAML of `inhibit_rules`; None unless nearly all targets have a source with the same labels.

    `equal` names the labels that have the same value in nearly all cases.
    """
    equal = _equal_labels(cases)
    if not equal or not _is_held_by_nearly_all(cases, equal):
        return None
    return _yaml(source, target, equal)


def _equal_labels(cases: Sequence[Case]) -> list[str]:
    counts: Counter[str] = Counter()
    for target, sources in cases:
        counts.update(max((_shared(target, source) for source in sources), key=len, default=()))
    return sorted(name for name, count in counts.items() if count >= _NEARLY_ALL * len(cases))


def _shared(target: Begin, source: Begin) -> list[str]:
    """The labels of a place that both have, with the same value."""
    return [
        name
        for name, value in target.labels.items()
        if value and name not in _NO_PLACE and source.labels.get(name) == value
    ]


def _is_held_by_nearly_all(cases: Sequence[Case], equal: Sequence[str]) -> bool:
    """Whether one source alone shares all these labels, as Alertmanager asks for."""
    count = sum(any(_is_equal(target, source, equal) for source in sources) for target, sources in cases)
    return count >= _NEARLY_ALL * len(cases)


def _is_equal(target: Begin, source: Begin, names: Sequence[str]) -> bool:
    return all(target.labels.get(name, "") == source.labels.get(name, "") for name in names)


def _yaml(source: str, target: str, equal: Sequence[str]) -> str:
    import yaml

    rule = {"source_matchers": [_matcher(source)], "target_matchers": [_matcher(target)], "equal": list(equal)}
    return yaml.safe_dump({"inhibit_rules": [rule]}, sort_keys=False, allow_unicode=True)


def _matcher(rule: str) -> str:
    escaped = rule.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'alertname="{escaped}"'
