"""An inhibit rule: which labels it compares, when there is none, and that Alertmanager takes it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from alert_history.domain.begins import Begin
from alert_history.domain.inhibit_rule import inhibit_rule
from tests.monitoring.documents import amtool

T0 = datetime(2026, 3, 1, tzinfo=UTC)
PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "together.md").read_text(encoding="utf-8")


def case(target: dict[str, str], *sources: dict[str, str]) -> tuple[Begin, list[Begin]]:
    return Begin("PodCrash", T0, target), [Begin("NodeDown", T0, labels) for labels in sources]


def equal(cases: Sequence[tuple[Begin, list[Begin]]]) -> list[str] | None:
    text = inhibit_rule("NodeDown", "PodCrash", cases)
    if text is None:
        return None
    names: list[str] = yaml.safe_load(text)["inhibit_rules"][0]["equal"]
    return names


def test_the_rule_reads_as_the_docs_show_it() -> None:
    cases = [case({"node": f"n{n}", "cluster": "eu", "pod": "p"}, {"node": f"n{n}", "cluster": "eu"}) for n in range(9)]
    text = inhibit_rule("NodeDown", "PodCrash", cases)
    assert text is not None
    assert f"```yaml\n{text}```" in PAGE


def test_labels_that_nearly_always_agree_are_compared() -> None:
    alike, unlike = (
        case({"node": "a", "zone": "1"}, {"node": "a", "zone": "1"}),
        case({"node": "a", "zone": "1"}, {"node": "a"}),
    )
    assert equal([alike] * 18 + [unlike] * 2) == ["node", "zone"]
    assert equal([alike] * 17 + [unlike] * 3) == ["node"]


def test_the_source_that_shares_most_is_the_one() -> None:
    cases = [case({"node": "a"}, {"node": "z"}, {"node": "a"}, {})] * 5
    assert equal(cases) == ["node"]


def test_labels_that_no_single_source_shares_make_no_rule() -> None:
    """Each label agrees with one source, but Alertmanager wants one source for both."""
    target = {"node": "a", "zone": "1"}
    cases = [case(target, {"node": "a"}), case(target, {"zone": "1"})] * 5
    assert equal(cases) is None


@pytest.mark.parametrize(
    "cases",
    [
        [],
        [case({}, {})] * 5,
        [case({"node": ""}, {"node": ""})] * 5,  # both lack it: Alertmanager would mute everywhere
        [case({"severity": "page"}, {"severity": "page"})] * 5,  # says what it is, not where
        [case({"node": "a"})] * 5,  # nothing began before
        [case({"node": "a"}, {"node": "a"})] * 8 + [case({"node": "a"})] * 2,
    ],
)
def test_without_labels_of_a_place_there_is_no_rule(cases: list[tuple[Begin, list[Begin]]]) -> None:
    assert equal(cases) is None


@pytest.mark.parametrize(
    "rule", ["NodeDown", 'quo"ted', "back\\slash", "two\nlines", "it's: #1 {é}", "- x", "\U0001f525"]
)
def test_alertmanager_takes_the_rule(rule: str, tmp_path: Path) -> None:
    text = inhibit_rule(rule, "PodCrash", [case({"node": "a"}, {"node": "a"})] * 5)
    assert text is not None
    path = tmp_path / "alertmanager.yml"
    path.write_text(f"route:\n  receiver: none\nreceivers:\n- name: none\n{text}", encoding="utf-8")
    output = amtool("check-config", path)
    assert "SUCCESS" in output
    assert "1 inhibit rules" in output
