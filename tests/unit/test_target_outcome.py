"""What became of an occurrence at one target alone: the word that stays, and the sentence."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from alert_history.domain.notified_sentence import NewsFate, TargetFate, target_sentence
from alert_history.domain.notifying import News, route
from alert_history.domain.query import parse_query
from alert_history.domain.quiet_hours import QuietHours
from alert_history.domain.routes import Destination, Route
from alert_history.domain.target import TargetSpec
from alert_history.domain.target_outcome import TargetOutcomeKind, target_outcome

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
OPS = TargetSpec("ops", "webhook", {})
NEWS = News("fired", {"alertname": "DiskFull", "severity": "critical"}, {}, NOW, NOW)
ALWAYS = QuietHours(frozenset(range(7)), 0, 0, UTC, "UTC", then="drop")


def _fate(fate: NewsFate) -> TargetFate:
    return TargetFate("ops", fate)


@pytest.mark.parametrize(
    "fate, kind, sentence",
    [
        (NewsFate("delivered", at=NOW), "notified", "ops was notified at 12:00."),
        (NewsFate("pending"), "waiting", "ops waits: its turn has not come."),
        (
            NewsFate("held", next_try_at=NOW + timedelta(hours=1)),
            "quiet_hours",
            "ops waits: quiet hours hold it until 13:00.",
        ),
        (
            NewsFate("dead", attempts=1, answer="answered 403: no such key"),
            "refused",
            "ops refused it (403 no such key).",
        ),
        (
            NewsFate("dead", attempts=30, answer="can't connect"),
            "unreachable",
            "ops could not be reached in 30 attempts (the last: can't connect).",
        ),
        (
            NewsFate("dead", attempts=2, answer="it is too large"),
            "undelivered",
            "ops did not get it in 2 attempts (the last: it is too large).",
        ),
        (
            NewsFate("superseded", "newer news went out instead: resolved"),
            "superseded",
            "ops was passed over, because newer news went out instead: resolved.",
        ),
        (
            NewsFate("withheld", "classified as noise"),
            "withheld",
            "ops was held back, because it is classified as noise.",
        ),
        (
            NewsFate("unknown"),
            "unknown",
            "ops was to be notified, and what became of that is no longer on record.",
        ),
    ],
)
def test_each_fate_has_its_word_and_its_sentence(fate: NewsFate, kind: TargetOutcomeKind, sentence: str) -> None:
    assert target_outcome(_fate(fate)) == kind
    assert target_sentence(_fate(fate), say_time=lambda time: f"{time:%H:%M}") == sentence


@pytest.mark.parametrize(
    "target, routes, kind",
    [
        (msgspec.structs.replace(OPS, match=parse_query('{severity="info"}'), match_text="{}"), None, "not_matched"),
        (msgspec.structs.replace(OPS, is_enabled=False), None, "disabled"),
        (msgspec.structs.replace(OPS, fault="webhook_url is missing"), None, "broken"),
        (OPS, (), "not_routed"),
        (OPS, (Route("others", destinations=(Destination("others"),)),), "not_routed"),
        (OPS, (Route("quiet", destinations=(Destination("ops"),), quiet_hours=(ALWAYS,)),), "quiet_hours"),
    ],
    ids=["its query", "disabled", "broken", "no route", "another route", "quiet hours"],
)
def test_each_reason_to_leave_a_target_out_has_its_word(
    target: TargetSpec, routes: tuple[Route, ...] | None, kind: TargetOutcomeKind
) -> None:
    routing = route([target], NEWS, routes=routes)
    assert routing is not None
    assert target_outcome(_fate(NewsFate("not_told", routing.left_out["ops"]))) == kind


def test_a_target_that_was_notified_of_the_end_alone_was_notified() -> None:
    fate = TargetFate("ops", NewsFate("superseded", "newer news went out instead"), NewsFate("delivered", at=NOW))
    assert target_outcome(fate) == "notified"
