"""The report of a night, of what the real recorder kept: the night of 4 March 2026, 20:00 to 08:00."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from alert_history.domain.acts import Act, ActKind
from alert_history.domain.alert import Alert, Note, Silence
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.night import Night, RuleLine, Section
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event
from alert_history.domain.query import parse_query
from alert_history.domain.quiet_hours import QuietHours
from alert_history.domain.routes import Destination, Route
from alert_history.domain.target import TargetSpec
from alert_history.engine import night as engine
from alert_history.engine.night import NOTHING_KNOWN, NightRequest, Nights
from alert_history.errors import InvalidQuery
from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance.samples import DAY, MINUTE, SECOND, alert, id_of, posted, receipt
from tests.lapsing import pass_all

HOUR = timedelta(hours=1)
SINCE = datetime(2026, 3, 4, 20, tzinfo=UTC)
UNTIL = SINCE + 12 * HOUR
HANDED_OVER = UNTIL + 5 * MINUTE
CRITICAL = parse_query('{severity="critical"}')
PAGER = TargetSpec("pager", "webhook", {}, match=CRITICAL, match_text='{severity="critical"}')


def _route(alert: Alert, event: Event) -> Routing | None:
    return route([PAGER], news_of(alert, event))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    opened = open_store(database_url, router=_route)
    await opened.lifecycle.open()
    yield opened
    await opened.lifecycle.close()


async def _report(store: Store, *, now: datetime = HANDED_OVER, **asked: Any) -> Night:
    nights = Nights(store.night, store.silences, acts=store.acts, clock=lambda: now)
    return await nights.report(NightRequest(**({"date": date(2026, 3, 4)} | asked)))


async def _fire(
    store: Store,
    name: str = "DiskFull",
    *,
    at: datetime = SINCE + HOUR,
    lasting: timedelta | None = None,
    is_published: bool = True,
    notes: tuple[Note, ...] = (),
    silences: tuple[Silence, ...] = (),
    **labels: str,
) -> Alert:
    """Record that it began then, and, where a time is given, that it was over after it."""
    firing = alert(name, starts_at=at, labels=labels)
    sent = receipt(firing, at=at, notes=notes, silences=silences)
    await store.recorder.commit([msgspec.structs.replace(sent, publish=is_published)])
    if lasting is not None:
        ended = alert(name, "resolved", starts_at=at, ends_at=at + lasting, labels=labels)
        await store.recorder.commit([msgspec.structs.replace(receipt(ended, at=at + lasting), publish=is_published)])
    return firing


def _lines(section: Section[RuleLine]) -> list[tuple[str, int]]:
    return [(line.alertname, line.occurrences) for line in section.lines]


async def test_an_empty_history_has_an_empty_night(store: Store) -> None:
    empty = await _report(store)
    assert (empty.since, empty.until, empty.next_night_at) == (SINCE, UNTIL, SINCE + DAY)
    assert (empty.counts.began, empty.counts.open_before, empty.covers.is_exact) == (0, 0, True)


async def test_a_night_before_all_history_says_that_nothing_is_known_of_it(store: Store) -> None:
    assert NOTHING_KNOWN in (await _report(store)).covers.left_out
    await _fire(store, at=SINCE - 30 * DAY, lasting=HOUR)
    assert NOTHING_KNOWN not in (await _report(store)).covers.left_out
    assert NOTHING_KNOWN in (await _report(store, date=date(2026, 1, 1))).covers.left_out


async def test_what_began_what_was_open_before_what_ended_and_what_is_open(store: Store) -> None:
    await _fire(store, "Began", lasting=10 * MINUTE)
    burning = await _fire(store, "Burning", at=SINCE)
    await _fire(store, "Late", at=UNTIL - HOUR, lasting=2 * HOUR)
    await _fire(store, "Ended", at=SINCE - DAY, lasting=DAY + HOUR)
    await _fire(store, "Old", at=SINCE - 30 * DAY)
    await _fire(store, "Over", at=SINCE - HOUR, lasting=HOUR - SECOND)
    await _fire(store, "Next", at=UNTIL)
    made = await _report(store)
    counts = made.counts
    assert (counts.began, counts.open_before, counts.ended, counts.open) == (3, 2, 2, 3)
    assert counts.ended_by == {"resolved": 2}
    assert _lines(made.open) == [("Burning", 1), ("Late", 1), ("Old", 1)]
    assert _lines(made.healed) == [("Began", 1), ("Ended", 1)]
    assert made.look_first.lines[0].examples == [id_of(burning)]


async def test_what_ended_in_the_night_a_week_after_it_began_is_left_out_and_the_report_says_so(store: Store) -> None:
    await _fire(store, "Ended", at=SINCE - 8 * DAY, lasting=8 * DAY + HOUR)
    made = await _report(store)
    assert made.counts.ended == 0
    assert list(made.covers.left_out) == ["what was received more than 7 days before and ended"]


async def test_what_was_open_at_the_begin_is_counted_once_however_long_it_took(store: Store) -> None:
    lengths = (HOUR // 5, 2 * HOUR, 10 * HOUR, 3 * DAY, 6 * DAY)
    for number, length in enumerate(lengths):
        await _fire(store, f"Begun{number}", at=SINCE - 5 * MINUTE, lasting=length)
        await _fire(store, f"Ending{number}", at=SINCE - length, lasting=length + 5 * MINUTE)
        await _fire(store, f"Over{number}", at=SINCE - length - 5 * MINUTE, lasting=length)
    assert (await _report(store)).counts.open_before == 2 * len(lengths)


async def test_a_rule_is_new_where_it_was_never_seen_before_however_long_ago(store: Store) -> None:
    await _fire(store, "Known", at=SINCE - 90 * DAY, lasting=MINUTE)
    await _fire(store, "Known", at=SINCE - 40 * DAY, lasting=MINUTE)
    await _fire(store, "Known", lasting=MINUTE)
    await _fire(store, "KnownBy", lasting=MINUTE)
    await _fire(store, "Known", at=UNTIL + MINUTE, lasting=MINUTE)
    made = await _report(store)
    assert (_lines(made.new), _lines(made.known)) == ([("KnownBy", 1)], [("Known", 1)])
    assert made.known.lines[0].last_seen_at == SINCE - 40 * DAY


async def test_a_label_set_of_a_known_rule_is_new_where_it_was_never_seen_before(store: Store) -> None:
    await _fire(store, at=SINCE - 40 * DAY, lasting=MINUTE, pod="web-1")
    for pod in ("web-1", "web-2", "web-3"):
        await _fire(store, lasting=MINUTE, pod=pod)
    await _fire(store, "New", lasting=MINUTE, pod="web-1")
    (line,) = (await _report(store)).known.lines
    assert (line.occurrences, line.new_label_sets) == (3, 2)


async def test_a_rule_without_a_name_is_never_new(store: Store) -> None:
    await _fire(store, "", lasting=MINUTE)
    assert (await _report(store)).new.total == 0


# --- Who was notified -------------------------------------------------------------------------------------------------


async def test_why_nobody_was_notified_is_told_as_the_ledger_tells_it(store: Store) -> None:
    await _fire(store, "Paged", lasting=MINUTE)
    await _fire(store, "Quiet", lasting=MINUTE, severity="warning")
    await _fire(store, "Recorded", lasting=MINUTE, is_published=False)
    made = await _report(store)
    lines = [(line.reason, line.occurrences, line.rules) for line in made.unnotified.lines]
    assert lines == [
        ("it was sent to be recorded only, so nobody is told", 1, ["Recorded"]),
        ('pager: it does not match {severity="critical"}', 1, ["Quiet"]),
    ]
    assert made.counts.unnotified == 2
    assert [look.alertname for look in made.look_first.lines if look.reasons[0].kind == "unnotified_critical"] == []


async def test_what_was_recorded_first_and_published_later_was_notified(store: Store) -> None:
    await _fire(store, is_published=False)
    again = receipt(alert(starts_at=SINCE + HOUR), at=SINCE + 2 * HOUR)
    await store.recorder.commit([msgspec.structs.replace(again, publish=True)])
    assert (await _report(store)).counts.unnotified == 0


async def test_without_a_decision_on_record_the_report_says_so(database_url: str) -> None:
    plain = open_store(database_url)
    await plain.lifecycle.open()
    await _fire(plain)
    made = await _report(plain)
    await plain.lifecycle.close()
    assert [line.reason for line in made.unnotified.lines] == ["no decision is on record"]


@pytest.mark.parametrize("end_hour, unnotified", [(7, 0), (9, 1)])
async def test_what_quiet_hours_hold_until_after_the_night_notified_nobody_in_it(
    database_url: str, end_hour: int, unnotified: int
) -> None:
    hours = QuietHours(frozenset(range(7)), 20 * 60, end_hour * 60, UTC, "UTC")
    routes = (Route("r", destinations=(Destination("pager"),), quiet_hours=(hours,)),)
    quiet_store = open_store(
        database_url, router=lambda alert, event: route([PAGER], news_of(alert, event), routes=routes)
    )
    await quiet_store.lifecycle.open()
    await _fire(quiet_store)
    made = await _report(quiet_store)
    await quiet_store.lifecycle.close()
    assert made.counts.unnotified == unnotified
    reason = "pager: route r sends to it; its quiet hours hold it until 2026-03-05T09:00:00Z"
    assert [line.reason for line in made.unnotified.lines] == [reason] * unnotified


async def _settle(store: Store, state: Any, *, at: datetime, reason: str) -> None:
    leased, _ = await store.outbox.lease("pager", now=at, limit=9, lease_for=timedelta(seconds=30))
    attempt = Attempt(at, state, reason, 7)
    due_at = at + HOUR if state == "pending" else None
    await store.outbox.settle([(each, Settlement(each.id, state, attempt, due_at=due_at)) for each in leased])


async def test_deliveries_that_failed_are_told_with_their_last_reason(store: Store) -> None:
    await _fire(store, "Early", at=SINCE - HOUR)
    await _settle(store, "dead", at=SINCE - MINUTE, reason="HTTP 400")
    dead = await _fire(store, "Dead")
    await _settle(store, "dead", at=SINCE + HOUR, reason="HTTP 404")
    await _fire(store, "Fine")
    await _settle(store, "delivered", at=SINCE + HOUR, reason="")
    await _fire(store, "Tried", at=SINCE + 2 * HOUR)
    await _settle(store, "pending", at=SINCE + 2 * HOUR, reason="HTTP 500")
    await _fire(store, "Waits", at=SINCE + 3 * HOUR)
    made = await _report(store)
    (line,) = made.failed.lines
    assert (line.target, line.given_up, line.tried_again, line.critical) == ("pager", 1, 1, 2)
    assert (line.rules, line.reason, line.last_at) == (["Dead", "Tried"], "HTTP 500", SINCE + 2 * HOUR)
    look = next(look for look in made.look_first.lines if look.alertname == "Dead")
    assert [(reason.kind, reason.detail) for reason in look.reasons[:2]] == [
        ("open_critical", ""),
        ("failed_critical", "pager: HTTP 404"),
    ]
    assert look.examples == [id_of(dead)]


# --- What was muted ---------------------------------------------------------------------------------------------------


def _muted(of: Alert, at: datetime, kind: Any = "silenced", **detail: Any) -> Note:
    return Note(of.fingerprint, of.starts_at, kind, at, "am-0", detail)


def _silence(silence_id: str, ends_at: datetime, *, starts_at: datetime = SINCE - HOUR) -> Silence:
    matchers = [[{"name": "alertname", "op": "=", "value": "DiskFull"}]]
    return Silence(silence_id, matchers, starts_at, ends_at, starts_at, "ada", "disk swap")


async def _tell(store: Store, *notes: Note, silences: tuple[Silence, ...] = (), at: datetime = SINCE + HOUR) -> None:
    await store.recorder.commit([receipt(at=at, notes=notes, silences=silences, source="event_recorder")])


SAID = {"silence_id": "s-1", "created_by": "bob", "comment": "mine"}


async def test_what_was_silenced_is_told_with_whom_the_silence_is_of(store: Store) -> None:
    disk = await _fire(store)
    node = await _fire(store, "NodeDown", lasting=HOUR)
    pod = await _fire(store, "PodDown", at=SINCE - DAY)
    await _tell(store, _muted(disk, SINCE + HOUR, **SAID), silences=(_silence("s-1", UNTIL + HOUR),))
    await _tell(store, _muted(pod, SINCE - HOUR, **SAID, ends_at=(UNTIL + HOUR).isoformat()), at=SINCE - HOUR)
    await _tell(store, _muted(node, SINCE + HOUR, **(SAID | {"silence_id": "s-2"})))
    await _tell(store, _muted(node, SINCE + 2 * HOUR, "inhibited", inhibited_by=["f" * 16], rules=[]))
    made = await _report(store)
    shown = [(each.kind, each.by, each.created_by, each.occurrences, each.open) for each in made.muted.lines]
    assert shown == [
        ("silenced", "s-1", "ada", 2, 2),
        ("silenced", "s-2", "bob", 1, 0),
        ("inhibited", "f" * 16, "", 1, 0),
    ]
    assert (made.counts.silenced, made.counts.inhibited) == (3, 1)
    assert made.muted.lines[0].ends_at == UNTIL + HOUR
    (ending,) = made.silences_ending.lines
    assert (ending.id, ending.open, ending.matchers) == ("s-1", 2, '{alertname="DiskFull"}')


async def test_a_muting_that_was_over_before_the_night_is_not_of_it(store: Store) -> None:
    unsilenced = await _fire(store, "Unsilenced", at=SINCE - DAY)
    expired = await _fire(store, "Expired", at=SINCE - DAY)
    later = await _fire(store, "Later", at=SINCE)
    early = SINCE - 2 * HOUR
    await _tell(store, _muted(unsilenced, early, **SAID), _muted(unsilenced, early + MINUTE, "unsilenced"), at=early)
    ends_at = (SINCE + DAY).isoformat()  # when it was told; somebody ended it early
    silence_fields = SAID | {"silence_id": "s-2"}
    expired_at = (_silence("s-2", SINCE - MINUTE),)
    await _tell(store, _muted(expired, early, **silence_fields, ends_at=ends_at), silences=expired_at, at=early)
    await _tell(store, _muted(later, UNTIL + MINUTE, **SAID), at=UNTIL + MINUTE)
    assert (await _report(store)).counts.silenced == 0


async def test_silences_that_end_before_the_next_night_are_listed(store: Store) -> None:
    await _tell(
        store,
        silences=(
            _silence("soon", UNTIL + HOUR),
            _silence("first", UNTIL + MINUTE),
            _silence("over", UNTIL),
            _silence("next night", SINCE + DAY),
            _silence("not yet", UNTIL + 2 * HOUR, starts_at=UNTIL + MINUTE),
        ),
    )
    assert [line.id for line in (await _report(store)).silences_ending.lines] == ["first", "soon"]


async def test_what_nobody_confirms_any_more_is_told(store: Store) -> None:
    firing = alert(starts_at=SINCE + HOUR)
    for client in ("10.0.0.1", "10.0.0.2"):
        await store.recorder.commit([posted(firing, client=client, at=SINCE + HOUR)])
    await pass_all(store.standings, SINCE + HOUR + 10 * MINUTE)
    made = await _report(store)
    assert (made.counts.unconfirmed, _lines(made.unconfirmed)) == (1, [("DiskFull", 1)])
    assert "unconfirmed" in {reason.kind for reason in made.look_first.lines[0].reasons}


# --- Bounds, zones and named spans ------------------------------------------------------------------------------------


async def test_of_too_many_the_newest_are_counted_and_the_report_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MOST_BEGAN", "MOST_BEFORE", "MOST_LABEL_SETS"):
        monkeypatch.setattr(engine, name, 2)
    monkeypatch.setattr(engine, "MOST_FAILURES", 0)
    for number in range(3):
        await _fire(store, f"Old{number}", at=SINCE - DAY + number * MINUTE)
        await _fire(store, f"Over{number}", at=SINCE - HOUR, lasting=2 * HOUR)
        await _fire(store, f"Began{number}", at=SINCE + (1 + number) * HOUR, lasting=MINUTE)
    await _settle(store, "dead", at=SINCE + 4 * HOUR, reason="HTTP 404")
    made = await _report(store)
    assert (made.counts.began, made.counts.open_before, made.covers.is_exact) == (2, 4, False)
    assert sorted(line.alertname for line in made.new.lines) == ["Began1", "Began2"]
    assert list(made.covers.left_out) == [
        "what was received before 2026-03-04T22:00:00Z, because more than 2 occurrences began",
        "occurrences of before the night beyond 2",
        "failed deliveries beyond 0",
        "what was received more than 7 days before and ended",
    ]


async def test_rules_that_were_not_looked_up_do_not_count_as_new(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_RULES", 1)
    for name in ("A", "B"):
        await _fire(store, name, lasting=MINUTE)
    made = await _report(store)
    assert (_lines(made.new), _lines(made.known)) == ([("A", 1)], [("B", 1)])
    assert "whether rules beyond 1 are new" in made.covers.left_out


async def test_in_the_night_of_summer_time_eleven_hours_count(store: Store) -> None:
    evening, morning = datetime(2026, 3, 28, 19, tzinfo=UTC), datetime(2026, 3, 29, 6, tzinfo=UTC)
    for name, at in (("Before", evening - SECOND), ("First", evening), ("Last", morning - SECOND), ("After", morning)):
        await _fire(store, name, at=at, lasting=SECOND / 2)
    made = await _report(store, date=date(2026, 3, 28), tz="Europe/Berlin", now=morning + HOUR)
    assert (made.until - made.since, made.tz) == (11 * HOUR, "Europe/Berlin")
    assert _lines(made.new) == [("First", 1), ("Last", 1)]


async def test_without_a_date_it_is_last_night(store: Store) -> None:
    await _fire(store, lasting=MINUTE)
    made = await _report(store, date=None, now=UNTIL + 10 * HOUR)
    assert (made.date, made.counts.began) == (date(2026, 3, 4), 1)


async def test_while_the_night_goes_on_it_is_told_so_far(store: Store) -> None:
    await _fire(store)
    made = await _report(store, now=SINCE + 3 * HOUR)
    assert (made.is_over, made.covers.until, made.counts.open) == (False, SINCE + 3 * HOUR, 1)


async def test_a_span_may_be_named_instead(store: Store) -> None:
    await _fire(store, lasting=MINUTE)
    made = await _report(store, date=None, since="2026-03-04T18:00:00Z", now=UNTIL)
    assert (made.since, made.until, made.counts.began) == (SINCE - 2 * HOUR, UNTIL, 1)


@pytest.mark.parametrize(
    "asked, fault",
    [
        ({"date": date(2026, 3, 5)}, "has not begun"),
        ({"tz": "Mars/Olympus"}, "tz: "),
        ({"since": "-24h"}, "date: "),
        ({"date": None, "until": "-1h"}, "until: "),
        ({"date": None, "since": "yesterday"}, "since: "),
        ({"date": None, "since": "-30d"}, "since: "),
        ({"date": None, "since": "-1h", "until": "-2h"}, "until: "),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_parameter(
    store: Store, asked: dict[str, Any], fault: str
) -> None:
    with pytest.raises(InvalidQuery, match=fault):
        await _report(store, **asked)


# --- What people did --------------------------------------------------------------------------------------------------


async def _act(store: Store, of: Alert, kind: ActKind, by: str, at: datetime, text: str = "") -> None:
    key = (of.fingerprint, of.starts_at)
    await store.acts.keep(Act(f"{kind}-{by}-{at}", *key, of.labels["alertname"], "warning", "shop", at, kind, by, text))


async def test_who_took_an_alert_and_what_was_noted_is_handed_over(store: Store) -> None:
    disk, node = await _fire(store, "DiskFull"), await _fire(store, "NodeDown")
    await _act(store, disk, "acknowledged", "ada", SINCE + 2 * HOUR)
    await _act(store, disk, "noted", "bob", SINCE + 3 * HOUR, "swapped")
    await _act(store, node, "acknowledged", "eve", SINCE + 2 * HOUR)
    await _act(store, node, "unacknowledged", "eve", SINCE + 4 * HOUR)
    await _act(store, disk, "noted", "late", UNTIL)
    night = await _report(store)
    assert [(line.kind, line.by, line.text, line.alertname) for line in night.acts.lines] == [
        ("unacknowledged", "eve", "", "NodeDown"),
        ("noted", "bob", "swapped", "DiskFull"),
        ("acknowledged", "eve", "", "NodeDown"),
        ("acknowledged", "ada", "", "DiskFull"),
    ]
    assert {line.alertname: line.taken_by for line in night.open.lines} == {"DiskFull": ["ada"], "NodeDown": []}
    assert {line.occurrence_id for line in night.acts.lines} == {
        example for line in night.open.lines for example in line.examples
    }


async def test_of_very_many_acts_the_first_are_handed_over_and_the_report_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MOST_ACTS", 2)
    disk = await _fire(store)
    for number in range(3):
        await _act(store, disk, "noted", f"n{number}", SINCE + 2 * HOUR + number * MINUTE)
    night = await _report(store)
    assert [line.by for line in night.acts.lines] == ["n1", "n0"]
    assert "what people did after the first 2 acts" in night.covers.left_out
