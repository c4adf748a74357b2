"""What is found is what the domain says matches: every filter, every matcher, every word, on both databases."""

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alert_history.domain.alert import Alert, Status, fingerprint
from alert_history.domain.query import Matcher, Operator, Query, parse_query
from alert_history.errors import InvalidQuery, NotFound
from alert_history.ports import HistoryFilter, PageRequest, Store, StoredAlert
from alert_history.storage.postgres import history as postgres_history
from alert_history.storage.postgres import search as postgres_search
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, alert, everything, id_of, receipt

_LABELS = {
    "alertname": ["DiskFull", "DiskFullSoon", "disk_full", "100%", "Café"],
    "namespace": ["shop", "shop-eu", "", "pay_ment"],
    "severity": ["critical", "warning", "info"],
    "pod": ["web-0", "web-1", "web-10", "db\\0", "wêb", "WEB-0", "a%b", "line\nbreak", '"quoted"', "x" * 300],
    "dotted.name": ["a", "b"],
    'quo"te': ["a", "b"],
    "ünï": ["a", "b"],
}
_SAID = ["no space left", "NO SPACE", "50% of _all_", "back\\slash", "l'été", "L'ÉTÉ", "Ärger", "tab\there", "🔥"]
_REGEXES = [
    "",
    ".*",
    ".+",
    "web-.*",
    "web-[01]",
    "web-0|web-1",
    "|web-0",
    "(?i)WEB-0",
    "[^w].*",
    ".*b.*",
    "a%b",
    "x{300}",
]
_REGEXES += [
    "wêb",
    "disk.*",
    "Disk(Full|Empty).*",
    "critical|warning",
    "(?s)line.break",
    "line.break",
    "\\Qdb\\0\\E",
    "$^",
]
_WORDS = ["space", "SPACE", "%", "_", "\\", "50%", "été", "ÉTÉ", "ä", "web", "🔥", "'", '"', "b\\s", "left no", "é"]


def population(size: int = 120) -> list[Alert]:
    """Alerts with any of the labels, or without."""
    rng = random.Random(5)
    alerts = []
    for n in range(size):
        labels = {name: rng.choice(values) for name, values in _LABELS.items() if rng.random() < 0.6}
        labels = {name: value for name, value in labels.items() if value} | {"n": str(n)}
        annotations = {name: rng.choice(_SAID) for name in ("summary", "description") if rng.random() < 0.6}
        status: Status = rng.choice(["firing", "resolved"])
        ends_at = NOW if status == "resolved" else None
        alerts.append(Alert(fingerprint(labels), status, labels, annotations, NOW - rng.randrange(30) * DAY, ends_at))
    return alerts


@pytest.fixture(params=[(4000, 4000), (8, 4000), (8, 0)], ids=["recent", "index", "partitions"])
async def populated(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that holds the population, received over 20 minutes. PostgreSQL looks in three ways; all are tried."""
    recent_rows, few_matches = request.param
    monkeypatch.setattr(postgres_search, "_RECENT_ROWS", recent_rows)
    monkeypatch.setattr(postgres_history, "FEW_MATCHES", few_matches)
    alerts = population()
    await store.recorder.commit([receipt(*alerts[n::20], at=NOW + n * MINUTE) for n in range(20)])
    return store


_times = st.one_of(st.none(), st.integers(-1, 21).map(lambda n: NOW + n * MINUTE))


def _label(op: Operator, values: Sequence[str]) -> st.SearchStrategy[Matcher]:
    return st.builds(
        Matcher, name=st.sampled_from([*_LABELS, "missing"]), op=st.just(op), value=st.sampled_from(values)
    )


_values = ["", *{value for values in _LABELS.values() for value in values}]
_matchers = st.one_of(_label("=", _values), _label("!=", _values), _label("=~", _REGEXES), _label("!~", _REGEXES))
_queries = st.builds(
    Query,
    st.lists(_matchers, max_size=3).map(tuple),
    st.lists(st.sampled_from(_WORDS), max_size=2).map(tuple),
)
_filters = st.builds(
    HistoryFilter,
    query=_queries,
    alertname=st.sampled_from([None, None, None, *_LABELS["alertname"]]),
    status=st.sampled_from([None, None, "firing", "resolved"]),
    severity=st.sampled_from([None, None, None, "critical", ""]),
    namespace=st.sampled_from([None, None, None, "shop", ""]),
    since=_times,
    until=_times,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=_filters, sort=st.sampled_from(["-timestamp", "timestamp", "severity"]))
@example(HistoryFilter(Query((Matcher("pod", "=", "web-0"),), ())), "-timestamp")
async def test_history_finds_what_the_domain_says_matches(populated: Store, wanted: HistoryFilter, sort: str) -> None:
    expected = {occurrence.id for occurrence in await everything(populated) if is_wanted(occurrence, wanted)}
    page = await populated.history.page(wanted, PageRequest(limit=1000, sort=sort))
    assert ({occurrence.id for occurrence in page.alerts}, page.total, page.is_total_exact) == (
        expected,
        len(expected),
        True,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=_filters, offset=st.integers(0, 3))
async def test_first_page_holds_the_newest_that_match(populated: Store, wanted: HistoryFilter, offset: int) -> None:
    times = sorted(
        (occurrence.timestamp for occurrence in await everything(populated) if is_wanted(occurrence, wanted)),
        reverse=True,
    )
    page = await populated.history.page(wanted, PageRequest(limit=4, offset=offset))
    assert [occurrence.timestamp for occurrence in page.alerts] == times[offset : offset + 4]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=_filters)
async def test_export_finds_what_the_domain_says_matches(populated: Store, wanted: HistoryFilter) -> None:
    expected = [occurrence.id for occurrence in await everything(populated) if is_wanted(occurrence, wanted)]
    assert sorted(occurrence.id for occurrence in await everything(populated, wanted)) == sorted(expected)


def is_wanted(occurrence: StoredAlert, wanted: HistoryFilter) -> bool:
    """The filter as plain Python."""
    columns = ("alertname", "status", "severity", "namespace", "fingerprint")
    if any(getattr(wanted, name) not in {None, getattr(occurrence, name)} for name in columns):
        return False
    if wanted.since is not None and occurrence.timestamp < wanted.since:
        return False
    if wanted.until is not None and occurrence.timestamp >= wanted.until:
        return False
    return wanted.query.matches(occurrence.labels, occurrence.annotations)


async def matching_names(store: Store, query: str = "", **columns: str) -> set[str]:
    """The names of the alerts a query finds."""
    wanted = HistoryFilter(parse_query(query), **columns)  # type: ignore[arg-type]
    return {occurrence.alertname for occurrence in (await store.history.page(wanted, PageRequest())).alerts}


@pytest.mark.parametrize(
    "query, expected",
    [
        ('{pod="web-0"}', {"WithPod"}),
        ('{pod=""}', {"WithoutPod"}),
        ('{pod!=""}', {"WithPod"}),
        ('{pod!="web-0"}', {"WithoutPod"}),
        ('{pod!="other"}', {"WithPod", "WithoutPod"}),
        ('{pod=~"web-.*"}', {"WithPod"}),
        ('{pod=~"web"}', set()),
        ('{pod=~".*"}', {"WithPod", "WithoutPod"}),
        ('{pod=~".+"}', {"WithPod"}),
        ('{pod=~"|web-0"}', {"WithPod", "WithoutPod"}),
        ('{pod!~"web-.*"}', {"WithoutPod"}),
        ('{pod!~".+"}', {"WithoutPod"}),
        ('{pod=~"(?i)WEB-0"}', {"WithPod"}),
    ],
)
async def test_missing_label_is_an_empty_one(store: Store, query: str, expected: set[str]) -> None:
    await store.recorder.commit([receipt(alert("WithPod", labels={"pod": "web-0"}), alert("WithoutPod"))])
    assert await matching_names(store, query) == expected


@pytest.mark.parametrize("column", ["alertname", "namespace", "severity"])
async def test_missing_column_label_is_an_empty_one(store: Store, column: str) -> None:
    sent = Alert("0123456789abcdef", "firing", {"pod": "web-0"}, {}, NOW)
    await store.recorder.commit([receipt(sent, alert("Other"))])
    assert await matching_names(store, f'{{{column}=""}}') == {""}


@pytest.mark.parametrize("word", ["%", "_", "\\", "50%", "%a", "_a", "\\a"])
async def test_wildcards_of_sql_are_plain_characters_in_words(store: Store, word: str) -> None:
    sent = [alert("Plain", annotations={"a": "50 aaa"}), alert("Wild", annotations={"a": "50% %a _a \\a"})]
    await store.recorder.commit([receipt(*sent)])
    assert await matching_names(store, f"`{word}`") == {"Wild"}


@pytest.mark.parametrize("text, word", [("NO SPACE", "no space"), ("élan", "ÉLAN"), ("ÄRGER", "ärger"), ("Ж", "ж")])
async def test_words_are_found_whatever_the_letter_case(store: Store, text: str, word: str) -> None:
    await store.recorder.commit([receipt(alert("Found", annotations={"a": text}), alert("Other", annotations={}))])
    assert await matching_names(store, f'"{word}"') == {"Found"}


async def test_words_are_not_looked_for_in_names(store: Store) -> None:
    await store.recorder.commit([receipt(alert("Found", labels={"needle": "hay"}, annotations={"needle": "hay"}))])
    assert await matching_names(store, "needle") == set()


async def test_word_does_not_reach_across_two_values(store: Store) -> None:
    await store.recorder.commit([receipt(alert("Found", annotations={"a": "one", "b": "two"}))])
    assert (await matching_names(store, '"onetwo"'), await matching_names(store, '"one\\", \\"b"')) == (set(), set())


async def test_fingerprint_finds_all_occurrences_of_one_alert(store: Store) -> None:
    again = alert("Found", starts_at=NOW)
    await store.recorder.commit([receipt(alert("Found"), alert("Found", "resolved"), again, alert("Other"))])
    page = await store.history.page(HistoryFilter(fingerprint=again.fingerprint), PageRequest())
    assert {occurrence.id for occurrence in page.alerts} == {id_of(alert("Found")), id_of(again)}


async def test_since_is_included_and_until_is_not(store: Store) -> None:
    for n in range(3):
        await store.recorder.commit([receipt(alert(f"A{n}"), at=NOW + n * SECOND)])
    wanted = HistoryFilter(since=NOW + SECOND, until=NOW + 2 * SECOND)
    assert [occurrence.alertname for occurrence in (await store.history.page(wanted, PageRequest())).alerts] == ["A1"]


async def test_time_range_is_exact_to_the_microsecond(store: Store) -> None:
    tick = timedelta(microseconds=1)
    for n in range(3):
        await store.recorder.commit([receipt(alert(f"A{n}"), at=NOW + n * tick)])
    wanted = HistoryFilter(since=NOW + tick, until=NOW + 2 * tick)
    assert [occurrence.alertname for occurrence in (await store.history.page(wanted, PageRequest())).alerts] == ["A1"]


async def test_wrong_status_is_refused(store: Store) -> None:
    with pytest.raises(InvalidQuery):
        await store.history.page(HistoryFilter(status="' OR 1=1"), PageRequest())


async def test_unknown_occurrence_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.history.find(id_of(alert()))


async def test_unknown_occurrence_has_no_timeline(store: Store) -> None:
    assert await store.history.timeline(id_of(alert())) == []


async def test_found_occurrence_is_what_was_sent(store: Store) -> None:
    sent = alert(labels={"pod": "web-0"}, expires_at=NOW + MINUTE)
    await store.recorder.commit([receipt(sent, source="prometheus")])
    occurrence = await store.history.find(id_of(sent))
    assert (
        occurrence.fingerprint,
        occurrence.labels,
        occurrence.annotations,
        occurrence.starts_at,
        occurrence.expires_at,
        occurrence.source,
    ) == (
        sent.fingerprint,
        sent.labels,
        sent.annotations,
        sent.starts_at,
        sent.expires_at,
        "prometheus",
    )


async def test_timeline_is_oldest_first(store: Store) -> None:
    statuses: list[Status] = ["firing", "resolved", "firing"]
    times = [NOW + n * 5 * MINUTE for n in range(3)]
    for time, status in zip(times, statuses, strict=True):
        await store.recorder.commit([receipt(alert(status=status), at=time)])
    assert [event.at for event in await store.history.timeline(id_of(alert()))] == times


async def test_export_is_oldest_first_whatever_the_order_of_arrival(store: Store) -> None:
    for n in (3, 1, 4, 0, 2):
        await store.recorder.commit([receipt(alert(f"A{n}"), at=NOW + n * SECOND)])
    assert [occurrence.alertname for occurrence in await everything(store)] == ["A0", "A1", "A2", "A3", "A4"]


@pytest.mark.parametrize("size", [1, 7, 50])
async def test_export_comes_in_batches_of_any_size(store: Store, size: int) -> None:
    await store.recorder.commit([receipt(*(alert(f"A{n}") for n in range(50)))])
    batches = [batch async for batch in store.history.export(HistoryFilter(), batch_size=size)]
    assert ({len(batch) for batch in batches[:-1]} <= {size}, sum(map(len, batches))) == (True, 50)


async def test_export_that_is_broken_off_holds_nobody_up(store: Store) -> None:
    await store.recorder.commit([receipt(*(alert(f"A{n}") for n in range(50)))])
    batches = store.history.export(HistoryFilter(), batch_size=10)
    await anext(batches)
    await batches.aclose()  # type: ignore[attr-defined]
    assert len(await everything(store)) == 50


async def test_receiver_and_source_are_conditions_of_their_own(store: Store) -> None:
    await store.recorder.commit([receipt(alert("A"), source="grafana"), receipt(alert("B"), alert("C"))])
    await store.recorder.commit([receipt(alert("A", labels={"receiver": "team-x", "source": "prometheus"}))])

    async def found(*came_by: Matcher, query: str = "") -> list[str]:
        wanted = HistoryFilter(query=parse_query(query), came_by=came_by)
        page = await store.history.page(wanted, PageRequest())
        assert sorted(each.id for each in page.alerts) == sorted(each.id for each in await everything(store, wanted))
        assert page.total == len(page.alerts)
        return sorted(each.alertname for each in page.alerts)

    assert await found(Matcher("source", "=", "grafana")) == ["A"]
    assert await found(Matcher("source", "!=", "grafana")) == ["A", "B", "C"]
    assert await found(Matcher("source", "!=", "grafana"), query='{alertname!="B"}') == ["A", "C"]
    assert await found(Matcher("receiver", "=", "team-x"), Matcher("source", "=", "alertmanager")) == ["A", "B", "C"]
    assert await found(Matcher("receiver", "!=", "team-x")) == []


@pytest.mark.parametrize(
    "came_by", [Matcher("pod", "=", "x"), Matcher("source", "=~", "x"), Matcher("source", "=", "\0")]
)
async def test_other_conditions_on_how_an_alert_came_are_refused(store: Store, came_by: Matcher) -> None:
    with pytest.raises(InvalidQuery):
        await store.history.page(HistoryFilter(came_by=(came_by,)), PageRequest())
