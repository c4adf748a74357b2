"""What a Prometheus shows of its configuration, as far as it says which labels alerts are sent with."""

import pytest

from alert_history.domain.relabelling import RelabelRule
from alert_history.origins.prometheus_config import Naming, read_config

# As 2.42 shows it, with what only it writes: `null` for an empty regex, and empty fields left out.
SHOWN = r"""global:
  scrape_interval: 1m
  external_labels:
    cluster: prod-eu1
    "n": "1:30"
    "yes": "on"
alerting:
  alert_relabel_configs:
  - separator: ;
    regex: replica
    replacement: $1
    action: labeldrop
  - source_labels: [node, "on"]
    regex: null
    modulus: 8
    target_label: shard
    replacement: |
      # x: y

      global: z
    action: replace
  alertmanagers:
  - follow_redirects: true
    static_configs:
    - targets:
      - 127.0.0.1:9093
rule_files:
- rules.yml
scrape_configs:
- job_name: node
"""
PLAIN = "global:\n  external_labels:\n    a: b\n"
RULES = "alerting:\n  alert_relabel_configs:\n"


def rule(text: str, *, version: str, more: str = "", features: tuple[str, ...] = ()) -> RelabelRule:
    naming = read_config(f"{PLAIN}{more}{RULES}  - {{{text}}}\n", version=version, features=features)
    (only,) = naming.relabel_configs
    return only


def why_unnamed(text: str, *, version: str = "2.42.0") -> str:
    naming = read_config(text, version=version)
    assert naming.unnamed_because
    return naming.unnamed_because


def test_external_labels_and_rules_are_read_as_they_are_shown() -> None:
    assert read_config(SHOWN, version="2.42.0+ds") == Naming(
        {"cluster": "prod-eu1", "n": "1:30", "yes": "on"},
        [
            RelabelRule(
                action="labeldrop", regex="^(?:replica)$", separator=";", clears_template=True, sorts_first=True
            ),
            RelabelRule(
                source_labels=("node", "on"),
                separator="",
                regex="^(?:)$",
                modulus=8,
                target_label="shard",
                replacement="# x: y\n\nglobal: z\n",
                clears_template=True,
                sorts_first=True,
            ),
        ],
        None,
    )


def test_without_external_labels_and_rules_alerts_are_sent_as_they_are() -> None:
    assert read_config("global:\n  scrape_interval: 1m\n", version="") == Naming({}, [], None)


@pytest.mark.parametrize(
    "version,regex,ways",
    [
        ("2.42.0+ds", "^(?:a)$", (False, True, True)),
        ("2.43.1", "^(?:a)$", (False, True, False)),
        ("2.50.0-rc.1", "^(?:a)$", (False, False, False)),
        ("3.0.0", "^(?s:a)$", (True, False, False)),
        ("10.0.0", "^(?s:a)$", (True, False, False)),
    ],
)
def test_versions_relabel_in_their_ways(version: str, regex: str, ways: tuple[bool, bool, bool]) -> None:
    relabel_rule = rule("regex: a", version=version)
    assert relabel_rule.regex == regex
    assert (relabel_rule.takes_any_name, relabel_rule.clears_template, relabel_rule.sorts_first) == ways


def test_a_regex_that_is_left_out_is_the_default() -> None:
    assert rule("target_label: x", version="2.54.0").regex == "^(?:(.*))$"


@pytest.mark.parametrize("version,takes_any_name", [("3.6.0", True), ("3.7.0", False)])
def test_the_scheme_of_names_counts_where_the_version_obeys_it(version: str, *, takes_any_name: bool) -> None:
    relabel_rule = rule("regex: a", version=version, more="  metric_name_validation_scheme: legacy\n")
    assert relabel_rule.takes_any_name == takes_any_name


def test_a_feature_lets_names_be_any_text() -> None:
    assert rule("regex: a", version="2.55.0", features=("utf8-names",)).takes_any_name


@pytest.mark.parametrize(
    "text", ["", "null", "- a\n- b\n", "scrape_configs: []\n", "global: [", "global:\n\tx: y\n", "<html>"]
)
def test_what_shows_no_configuration_names_nothing(text: str) -> None:
    assert why_unnamed(text) == "it does not show its configuration"
    assert read_config(text, version="2.42.0").external_labels is None


@pytest.mark.parametrize(
    "text", ["global: x\n", "global:\n  external_labels: [a]\n", "global:\n  external_labels:\n    a: [b]\n"]
)
def test_external_labels_that_can_not_be_read_name_nothing(text: str) -> None:
    assert why_unnamed(text) == "its external_labels can't be read"


@pytest.mark.parametrize(
    "rule_text,reason",
    [
        ("{action: teleport}", "teleport"),
        ("{action: replace, source: remote}", "source"),
        ("{regex: '(?<!a)b'}", "RE2"),
        ("{regex: 'a)|(b'}", "RE2"),  # only between Prometheus' anchors is it a regex, and not an anchored one
        ("{action: hashmod}", "modulus"),
        ("{action: hashmod, modulus: many}", "modulus"),
        ("nonsense", "alert_relabel_configs[0]"),
    ],
)
def test_rules_that_can_not_be_followed_name_nothing(rule_text: str, reason: str) -> None:
    naming = read_config(f"{PLAIN}{RULES}  - {rule_text}\n", version="2.42.0")
    assert naming.external_labels == {"a": "b"}
    assert reason in (naming.unnamed_because or "")


@pytest.mark.parametrize("version", ["", "main", "3.x"])
def test_rules_of_an_unknown_version_name_nothing(version: str) -> None:
    assert "its version is unknown" in why_unnamed(
        f"{PLAIN}{RULES}  - {{action: labeldrop, regex: a}}\n", version=version
    )


def test_rules_of_one_alertmanager_alone_name_nothing() -> None:
    text = f"{PLAIN}alerting:\n  alertmanagers:\n  - alert_relabel_configs:\n    - {{action: drop, regex: a}}\n"
    assert "an Alertmanager has some of its own" in why_unnamed(text)


def test_the_rest_of_a_long_configuration_is_not_read() -> None:
    rest = "scrape_configs:\n" + "- &a {job_name: [unclosed\n" * 100_000
    assert read_config(f"{PLAIN}{rest}", version="2.42.0").external_labels == {"a": "b"}
