"""The rules of flapping: read by their names, with defaults and bounds."""

from typing import get_args

import msgspec
import pytest

from alert_history.domain.flap_rules import (
    Definition,
    FlapRule,
    IcingaRule,
    KibanaRule,
    NagiosRule,
    NewRelicRule,
    OursRule,
    definition_of,
    flap_rule,
)
from alert_history.errors import InvalidQuery


@pytest.mark.parametrize("name", get_args(Definition))
def test_each_definition_has_a_rule_with_defaults(name: str) -> None:
    rule = flap_rule(name)
    assert definition_of(rule) == name
    assert msgspec.json.decode(msgspec.json.encode(rule), type=FlapRule) == rule


@pytest.mark.parametrize(
    "name, parameters, rule",
    [
        ("ours", {"limit": "6", "window_seconds": "1800"}, OursRule(limit=6, window_seconds=1800.0)),
        ("nagios", {"high_share": "0.2", "low_share": "0.05"}, NagiosRule(high_share=0.2, low_share=0.05)),
        ("icinga", {"check_interval_seconds": "60"}, IcingaRule(check_interval_seconds=60.0)),
        ("kibana", {"look_back_window": 10}, KibanaRule(look_back_window=10)),
        ("newrelic", {"share": "0.75", "restart_seconds": "0"}, NewRelicRule(share=0.75, restart_seconds=0.0)),
    ],
)
def test_parameters_are_read_from_a_query(name: str, parameters: dict[str, object], rule: FlapRule) -> None:
    assert flap_rule(name, parameters) == rule


@pytest.mark.parametrize(
    "name, parameters, message",
    [
        ("ours", {"limit": "0"}, "limit"),
        ("ours", {"window_seconds": "59"}, "window_seconds"),
        ("ours", {"window_seconds": "nan"}, "window_seconds"),
        (
            "ours",
            {"high_share": "0.3"},
            "'high_share' is no parameter of flapping as ours defines it; there are window",
        ),
        ("nagios", {"high_share": "30"}, "high_share"),
        ("nagios", {"high_share": "0.1"}, "low_share must not be above high_share"),
        ("icinga", {"high_share": "0.2"}, "low_share must not be above high_share"),
        ("kibana", {"look_back_window": "3"}, "status_change_threshold must not be more than look_back_window"),
        ("kibana", {"look_back_window": "21"}, "look_back_window"),
        ("newrelic", {"share": "0"}, "share"),
        ("newrelic", {"seconds": "soon"}, "seconds"),
        ("zabbix", {}, "'zabbix' is no definition of flapping; there are ours, nagios, icinga, kibana, newrelic"),
    ],
)
def test_what_is_not_allowed_is_named(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidQuery, match=message):
        flap_rule(name, parameters)
