"""What Secrets and the downward API's lines say of a target, and how their faults are told."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from alert_history.discovery.downward import read_pairs
from alert_history.discovery.specs import read_spec
from alert_history.domain.query import parse_query
from alert_history.domain.target import TargetSpec

LABELS = {"alert-history.io/target": "true", "alert-history.io/format": "slack"}
SECRET = "xoxb-very-secret"  # noqa: S105  # of nothing


def spec(fields: dict[str, bytes] | None = None, /, **annotations: str) -> TargetSpec:
    named = {f"alert-history.io/{name.replace('_', '-')}": value for name, value in annotations.items()}
    target = read_spec("slack-webhook", labels=LABELS, annotations=named, fields=fields or {})
    assert target is not None
    return target


def fault(fields: dict[str, bytes] | None = None, /, **annotations: str) -> str:
    reason = spec(fields, **annotations).fault
    assert reason is not None
    return reason


@pytest.mark.parametrize("labels", [{}, {"alert-history.io/target": "false"}, {"alert-history.io/format": "slack"}])
def test_a_secret_without_the_label_is_no_target(labels: dict[str, str]) -> None:
    assert read_spec("other", labels=labels, annotations={}, fields={}) is None


def test_a_target_without_annotations_is_told_everything() -> None:
    target = spec({"webhook_url": b"https://hooks.slack.com/x"})
    assert target == TargetSpec("slack-webhook", "slack", {"webhook_url": "https://hooks.slack.com/x"})


def test_dashes_and_underscores_in_keys_are_alike() -> None:
    assert spec({"webhook-url": b"u", "header-X-Scope": b"t"}).fields == {"webhook_url": "u", "header_X_Scope": "t"}


def test_space_around_values_is_left_out() -> None:
    assert spec({"webhook_url": b" https://hooks.slack.com/x\n"}).fields == {"webhook_url": "https://hooks.slack.com/x"}


def test_an_empty_key_is_not_given() -> None:
    assert spec({"url": b"u", "service_id": b" \n"}).fields == {"url": "u"}


def test_annotations_are_read() -> None:
    query = '{severity="critical"} disk'
    target = spec(
        match=query, min_confidence="0.8", exclude_noise="true", priority="-5", rate_limit="30", enabled="False"
    )
    assert (target.match, target.match_text) == (parse_query(query), query)
    assert (target.min_confidence, target.excludes_noise, target.priority) == (0.8, True, -5)
    assert (target.rate_limit_per_minute, target.is_enabled, target.fault) == (30, False, None)


@pytest.mark.parametrize("text, per_minute", [("1", 1), ("1/s", 60), ("0.5/s", 30), ("120 / min", 120), ("600/h", 10)])
def test_rates_are_a_minute_unless_they_say_otherwise(text: str, per_minute: float) -> None:
    assert spec(rate_limit=text).rate_limit_per_minute == pytest.approx(per_minute)


@pytest.mark.parametrize(
    "name, value",
    [
        *(("match", '{severity="critical'), ("match", '{a=~"("}')),
        *(("min_confidence", text) for text in ("high", "1.1", "-0.1", "nan", "inf", "")),
        *(("priority", text) for text in ("1.5", "first", "9999999", "١", "")),
        *(("rate_limit", text) for text in ("0", "-1", "fast", "10/day", "1e9", "")),
        *(("enabled", "off"), ("enabled", ""), ("exclude_noise", "yes")),
    ],
)
def test_a_wrong_annotation_is_a_fault_that_names_it(name: str, value: str) -> None:
    assert fault(**{name: value}).startswith(f"annotation alert-history.io/{name.replace('_', '-')} ")


@pytest.mark.parametrize("given_name", ["min_confidence", "exclude_noise", "matches", "ratelimit", "Priority"])
def test_a_misspelt_annotation_is_a_fault(given_name: str) -> None:
    name = f"alert-history.io/{given_name}"
    target = read_spec("t", labels=LABELS, annotations={name: "0.5"}, fields={})
    assert target is not None
    assert (target.fault or "").startswith(f"annotation {name} means nothing; alert-history.io/")


def test_annotations_of_others_are_passed_over() -> None:
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "alert-history.io/owner": "sre", "match": "x"}
    target = read_spec("t", labels=LABELS, annotations=notes, fields={})
    assert target == TargetSpec("t", "slack", {})


@pytest.mark.parametrize("value", ["", "Slack!", "a/b", "x" * 64])
def test_a_wrong_format_is_a_fault(value: str) -> None:
    labels = LABELS | {"alert-history.io/format": value}
    target = read_spec("t", labels=labels, annotations={}, fields={})
    assert target is not None
    assert (target.fault or "").startswith("label alert-history.io/format ")


@pytest.mark.parametrize("value", [b"\xff\xfe", b"a\r\nX-Injected: 1", b"a\0b", b"a\x1b[31m", b"x" * 70_000])
def test_a_value_that_is_no_line_of_text_is_a_fault(value: bytes) -> None:
    assert fault({"api_key": value, "url": b"u"}).startswith("key api_key ")


def test_a_key_spelt_both_ways_with_two_values_is_a_fault() -> None:
    assert "api_key is given twice" in fault({"api-key": b"one", "api_key": b"two"})


def test_a_key_spelt_both_ways_with_one_value_is_well() -> None:
    assert spec({"api-key": b"one", "api_key": b"one\n"}).fault is None


def test_all_faults_are_told_at_once() -> None:
    assert fault({"url": b"\xff"}, priority="x", enabled="x").count("; ") == 2


def test_no_fault_holds_a_value() -> None:
    secret = SECRET.encode()
    fields = {"a": secret + b"\0", "b-c": secret, "b_c": secret + b"2", "d": b"\xff" + secret, "e": secret * 9999}
    wrong = dict.fromkeys(["min_confidence", "priority", "rate_limit", "enabled", "exclude_noise"], SECRET)
    assert SECRET not in fault(fields, match=f'{{{SECRET}="', **wrong)


@given(st.dictionaries(st.text(max_size=8), st.binary(max_size=20), max_size=4), st.dictionaries(st.text(), st.text()))
def test_nothing_in_a_secret_makes_reading_it_fail(fields: dict[str, bytes], notes: dict[str, str]) -> None:
    notes = {f"alert-history.io/{name}": value for name, value in notes.items()}
    assert read_spec("t", labels=LABELS, annotations=notes, fields=fields) is not None


@given(st.text())
def test_any_query_annotation_is_read_or_a_fault(text: str) -> None:
    spec(match=text)


# --- lines as the downward API writes them ---


@pytest.mark.parametrize(
    "line, value",
    [
        ('a="b"', "b"),
        ("a=b", "b"),
        ("a=", ""),
        ('a=""', ""),
        (r'a="{severity=\"critical\"}"', '{severity="critical"}'),
        ('a={severity="critical"}', '{severity="critical"}'),
        (r'a="one\ntwo\t\\"', "one\ntwo\t\\"),
        (r'a="\u00e9\xc3\xa9\303\251\U0001f525é"', "ééé🔥é"),
        ("a = b ", "b"),
        ("a=b=c", "b=c"),
    ],
)
def test_a_line_is_a_key_and_a_value(line: str, value: str) -> None:
    assert read_pairs(line) == {"a": value}


def test_lines_end_at_line_feeds_only() -> None:
    assert read_pairs('a="one\u2028two"\n\nb=c\r\n') == {"a": "one\u2028two", "b": "c"}


@pytest.mark.parametrize("line", ["nothing", "=b", 'a="b', 'a="b"c', r'a="\q"', r'a="\xff"', r'a="\ud800"', 'a="'])
def test_a_line_that_is_no_pair_is_told_by_its_number(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2 ") as caught:
        read_pairs(f"x=y\n{line}")
    assert line not in str(caught.value)


@pytest.mark.parametrize("show", [repr, str, "{}".format, pretty_repr])
def test_a_target_shows_its_keys_and_none_of_their_values(show: Callable[[TargetSpec], str]) -> None:
    shown = show(spec({"api_key": SECRET.encode(), "webhook_url": f"https://{SECRET}".encode()}, match='{a="b"}'))
    assert SECRET not in shown
    assert all(word in shown for word in ("slack-webhook", "api_key", "webhook_url", "***"))
