"""The query language: what a query's text means, what it matches, and how a wrong one is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.grams import folded
from alert_history.domain.query import (
    Matcher,
    Operator,
    Query,
    literal_alternatives,
    literal_prefix,
    parse_query,
    required_literals,
    to_postgres_regex,
)
from alert_history.domain.regex import full_match
from alert_history.errors import InvalidQuery
from tests.regexes import REGEXES, VALUES, regexes, values

LABELS = {"alertname": "DiskFull", "severity": "critical", "pod": "db-0", "k8s.pod": "x"}
ANNOTATIONS = {"summary": "Disk of db-0 is FULL", "runbook": "https://example.org/disk"}


def matcher(text: str) -> Matcher:
    """The only matcher of a query."""
    query = parse_query(text)
    assert query.words == ()
    assert len(query.matchers) == 1
    return query.matchers[0]


def fault(text: str) -> str:
    """What is said of a query that can't be read."""
    with pytest.raises(InvalidQuery) as raised:
        parse_query(text)
    return str(raised.value)


# --- matchers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, name, op, value",
    [
        ('{severity="critical"}', "severity", "=", "critical"),
        ('{severity!="critical"}', "severity", "!=", "critical"),
        ('{severity=~"critical|warning"}', "severity", "=~", "critical|warning"),
        ('{severity!~"info.*"}', "severity", "!~", "info.*"),
        ("{severity='critical',}", "severity", "=", "critical"),
        ('{ severity = "critical" , }', "severity", "=", "critical"),
        ('{"k8s.pod"="x"}', "k8s.pod", "=", "x"),
        ('{"größe"="x"}', "größe", "=", "x"),
        ('{pod=""}', "pod", "=", ""),
        ('{pod!=""}', "pod", "!=", ""),
        ('{pod=~".*"}', "pod", "=~", ".*"),
        ('{a="} or {"}', "a", "=", "} or {"),
        ('{a="x,y"}', "a", "=", "x,y"),
        (r'{a="\"q\" \\ \u00e9\n"}', "a", "=", '"q" \\ é\n'),
        (r'{a=~"web\\d+"}', "a", "=~", r"web\d+"),
        (r"{a=~`web\d+`}", "a", "=~", r"web\d+"),
        (r'{a=~"\\Qa.b\\E[[]"}', "a", "=~", r"\Qa.b\E[[]"),
        ('{offset="1"}', "offset", "=", "1"),
    ],
)
def test_matchers_are_read_as_prometheus_reads_them(text: str, name: str, op: Operator, value: str) -> None:
    assert matcher(text) == Matcher(name, op, value)


@pytest.mark.parametrize("text", ["DiskFull{}", '{"DiskFull"}', '{__name__="DiskFull"}', '{alertname="DiskFull"}'])
def test_metric_name_means_alertname(text: str) -> None:
    assert matcher(text) == Matcher("alertname", "=", "DiskFull")


@pytest.mark.parametrize(
    "text, name, op, value",
    [
        ("severity=critical", "severity", "=", "critical"),
        ("severity = critical", "severity", "=", "critical"),
        ('pod!="db 0"', "pod", "!=", "db 0"),
        (r"pod=~web-\d+|db-(0|1)", "pod", "=~", r"web-\d+|db-(0|1)"),
        ("k8s.pod!~x.*", "k8s.pod", "!~", "x.*"),
        ('"k8s.pod"=x', "k8s.pod", "=", "x"),
        ("url=http://host:9090/?a=b", "url", "=", "http://host:9090/?a=b"),
        ('pod=""', "pod", "=", ""),
        ("{severity=critical}", "severity", "=", "critical"),
    ],
)
def test_matchers_may_stand_without_braces_and_quotes(text: str, name: str, op: Operator, value: str) -> None:
    assert matcher(text) == Matcher(name, op, value)


@pytest.mark.parametrize(
    "text",
    [
        "a=1 b!=2",
        "a=1,b!=2",
        'a="1", b!=2',
        '{a="1",b!="2"}',
        '{a="1"} b!=2',
        'a=1,{b!="2"}',
        ' { a = "1",\n b!="2" } ',
    ],
)
def test_matchers_keep_their_order_wherever_they_stand(text: str) -> None:
    assert parse_query(text) == Query((Matcher("a", "=", "1"), Matcher("b", "!=", "2")), ())


@pytest.mark.parametrize("text", ["", " \n", "{}", "{ }"])
def test_empty_query_matches_everything(text: str) -> None:
    assert parse_query(text).matches({}, {})


_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(name=_NAMES.filter(lambda name: name != "__name__"), value=_NAMES, op=st.sampled_from(["=", "!="]))
def test_any_name_and_value_can_be_quoted(name: str, value: str, op: Operator) -> None:
    def quoted(text: str) -> str:
        return '"' + "".join(f"\\U{ord(char):08x}" if char in '"\\\n' else char for char in text) + '"'

    assert matcher(f"{{{quoted(name)}{op}{quoted(value)}}}") == Matcher(name, op, value)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("disk full", ("disk", "full")),
        ("disk, full", ("disk", "full")),
        ('disk "no space"', ("disk", "no space")),
        ("'no space' `a\\b`", ("no space", "a\\b")),
        (r'"say \"no\" \\ \d"', (r'say "no" \ \d',)),
        ("don't C:\\temp 95% 5=5 <b> 日本", ("don't", "C:\\temp", "95%", "5=5", "<b>", "日本")),
        ("http://host/?a=b", ("http://host/?a=b",)),
        ('"or" "and"', ("or", "and")),
        ('{a="b"} offset problem', ("offset", "problem")),
        ('before {a="b"} after', ("before", "after")),
    ],
)
def test_words_and_quoted_phrases_are_kept_in_order(text: str, words: tuple[str, ...]) -> None:
    assert parse_query(text).words == words


@pytest.mark.parametrize(
    "text", ["disk", "DISK", "full", '"of db-0"', "critical", "dISKfULL", "runbook=~.* example.org"]
)
def test_word_is_found_in_values_whatever_its_case(text: str) -> None:
    assert Query((), parse_query(text).words).matches(LABELS, ANNOTATIONS)


@pytest.mark.parametrize("text", ["severity", "summary", "disk memory", '"criticalpod"', '"critical db-0"'])
def test_word_is_not_found_in_names_nor_across_values(text: str) -> None:
    assert not parse_query(text).matches(LABELS, ANNOTATIONS)


# --- matching ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{severity="critical"}', True),
        ('{severity="crit"}', False),
        ('{severity!="warning",pod="db-0"}', True),
        ('{severity="critical",pod!="db-0"}', False),
        ('{severity=~"crit"}', False),
        ('{severity=~"crit.*"}', True),
        ('{severity!~"crit"}', True),
        ('{severity!~"warning|critical"}', False),
        ('{severity="Critical"}', False),
        ('{severity=~"(?i)CRITICAL"}', True),
        ('{severity="critical"} full', True),
        ('{severity="critical"} empty', False),
    ],
)
def test_all_parts_must_match(text: str, *, expected: bool) -> None:
    assert parse_query(text).matches(LABELS, ANNOTATIONS) is expected


@pytest.mark.parametrize("text", ['{zone=""}', '{zone!="a"}', '{zone=~"a?"}', '{zone!~"a+"}', '{zone=~"|eu"}'])
def test_missing_label_is_the_empty_value(text: str) -> None:
    assert parse_query(text).matches(LABELS, {})


def test_dot_matches_a_newline() -> None:
    assert parse_query('{a=~"x.y"}').matches({"a": "x\ny"}, {})


def test_annotations_are_no_labels() -> None:
    assert not parse_query('{summary!=""}').matches(LABELS, ANNOTATIONS)


def test_repetition_that_would_hang_other_engines_is_matched_at_once() -> None:
    query = parse_query(f"a=~{'(x*)*' * 1500}y")
    assert not query.matches({"a": "x" * 100_000}, {})


def test_value_with_a_lone_surrogate_can_be_matched() -> None:
    assert parse_query('{a=~"x."}').matches({"a": "x\ud800"}, {})


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, at, what",
    [
        ('{a="b" or c="d"}', 8, "or can't be used"),
        ("a=b or c=d", 5, "or can't be used"),
        ("disk AND full", 6, "leave out and"),
        ('{a="b",c=~"("}', 12, "missing )"),
        ('{a=~"(?=x)"}', 6, "not valid RE2"),
        ('{a=~"x{1001}"}', 7, "not valid RE2"),
        (r'{a="b",c=~"\d"}', 12, r"inside quotes a backslash is written \\"),
        ('{a="b"}[5m]', 8, "since and until"),
        ('{a="b"} offset 5m', 8, "since and until"),
        ('{a="b"} offset -5m', 8, "since and until"),
        ('{a="b"} @ 1700000000', 8, "since and until"),
        ('{a="b"} @ end()', 8, "since and until"),
        ('sum({a="b"})', 5, "a space is missing before {"),
        ('{a="b"} + {c="d"}', 11, "only one {…}"),
        ('{a="b"}x', 8, "a space is missing before x"),
        ('say"x"', 4, 'a space is missing before "'),
        ('disk "no space', 6, "never closed"),
        ('{a="b', 4, "never closed"),
        ('{a="b"', 7, "the closing } is missing"),
        ("{a={b}}", 4, "{ can't stand inside"),
        ('{a="b",,c="d"}', 8, "a matcher is missing"),
        ('{a="b" c="d"}', 2, "can't read the matcher"),
        ("{a}", 2, "can't read the matcher a"),
        ("}", 1, "} does not belong here"),
        ("a==b", 2, "== is no operator"),
        ("severity=", 10, "a value is missing"),
        ("severity=critical,warning", 18, "must be quoted"),
        ('{""="x"}', 2, "no name"),
        (r'{a="\x00"}', 2, "NUL"),
        ("a\0b", 2, "NUL"),
        ("a\ud800", 2, "lone surrogate"),
    ],
)
def test_fault_says_where_and_what(text: str, at: int, what: str) -> None:
    message = fault(text)
    assert f"character {at}: " in message
    assert what in message


@given(st.lists(st.sampled_from(['{a="b"', ",", '"', "}", "or", r'c="\q"', 'd=~"x("', "=", " ", "e"])).map("".join))
def test_fault_carries_the_place_of_the_character_that_its_text_names(text: str) -> None:
    error: InvalidQuery | None = None
    try:
        parse_query(text)
    except InvalidQuery as refusal:
        error = refusal
    if error is not None and error.at is not None:
        assert str(error).startswith(f"query, character {error.at + 1}: {error.reason}")
        assert 0 <= error.at <= len(text)


@pytest.mark.parametrize(
    "text, character",
    [
        (r'{a="x",b="\q"}', "\\"),
        ('{a="b" or c="d"}', "o"),
        ('{a=~"xy**"}', "*"),
        ('{a=~"x[(]y(z|(w)"}', "("),
        ('{a=~"x)"}', ")"),
        ("{a==b}", "="),
        ('{a="b"}x', "x"),
    ],
)
def test_fault_is_at_the_very_character(text: str, character: str) -> None:
    with pytest.raises(InvalidQuery) as raised:
        parse_query(text)
    assert text[raised.value.at or 0] == character


def test_fault_shows_how_a_query_looks() -> None:
    example = fault("{a").partition("example: ")[2][:-1]
    assert len(parse_query(example).matchers) == 2


@pytest.mark.parametrize(
    "allowed, refused",
    [
        ("é" * 4096, "é" * 4096 + "x"),
        (" ".join(["w"] * 32), " ".join(["w"] * 33)),
        (",".join(["a=b"] * 64), ",".join(["a=b"] * 65)),
    ],
    ids=["bytes", "words", "matchers"],
)
def test_sizes_are_bounded(allowed: str, refused: str) -> None:
    parse_query(allowed)
    assert "a query may" in fault(refused)


_PARTS = [
    "{",
    "}",
    '"',
    "'",
    "`",
    "\\",
    ",",
    "=",
    "~",
    "!",
    " ",
    "a",
    "or",
    "(",
    "[",
    ".*",
    "é",
    "\n",
    "#",
    "@",
    "\\x41",
    "offset",
]


@given(st.lists(st.sampled_from(_PARTS) | st.characters(), max_size=20).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_query(text)
    except InvalidQuery as refusal:
        assert str(refusal)  # noqa: PT017  (both ends are right)


# --- literals in regexes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "regex, expected",
    [
        ("a", ("a",)),
        ("a|b|c", ("a", "b", "c")),
        ("(a|b)", ("a", "b")),
        ("foo-(a|b)?", ("foo-a", "foo-b", "foo-")),
        ("(?:eu|us)-(1|2)", ("eu-1", "eu-2", "us-1", "us-2")),
        ("web-0[1-3]", ("web-01", "web-02", "web-03")),
        ("^a$|^b$", ("a", "b")),
        (r"a\.b|\Qc+\E", ("a.b", "c+")),
        ("a|a", ("a",)),
        ("", ("",)),
        ("a|", ("a", "")),
    ],
)
def test_listed_values_are_found(regex: str, expected: tuple[str, ...]) -> None:
    assert literal_alternatives(regex) == expected


@pytest.mark.parametrize(
    "regex", ["a.*", "a+", "[^a]", "(?i)a|b", r"a\b", "[a-z]" * 3, "[ab]" * 10, r"\x00", r"\x{d800}", "("]
)
def test_regex_that_lists_no_values_is_not_taken_apart(regex: str) -> None:
    assert literal_alternatives(regex) is None


@pytest.mark.parametrize(
    "regex, expected",
    [
        ("foo.*", "foo"),
        ("^foo.*$", "foo"),
        ("(foo)+x", "foo"),
        ("foo1|foo2", "foo"),
        ("prod-(eu|us)-.*", "prod-"),
        ("(ab|ab)c.*", "abc"),
        (r"a\.b.*", "a.b"),
        (".*foo", None),
        ("fo*", "f"),
        ("f?o", None),
        ("(?i)foo.*", None),
        ("a|b", None),
        ("(", None),
    ],
)
def test_sure_prefix_is_found(regex: str, expected: str | None) -> None:
    assert literal_prefix(regex) == expected


@pytest.mark.parametrize(
    "regex, expected",
    [
        ("foo-.*[0-9]bar", ("foo-", "bar")),
        ("^(foo)b?a{2}r(x|y)z$", ("foo", "a", "r", "z")),
        (r"a\bb", ("ab",)),
        ("(a|b)", ()),
        ("(foo)*", ()),
        (".*", ()),
        ("(?i)disk-Kelvin.*", ("di", "-", "elvin")),
        ("(", ()),
    ],
)
def test_literals_that_every_match_holds_are_found(regex: str, expected: tuple[str, ...]) -> None:
    assert required_literals(regex) == expected


@pytest.mark.parametrize("regex", REGEXES)
def test_literals_agree_with_the_regex(regex: str) -> None:
    check_literals(regex, VALUES)


@given(regex=regexes, some=st.lists(values, max_size=10))
def test_literals_agree_with_any_regex(regex: str, some: list[str]) -> None:
    check_literals(regex, some)


def check_literals(regex: str, some: list[str]) -> None:
    """No value that matches lacks the prefix or a required literal, and the listed ones are those that match."""
    listed, prefix = literal_alternatives(regex), literal_prefix(regex) or ""
    for value in (*some, *(listed or ())):
        is_match = full_match(regex, value)
        assert not is_match or value.startswith(prefix)
        assert not is_match or all(folded(literal) in folded(value) for literal in required_literals(regex))
        assert listed is None or (value in listed) == is_match


# --- PostgreSQL's dialect (what it answers is checked on a real server) -----------------------------------------------


@pytest.mark.parametrize(
    "regex, expected",
    [
        ("foo.*", ("^(?:foo.*)$", False)),
        ("a|b", ("^(?:(?:a|b))$", False)),
        ("(?i)foo", ("^(?:foo)$", True)),
        (r"(?P<n>\d+)\.x", (r"^(?:[0-9]+\.x)$", False)),
        (r"\Qa.b\E", (r"^(?:a\.b)$", False)),
        ("(?-s)a.b", (r"^(?:a[^\U0000000a]b)$", False)),
    ],
)
def test_regex_is_rewritten_for_postgres(regex: str, expected: tuple[str, bool]) -> None:
    assert to_postgres_regex(regex) == expected


@pytest.mark.parametrize(
    "regex, what",
    [
        (r"\pL+", r"\p"),
        (r"[\P{Greek}]", r"\P"),
        (r"\C", r"\C"),
        ("(?m)^a$", "(?m)"),
        ("a(?i)b", "(?i)"),
        ("(?i:a)b", "(?i)"),
        ("((?i)a)", "(?i)"),
        ("(?i)a(?-i)b", "(?-i)"),
        ("(" * 101 + ")" * 101, "nested"),
        ("(", "not valid RE2"),
    ],
)
def test_what_postgres_can_not_say_is_named(regex: str, what: str) -> None:
    with pytest.raises(InvalidQuery, match="regex") as raised:
        to_postgres_regex(regex)
    assert what in str(raised.value)


def test_nested_repetitions_do_not_grow_for_postgres() -> None:
    regex = "(" * 90 + "a" + "{1,})" * 90
    pattern, _ = to_postgres_regex(regex)
    assert len(pattern) < 20 * len(regex)
