"""Who is told of an event, and why the others are not."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_history.domain.classification import Classification, ClassifiedBy
from alert_history.domain.delivery import Leased, Routing
from alert_history.domain.notifying import NO_TARGETS, News, reason_for, reason_to_withhold, regrouped, route
from alert_history.domain.occurrence import EventKind
from alert_history.domain.query import parse_query
from alert_history.domain.quiet_hours import QuietHours
from alert_history.domain.routes import Destination, Route
from alert_history.domain.severity import Severity
from alert_history.domain.target import Outgoing, TargetSpec

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
LABELS = {"alertname": "DiskFull", "severity": "critical"}
ALL = TargetSpec("all", "webhook", {})
HOUR = timedelta(hours=1)
CHOOSY = msgspec.structs.replace(ALL, min_confidence=0.8, excludes_noise=True)
DOUBTFUL = Classification("info", 0.01, "", "", "", (), "", (), "llm", "gpt-4", NOW)


def _news(event: EventKind) -> News:
    return News(event, LABELS, {}, NOW, NOW)


NEWS = _news("fired")


def _leased(severity: str, classification: Classification | None) -> Leased:
    """The delivery of an alert whose label says so."""
    labels = {**LABELS, "severity": severity}
    alert = Outgoing("id", "0" * 16, "firing", "fired", labels, {}, NOW, None, NOW, classification=classification)
    return Leased("1", "all", 1, NOW, NOW, alert)


def _reason(**change: object) -> str:
    routing = route([msgspec.structs.replace(ALL, **change)], NEWS)
    assert routing is not None
    assert routing.targets == ()
    return routing.left_out["all"]


def test_a_target_without_conditions_is_told() -> None:
    routing = route([ALL], NEWS)
    assert routing is not None
    assert (routing.targets, routing.left_out) == (("all",), {})


def test_a_target_whose_query_matches_is_told() -> None:
    only = msgspec.structs.replace(ALL, match=parse_query('{severity="critical"}'))
    routing = route([only], _news("resolved"))
    assert routing is not None
    assert routing.targets == ("all",)


def test_the_reason_names_the_query_that_does_not_match() -> None:
    text = '{severity="info"}'
    assert _reason(match=parse_query(text), match_text=text) == f"it does not match {text}"


def test_the_reason_names_the_fault() -> None:
    assert _reason(fault="webhook_url is missing") == "the target is broken: webhook_url is missing"


def test_a_disabled_target_is_not_told() -> None:
    assert _reason(is_enabled=False) == "the target is disabled"


@pytest.mark.parametrize(
    "confidence, was_told, is_withheld",
    [(None, False, False), (0.5, False, True), (0.9, False, False), (0.5, True, False)],
    ids=["not classified", "not sure", "sure", "told before"],
)
def test_a_target_that_wants_sure_classifications_is_told_of_those_and_of_what_it_was_told_before(
    confidence: float | None, *, was_told: bool, is_withheld: bool
) -> None:
    classification = None
    if confidence is not None:
        classification = Classification("info", confidence, "", "", "", (), "", (), "llm", "gpt-4", NOW)
    leased = msgspec.structs.replace(_leased("warning", classification), was_told=was_told)
    reason = reason_to_withhold(msgspec.structs.replace(ALL, min_confidence=0.8), leased)
    assert (reason is not None) == is_withheld


@pytest.mark.parametrize("word", ["critical", "Page", " p1 ", "sev1", "fatal", "high"])
@pytest.mark.parametrize("severity", get_args(Severity))
@pytest.mark.parametrize("source", ["llm", "rules"])
def test_no_word_of_a_model_or_of_rules_keeps_an_alert_labelled_critical_from_a_target(
    word: str, severity: Severity, source: ClassifiedBy
) -> None:
    classification = msgspec.structs.replace(DOUBTFUL, severity=severity, source=source)
    assert reason_to_withhold(CHOOSY, _leased(word, classification)) is None


@pytest.mark.parametrize("word", ["warning", "none", "odd", ""])
def test_other_alerts_are_withheld_for_a_doubt_and_as_noise(word: str) -> None:
    noise = msgspec.structs.replace(DOUBTFUL, severity="noise", confidence=0.9)
    assert reason_to_withhold(CHOOSY, _leased(word, DOUBTFUL)) == (
        "classified with a confidence of 0.01 by gpt-4, under the 0.8 it asks for"
    )
    assert reason_to_withhold(CHOOSY, _leased(word, noise)) == "classified as noise with a confidence of 0.90 by gpt-4"


@pytest.mark.parametrize(
    "changes", [{"source": "person", "model": "ada"}, {"is_noise_by_history": True}], ids=["a person", "the history"]
)
def test_what_is_labelled_critical_is_withheld_as_noise_if_that_says_so(changes: dict[str, Any]) -> None:
    noise = msgspec.structs.replace(DOUBTFUL, severity="noise", **changes)
    assert "classified as noise" in str(reason_to_withhold(CHOOSY, _leased("critical", noise)))
    unsure_only = msgspec.structs.replace(CHOOSY, excludes_noise=False)
    assert reason_to_withhold(unsure_only, _leased("critical", noise)) is None


@pytest.mark.parametrize("event", ["silenced", "inhibited", "notified", "grouped"])
def test_a_note_about_an_alert_is_no_news(event: EventKind) -> None:
    assert route([ALL], _news(event)) is None


def test_without_targets_that_is_the_reason() -> None:
    routing = route([], NEWS)
    assert routing is not None
    assert (routing.targets, routing.reason) == ((), NO_TARGETS)


def _routing(*routes: Route, targets: tuple[TargetSpec, ...] = (ALL,), news: News | None = None) -> Routing:
    routing = route(targets, news or NEWS, routes=routes)
    assert routing is not None
    return routing


def _to(*names: str, match: str = "", name: str = "r", **fields: Any) -> Route:
    return Route(name, parse_query(match), match, tuple(map(Destination, names)), **fields)


def _quiet(then: Literal["hold", "drop"] = "hold", *, until: int = 13, unless: str = "") -> QuietHours:
    """At NOW, a Wednesday at noon."""
    query = parse_query(unless) if unless else None
    return QuietHours(frozenset({2}), 11 * 60, until * 60, UTC, "UTC", then, query, unless)


def test_a_route_tells_the_targets_it_sends_to_and_is_on_record() -> None:
    routing = _routing(_to("al*", name="ops"))
    assert (routing.targets, routing.routes) == (("all",), {"all": "ops"})
    assert reason_for(routing, "all") == "route ops sends to it"


def test_a_route_can_send_to_all_targets_of_a_format() -> None:
    formats = [TargetSpec("one", "slack", {}), TargetSpec("two", "webhook", {})]
    routing = _routing(Route("r", destinations=(Destination(format="slack"),)), targets=tuple(formats))
    assert routing.targets == ("one",)


@pytest.mark.parametrize("name, is_meant", [("a[l]l", False), ("a?l", True), ("ALL", False), ("*", True)])
def test_only_stars_and_question_marks_are_wild(name: str, *, is_meant: bool) -> None:
    assert Destination(name).means(ALL) == is_meant


def test_the_own_query_of_a_target_counts_as_well() -> None:
    only = msgspec.structs.replace(ALL, match=parse_query("severity=info"), match_text="severity=info")
    assert _routing(_to("all"), targets=(only,)).left_out == {"all": "it does not match severity=info"}


def test_the_first_route_that_takes_an_alert_is_the_last_unless_it_continues() -> None:
    first, second = TargetSpec("one", "webhook", {}), TargetSpec("two", "webhook", {})
    routing = _routing(_to("one", name="first"), _to("two"), targets=(first, second))
    assert routing.targets == ("one",)
    assert routing.left_out == {"two": "route first takes the alert and does not send to it"}
    assert _routing(_to("one", does_continue=True), _to("two"), targets=(first, second)).targets == ("one", "two")


def test_an_inner_route_that_takes_an_alert_decides_instead_of_the_outer() -> None:
    first, second = TargetSpec("one", "webhook", {}), TargetSpec("two", "webhook", {})
    outer = _to("one", routes=(_to("two", match="severity=critical", name="inner"),))
    assert _routing(outer, targets=(first, second)).targets == ("two",)
    other = msgspec.structs.replace(NEWS, labels={"severity": "info"})
    assert _routing(outer, targets=(first, second), news=other).targets == ("one",)


def test_a_route_without_targets_takes_only_what_its_own_routes_take() -> None:
    folder = Route("folder", routes=(_to("nobody", match="severity=info"),))
    assert _routing(folder, _to("all")).targets == ("all",)


def test_an_alert_that_no_route_takes_is_told_to_nobody() -> None:
    assert _routing(_to("all", match="severity=info")).left_out == {"all": "no route takes the alert"}


def test_a_name_that_no_target_has_is_on_record() -> None:
    reason = _routing(_to("all", "slack-opps")).left_out["slack-opps"]
    assert reason == "route r sends to it, but there is no such target"


def test_quiet_hours_hold_until_they_end() -> None:
    routing = _routing(_to("all", quiet_hours=(_quiet(),)))
    assert (routing.targets, routing.due_at) == (("all",), {"all": NOW + HOUR})
    assert reason_for(routing, "all") == "route r sends to it; its quiet hours hold it until 2026-03-04T13:00:00Z"


def test_quiet_hours_that_drop_are_the_reason() -> None:
    routing = _routing(_to("all", quiet_hours=(_quiet("drop"),)))
    assert routing.targets == ()
    assert routing.left_out == {"all": "quiet hours of route r (wed 11:00-13:00 UTC) drop it"}


def test_what_is_urgent_passes_quiet_hours() -> None:
    routing = _routing(_to("all", quiet_hours=(_quiet("drop", unless="severity=critical"),)))
    assert (routing.targets, routing.due_at) == (("all",), {})


@pytest.mark.parametrize(
    "first, second, due_at",
    [
        ((_quiet(),), (), None),
        ((_quiet(until=15),), (_quiet(),), NOW + HOUR),
        ((_quiet("drop"),), (_quiet(),), NOW + HOUR),
    ],
)
def test_of_two_routes_to_a_target_the_one_that_tells_it_first_counts(
    first: tuple[QuietHours, ...], second: tuple[QuietHours, ...], due_at: datetime | None
) -> None:
    routing = _routing(_to("all", quiet_hours=first, does_continue=True), _to("all", name="second", quiet_hours=second))
    assert (routing.targets, routing.routes, routing.due_at.get("all")) == (("all",), {"all": "second"}, due_at)


def _routes(depth: int = 0) -> st.SearchStrategy[Route]:
    """Any small tree of routes over three targets, with and without quiet hours."""
    inner = st.just(()) if depth == 2 else st.lists(_routes(depth + 1), max_size=2).map(tuple)
    return st.builds(
        Route,
        name=st.text("xyz", min_size=1, max_size=3),
        match=st.sampled_from(["", "severity=critical", "severity=info", "team=a"]).map(parse_query),
        destinations=st.none() | st.lists(st.sampled_from(["one", "two", "t*", "*"]).map(Destination)).map(tuple),
        quiet_hours=st.sampled_from([(), (_quiet(),), (_quiet("drop"),), (_quiet("drop"), _quiet(until=20))]),
        does_continue=st.booleans(),
        routes=inner,
    )


@given(st.lists(_routes(), max_size=5), st.dictionaries(st.just("team"), st.sampled_from("ab")))
def test_whatever_the_routes_every_target_is_either_told_once_or_not_told_with_a_reason(
    routes: list[Route], labels: dict[str, str]
) -> None:
    targets = tuple(TargetSpec(name, "webhook", {}) for name in ("one", "two", "three"))
    news = msgspec.structs.replace(NEWS, labels={**LABELS, **labels})
    routing = _routing(*routes, targets=targets, news=news)
    assert sorted([*routing.targets, *routing.left_out]) == sorted(target.name for target in targets)
    assert routing.routes.keys() == set(routing.targets)
    assert routing.due_at.keys() <= set(routing.targets)
    assert all(routing.left_out.values())


def test_group_by_makes_one_group_of_alerts_whose_labels_agree() -> None:
    routes = (_to("all", name="ops", group_by=("alertname", "team")),)
    outgoing = Outgoing("id", "0" * 16, "firing", "fired", LABELS, {}, NOW, None, NOW, group_key="{}:{}")
    alert = regrouped(outgoing, target=ALL, routes=routes)
    assert alert is not None
    assert alert.group_key == 'ops:{alertname="DiskFull"}'
    assert alert.details["groupLabels"] == {"alertname": "DiskFull"}


def test_without_group_by_the_group_of_alertmanager_stays() -> None:
    outgoing = Outgoing("id", "0" * 16, "firing", "fired", LABELS, {}, NOW, None, NOW, group_key="{}:{}")
    assert regrouped(outgoing, target=ALL, routes=(_to("all"),)) is None
