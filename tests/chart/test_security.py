"""Every pod meets the Pod Security Standard `restricted`, and reaches and is reached by no more than it must."""

from typing import Any

import pytest

from tests.chart.rendering import Object, Rendered, guide_values, render
from tests.chart.test_rendering import MATRIX

# https://kubernetes.io/docs/concepts/security/pod-security-standards/, "restricted"
ALLOWED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def breaches(pod: Object) -> list[str]:
    """What the standard `restricted` would refuse, in its words."""
    context = pod.get("securityContext", {})
    faults = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    faults += [
        f"volume {volume['name']}" for volume in pod.get("volumes", []) if not set(volume) - {"name"} <= ALLOWED_VOLUMES
    ]
    for container in containers(pod):
        own = container.get("securityContext", {})
        both = {**context, **own}
        claims = {
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser") not in {None, 0},
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "privileged": not own.get("privileged"),
            "capabilities": own.get("capabilities", {}).get("drop") == ["ALL"] and "add" not in own["capabilities"],
            "seccompProfile": both.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "hostPorts": not any(port.get("hostPort") for port in container.get("ports", [])),
        }
        faults += [f"{container['name']}: {name}" for name, is_met in claims.items() if not is_met]
    return faults


@pytest.fixture(scope="module", params=MATRIX)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    return render(MATRIX[request.param])


def test_every_pod_is_restricted(rendered: Rendered) -> None:
    assert {where: breaches(pod) for where, pod in rendered.pods()} == {where: [] for where, _ in rendered.pods()}


def test_the_check_itself_finds_what_is_not() -> None:
    pod: Object = {
        "hostNetwork": True,
        "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
        "containers": [{"name": "a", "securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}}],
    }
    expected = ["runAsNonRoot", "runAsUser", "allowPrivilegeEscalation", "capabilities", "seccompProfile"]
    assert breaches(pod) == ["hostNetwork", "volume host", *(f"a: {name}" for name in expected)]


def test_no_container_can_write_to_its_root(rendered: Rendered) -> None:
    for where, pod in rendered.pods():
        assert all(each["securityContext"]["readOnlyRootFilesystem"] for each in containers(pod)), where


def test_every_container_says_what_it_may_take(rendered: Rendered) -> None:
    for where, pod in rendered.pods():
        for container in containers(pod):
            assert set(container["resources"]) == {"limits", "requests"}, (where, container["name"])


def test_only_the_service_gets_a_token_and_nobody_gets_addresses_as_variables(rendered: Rendered) -> None:
    for where, pod in rendered.pods():
        assert pod["enableServiceLinks"] is False, where
        if where != "Deployment/alert-history":
            assert pod["automountServiceAccountToken"] is False, where


def test_no_password_is_in_anything_but_a_secret(rendered: Rendered) -> None:
    for each in rendered.objects:
        if each["kind"] == "Secret":
            assert all(len(value) >= 20 for value in each["data"].values()), each["metadata"]["name"]
    for _, pod in rendered.pods():
        for container in containers(pod):
            for entry in container.get("env", []):
                assert "PASSWORD" not in entry["name"] or "valueFrom" in entry, entry


# --- the network ------------------------------------------------------------------------------------------------------


def policy(values: Object | None = None, name: str = "alert-history") -> Object:
    spec: Object = render(values).named("NetworkPolicy", name)["spec"]
    return spec


def ports(rule: Object) -> set[Any]:
    return {entry["port"] for entry in rule["ports"]}


def test_targets_the_llm_proxy_and_the_api_server_can_be_reached() -> None:
    rules = policy(guide_values())["egress"]
    everywhere = [ports(rule) for rule in rules if "to" not in rule]
    named = {frozenset(ports(rule)): rule["to"] for rule in rules if "to" in rule}
    targets = next(to for open_ports, to in named.items() if 8080 in open_ports)
    assert {53} in everywhere
    assert {443, 6443} in everywhere
    assert {5432} in everywhere  # the guide's DATABASE_URL is a secret: it may name any server
    assert {"namespaceSelector": {}} in targets
    assert {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]} in [each.get("ipBlock") for each in targets]


def test_prometheus_and_alertmanager_can_be_asked() -> None:
    (opened,) = (ports(rule) for rule in policy()["egress"] if 8080 in ports(rule))
    assert opened >= {9090, 9093}


def test_without_targets_in_secrets_the_api_server_is_not_reached() -> None:
    everywhere = [ports(rule) for rule in policy()["egress"] if "to" not in rule]
    assert everywhere == [{53}]


def test_who_may_call_the_service_is_limited_by_value() -> None:
    assert "from" not in policy()["ingress"][0]
    limited = policy({"networkPolicy": {"ingress": {"namespaces": ["ingress-nginx", "monitoring"]}}})["ingress"]
    labels = [each["namespaceSelector"]["matchLabels"] for each in limited[0]["from"] if "namespaceSelector" in each]
    assert {"name": "ingress-nginx"} in labels  # as the guide has it
    assert {"kubernetes.io/metadata.name": "monitoring"} in labels


@pytest.mark.parametrize(
    "name, callers",
    [
        ("alert-history-postgresql", {"alert-history", "postgresql-backup"}),
        ("alert-history-redis-master", {"alert-history"}),
    ],
)
def test_only_our_own_pods_reach_the_database_and_the_cache(name: str, callers: set[str]) -> None:
    spec = policy(guide_values(), name)
    names = {each["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for each in spec["ingress"][0]["from"]}
    assert (names, spec["egress"]) == (callers, [])


# --- how pods stop and move -------------------------------------------------------------------------------------------


def test_a_pod_has_time_for_all_that_a_stop_may_take() -> None:
    pod = render(guide_values()).service_pod()
    container = pod["containers"][0]
    delay = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    grace = next(int(entry["value"]) for entry in container["env"] if entry["name"] == "SHUTDOWN_GRACE_SECONDS")
    assert pod["terminationGracePeriodSeconds"] >= delay + grace + 10


def test_replacing_pods_takes_none_away_before_its_successor_is_ready() -> None:
    rendered = render(guide_values())
    assert rendered.named("Deployment", "alert-history")["spec"]["strategy"]["rollingUpdate"] == {
        "maxSurge": 1,
        "maxUnavailable": 0,
    }
    assert rendered.named("PodDisruptionBudget", "alert-history")["spec"]["maxUnavailable"] == 1


def test_the_probes_ask_the_right_questions() -> None:
    container = render(guide_values()).container()
    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe", "startupProbe")
    }
    assert paths == {"livenessProbe": "/healthz", "readinessProbe": "/readyz", "startupProbe": "/healthz"}
