"""Every rule is one that Prometheus takes, has unit tests, and has a page that says what to do."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from alert_history.bootstrap import make_metrics
from tests.guide import blocks
from tests.monitoring.documents import ROOT, load, promtool

RULES = ROOT / "monitoring" / "rules"
UNIT_TESTS = ROOT / "monitoring" / "tests"
RUNBOOKS = ROOT / "docs" / "runbooks"
RUNBOOK_URL = "https://github.com/ipiton/alert-history-service/blob/main/"
OURS = re.compile(r"\balert_history[_:][a-z0-9_:]*[a-z0-9]")
SECTIONS = ["What it means", "Who is hurt", "What to look at", "What to do", "Silence the cause"]

# Where the guide's own expression is wrong: recording.yaml says what with.
BETTER_THAN_THE_GUIDE = {"alert_history:enrichment_efficiency", "alert_history:publishing_success_rate"}


@cache
def rules() -> dict[str, dict[str, Any]]:
    """All rules by name."""
    files = [load(path) for path in sorted(RULES.glob("*.yaml"))]
    return {
        rule.get("alert") or rule["record"]: rule
        for file in files
        for group in file["groups"]
        for rule in group["rules"]
    }


ALERTS = [name for name, rule in rules().items() if "alert" in rule]
RECORDS = [name for name, rule in rules().items() if "record" in rule]


def unit_tests(kind: str) -> Iterator[dict[str, Any]]:
    for path in UNIT_TESTS.glob("*.yaml"):
        for test in load(path)["tests"]:
            yield from test.get(kind, [])


@cache
def exposed() -> set[str]:
    """Every name under which one of our metrics is stored."""
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    return {family.name + suffix for family in make_metrics().registry.collect() for suffix in suffixes[family.type]}


def guide_groups() -> Iterator[dict[str, Any]]:
    """The groups of rules that the deployment guide shows, in whatever they are wrapped."""
    for block in blocks("yaml"):
        if "groups:" in block.text:
            document = yaml.safe_load(block.text)
            yield from document.get("spec", document)["groups"]


def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted(RULES.glob("*.yaml")))


def test_the_rules_unit_tests_pass() -> None:
    promtool("test", "rules", *sorted(UNIT_TESTS.glob("*.yaml")))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_shown_to_fire_and_not_to_fire(name: str) -> None:
    outcomes = {bool(test.get("exp_alerts")) for test in unit_tests("alert_rule_test") if test["alertname"] == name}
    assert outcomes == {True, False}


@pytest.mark.parametrize("name", RECORDS)
def test_a_recording_rule_is_shown_with_a_value(name: str) -> None:
    assert any(name in test["expr"] and test["exp_samples"] for test in unit_tests("promql_expr_test"))


def test_no_unit_test_is_of_a_rule_that_is_gone() -> None:
    assert {test["alertname"] for test in unit_tests("alert_rule_test")} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    rule = rules()[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page = ROOT / rule["annotations"]["runbook_url"].removeprefix(RUNBOOK_URL)
    assert page == RUNBOOKS / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n\n*{rule['annotations']['summary']}.* Severity: {rule['labels']['severity']}.\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS


def test_every_runbook_is_of_an_alert_and_in_the_index() -> None:
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {*ALERTS, "index"}
    index = (RUNBOOKS / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(\w+)\]\((\w+)\.md\): (.*) \((\w+)\)$", index, re.MULTILINE)
    rows = [
        (name, name, r["annotations"]["summary"], r["labels"]["severity"]) for name in ALERTS if (r := rules()[name])
    ]
    assert listed == rows


@pytest.mark.parametrize(
    "path", [*RULES.glob("*.yaml"), *UNIT_TESTS.glob("*.yaml"), *RUNBOOKS.glob("*.md")], ids=lambda path: path.name
)
def test_every_metric_that_is_named_exists(path: Path) -> None:
    named = set(OURS.findall(path.read_text(encoding="utf-8")))
    groups = {"alert_history_aggregation"}  # the guide's name of the group of recording rules
    assert named - exposed() - set(RECORDS) - groups == set()


def test_the_guides_rules_are_here_as_it_writes_them() -> None:
    count = 0
    for group in guide_groups():
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            ours = rules()[name]
            count += 1
            assert ours.get("for") == rule.get("for")
            assert ours.get("labels") == rule.get("labels")
            if name not in BETTER_THAN_THE_GUIDE:
                assert ours["expr"].split() == rule["expr"].split()
    assert count >= 6
