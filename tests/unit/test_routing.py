"""Who is told of an event, and why the others are not."""

from datetime import UTC, datetime

import msgspec
import pytest

from alert_history.domain.classification import Classification
from alert_history.domain.delivery import Leased
from alert_history.domain.matching import parse_query
from alert_history.domain.occurrence import EventKind
from alert_history.domain.routing import reason_to_withhold, route
from alert_history.domain.target import Outgoing, TargetSpec

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LABELS = {"alertname": "DiskFull", "severity": "critical"}
ALL = TargetSpec("all", "webhook", {})


def _reason(**change: object) -> str:
    routing = route([msgspec.structs.replace(ALL, **change)], event="fired", labels=LABELS, annotations={})
    assert routing is not None
    assert routing.told == ()
    return routing.not_told["all"]


def test_a_target_without_conditions_is_told() -> None:
    routing = route([ALL], event="fired", labels=LABELS, annotations={})
    assert routing is not None
    assert (routing.told, routing.not_told) == (("all",), {})


def test_a_target_whose_query_matches_is_told() -> None:
    only = msgspec.structs.replace(ALL, match=parse_query('{severity="critical"}'))
    routing = route([only], event="resolved", labels=LABELS, annotations={})
    assert routing is not None
    assert routing.told == ("all",)


def test_the_reason_names_the_query_that_does_not_match() -> None:
    text = '{severity="info"}'
    assert _reason(match=parse_query(text), match_text=text) == f"it does not match {text}"


def test_the_reason_names_the_fault() -> None:
    assert _reason(fault="webhook_url is missing") == "the target is broken: webhook_url is missing"


def test_a_disabled_target_is_not_told() -> None:
    assert _reason(is_enabled=False) == "the target is disabled"


@pytest.mark.parametrize(
    "told, was_told, is_withheld",
    [(None, False, False), (0.5, False, True), (0.9, False, False), (0.5, True, False)],
    ids=["not classified", "not sure", "sure", "told before"],
)
def test_a_target_that_wants_sure_classifications_is_told_of_those_and_of_what_it_was_told_before(
    told: float | None, *, was_told: bool, is_withheld: bool
) -> None:
    classification = None
    if told is not None:
        classification = Classification("info", told, "", "", "", (), "", (), "llm", "gpt-4", NOW)
    alert = Outgoing("id", "0" * 16, "firing", "fired", LABELS, {}, NOW, None, NOW, classification=classification)
    leased = Leased("1", "all", 1, NOW, NOW, alert, was_told)
    reason = reason_to_withhold(msgspec.structs.replace(ALL, min_confidence=0.8), leased)
    assert (reason is not None) == is_withheld


@pytest.mark.parametrize("event", ["silenced", "inhibited", "notified", "grouped"])
def test_a_note_about_an_alert_is_no_news(event: EventKind) -> None:
    assert route([ALL], event=event, labels=LABELS, annotations={}) is None


def test_without_targets_nothing_is_decided() -> None:
    assert route([], event="fired", labels=LABELS, annotations={}) is None
