"""Which labels Prometheus sends an alert with. A real one is asked the same in tests/integration."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.relabelling import RelabelRule, check_rule, sent_labels

LABELS = {"alertname": "A", "node": "web-17", "severity": "critical"}
names = st.from_regex(r"[a-z]{1,3}", fullmatch=True)
label_sets = st.dictionaries(names, st.text("ab", min_size=1, max_size=3))


def regex(text: str) -> str:
    return f"^(?:{text})$"


def relabelled(labels: dict[str, str] | None = None, **fields: Any) -> dict[str, str] | None:
    rule = RelabelRule(**fields)
    check_rule(rule)
    return sent_labels(LABELS if labels is None else labels, external_labels={}, relabel_configs=[rule])


def changed(**fields: Any) -> dict[str, str | None]:
    """What a rule changes in LABELS; None: the label is gone."""
    after = relabelled(**fields)
    assert after is not None
    return {
        name: after.get(name) for name in sorted(LABELS.keys() | after.keys()) if after.get(name) != LABELS.get(name)
    }


def test_external_labels_are_added_where_the_alert_has_none_of_that_name() -> None:
    external = {"cluster": "eu", "severity": "none", "empty": "", "node": "x"}
    sent = sent_labels(
        {"alertname": "A", "severity": "critical", "node": ""}, external_labels=external, relabel_configs=[]
    )
    assert sent == {"alertname": "A", "severity": "critical", "cluster": "eu", "node": "x"}


def test_rules_see_external_labels_and_what_rules_before_did() -> None:
    rules = [
        RelabelRule(source_labels=("cluster",), target_label="c", replacement="$1!"),
        RelabelRule(source_labels=("c", "node"), separator="/", target_label="d"),
    ]
    sent = sent_labels(LABELS, external_labels={"cluster": "eu"}, relabel_configs=rules)
    assert sent == {**LABELS, "cluster": "eu", "c": "eu!", "d": "eu!/web-17"}


@pytest.mark.parametrize(
    "fields,change",
    [
        ({"target_label": "x", "replacement": "y"}, {"x": "y"}),
        ({"source_labels": ("node", "none", "severity"), "target_label": "x"}, {"x": "web-17;;critical"}),
        (
            {"source_labels": ("node",), "regex": regex(r"(\w+)-(\d+)"), "target_label": "x", "replacement": "$2.${1}"},
            {"x": "17.web"},
        ),
        (
            {"source_labels": ("node",), "regex": regex(r"(?P<kind>\w+)-.*"), "target_label": "${kind}_n"},
            {"web_n": "web"},
        ),
        ({"source_labels": ("node",), "regex": regex("web"), "target_label": "x"}, {}),
        ({"source_labels": ("node",), "target_label": "node", "replacement": ""}, {"node": None}),
        ({"source_labels": ("none",), "target_label": "node"}, {"node": None}),
        ({"action": "labeldrop", "regex": regex("n.*")}, {"node": None}),
        ({"action": "labelkeep", "regex": regex("alertname|node")}, {"severity": None}),
        ({"action": "labelmap", "regex": regex("n(.)de"), "replacement": "m$1"}, {"mo": "web-17"}),
        ({"action": "uppercase", "source_labels": ("severity",), "target_label": "severity"}, {"severity": "CRITICAL"}),
        ({"action": "lowercase", "source_labels": ("alertname",), "target_label": "x"}, {"x": "a"}),
        (
            {"action": "hashmod", "source_labels": ("node",), "target_label": "shard", "modulus": 1 << 60},
            {"shard": str(0x0AA7089538581881)},
        ),
    ],
)
def test_what_a_rule_changes(fields: dict[str, Any], change: dict[str, str | None]) -> None:
    assert changed(**fields) == change


@pytest.mark.parametrize(
    "fields,is_kept",
    [
        ({"action": "keep", "source_labels": ("severity",), "regex": regex("critical|warning")}, True),
        ({"action": "keep", "source_labels": ("severity",), "regex": regex("crit")}, False),
        ({"action": "drop", "source_labels": ("severity",), "regex": regex("critical")}, False),
        ({"action": "drop", "source_labels": ("none",), "regex": regex("")}, False),
        ({"action": "drop", "source_labels": ("node",), "regex": regex("web")}, True),
        ({"action": "keepequal", "source_labels": ("severity",), "target_label": "node"}, False),
        ({"action": "dropequal", "source_labels": ("severity",), "target_label": "node"}, True),
        ({"action": "dropequal", "source_labels": ("none",), "target_label": "other"}, False),
    ],
)
def test_whether_an_alert_is_dropped(fields: dict[str, Any], *, is_kept: bool) -> None:
    assert relabelled(**fields) == (LABELS if is_kept else None)


@pytest.mark.parametrize(
    "template,text",
    [
        *(("$1", "w"), ("${1}x", "wx"), ("$1x", ""), ("$$1", "$1"), ("$", "$"), ("a$", "a$"), ("$-", "$-")),
        *(("${", "${"), ("${}", "${}"), ("${1", "${1"), ("${1-}", "${1-}"), ("$0", "wb"), ("$2", ""), ("$9", "")),
        *(("$01", ""), ("$name", "b"), ("${name}$name", "bb"), ("$namex", ""), ("$é", ""), ("$999999999999", "")),
    ],
)
def test_templates_are_filled_in_as_go_does(template: str, text: str) -> None:
    labels = {"a": "wb"}
    rule = {"source_labels": ("a",), "regex": regex("(w)(?:(x))?(?P<name>b)"), "target_label": "t"}
    assert relabelled(labels, replacement=f"[{template}]", **rule) == {"a": "wb", "t": f"[{text}]"}


def test_dot_matches_a_newline_only_where_the_regex_says_so() -> None:
    rule = {"action": "drop", "source_labels": ("a",)}
    labels = {"a": "one\ntwo"}
    assert relabelled(labels, regex="^(?:.*)$", **rule) == labels
    assert relabelled(labels, regex="^(?s:.*)$", **rule) is None


def test_a_label_name_that_is_not_allowed_changes_nothing() -> None:
    assert changed(source_labels=("node",), target_label="$1", replacement="x") == {}


def test_any_text_may_be_a_label_name_where_the_version_takes_it() -> None:
    rule = {"source_labels": ("node",), "target_label": "$1", "replacement": "x"}
    assert changed(takes_any_name=True, **rule) == {"web-17": "x"}


@pytest.mark.parametrize("is_old,change", [(True, {}), (False, {"node": None})])
def test_an_empty_replacement_removes_the_label_that_the_version_means(
    is_old: bool,  # noqa: FBT001  # a parameter of the test
    change: dict[str, str | None],
) -> None:
    rule = {"source_labels": ("alertname",), "regex": regex("(.*)"), "target_label": "node$2", "replacement": "$2"}
    assert changed(clears_template=is_old, **rule) == change


def test_letters_are_mapped_one_to_one() -> None:
    labels = {"a": "straße ŉ ΑΣ İ"}
    assert relabelled(labels, action="uppercase", source_labels=("a",), target_label="a") == {"a": "STRAßE ŉ ΑΣ İ"}
    assert relabelled(labels, action="lowercase", source_labels=("a",), target_label="a") == {"a": "straße ŉ ασ i"}


@pytest.mark.parametrize(
    "fields", [{"regex": "^(?:(unclosed)$"}, {"regex": "(?<!a)b"}, {"action": "hashmod", "modulus": 0}]
)
def test_a_rule_that_can_not_be_applied_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"regex|modulus"):
        check_rule(RelabelRule(**fields))


@given(label_sets, label_sets)
def test_without_rules_nothing_of_the_alert_is_lost(labels: dict[str, str], external: dict[str, str]) -> None:
    assert sent_labels(labels, external_labels=external, relabel_configs=[]) == {**external, **labels}
