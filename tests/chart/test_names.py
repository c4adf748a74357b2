"""Whatever names a user gives, Kubernetes takes the objects, and the rules find them."""

import json
import re
from collections.abc import Iterator
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.chart.rendering import Object, guide_values, render

NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1035, which a Service needs
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
OF_LABELS = {"labels", "matchLabels"}
NUMBERS = {
    "networkPolicy": {"ingress": {"namespaces": ["2026"]}},
    "env": [
        {"name": "TARGET_DISCOVERY_ENABLED", "value": "true"},
        {"name": "TARGET_DISCOVERY_NAMESPACE", "value": "2027"},
    ],
}


def labels(tree: Any) -> Iterator[str]:
    """The values of all labels, of objects and of what selects them."""
    if isinstance(tree, list):
        for each in tree:
            yield from labels(each)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in OF_LABELS and isinstance(value, dict):
                yield from value.values()
            else:
                yield from labels(value)


@pytest.mark.parametrize(
    "release, values",
    [
        pytest.param("r" * 53, {}, id="longest-release"),
        pytest.param("my.rel.ease", {}, id="dots"),
        pytest.param("a", {"nameOverride": "n" * 63}, id="longest-name"),
        pytest.param("a", {"fullnameOverride": "f" * 63}, id="longest-full-name"),
        pytest.param("true", {}, id="a-word-of-yaml"),
        pytest.param("2025", {"fullnameOverride": "recorder"}, id="a-number"),
    ],
)
def test_names_and_labels_are_ones_that_kubernetes_takes(release: str, values: Object) -> None:
    for each in render({**guide_values(), **values}, release=release).objects:
        assert NAME.fullmatch(each["metadata"]["name"])
        assert all(LABEL.fullmatch(value) for value in labels(each))


def test_a_namespace_may_be_a_number() -> None:
    rendered = render({**guide_values(), **NUMBERS}, namespace="2025")
    for each in rendered.objects:
        if each["kind"] != "ServiceMonitor":
            kubernetes_validate.validate(each, "1.31", strict=True)
    assert {each["metadata"]["namespace"] for each in rendered.objects} == {"2025", "2027"}


@pytest.mark.parametrize("values", [{}, {"nameOverride": "recorder"}, {"fullnameOverride": "recorder"}])
def test_the_job_is_that_of_the_rules_whatever_the_names(values: Object) -> None:
    rendered = render({**guide_values(), **values}, release="mon")
    (monitor,) = rendered.of("ServiceMonitor")
    selector = monitor["spec"]["selector"]["matchLabels"].items()
    service_labels = [each["metadata"]["labels"] for each in rendered.of("Service")]
    selected = [each for each in service_labels if selector <= each.items()]
    assert [each[monitor["spec"]["jobLabel"]] for each in selected] == ["alert-history"]


@pytest.mark.parametrize("values", [{}, {"fullnameOverride": "recorder", "backup": {"name": "nightly"}}])
def test_rules_and_dashboard_look_for_what_there_is(values: Object) -> None:
    on = {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}
    rendered = render({**values, "autoscaling": {"enabled": True}, "monitoring": on})
    queries = json.dumps([each["spec"] for each in rendered.of("PrometheusRule")])
    queries += "".join(
        text for each in rendered.of("ConfigMap") for text in each["data"].values() if '"panels"' in text
    )
    asked = set(re.findall(r'(horizontalpodautoscaler|persistentvolumeclaim|cronjob)=~\\+"([^"\\]*)', queries))
    names = {(each["kind"].lower(), each["metadata"]["name"]) for each in rendered.objects}
    assert {kind for kind, _ in asked} == {"horizontalpodautoscaler", "persistentvolumeclaim", "cronjob"}
    for kind, pattern in asked:
        assert any(re.fullmatch(pattern, name) for known_kind, name in names if known_kind == kind), (kind, pattern)
