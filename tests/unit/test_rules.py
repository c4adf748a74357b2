"""The rules: what they say of an alert without any network, and why."""

from datetime import UTC, datetime

import msgspec
import pytest

from alert_history.domain.classification import Case, Past, shape_of, stable_labels, withholds
from alert_history.domain.flap_rules import OursRule
from alert_history.domain.flapping import is_flapping
from alert_history.domain.severity import WORDS, Severity
from alert_history.enrichers.families import FAMILIES, UNKNOWN
from alert_history.enrichers.known_alerts import DATA, KNOWN, MONITORING, family_of
from alert_history.enrichers.known_cluster_alerts import KUBERNETES, NODES
from alert_history.enrichers.places import place_for_tests
from alert_history.enrichers.rules import classify_by_rules
from tests.vendors.messages import BLANK

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def case(alertname: str = "Unheard", past: Past | None = None, **labels: str) -> Case:
    all_labels = {"alertname": alertname, **labels}
    return Case(
        shape_of(all_labels),
        "0" * 16,
        all_labels,
        {"runbook_url": "https://runbooks.example/x"},
        NOW,
        1,
        past or Past(month=1),
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
    classification = classify_by_rules(case("DiskFillingUp", past, severity="critical", namespace="shop"), now=NOW)
    assert "9 of the last 10 ended by themselves within a minute" in classification.reasoning
    assert "Its label says critical" in classification.reasoning
    assert classification.summary == (
        "DiskFillingUp in shop: a disk or volume fills up or fails; seen 10 times in 30 days, mostly for 40 s."
    )
    assert classification.recommendations[0] == "Follow the runbook: https://runbooks.example/x"
    assert "Look at what began around it: NodeDown." in classification.recommendations
    assert (classification.source, classification.model, classification.at) == ("rules", "rules", NOW)


@pytest.mark.parametrize("name", BLANK)
def test_an_alert_with_a_blank_name_has_none(name: str) -> None:
    classification = classify_by_rules(case(name, Past(month=1, around=(" ",)), namespace=" ", job="node"), now=NOW)
    assert classification.summary.startswith("An alert without a name in node: ")
    assert [text for text in classification.recommendations if text.startswith("Look at")] == []


def test_evidence_that_disagrees_makes_it_less_sure_and_evidence_that_agrees_surer() -> None:
    baseline = classify_by_rules(case("etcdDown", severity="critical"), now=NOW)
    agreed = classify_by_rules(case("etcdDown", Past(), severity="critical"), now=NOW)
    in_test = classify_by_rules(case("Unheard", severity="info", namespace="dev"), now=NOW)
    doubted = classify_by_rules(case("Unheard", severity="critical", namespace="dev"), now=NOW)
    assert agreed.confidence > baseline.confidence > classify_by_rules(case("Unheard"), now=NOW).confidence
    assert in_test.confidence > 0.82 > doubted.confidence
    assert classify_by_rules(case("Unheard"), now=NOW).confidence < 0.4


@pytest.mark.parametrize(
    "word, severity", [(" Page ", "critical"), ("ticket", "warning"), ("P5", "info"), ("SEV-1", "critical")]
)
def test_a_severity_is_understood_however_it_is_spelt(word: str, severity: Severity) -> None:
    assert classify_by_rules(case(severity=word), now=NOW).severity == severity
    assert classify_by_rules(case(priority=word), now=NOW).severity == severity


def test_no_word_for_a_severity_has_two_meanings() -> None:
    words = [word for _, some in WORDS for word in some.split()]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    "labels, place",
    [
        ({"namespace": "shop-staging"}, "namespace 'shop-staging'"),
        ({"cluster": "eu.Test2.example"}, "cluster 'eu.Test2.example'"),
        ({"env": "nonprod"}, "env 'nonprod'"),
        ({"env": "production", "namespace": "test-results"}, None),
        ({"namespace": "contest"}, None),
        ({"namespace": "latest"}, None),
        ({"cluster": "devices"}, None),
        ({}, None),
    ],
)
def test_a_place_for_tests_is_known_by_whole_words(labels: dict[str, str], place: str | None) -> None:
    assert place_for_tests(labels) == place


HABITS = [
    Past(month=40, days_seen=14, flaps=9, is_flapping=True),
    Past(month=28, days_seen=28, same_hour=27, median_seconds=1900),
]


@pytest.mark.parametrize("past", HABITS, ids=["flapping", "nightly"])
def test_a_habit_excuses_a_high_value_and_no_fault(past: Past) -> None:
    busy = classify_by_rules(case("NodeSystemSaturation", past, severity="warning"), now=NOW)
    failed = classify_by_rules(case("KubeJobFailed", past, severity="warning"), now=NOW)
    assert (busy.severity, failed.severity) == ("noise", "warning")


@pytest.mark.parametrize("name", ["WidgetSyncFailed", "WidgetRequestsRejected", "WidgetNotShippingParcels"])
def test_a_name_that_says_that_something_is_broken_is_a_fault_even_if_nobody_knows_it(name: str) -> None:
    assert classify_by_rules(case(name, HABITS[0], severity="warning"), now=NOW).severity == "warning"
    assert classify_by_rules(case("WidgetsMany", HABITS[0], severity="warning"), now=NOW).severity == "noise"


def test_a_critical_alert_that_nobody_knows_is_never_noise_because_it_flaps() -> None:
    assert classify_by_rules(case("WidgetsMany", HABITS[0], severity="critical"), now=NOW).severity == "warning"


def test_a_critical_fault_that_heals_by_itself_each_time_can_wait_unless_more_goes_wrong() -> None:
    alone = case("WidgetSyncFailed", HABITS[0], severity="critical")
    amid = msgspec.structs.replace(alone, past=msgspec.structs.replace(HABITS[0], around=("A", "B", "C")))
    assert classify_by_rules(alone, now=NOW).severity == "warning"
    assert classify_by_rules(amid, now=NOW).severity == "critical"


def test_where_tests_are_a_habit_is_noise_whatever_it_is() -> None:
    classification = classify_by_rules(
        case("WidgetSyncFailed", HABITS[1], severity="critical", namespace="ci"), now=NOW
    )
    assert classification.severity == "noise"


def test_nothing_in_the_history_excuses_the_loss_of_what_all_depends_on() -> None:
    past = Past(month=50, brief=50, days_seen=20, same_hour=50, flaps=9, is_flapping=True)
    for severity in ("critical", "warning", "info"):
        assert classify_by_rules(case("etcdNoLeader", past, severity=severity), now=NOW).severity == "critical"
    assert classify_by_rules(case("etcdNoLeader", severity="critical", env="dev"), now=NOW).severity == "info"


def test_what_is_known_of_an_alert_lowers_its_label_by_one_step_at_most() -> None:
    assert classify_by_rules(case("CPUThrottlingHigh", severity="warning"), now=NOW).severity == "info"
    assert classify_by_rules(case("CPUThrottlingHigh", severity="critical"), now=NOW).severity == "warning"


def test_commands_hold_only_labels_that_all_alerts_of_the_shape_share_and_that_do_no_harm() -> None:
    classification = classify_by_rules(
        case("KubePodCrashLooping", namespace="shop", pod="web-7d9f8b6c5d-x2x4v"), now=NOW
    )
    assert "kubectl -n shop logs POD --previous" in " ".join(classification.recommendations)
    classification = classify_by_rules(case("KubePodCrashLooping", namespace="x; rm -rf ~"), now=NOW)
    assert "rm -rf" not in " ".join(classification.recommendations)


def test_many_at_once_and_flapping_are_said() -> None:
    past = Past(month=9, days_seen=1, flaps=12, is_flapping=True)
    many = msgspec.structs.replace(case("KubeNodeNotReady", past, severity="warning"), waiting=50)
    classification = classify_by_rules(many, now=NOW)
    assert classification.severity == "warning"
    assert "50 at once" in classification.summary
    assert {"flapping", "many-at-once"} <= set(classification.tags)
    assert any("comes and goes" in advice for advice in classification.recommendations)


def test_every_family_says_what_to_do_and_fits_into_a_classification() -> None:
    for family in {*KNOWN.values(), UNKNOWN, *(family for _, family in FAMILIES)}:
        assert 1 <= len(family.advice) <= 4, family
        assert all(advice[0].isupper() for advice in family.advice)
        assert family.what[0].islower() or family.what.split()[0] in {
            "Prometheus",
            "Kubernetes",
            "PostgreSQL",
            "RabbitMQ",
            "Redis",
        }
        assert family.cause.endswith(".")


def test_no_alert_is_known_twice() -> None:
    tables = (MONITORING, DATA, NODES, KUBERNETES)
    names = [name.lower() for table in tables for some, _ in table for name in some.split()]
    assert sorted(names) == sorted(KNOWN)


@pytest.mark.parametrize(
    "name, category",
    [
        ("NodeFilesystemAlmostOutOfSpace", "storage"),
        ("kubenodenotready", "availability"),
        ("NodeClockNotSynchronising", "clock"),
        ("WorkloadDegraded", "other"),
        ("SloBurnRate", "errors"),
        ("SlowRequests", "latency"),
        ("MongodbDown", "data"),
        ("DNSLookupErrors", "errors"),
        ("HostNodeOvertemperatureAlarm", "hardware"),
        ("CephPoolFull", "storage"),
        ("CassandraReadFailure", "data"),
        ("PipelineDeadManSwitch", "self-test"),
        ("DeadMansSwitchMissing", "monitoring"),
        ("TestAlertDeliveryFailed", "other"),
        ("ServerRoomHumidity", "other"),
        ("ContainerOOMKilled", "memory"),
        ("Whatever", "other"),
    ],
)
def test_a_name_tells_the_family(name: str, category: str) -> None:
    assert family_of(name).category == category


@pytest.mark.parametrize("first, second", [("Http404", "Http500"), ("Disk80PercentFull", "Disk95PercentFull")])
def test_rules_whose_names_differ_by_a_number_are_two_shapes(first: str, second: str) -> None:
    assert shape_of({"alertname": first, "job": "web"}) != shape_of({"alertname": second, "job": "web"})


def test_pods_of_a_workload_share_a_shape_and_namespaces_do_not() -> None:
    first, second = ({"alertname": "X", "pod": f"web-{n}", "deployment": "web-7d9f8b6c5d-x2x4v"} for n in range(2))
    assert shape_of(first) == shape_of(second)
    assert shape_of(first) != shape_of({**first, "namespace": "shop"})
    assert shape_of({**first, "severity": "p1"}) != shape_of({**first, "severity": "p4"})
    assert stable_labels({"severity": "17", "priority": "P1"}) == {"severity": "#", "priority": "P1"}
    assert stable_labels({"job": "node-17", "trace": "deadbeef01", "pod": "x"}) == {"job": "node-#", "trace": "#"}


def test_flapping_is_many_changes_in_a_short_time() -> None:
    changes = [NOW.replace(minute=0, hour=11 + n // 60) for n in range(5)]
    assert is_flapping(changes, NOW, OursRule(limit=4))
    assert not is_flapping(changes, NOW, OursRule(limit=5))


def test_a_target_that_wants_no_noise_is_told_what_nobody_classified() -> None:
    noise = classify_by_rules(case("Watchdog", severity="none"), now=NOW)
    assert withholds(None, {}, min_confidence=0.9, excludes_noise=True) is None
    assert withholds(noise, {}, min_confidence=None, excludes_noise=True) == (
        "classified as noise with a confidence of 0.96 by rules"
    )
    doubtful = classify_by_rules(case("Unheard"), now=NOW)
    assert "under the 0.9 it asks for" in str(withholds(doubtful, {}, min_confidence=0.9, excludes_noise=False))
    assert withholds(doubtful, {}, min_confidence=0.1, excludes_noise=True) is None
