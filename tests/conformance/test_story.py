"""The story of an occurrence from a real store: the sentence, the steps, the last time, where its sender's pages are.

Holds: `engine.story`, `engine.why`, `engine.archives`.
"""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from alert_history.bootstrap_statistics import make_explaining, make_tracing
from alert_history.config import load_settings
from alert_history.domain.acts import Act
from alert_history.domain.alert import Alert, Note
from alert_history.domain.archive_tables import FileNote, Manifest
from alert_history.domain.delivery import Attempt, Routing, Settlement
from alert_history.domain.microseconds import to_us
from alert_history.domain.notifying import news_of, route
from alert_history.domain.occurrence import Event, occurrence_id
from alert_history.domain.query import parse_query
from alert_history.domain.receipt import Receipt
from alert_history.domain.target import TargetSpec
from alert_history.engine.archives import Archives, note_archived
from alert_history.engine.history import Moved
from alert_history.engine.story import Stories, Story
from alert_history.engine.why import WhyAnswer
from alert_history.errors import NotFound
from alert_history.ports import Store
from alert_history.storage import open_store
from tests.conformance.conftest import OpenReplica
from tests.conformance.samples import DAY, MINUTE, NOW, SECOND, STARTS_AT, alert, id_of, receipt

TARGETS = (
    TargetSpec("ops", "webhook", {}),
    TargetSpec("boss", "webhook", {}, match=parse_query('{severity="page"}'), match_text='{severity="page"}'),
)


def _route(alert: Alert, event: Event) -> Routing | None:
    return route(TARGETS, news_of(alert, event))


@pytest.fixture
async def routed(database_url: str) -> Store:
    """A store that routes what is published."""
    store = open_store(database_url, router=_route)
    await store.lifecycle.open()
    return store


def _published(*given: Alert, **more: object) -> Receipt:
    return msgspec.structs.replace(receipt(*given, **more), publish=True)  # type: ignore[arg-type]  # as it takes them


async def _settle(store: Store, outcome: str, reason: str = "") -> None:
    """Ops is called once, a second after NOW."""
    leased, _ = await store.outbox.lease("ops", now=NOW + MINUTE, limit=9, lease_for=timedelta(seconds=30))
    for each in leased:
        state = "delivered" if outcome == "delivered" else "dead"
        attempt = Attempt(NOW + SECOND, outcome, reason, 7)
        await store.outbox.settle([(each, Settlement(each.id, state, attempt))])  # type: ignore[arg-type]  # as above


async def _why(store: Store, occurrence: str, target: str | None = None) -> WhyAnswer:
    explaining = make_explaining(load_settings({}), store, whole=store, clock=lambda: NOW + MINUTE)
    answer = await explaining.why(occurrence, target=target)
    assert not isinstance(answer, Moved)
    return answer


async def _story(store: Store, occurrence: str) -> Story:
    clock = lambda: NOW + MINUTE  # noqa: E731  # a clock that stands
    stories = Stories(
        make_tracing(store, clock=clock),
        store.history,
        surroundings=store.surroundings,
        silences=store.silences,
        receipt_urls=store.receipt_urls,
        imports=store.imports,
        clock=clock,
    )
    story = await stories.story(occurrence)
    assert not isinstance(story, Moved)
    return story


LEFT_OUT = 'boss was left out, because it does not match {severity="page"}'


async def test_who_was_notified_and_who_was_left_out(routed: Store) -> None:
    await routed.recorder.commit([_published(alert())])
    waiting = (await _why(routed, id_of(alert()))).sentence
    await _settle(routed, "delivered")
    told = await _why(routed, id_of(alert()))
    await routed.lifecycle.close()
    assert waiting == f"Nobody has been notified yet: ops waits: its turn has not come; {LEFT_OUT}."
    assert told.sentence == f"ops was notified at 2026-03-04 12:00:01 UTC; {LEFT_OUT}."
    assert [(step.step, step.target) for step in told.steps] == [
        ("received", None),
        ("recorded", None),
        ("routed", None),
        ("delivered", None),
        ("target", "ops"),
        ("target", "boss"),
    ]


async def test_a_delivery_that_was_given_up_is_named_with_its_answer(routed: Store) -> None:
    await routed.recorder.commit([_published(alert())])
    await _settle(routed, "dead", "answered 404")
    sentence = (await _why(routed, id_of(alert()))).sentence
    await routed.lifecycle.close()
    assert sentence == f"Nobody was notified: ops refused it (404); {LEFT_OUT}."


async def test_the_end_is_told_with_the_beginning(routed: Store) -> None:
    await routed.recorder.commit([_published(alert())])
    await _settle(routed, "delivered")
    await routed.recorder.commit([_published(alert(status="resolved"), at=NOW + 2 * SECOND)])
    await _settle(routed, "delivered")
    sentence = (await _why(routed, id_of(alert()), "ops")).sentence
    await routed.lifecycle.close()
    at = "2026-03-04 12:00:01 UTC"
    assert sentence == f"ops was notified at {at}, and of its end at {at}."


async def test_one_target_is_asked_about_alone_and_an_unknown_one_is_not_found(routed: Store) -> None:
    await routed.recorder.commit([_published(alert())])
    about_boss = await _why(routed, id_of(alert()), "boss")
    with pytest.raises(NotFound, match=r"'nobody'.*boss, ops"):
        await _why(routed, id_of(alert()), "nobody")
    await routed.lifecycle.close()
    assert about_boss.sentence == f"Nobody was notified: {LEFT_OUT}."
    assert {step.target for step in about_boss.steps} == {None, "boss"}
    assert [(step.at, step.text) for step in about_boss.steps if step.target] == [
        (NOW, 'boss not notified: it does not match {severity="page"}')
    ]


async def test_what_was_only_recorded_and_what_alertmanager_did_is_said(store: Store) -> None:
    detail = {"silence_id": "s-1", "created_by": "ada", "comment": "disk\nswap", "ends_at": (NOW + DAY).isoformat()}
    notified = {"receiver": "team-x", "integration": "pagerduty", "role": "firing", "reason": "first_notification"}
    notes = [
        Note(alert().fingerprint, None, "silenced", NOW, "am-0", detail),
        Note(alert().fingerprint, None, "notified", NOW + SECOND, "am-0", notified),
        Note(alert().fingerprint, None, "notified", NOW + MINUTE, "am-0", notified),
    ]
    await store.recorder.commit([receipt(alert(), notes=notes)])
    assert (await _why(store, id_of(alert()))).sentence == (
        "No target of this service was notified, because it was sent to be recorded only; in Alertmanager it was "
        "silenced by ada until 2026-03-05 12:00:00 UTC (“disk swap”); Alertmanager am-0 notified its receiver team-x "
        "(pagerduty) at 2026-03-04 12:00:01 UTC."
    )


async def test_acts_are_steps_too(store: Store) -> None:
    await store.recorder.commit([receipt(alert())])
    key = (alert().fingerprint, alert().starts_at)
    await store.acts.keep(
        Act("a-1", *key, "DiskFull", "critical", "shop", NOW + MINUTE, "acknowledged", "ada", "on it")
    )
    last = (await _why(store, id_of(alert()))).steps[-1]
    assert (last.event, last.step, last.text) == ("acknowledged", "act", "ada: on it")


async def test_a_story_knows_the_last_time_and_the_pages_of_the_sender(store: Store) -> None:
    earlier = alert(annotations={"summary": "before"}, starts_at=STARTS_AT - 60 * MINUTE)
    over = alert(status="resolved", starts_at=earlier.starts_at, ends_at=STARTS_AT - 50 * MINUTE)
    await store.recorder.commit([receipt(earlier, at=NOW - 60 * MINUTE)])
    await store.recorder.commit([receipt(over, at=NOW - 49 * MINUTE)])
    await store.recorder.commit([receipt(alert())])
    story, first = await _story(store, id_of(alert())), await _story(store, id_of(earlier))
    assert story.before is not None
    assert (story.before.id, story.external_url) == (id_of(earlier), "http://alertmanager")
    assert first.before is None


async def test_without_a_sender_that_has_pages_there_are_none(store: Store) -> None:
    assert await store.receipt_urls.external_url(["no-such-receipt"]) is None
    assert await store.receipt_urls.external_url([]) is None


async def test_of_several_receipts_the_newest_says_where_the_pages_are(store: Store) -> None:
    first, second = receipt(alert()), receipt(alert(status="resolved"), at=NOW + MINUTE)
    moved = msgspec.structs.replace(second, group=msgspec.structs.replace(second.group, external_url="http://new"))
    await store.recorder.commit([first])
    await store.recorder.commit([moved])
    assert await store.receipt_urls.external_url([first.id, moved.id]) == "http://new"


def _archived(*days: str) -> Manifest:
    files = [
        FileNote(f"alerts/year=2026/month=0{day[0]}/day={day[2:]}/part-1.parquet", "alerts", 1, 1, "", "")
        for day in days
    ]
    return Manifest("r", NOW, NOW, "sqlite", "1", "1", files=files)


async def test_an_unknown_occurrence_may_be_in_the_archives_that_hold_its_day(store: Store) -> None:
    archives = Archives(store.settings, retention=30 * DAY, clock=lambda: NOW)
    unknown = occurrence_id("0123456789abcdef", to_us(NOW - 20 * DAY))  # 12 February
    nothing = await archives.absence(unknown)
    await note_archived(store.settings, _archived(), place="/nothing", now=NOW)
    await note_archived(store.settings, _archived("1-05", "1-20"), place="/old", now=NOW)
    await note_archived(store.settings, _archived("2-01", "2-10"), place="/backup", now=NOW - DAY)
    await note_archived(store.settings, _archived("2-15"), place="/backup", now=NOW)
    absence = await archives.absence(unknown)
    assert (nothing.archived, nothing.is_forgotten) == ([], False)
    assert [each.place for each in absence.archived] == ["/backup"]
    assert (str(absence.first_day), str(absence.end_day)) == ("2026-02-11", "2026-02-14")
    assert (await archives.absence(occurrence_id("0123456789abcdef", to_us(NOW - 31 * DAY)))).is_forgotten
    for wrong in ("no-id", f"0123456789abcdef-{2**63 - 1}", "0123456789abcdef--62135596800000000"):
        with pytest.raises(NotFound):
            await archives.absence(wrong)


async def test_of_replicas_that_note_archives_at_once_none_loses_a_note(open_replica: OpenReplica) -> None:
    stores = [await open_replica() for _ in range(2)]
    places = [f"/place-{number}" for number in range(8)]
    notes = [
        note_archived(stores[number % 2].settings, _archived("2-12"), place=place, now=NOW)
        for number, place in enumerate(places)
    ]
    await asyncio.gather(*notes)
    archives = Archives(stores[0].settings, retention=30 * DAY, clock=lambda: NOW)
    absence = await archives.absence(occurrence_id("0123456789abcdef", to_us(NOW - 20 * DAY)))
    assert sorted(each.place for each in absence.archived) == places
