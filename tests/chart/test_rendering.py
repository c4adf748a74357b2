"""Every object that the chart makes is one that Kubernetes takes, from 1.25 to the newest that is known here."""

import json
from typing import Any

import helm_python
import jsonschema  # type: ignore[import-untyped]  # these two ship no types
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from kubernetes_validate.utils import all_versions  # type: ignore[import-untyped]

from alert_history.urls.hosts import read_host_names
from tests.chart.rendering import BASIC_SETS, CHART, REDIS_TUNING, Object, Rendered, guide_values, render, set_values

VERSIONS = [version.rpartition(".")[0] for version in all_versions()]

MATRIX: dict[str, Object] = {
    "guide": guide_values(),
    "basic": set_values(*BASIC_SETS),
    "defaults": {},
    "redis-tuning": yaml.safe_load(REDIS_TUNING),
    "external": {
        "postgresql": {"enabled": False},
        "redis": {"enabled": False},
        "externalDatabase": {"url": "postgresql://a:b@db.example.com:6432/alerts", "port": 6432},
        "externalRedis": {"existingSecret": "our-redis"},
        "monitoring": {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}},
    },
    "everything": {
        "autoscaling": {"enabled": True, "keda": {"enabled": True}},
        "monitoring": {
            "serviceMonitor": {
                "enabled": True,
                "labels": {"release": "prometheus"},
                "tokenSecret": {"name": "prometheus-token"},
            },
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True, "annotations": {"grafana_folder": "Alerting"}},
        },
        "targetDiscovery": {"enabled": True, "namespace": "alert-targets"},
        "routes": {"time_zone": "Europe/Berlin", "routes": [{"name": "ops", "targets": ["ops-slack"]}]},
        "rbac": {"clusterWide": True},
        "redis": {"auth": {"enabled": True}, "master": {"persistence": {"enabled": True}}},
        "postgresql": {"primary": {"parameters": {"shared_buffers": "256MB", "max_connections": 200}}},
        "networkPolicy": {
            "ingress": {"namespaces": ["ingress-nginx", "monitoring"], "from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]},
            "egress": {"rules": [{"ports": [{"port": 6432, "protocol": "TCP"}]}]},
        },
        "ingress": {"enabled": True, "hosts": [{"host": "a.example.com"}, {"host": "b.example.com", "paths": []}]},
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"digest": "sha256:" + "0" * 64},
        "priorityClassName": "system-cluster-critical",
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "on-call"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "extraVolumes": [{"name": "targets", "secret": {"secretName": "targets"}}],
        "extraVolumeMounts": [{"name": "targets", "mountPath": "/targets", "readOnly": True}],
        "envFrom": [{"configMapRef": {"name": "more", "optional": True}}],
        "auth": {
            "mode": "token",
            "ingest": "required",
            "metrics": "required",
            "adminToken": {"existingSecret": "first-token", "existingSecretKey": "admin"},
        },
    },
    "bare": {
        "postgresql": {"primary": {"persistence": {"enabled": False}}},
        "redis": {"enabled": False},
        "backup": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "topologySpread": {"enabled": False},
        "migrations": {"enabled": False},
        "serviceAccount": {"create": False},
        "llm": {"existingSecret": ""},
        "fullnameOverride": "recorder",
        "auth": {"mode": "none", "noneAccepted": True},
    },
}

# What the operators' own definitions ask of these, in the parts that the chart uses.
_LABELS = {"type": "object", "additionalProperties": {"type": "string"}}


def _resource(spec: Object) -> Object:
    return {"type": "object", "required": ["spec"], "properties": {"spec": spec}}


def _strict(required: list[str], properties: Object) -> Object:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
CUSTOM: dict[str, Object] = {
    "ServiceMonitor": _resource(
        _strict(
            ["selector", "endpoints"],
            {
                "jobLabel": _TEXT,
                "selector": _strict([], {"matchLabels": _LABELS}),
                "endpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": _strict(
                        ["port"],
                        {
                            "port": _TEXT,
                            "path": _TEXT,
                            "interval": _DURATION,
                            "scrapeTimeout": _DURATION,
                            "authorization": _strict(
                                ["type", "credentials"],
                                {"type": _TEXT, "credentials": _strict(["name", "key"], {"name": _TEXT, "key": _TEXT})},
                            ),
                            "relabelings": {
                                "type": "array",
                                "items": _strict(["action"], {"action": {"const": "labeldrop"}, "regex": _TEXT}),
                            },
                        },
                    ),
                },
            },
        )
    ),
    "PrometheusRule": _resource(
        _strict(
            ["groups"],
            {
                "groups": {
                    "type": "array",
                    "minItems": 2,
                    "items": _strict(
                        ["name", "rules"],
                        {
                            "name": _TEXT,
                            "interval": _DURATION,
                            "limit": _WHOLE,
                            "labels": _LABELS,
                            "rules": {
                                "type": "array",
                                "minItems": 1,
                                "items": _strict(
                                    ["expr"],
                                    {
                                        "record": _TEXT,
                                        "alert": _TEXT,
                                        "expr": {"type": ["string", "integer"]},
                                        "for": _DURATION,
                                        "keep_firing_for": _DURATION,
                                        "labels": _LABELS,
                                        "annotations": _LABELS,
                                    },
                                ),
                            },
                        },
                    ),
                }
            },
        )
    ),
    "ScaledObject": _resource(
        _strict(
            ["scaleTargetRef", "triggers"],
            {
                "scaleTargetRef": _strict(["name"], {"name": _TEXT}),
                "minReplicaCount": _WHOLE,
                "maxReplicaCount": _WHOLE,
                "pollingInterval": _WHOLE,
                "advanced": {"type": "object"},
                "triggers": {
                    "type": "array",
                    "minItems": 1,
                    "items": _strict(["type", "metadata"], {"type": _TEXT, "metricType": _TEXT, "metadata": _LABELS}),
                },
            },
        )
    ),
}


@pytest.fixture(scope="module", params=MATRIX)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return render(MATRIX[request.param])


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_object(rendered: Rendered, version: str) -> None:
    for each in rendered.objects:
        if each["kind"] in CUSTOM:
            jsonschema.validate(each, CUSTOM[each["kind"]])
        else:
            assert kubernetes_validate.validate(each, version, strict=True) == version


def test_the_versions_begin_where_promised() -> None:
    assert VERSIONS[0] == "1.25"
    assert len(VERSIONS) >= 10


def test_no_object_is_there_twice(rendered: Rendered) -> None:
    assert len(set(rendered.names())) == len(rendered.objects)


def test_every_selector_matches_the_pods_it_is_for(rendered: Rendered) -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"].items() for each in rendered.of("Deployment")]
    for service in rendered.of("Service"):
        assert sum(service["spec"]["selector"].items() <= pod_labels for pod_labels in labels) == 1, service[
            "metadata"
        ]["name"]
    for each in rendered.of("Deployment"):
        selector = each["spec"]["selector"]["matchLabels"]
        assert sum(selector.items() <= pod_labels for pod_labels in labels) == 1, each["metadata"]["name"]


def test_what_a_pod_mounts_and_reads_is_there(rendered: Rendered) -> None:
    """Names of claims, ConfigMaps and Secrets of our own; others are the user's."""
    names = set(rendered.names())
    for where, pod in rendered.pods():
        for volume in pod.get("volumes", []):
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            config = volume.get("configMap", {}).get("name")
            assert claim is None or f"PersistentVolumeClaim/{claim}" in names, where
            assert config is None or f"ConfigMap/{config}" in names, where
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes, where


@pytest.mark.parametrize("values", MATRIX.values(), ids=MATRIX)
@pytest.mark.parametrize("kubernetes", ["v1.20.15", "v1.25.0", "v1.34.0"])
def test_lint_finds_nothing(values: Object, kubernetes: str) -> None:
    report = helm_python.lint(
        CHART, {**values, "kubeVersionOverride": kubernetes}, strict=True, kube_version=kubernetes
    )
    messages = [message for message in report["messages"] if message["severity"] > 1]
    assert (messages, report["errors"]) == ([], [])


@pytest.mark.parametrize(
    "version, expected",
    [
        ("1.20", {"HorizontalPodAutoscaler": "autoscaling/v2beta2", "PodDisruptionBudget": "policy/v1beta1"}),
        ("1.20", {"CronJob": "batch/v1beta1", "Ingress": "networking.k8s.io/v1"}),
        ("1.21", {"PodDisruptionBudget": "policy/v1", "CronJob": "batch/v1"}),
        ("1.22", {"HorizontalPodAutoscaler": "autoscaling/v2beta2"}),
        ("v1.23.4-eks-1", {"HorizontalPodAutoscaler": "autoscaling/v2"}),
    ],
)
def test_each_kubernetes_gets_the_api_versions_it_knows(version: str, expected: dict[str, str]) -> None:
    rendered = render({**guide_values(), "kubeVersionOverride": version})
    versions = {each["kind"]: each["apiVersion"] for each in rendered.objects}
    assert {kind: versions[kind] for kind in expected} == expected


def test_helm_3_8_could_have_read_it() -> None:
    """Metadata that a chart of the time had: version 2, a schema draft that it knew."""
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    schema: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert (metadata["apiVersion"], metadata["kubeVersion"]) == ("v2", ">=1.20.0-0")
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"


def test_programs_may_ask_by_the_names_of_the_service_and_of_the_ingress() -> None:
    inside = (
        "alert-history,alert-history.monitoring,alert-history.monitoring.svc,alert-history.monitoring.svc.cluster.local"
    )
    hosts = [{"host": "alerts.example"}, {"host": "*.example"}]
    of_service = render(namespace="monitoring").env()["MCP_ALLOWED_HOSTS"]["value"]
    both = render({"ingress": {"enabled": True, "hosts": hosts}}, namespace="monitoring").env()
    given = render({"env": [{"name": "MCP_ALLOWED_HOSTS", "value": "*"}]}).env()
    assert of_service == inside
    assert both["MCP_ALLOWED_HOSTS"]["value"] == f"{inside},alerts.example"
    assert given["MCP_ALLOWED_HOSTS"]["value"] == "*"
    assert read_host_names(both["MCP_ALLOWED_HOSTS"]["value"])[-1] == "alerts.example"
