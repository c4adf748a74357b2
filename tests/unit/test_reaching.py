"""The store as callers see it: no port is handed on as it is, unless it is listed with a reason."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from alert_history.domain.grant import EVERYBODY, Grant, permissions_of, reach_of
from alert_history.domain.query import parse_query
from alert_history.engine.caller import set_caller
from alert_history.engine.reach import as_shown, is_shape_within, is_within, narrowed, within
from alert_history.engine.reaching.store import AS_IT_IS, store_within_reach
from alert_history.errors import Forbidden
from alert_history.ports import HistoryFilter, Store
from alert_history.web.pages.frame import NAVIGATION, navigation


class Silent:
    """A port that is never asked."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked of the bare store")


def _bare() -> Store:
    return Store(**{name: cast("Any", Silent()) for name in Store.__struct_fields__})


@pytest.fixture
def as_payments() -> Iterator[None]:
    set_caller(Grant(permissions=permissions_of(["read", "operate"]), reach=reach_of('{team="payments"}')))
    yield
    set_caller(EVERYBODY)


@pytest.mark.parametrize("name", Store.__struct_fields__)
def test_no_port_is_handed_on_as_it_is_without_a_reason(name: str) -> None:
    bare = _bare()
    is_as_it_is = getattr(store_within_reach(bare), name) is getattr(bare, name)
    assert is_as_it_is == (name in AS_IT_IS)


@pytest.mark.parametrize("name", ["senders", "tokens", "rollups", "label_counts", "rule_activities", "reconciling"])
def test_what_tells_of_all_alerts_is_refused(as_payments: None, name: str) -> None:  # noqa: ARG001  # who calls
    with pytest.raises(Forbidden):
        _ = getattr(store_within_reach(_bare()), name).anything


async def test_rollups_never_answer_who_is_narrowed(as_payments: None) -> None:  # noqa: ARG001  # who calls
    store = store_within_reach(_bare())
    for ask in (
        store.analytics.tallies("all", first_day=0, last_day=1),
        store.analytics.sums("all", first_day=0, last_day=1),
        store.analytics.again(first_day=0, last_day=1, least=1),
        store.statistics.levels("all", first_day=0),
        store.delivery_log.depth(),
        store.delivery_log.dead(),
        store.delivery_log.replay(now=datetime.now(UTC), target="pager"),
        store.silences.counts(datetime.now(UTC), soon=datetime.now(UTC)),
        store.settings.change("history_views", lambda value: value),
        store.history.quarantine(limit=1, cursor=None),
    ):
        with pytest.raises(Forbidden):
            await ask


def test_a_query_and_the_reach_must_both_match(as_payments: None) -> None:  # noqa: ARG001  # who calls
    assert narrowed(parse_query("disk")) == parse_query('{team="payments"} disk')
    assert within(HistoryFilter(query=parse_query('{team="search"}'))).query == parse_query(
        '{team="search",team="payments"}'
    )
    assert is_within({"team": "payments"}, {})
    assert not is_within({"team": "search"}, {})


def test_without_a_reach_nothing_is_added() -> None:
    wanted = HistoryFilter(query=parse_query("disk"))
    assert within(wanted) is wanted
    assert is_within({}, {})
    verdict: Any = SimpleNamespace()
    assert as_shown(verdict) is verdict
    assert list(navigation()) == list(NAVIGATION)


@pytest.mark.parametrize(
    "reach, labels, is_theirs",
    [
        ('{team="payments"}', {"team": "payments"}, True),
        ('{team="payments"}', {"team": "search"}, False),
        ('{team="payments"}', {}, False),
        ('{team!="search"}', {"team": "payments"}, True),
        ('{team!="search"}', {}, False),  # nobody can say of an alert without labels whose it was
        ('{team="team-1"}', {"team": "team-1"}, False),  # team-2 has the same shape
        ('{pod="a"}', {"pod": "a"}, False),  # the shape has no pod
        ('{team="payments"} disk', {"team": "payments"}, False),
    ],
)
def test_a_shape_is_ones_own_where_all_alerts_of_it_are(reach: str, labels: dict[str, str], *, is_theirs: bool) -> None:
    set_caller(Grant(reach=reach_of(reach)))
    try:
        assert is_shape_within({"alertname": "A", **labels}) == is_theirs
    finally:
        set_caller(EVERYBODY)


def test_an_alert_that_is_not_kept_any_more_is_of_nobody_who_is_narrowed() -> None:
    set_caller(Grant(reach=reach_of('{team!="search"}')))
    try:
        assert not is_within({}, {})
    finally:
        set_caller(EVERYBODY)
