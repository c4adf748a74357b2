"""The rules: what they say of an alert without any network, and why."""

from datetime import UTC, datetime

import pytest

from alert_history.domain.classification import Case, Past, Severity, shape_of, stable_labels, withholds
from alert_history.domain.flapping import FlapRule, is_flapping
from alert_history.enrichers.known_alerts import family_of
from alert_history.enrichers.rules import classify_by_rules

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def case(alertname: str = "Unheard", past: Past | None = None, **labels: str) -> Case:
    held = {"alertname": alertname, **labels}
    return Case(
        shape_of(held), "0" * 16, held, {"runbook_url": "https://runbooks.example/x"}, NOW, 1, past or Past(month=1)
    )


@pytest.mark.parametrize(
    "given, severity",
    [
        (case(severity="critical"), "critical"),
        (case(severity="P1"), "critical"),
        (case(severity="warn"), "warning"),
        (case(severity="info"), "info"),
        (case(severity="none"), "noise"),
        (case("Watchdog", severity="none"), "noise"),
        (case("KubePodCrashLooping"), "warning"),
        (case("etcdMembersDown"), "critical"),
        (case(severity="critical", namespace="shop-staging"), "info"),
        (case(severity="critical", namespace="latest"), "critical"),
        (case(severity="critical", past=Past(month=10, brief=9)), "noise"),
        (case(severity="critical", past=Past(month=10, brief=5)), "critical"),
        (case(severity="warning", past=Past(month=3, flaps=9, is_flapping=True)), "noise"),
        (case(severity="warning", past=Past(month=20, days_seen=20, same_hour=19)), "noise"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join([*value.labels.values(), str(value.past.brief)]),
)
def test_label_place_name_and_history_decide(given: Case, severity: Severity) -> None:
    assert classify_by_rules(given, now=NOW).severity == severity


def test_it_says_what_speaks_for_it_and_what_to_do() -> None:
    past = Past(month=10, brief=9, median_seconds=40, around=("NodeDown",))
    told = classify_by_rules(case("DiskFillingUp", past, severity="critical", namespace="shop"), now=NOW)
    assert "9 of the last 10 ended by themselves within a minute" in told.reasoning
    assert "Its label says critical" in told.reasoning
    assert told.summary == "DiskFillingUp in shop: storage, seen 10 times in 30 days, mostly for 40 s."
    assert told.recommendations[0] == "Follow the runbook: https://runbooks.example/x"
    assert "Look at what began around it: NodeDown." in told.recommendations
    assert (told.source, told.model, told.at) == ("rules", "rules", NOW)


def test_evidence_that_disagrees_makes_it_less_sure() -> None:
    agreed = classify_by_rules(case("etcdDown", severity="critical"), now=NOW)
    doubted = classify_by_rules(case("etcdDown", severity="critical", namespace="dev"), now=NOW)
    unknown = classify_by_rules(case("Unheard"), now=NOW)
    assert agreed.confidence == pytest.approx(0.7)
    assert doubted.confidence < 0.75
    assert unknown.confidence < 0.4


@pytest.mark.parametrize("name, category", [("NodeFilesystemAlmostOutOfSpace", "storage"), ("Whatever", "other")])
def test_a_name_tells_the_family(name: str, category: str) -> None:
    assert family_of(name).category == category


def test_pods_of_a_workload_share_a_shape_and_namespaces_do_not() -> None:
    one, other = ({"alertname": "X", "pod": f"web-{n}", "deployment": "web-7d9f8b6c5d-x2x4v"} for n in range(2))
    assert shape_of(one) == shape_of(other)
    assert shape_of(one) != shape_of({**one, "namespace": "shop"})
    assert stable_labels({"job": "node-17", "trace": "deadbeef01", "pod": "x"}) == {"job": "node-#", "trace": "#"}


def test_flapping_is_many_changes_in_a_short_time() -> None:
    changes = [NOW.replace(minute=0, hour=11 + n // 60) for n in range(5)]
    assert is_flapping(changes, NOW, FlapRule(limit=4))
    assert not is_flapping(changes, NOW, FlapRule(limit=5))


def test_a_target_that_wants_no_noise_is_told_what_nobody_classified() -> None:
    told = classify_by_rules(case("Watchdog", severity="none"), now=NOW)
    assert withholds(None, min_confidence=0.9, excludes_noise=True) is None
    assert withholds(told, min_confidence=None, excludes_noise=True) == (
        "classified as noise with a confidence of 0.95 by rules"
    )
    doubtful = classify_by_rules(case("Unheard"), now=NOW)
    assert "under the 0.9 it asks for" in str(withholds(doubtful, min_confidence=0.9, excludes_noise=False))
    assert withholds(doubtful, min_confidence=0.1, excludes_noise=True) is None
