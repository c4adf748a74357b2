"""Matchers in Alertmanager's two languages: what 0.25 and 0.34 were seen to make of each text.

Holds: `domain.alertmanager.matchers`, `domain.alertmanager.go_text`.
"""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.alertmanager.go_text import go_quoted, go_unquoted
from alert_history.domain.alertmanager.matchers import (
    Dialect,
    in_order,
    matcher_text,
    matchers_text,
    matching,
    parse_matcher,
    parse_matchers,
)
from alert_history.domain.query import Matcher
from alert_history.errors import InvalidQuery

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
CLASSIC = [
    ("foo=bar", "=", "bar"),
    (" foo != bar ", "!=", "bar"),
    ('foo="b\\"a\\\\r\\n"', "=", 'b"a\\r\n'),
    ("foo=", "=", ""),
    ("foo==b", "=", "=b"),
    ("foo='bar'", "=", "'bar'"),
    ("foo=a,b=c", "=", "a,b=c"),
    ("foo=\\d", "=", "\\d"),
    ("foo=a\\", "=", "a\\"),
    ("foo=~a|b", "=~", "a|b"),
    ("foo!~.*", "!~", ".*"),
    ("foo = b c ", "=", "b c"),
]


@pytest.mark.parametrize("text, op, value", CLASSIC)
def test_the_classic_language_is_tolerant(text: str, op: str, value: str) -> None:
    matcher = parse_matcher(text)
    assert (matcher.name, matcher.op, matcher.value) == ("foo", op, value)


@pytest.mark.parametrize("text", ["", "foo", "{foo=bar}", '{foo="bar"}', "=bar", 'foo=a"b', 'foo="a', "foo=~(", "1=2"])
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_matcher(text, "classic")


def test_newer_versions_refuse_a_brace_at_the_end_of_a_filter() -> None:
    assert parse_matcher("foo=bar}", "classic").value == "bar}"
    with pytest.raises(InvalidQuery, match="brace"):
        parse_matcher("foo=bar}")


@pytest.mark.parametrize(
    "text, name, value",
    [
        ('"foo bar"=baz', "foo bar", "baz"),
        ("größe=5", "größe", "5"),
        ('foo.bar="\\u00e9\\x41"', "foo.bar", "éA"),
        ('a-b=~"x"', "a-b", "x"),
    ],
)
def test_newer_versions_take_any_name(text: str, name: str, value: str) -> None:
    matcher = parse_matcher(text)
    assert (matcher.name, matcher.value) == (name, value)
    with pytest.raises(InvalidQuery):
        parse_matcher(text, "classic")


def test_where_the_languages_disagree_the_classic_reading_counts() -> None:
    text = 'foo="\\x41"'
    assert parse_matcher(text, "utf-8").value == "A"
    assert parse_matcher(text).value == "\\x41"


@pytest.mark.parametrize(
    "text, values",
    [
        ("{foo=bar,baz!=qux}", ["bar", "qux"]),
        ('foo="a,b", baz=c ,', ["a,b", "c"]),
        ('foo="a\\",b",baz=c', ['a",b', "c"]),
        ("{}", []),
        ("", []),
        ("foo=b{1},bar=c", ["b{1}", "c"]),
        ("foo=b{1}", ["b{1"]),
    ],
)
def test_an_entry_of_a_configuration_may_hold_several(text: str, values: list[str]) -> None:
    assert [each.value for each in parse_matchers(text, "classic")] == values


@pytest.mark.parametrize(
    "text", ["{a=b", "a=b}", "a=b,,c=d", "{,}", "a=b c=d", 'a="\\q"', "a=b'", "{}{}", "}", 'a="\\ud800"']
)
def test_the_newer_language_is_strict(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_matchers(text, "utf-8")


@given(
    st.builds(
        Matcher,
        name=TEXTS.filter(bool),
        op=st.sampled_from(["=", "!="]),
        value=TEXTS,
    )
)
def test_what_is_printed_is_read_again(matcher: Matcher) -> None:
    assert parse_matchers(matcher_text(matcher)) == (matcher,)


@pytest.mark.parametrize("dialect", ["classic", "utf-8", "fallback"])
@given(text=st.text("{}=!~,\\\"'`ab \n", max_size=12))
def test_any_text_is_read_or_refused(dialect: Dialect, text: str) -> None:
    for parse in (parse_matchers, parse_matcher):
        with suppress(InvalidQuery):
            parse(text, dialect)


def test_matchers_are_printed_in_order_of_name_value_and_operator() -> None:
    matchers = in_order(
        [Matcher("b", "=", "x"), Matcher("a", "!~", "z"), Matcher("a", "=", "z"), Matcher("a", "=", "b")]
    )
    assert matchers_text(matchers) == '{a="b",a="z",a!~"z",b="x"}'


@pytest.mark.parametrize(
    "matcher, value, is_match",
    [
        ("a=b", "b", True),
        ("a=", None, True),
        ("a!=b", None, True),
        ("a=~b|c", "c", True),
        ("a=~b|c", "cc", False),
        ("a!~b", "c", True),
        ("a=~.*", "x\ny", False),
        ("a=~(?s).*", "x\ny", True),
        ("a=~x$", "x\n", False),
        ("a=~.*", None, True),
        ("a=~x)|(?:y", "xz", True),
        ("a=~x)|(?:y", "zy", True),
        ("a=~x)|(?:y", "zx", False),
    ],
)
def test_the_whole_value_must_match_and_a_label_that_lacks_is_empty(
    matcher: str, value: str | None, *, is_match: bool
) -> None:
    test = matching([parse_matcher(matcher)])
    assert test({} if value is None else {"a": value}) is is_match


def test_all_matchers_must_match_and_none_matches_everything() -> None:
    test = matching(parse_matchers("a=b,c=~d.*"))
    assert test({"a": "b", "c": "de"})
    assert not test({"a": "b", "c": "e"})
    assert matching(())({})


@pytest.mark.parametrize(
    "text, quoted",
    [
        ("a b", '"a b"'),
        ('q"u', '"q\\"u"'),
        ("\x00\x7f", '"\\x00\\x7f"'),
        ("é\u00a0", '"é\\u00a0"'),
        ("\U000e0001", '"\\U000e0001"'),
        ("\a\b\t\v", '"\\a\\b\\t\\v"'),
    ],
)
def test_a_text_is_quoted_as_go_quotes_it(text: str, quoted: str) -> None:
    assert go_quoted(text) == quoted


@given(TEXTS)
def test_what_is_quoted_is_unquoted_again(text: str) -> None:
    assert go_unquoted(go_quoted(text)[1:-1]) == text
