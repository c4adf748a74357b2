"""Whatever a label holds comes back as it was sent, or is refused in a way the caller can tell; never a crash."""

import random
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from alert_history.domain.alert import Alert, Refused
from alert_history.domain.query import Matcher, Query, parse_query
from alert_history.errors import InvalidQuery, NotFound, UnstorableReceipt
from alert_history.ports import HistoryFilter, PageRequest, Store
from tests.conformance import raw
from tests.conformance.samples import NOW, SECOND, alert, everything, id_of, kinds, receipt

_RANDOM = random.Random(3)
_LONG = "".join(chr(_RANDOM.randrange(0x20, 0x3000)) for _ in range(64 * 1024))

TEXTS = {
    "quotes": 'it\'s "quoted" `here` $$ $1 ? :x %s',
    "backslashes": "C:\\temp\\n \\u0000 \\\\ \\x00",
    "emoji": "🔥💾 👩‍👩‍👧 ﷽ \u202e right to left",
    "control": "tab\t newline\n return\r bell\x07 escape\x1b delete\x7f",
    "sql": "'; DROP TABLE alerts; --",
    "json": '{"a": [1, null]}',
    "separators": ', = { } ( ) * " ^ AND OR NOT NEAR',
    "spaces": "  two  ",
    "last code point": "\U0010ffff\ufffe\uffff",
    "long": _LONG,
}
NAMES = [
    "dotted.name",
    'quo"ted',
    "sin'gle",
    "back\\slash",
    "日本語",
    "with space",
    "a=b",
    "🔥",
    "$1",
    "%s",
    "long" * 200,
]


@pytest.fixture(params=list(TEXTS.values()), ids=list(TEXTS))
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_any_text_comes_back_as_sent(store: Store, text: str) -> None:
    sent = replace(
        alert(labels={"value": text}, annotations={"said": text}), generator_url=text, details={"title": text}
    )
    await store.recorder.commit([receipt(sent)])
    occurrence = await store.history.find(id_of(sent))
    assert (occurrence.labels, occurrence.annotations, occurrence.generator_url, occurrence.details) == (
        sent.labels,
        sent.annotations,
        text,
        {"title": text},
    )


async def test_any_text_is_found_by_its_label(store: Store, text: str) -> None:
    sent = alert(labels={"value": text})
    await store.recorder.commit([receipt(sent, alert())])
    page = await store.history.page(HistoryFilter(Query((Matcher("value", "=", text),), ())), PageRequest())
    assert [occurrence.id for occurrence in page.alerts] == [id_of(sent)]


async def test_any_text_is_found_by_a_column(store: Store) -> None:
    for text in TEXTS.values():
        sent = alert(text[:300], labels={"namespace": text[:300], "severity": text[:300]})
        await store.recorder.commit([receipt(sent)])
        wanted = HistoryFilter(alertname=text[:300], namespace=text[:300], severity=text[:300])
        assert [occurrence.id for occurrence in (await store.history.page(wanted, PageRequest())).alerts] == [
            id_of(sent)
        ]


@pytest.mark.parametrize("name", NAMES)
async def test_any_label_name_is_stored_and_found(store: Store, name: str) -> None:
    sent = alert(labels={name: "here"})
    await store.recorder.commit([receipt(sent, alert())])
    page = await store.history.page(HistoryFilter(Query((Matcher(name, "=", "here"),), ())), PageRequest())
    assert [occurrence.labels for occurrence in page.alerts] == [sent.labels]


async def test_alert_without_labels_is_stored(store: Store) -> None:
    sent = Alert("cbf29ce484222325", "firing", {}, {}, NOW)
    await store.recorder.commit([receipt(sent)])
    assert (await store.history.find(id_of(sent))).labels == {}


def _last_moment_of(year: int) -> datetime:
    return datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize("year", [1, 1969, 1970])
async def test_starts_and_ends_of_any_year_come_back_to_the_microsecond(store: Store, year: int) -> None:
    time = _last_moment_of(year)
    sent = alert(status="resolved", starts_at=time, ends_at=time)
    await store.recorder.commit([receipt(sent)])
    occurrence = await store.history.find(id_of(sent))
    assert (occurrence.starts_at, occurrence.ends_at) == (time, time)


@pytest.mark.parametrize("year", [1, 1969, 1970, 9999])
async def test_a_lapse_of_any_year_comes_back_to_the_microsecond(store: Store, year: int) -> None:
    time = _last_moment_of(year)
    sent = alert(expires_at=time)
    await store.recorder.commit([receipt(sent, source="prometheus")])
    assert (await store.history.find(id_of(sent))).expires_at == time


async def test_starts_and_ends_in_the_future_are_shown_no_later_than_their_receipt(store: Store) -> None:
    time = _last_moment_of(9999)
    sent = [alert("Begun", starts_at=time), alert("Over", "resolved", starts_at=time, ends_at=time)]
    await store.recorder.commit([receipt(*sent)])
    assert {
        occurrence.alertname: (occurrence.starts_at, occurrence.ends_at) for occurrence in await everything(store)
    } == {
        "Begun": (NOW, None),
        "Over": (NOW, NOW),
    }


async def test_first_moment_of_all_is_a_time_too(store: Store) -> None:
    sent = alert(starts_at=datetime.min.replace(tzinfo=UTC))
    for _ in range(2):
        await store.recorder.commit([receipt(sent)])
    assert (await store.history.find(id_of(sent))).repeat_count == 1


async def test_ten_thousand_alerts_in_one_receipt_are_kept(store: Store, database_url: str) -> None:
    sent = receipt(*(alert(f"A{n}") for n in range(10_000)), body=b"large")
    outcome = (await store.recorder.commit([sent]))[0]
    assert (outcome.stored, await raw.count(database_url, "alerts"), await raw.count(database_url, "events")) == (
        10_000,
        10_000,
        10_000,
    )


async def test_ten_thousand_alerts_of_one_moment_are_found_within_it(store: Store) -> None:
    await store.recorder.commit([receipt(*(alert(f"A{n}") for n in range(10_000)), body=b"large")])
    wanted = HistoryFilter(since=NOW, until=NOW.replace(microsecond=1))
    page = await store.history.page(wanted, PageRequest(wants_exact_total=True))
    assert page.total == 10_000


@pytest.mark.parametrize("value", ["\0", "a\0b", "\ud800"])
@pytest.mark.parametrize("field", ["alertname", "namespace", "severity", "fingerprint"])
async def test_filter_no_database_can_be_asked_for_is_refused(store: Store, field: str, value: str) -> None:
    with pytest.raises(InvalidQuery):
        await store.history.page(HistoryFilter(**{field: value}), PageRequest())  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["alertname", "namespace", "severity", "fingerprint"])
async def test_hostile_filter_finds_nothing(store: Store, field: str) -> None:
    await store.recorder.commit([receipt(alert())])
    for value in ('" OR "', "a b", "(", "f*", "é", "", "\\", "'", "x" * 100_000):
        page = await store.history.page(HistoryFilter(**{field: value}), PageRequest())  # type: ignore[arg-type]
        assert (page.alerts, page.total) == ([], 0), value


@pytest.mark.parametrize("text", ["\0", "\ud800"])
async def test_query_no_database_can_be_asked_for_is_refused(store: Store, text: str) -> None:
    for query in (
        Query((Matcher("pod", "=", text),), ()),
        Query((Matcher("pod", "!=", text),), ()),
        Query((Matcher(text, "=", "web"),), ()),
        Query((), (text,)),
    ):
        with pytest.raises(InvalidQuery):
            await store.history.page(HistoryFilter(query), PageRequest())
        with pytest.raises(InvalidQuery):
            await everything(store, HistoryFilter(query))


_NO_IDS = ["", "-", "x", "0123456789abcdef", "0123456789abcdef-", "0123456789abcdef-x", "a\0b-1", "\ud800-1", "a b-1"]
_NO_TIMES = ["9" * 18, "-" + "9" * 18, "9" * 19, "9" * 30, "9" * 5000, "1_0", " 1", "1.5", "١"]


async def test_hostile_id_is_not_found(store: Store) -> None:
    for occurrence_id in [*_NO_IDS, *(f"0123456789abcdef-{time}" for time in _NO_TIMES)]:
        with pytest.raises(NotFound):
            await store.history.find(occurrence_id)


async def test_id_written_otherwise_is_another_id(store: Store) -> None:
    await store.recorder.commit([receipt(alert())])
    fingerprint, _, number = id_of(alert()).partition("-")
    for other in (f"{fingerprint}-+{number}", f"{fingerprint}-0{number}", f"{fingerprint}- {number}"):
        with pytest.raises(NotFound):
            await store.history.find(other)


def unstorable(case: str) -> Alert:
    """An alert no source lets through, because a database can't keep it."""
    good = alert("Unstorable")
    match case:
        case "surrogate in a label":
            return replace(good, labels={"alertname": "\ud800"})
        case "surrogate in an annotation":
            return replace(good, annotations={"summary": "\ud800"})
        case "surrogate in details":
            return replace(good, details={"title": "\ud800"})
        case _:
            return replace(good, generator_url="\ud800")


CASES = ["surrogate in a label", "surrogate in an annotation", "surrogate in details", "surrogate in the URL"]


@pytest.mark.parametrize("case", CASES)
async def test_what_no_database_can_keep_is_unstorable(store: Store, case: str) -> None:
    with pytest.raises(UnstorableReceipt):
        await store.recorder.commit([receipt(unstorable(case))])


@pytest.mark.parametrize("case", CASES)
async def test_unstorable_receipt_leaves_nothing_behind(store: Store, case: str, database_url: str) -> None:
    with pytest.raises(UnstorableReceipt):
        await store.recorder.commit([receipt(alert()), receipt(unstorable(case))])
    counts = [await raw.count(database_url, table) for table in ("alerts", "events", "receipts", "receipt_bodies")]
    assert counts == [0, 0, 0, 0]


@pytest.mark.parametrize("case", CASES)
async def test_receipt_after_an_unstorable_one_is_kept_with_its_body(
    store: Store, case: str, database_url: str
) -> None:
    with pytest.raises(UnstorableReceipt):
        await store.recorder.commit([receipt(alert()), receipt(unstorable(case))])
    await store.recorder.commit([receipt(alert()), receipt(alert())])
    assert (await kinds(store, alert()), (await store.history.find(id_of(alert()))).repeat_count) == (["fired"], 1)
    assert await raw.count(database_url, "receipt_bodies") == 1


async def test_nul_in_a_label_is_kept_or_unstorable(store: Store) -> None:
    sent = alert(labels={"pod": "a\0b"})
    try:
        await store.recorder.commit([receipt(sent)])
    except UnstorableReceipt:
        assert await everything(store) == []
    else:
        assert (await store.history.find(id_of(sent))).labels == sent.labels


async def test_huge_numbers_in_details_are_kept_or_unstorable(store: Store) -> None:
    sent = replace(alert(), details={"value": 2**70, "small": 1e-300})
    try:
        await store.recorder.commit([receipt(sent)])
    except UnstorableReceipt:
        assert await everything(store) == []
    else:
        assert (await store.history.find(id_of(sent))).id == id_of(sent)


async def test_body_of_any_bytes_is_kept(store: Store, database_url: str) -> None:
    await store.recorder.commit([receipt(alert(), body=bytes(range(256)) * 1000), receipt(body=b"")])
    assert await raw.count(database_url, "receipt_bodies") == 2


async def test_quarantined_bytes_need_not_be_text(store: Store) -> None:
    refused = Refused(0, "not JSON: '\"\\", bytes(range(256)))
    await store.recorder.commit([receipt(refused=[refused])])
    entry = (await store.history.quarantine(limit=1, cursor=None)).quarantine[0]
    assert (entry.reason, entry.raw) == (refused.reason, refused.raw.decode("utf-8", "replace"))


@pytest.mark.parametrize("word", ["'", '"', "\\", "%", "_", "100%", "🔥", "\t", "*"])
async def test_hostile_word_finds_what_holds_it(store: Store, word: str) -> None:
    sent = alert(annotations={"said": f"so{word}so"})
    await store.recorder.commit([receipt(sent), receipt(alert("Other", annotations={"said": "nothing"}))])
    page = await store.history.page(HistoryFilter(Query((), (word,))), PageRequest())
    assert [occurrence.id for occurrence in page.alerts] == [id_of(sent)]


async def test_query_as_a_user_writes_it_finds_hostile_labels(store: Store) -> None:
    sent = alert(labels={"dotted.name": 'quo"ted\\'})
    await store.recorder.commit([receipt(sent, alert())])
    query = parse_query('{"dotted.name"="quo\\"ted\\\\"}')
    assert [occurrence.id for occurrence in (await store.history.page(HistoryFilter(query), PageRequest())).alerts] == [
        id_of(sent)
    ]


async def test_clock_of_a_replica_that_runs_back_loses_nothing(store: Store) -> None:
    await store.recorder.commit([receipt(alert("A"), at=NOW), receipt(alert("A"), at=NOW - 3 * SECOND)])
    await store.recorder.commit([receipt(alert("B"), at=NOW - 5 * SECOND)])
    assert [(occurrence.alertname, occurrence.last_received_at) for occurrence in await everything(store)] == [
        ("B", NOW - 5 * SECOND),
        ("A", NOW),
    ]
