"""The table of rules: a click on a column sorts by it, and a second one turns the order; the rest of the URL stays.

Holds: `web.pages.rules`.
"""

from datetime import UTC, datetime, timedelta
from typing import get_args
from urllib.parse import parse_qs, urlsplit

import pytest

from alert_history.engine.rule_table import RuleSort
from alert_history.web.pages.frame import Frame
from alert_history.web.pages.rules import COLUMNS, heading, line_step, rule_href
from alert_history.web.pages.spans import span_of

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
FRAME = Frame(
    root="../",
    current="dashboard/rules",
    nonce="n",
    tz="UTC",
    zone=UTC,
    now=NOW,
    here=[("query", '{namespace="a&b"}'), ("sort", "-begun")],
)
BEGAN = next(column for column in COLUMNS if column.words == "Began")
NOISE = next(column for column in COLUMNS if column.words == "Noise")


def parameters(href: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(href).query, keep_blank_values=True)


def test_a_column_that_is_sorted_by_turns_the_order() -> None:
    first, second = heading(BEGAN, "-begun", FRAME), heading(BEGAN, "begun", FRAME)
    assert (first.order, parameters(first.href)["sort"]) == ("descending", ["begun"])
    assert (second.order, parameters(second.href)["sort"]) == ("ascending", ["-begun"])


def test_another_column_is_sorted_by_most_first_and_the_filter_stays() -> None:
    noise = heading(NOISE, "-begun", FRAME)
    assert noise.order == ""
    assert parameters(noise.href) == {"query": ['{namespace="a&b"}'], "sort": ["-score"]}


def test_a_column_without_an_order_leads_nowhere() -> None:
    column = next(column for column in COLUMNS if not column.sorts)
    assert heading(column, "-begun", FRAME).href == ""


@pytest.mark.parametrize("days, step", [(1, 3600), (7, 6 * 3600), (30, 86_400), (90, 86_400), (365, 7 * 86_400)])
def test_a_line_has_about_as_many_points_as_can_be_seen(days: int, step: int) -> None:
    assert line_step(timedelta(days=days)) == timedelta(seconds=step)


def test_every_order_of_a_column_is_one_that_the_engine_has() -> None:
    orders = [sort for column in COLUMNS for sort in column.sorts]
    assert set(orders) <= set(get_args(RuleSort))
    assert len(orders) == len(set(orders))


def test_the_page_of_a_rule_is_of_the_same_span_whatever_its_name() -> None:
    span = span_of("-7d", None, FRAME)
    name = 'a/b&c=d "#?'
    assert parameters(rule_href(FRAME, name, span)) == {"rule": [name], "since": ["-7d"]}
    assert parameters(rule_href(FRAME, "", span)) == {"rule": [""], "since": ["-7d"]}


def test_an_absolute_span_stays_absolute() -> None:
    since, until = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    span = span_of(since.isoformat(), until.isoformat(), FRAME)
    assert parameters(rule_href(FRAME, "X", span, query="disk")) == {
        "rule": ["X"],
        "query": ["disk"],
        "since": ["2026-03-04T10:00:00Z"],
        "until": ["2026-03-04T11:00:00Z"],
    }
