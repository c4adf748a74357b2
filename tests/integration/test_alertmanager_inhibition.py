"""Inhibition as amlint decides it: made rules and alerts, the same rule, and a source that ours knows, too.

`INHIBITION_CASES=50000` asks about more alerts than a few; `-s` shows how many.

Holds: `domain.alertmanager.inhibition`.
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from amlint.routing import Inhibitor as AmlintInhibitor

from alert_history.domain.alert import fingerprint
from alert_history.domain.alertmanager.behaviour import behaviour_of
from alert_history.domain.alertmanager.inhibition import Inhibition, Source
from alert_history.domain.alertmanager.reading import read_configuration

CASES = int(os.environ.get("INHIBITION_CASES", "1000"))
SEED = os.environ.get("INHIBITION_SEED", "inhibition")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
NAMES = ["alertname", "severity", "cluster", "host"]
VALUES = ["a", "b", "ab", "c"]
Labels = dict[str, str]


def made_rules(chance: random.Random) -> list[dict[str, Any]]:
    return [_rule(chance) for _ in range(chance.randint(1, 5))]


def _rule(chance: random.Random) -> dict[str, Any]:
    rule: dict[str, Any] = {f"{side}_matchers": _matchers(chance) for side in ("source", "target")}
    if chance.random() < 0.2:
        rule["source_match"] = {chance.choice(NAMES): chance.choice(VALUES)}
    if chance.random() < 0.2:
        rule["target_match_re"] = {chance.choice(NAMES): chance.choice(["a|b", "a.*", "[bc]"])}
    return {**rule, "equal": chance.sample(NAMES, chance.choice([0, 1, 1, 2]))}


def _matchers(chance: random.Random) -> list[str]:
    values = {"=": [*VALUES, ""], "!=": [*VALUES, ""], "=~": ["a|b", "a.*", ".+", "|c"], "!~": ["a|b", "b.*", ".+"]}
    operators = [chance.choice(["=", "=", "!=", "=~", "!~"]) for _ in range(chance.randint(1, 2))]
    return [f'{chance.choice(NAMES)}{op}"{chance.choice(values[op])}"' for op in operators]


def made_alerts(chance: random.Random) -> Iterator[Labels]:
    for number in range(chance.randint(2, 9)):
        labels = {name: chance.choice(VALUES) for name in NAMES if chance.random() < 0.8}
        yield {**labels, "number": str(number)}


def test_amlint_inhibits_the_same_by_the_same_rule() -> None:
    chance = random.Random(SEED)
    cases = inhibited = 0
    while cases < CASES:
        rules, alerts = made_rules(chance), list(made_alerts(chance))
        text = yaml.safe_dump({"route": {"receiver": "r"}, "receivers": [{"name": "r"}], "inhibit_rules": rules})
        inhibition = Inhibition(read_configuration(text).inhibit_rules, behaviour=behaviour_of("0.29.0"))
        sides = [inhibition.sides(labels) for labels in alerts]
        for labels, each in zip(alerts, sides, strict=True):
            inhibition.put(Source(fingerprint(labels), NOON + timedelta(hours=1)), each)
        theirs = AmlintInhibitor(rules)
        for labels, each in zip(alerts, sides, strict=True):
            ours, other = inhibition.inhibitor(each, at=NOON), theirs.inhibited_by(labels, alerts)
            assert (ours and f"inhibit_rules[{ours.rule.position}]") == (other and other.rule), (text, labels)
            names = [one.fingerprint for one in inhibition.inhibitors(each, at=NOON) if ours and one.rule == ours.rule]
            assert other is None or fingerprint(dict(other.source)) in names, (text, labels)
            cases, inhibited = cases + 1, inhibited + (ours is not None)
    print(f"{cases} cases without a difference, {inhibited} inhibited")
    assert inhibited > cases / 20
