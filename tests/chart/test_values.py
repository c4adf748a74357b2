"""Values do what they say: the guide's as written, wrong ones are refused in words, `env` goes before the chart."""

import re
from textwrap import indent
from typing import Any

import helm_python
import pytest
import yaml

from alert_history.discovery.routes_document import read_routes
from alert_history.storage.postgres import connection as connections
from tests.chart.rendering import BASIC_SETS, REDIS_TUNING, ROOT, Object, Rendered, guide_values, render, set_values

# --- the guide's values for production --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guide() -> Any:
    return render(guide_values())


def test_the_guides_names_exist(guide: Any) -> None:
    assert {
        "Deployment/alert-history",
        "Service/alert-history",
        "ServiceAccount/alert-history",
        "Ingress/alert-history",
        "HorizontalPodAutoscaler/alert-history",
        "Deployment/alert-history-postgresql",
        "Service/alert-history-postgresql",
        "Service/alert-history-redis-master",
        "CronJob/postgresql-backup",
        "ServiceMonitor/alert-history",
    } <= set(guide.names())
    assert guide.container()["name"] == "alert-history"
    labels = guide.named("Deployment", "alert-history")["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "alert-history"


def test_the_guides_image_and_resources(guide: Any) -> None:
    values, container = guide_values(), guide.container()
    assert container["image"] == "ghcr.io/ipiton/alert-history-service:latest"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["resources"] == values["resources"]


def test_the_guides_autoscaling(guide: Any) -> None:
    spec = guide.named("HorizontalPodAutoscaler", "alert-history")["spec"]
    targets = {m["resource"]["name"]: m["resource"]["target"]["averageUtilization"] for m in spec["metrics"]}
    assert (spec["minReplicas"], spec["maxReplicas"], targets) == (3, 10, {"cpu": 70, "memory": 80})
    assert "replicas" not in guide.named("Deployment", "alert-history")["spec"]
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 300


def test_the_guides_env_is_there_as_written(guide: Any) -> None:
    env = guide.env()
    for entry in guide_values()["env"]:
        assert env[entry["name"]] == entry
    assert env["REDIS_URL"]["value"] == "redis://alert-history-redis-master:6379/0"
    assert "PGPASSWORD" not in env


def test_the_guides_llm_secret_is_read(guide: Any) -> None:
    assert guide.container()["envFrom"] == [{"secretRef": {"name": "llm-config", "optional": True}}]


def test_the_secret_of_vendors_webhooks_is_read_beside_that_of_the_llm() -> None:
    rendered = render(guide_values() | {"vendorWebhooks": {"existingSecret": "webhook-secrets"}})
    read = [source["secretRef"] for source in rendered.container()["envFrom"]]
    assert read == [{"name": name, "optional": True} for name in ("llm-config", "webhook-secrets")]


def test_the_guides_service_and_ingress(guide: Any) -> None:
    values = guide_values()["ingress"]
    port = guide.named("Service", "alert-history")["spec"]["ports"][0]
    ingress = guide.named("Ingress", "alert-history")
    rule = ingress["spec"]["rules"][0]
    assert (port["port"], port["targetPort"]) == (8080, "http")
    assert guide.named("Service", "alert-history")["spec"]["type"] == "ClusterIP"
    assert ingress["metadata"]["annotations"] == values["annotations"]
    assert (ingress["spec"]["ingressClassName"], ingress["spec"]["tls"]) == ("nginx", values["tls"])
    assert rule["host"] == values["hosts"][0]["host"]
    assert rule["http"]["paths"][0]["path"] == "/"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "alert-history", "port": {"name": "http"}}


def test_the_guides_postgresql(guide: Any) -> None:
    values = guide_values()["postgresql"]
    pod = guide.named("Deployment", "alert-history-postgresql")
    container = pod["spec"]["template"]["spec"]["containers"][0]
    env = {entry["name"]: entry for entry in container["env"]}
    claim = guide.named("PersistentVolumeClaim", "alert-history-postgresql")["spec"]
    assert pod["spec"]["strategy"] == {"type": "Recreate"}
    assert container["resources"] == values["primary"]["resources"]
    assert env["SERVICE_USER"]["value"] == env["SERVICE_DATABASE"]["value"] == "alerthistory"
    assert env["POSTGRES_PASSWORD"]["valueFrom"]["secretKeyRef"] == {
        "name": "postgresql-auth",
        "key": "postgres-password",
    }
    assert env["SERVICE_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "postgresql-auth", "key": "password"}
    assert claim["storageClassName"] == "fast-ssd"
    assert claim["resources"]["requests"]["storage"] == "20Gi"
    assert [each["metadata"]["name"] for each in guide.of("Secret")] == ["alert-history-admin-token"]


def test_the_guides_postgresql_has_a_connection_for_all_that_its_pods_may_ask_for(guide: Any) -> None:
    deployment = guide.named("Deployment", "alert-history-postgresql")
    args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    (most,) = [int(match[1]) for arg in args if (match := re.fullmatch(r"max_connections=(\d+)", arg))]
    # Beside writers and readers there are the connection that delivers, that of the jobs of each second, and slow work.
    of_a_pod = connections._WRITERS + connections._READERS + 1 + 1 + connections._UPKEEPERS  # noqa: SLF001
    pods = guide_values()["autoscaling"]["maxReplicas"] + 1  # one more while they are replaced
    assert of_a_pod <= 12  # as the values' table says
    assert pods * of_a_pod + 10 <= most  # the superuser's, and dumps


def test_the_guides_redis(guide: Any) -> None:
    values = guide_values()["redis"]["master"]
    pod = guide.named("Deployment", "alert-history-redis-master")["spec"]["template"]["spec"]
    settings = guide.named("ConfigMap", "alert-history-redis-master")["data"]["redis.conf"].splitlines()
    assert pod["containers"][0]["resources"] == values["resources"]
    assert {"maxmemory 512mb", "maxmemory-policy allkeys-lru", 'save ""'} <= set(settings)
    assert {"name": "data", "emptyDir": {}} in pod["volumes"]
    assert "--requirepass" not in pod["containers"][0]["args"]


def test_the_guides_role_is_in_the_targets_namespace(guide: Any) -> None:
    role = guide.named("Role", "alert-history-target-discovery")
    binding = guide.named("RoleBinding", "alert-history-target-discovery")
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "alert-targets"
    assert role["rules"] == guide_values()["rbac"]["rules"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "alert-history", "namespace": "alert-history"}]
    assert guide.of("ClusterRole") == []
    assert guide.service_pod()["automountServiceAccountToken"] is True


def test_the_guides_service_monitor(guide: Any) -> None:
    spec = guide.named("ServiceMonitor", "alert-history")["spec"]
    labels = guide.named("Service", "alert-history")["metadata"]["labels"]
    assert (spec["endpoints"][0]["interval"], spec["endpoints"][0]["path"]) == ("30s", "/metrics")
    assert labels[spec["jobLabel"]] == "alert-history"  # the guide's alert asks for up{job="alert-history"}
    assert spec["selector"]["matchLabels"].items() <= labels.items()


def test_a_full_cache_that_the_kernel_would_end_is_noted(guide: Any) -> None:
    assert "(512Mi) is not more than its maxmemory (512mb)" in guide.notes
    assert "maxmemory (" not in render().notes


def test_an_ingress_that_refuses_large_groups_is_noted(guide: Any) -> None:
    ingress = guide_values()["ingress"]
    size = {"nginx.ingress.kubernetes.io/proxy-body-size": "10m"}
    assert "answers 413" in guide.notes
    assert "413" not in render({"ingress": {**ingress, "annotations": size}}).notes
    assert "413" not in render({"ingress": {**ingress, "className": "traefik"}}).notes


def test_the_guides_cluster_role_comes_by_value() -> None:
    rendered = render({**guide_values(), "rbac": {"clusterWide": True}})
    binding = rendered.named("ClusterRoleBinding", "alert-history-target-discovery")
    assert rendered.named("ClusterRole", "alert-history-target-discovery")["rules"][0]["resources"] == ["secrets"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "alert-history", "namespace": "alert-history"}]
    assert rendered.of("Role") == []


# --- the guide's basic installation -----------------------------------------------------------------------------------


def test_the_basic_installation_needs_nothing_more() -> None:
    rendered = render(set_values(*BASIC_SETS))
    rule = rendered.of("Ingress")[0]["spec"]["rules"][0]
    env = rendered.env()
    assert rule["host"] == "alert-history.your-domain.com"
    assert [(path["path"], path["pathType"]) for path in rule["http"]["paths"]] == [("/", "Prefix")]
    assert env["DATABASE_URL"]["value"] == "postgresql://alerthistory@alert-history-postgresql:5432/alerthistory"
    assert env["PGPASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "alert-history-postgresql", "key": "password"}
    assert rendered.of("HorizontalPodAutoscaler")[0]["spec"]["minReplicas"] == 3


def test_nobody_may_read_secrets_where_no_targets_are_looked_for() -> None:
    rendered = render(set_values(*BASIC_SETS))
    assert rendered.of("Role") == rendered.of("ClusterRole") == []
    assert rendered.service_pod()["automountServiceAccountToken"] is False


# --- env --------------------------------------------------------------------------------------------------------------


def test_env_goes_before_what_the_chart_sets() -> None:
    given = {
        "SHUTDOWN_GRACE_SECONDS": "7",
        "REDIS_URL": "redis://ours:6379/1",
        "TARGET_DISCOVERY_ENABLED": "false",
        "DATABASE_URL": "postgresql://ours/alerts",
    }
    rendered = render({"env": [{"name": name, "value": value} for name, value in given.items()]})
    env = rendered.env()
    assert {name: env[name]["value"] for name in given} == given
    assert rendered.service_pod()["terminationGracePeriodSeconds"] == 5 + 7 + 15


def test_a_value_in_a_file_counts_as_given() -> None:
    """The service refuses NAME and NAME_FILE together."""
    env = render({"env": [{"name": "DATABASE_URL_FILE", "value": "/secrets/url"}]}).env()
    assert "DATABASE_URL" not in env


def test_numbers_and_flags_become_text() -> None:
    given = {"RETENTION_DAYS": 30, "PUBLISHING_ENABLED": False, "MAX_BODY_BYTES": 10485760, "ENVIRONMENT": "a: b"}
    env = render({"env": [{"name": name, "value": value} for name, value in given.items()]}).env()
    assert [env[name]["value"] for name in given] == ["30", "false", "10485760", "a: b"]


@pytest.mark.parametrize("value, has_role", [("true", True), ("True", True), ("false", False), ("0", False)])
def test_the_role_follows_the_variable(value: str, has_role: bool) -> None:  # noqa: FBT001  # a table's column
    rendered = render({"env": [{"name": "TARGET_DISCOVERY_ENABLED", "value": value}]})
    assert bool(rendered.of("Role")) is has_role
    assert ("TARGET_DISCOVERY_NAMESPACE" in rendered.env()) is has_role


def test_a_database_of_ones_own_is_taken_from_a_secret() -> None:
    rendered = render({"postgresql": {"enabled": False}, "externalDatabase": {"url": "postgresql://a:b@db/alerts"}})
    reference = rendered.env()["DATABASE_URL"]["valueFrom"]["secretKeyRef"]
    secret = rendered.named("Secret", reference["name"])
    assert reference["key"] in secret["data"]
    assert rendered.of("CronJob") == []
    assert "postgresql://a:b@db" not in str(rendered.objects)


def test_an_existing_secret_of_a_database_is_read_by_its_key() -> None:
    external = {"existingSecret": "ours", "existingSecretKey": "url"}
    rendered = render({"postgresql": {"enabled": False}, "externalDatabase": external})
    assert rendered.env()["DATABASE_URL"]["valueFrom"]["secretKeyRef"] == {"name": "ours", "key": "url"}
    assert [each["metadata"]["name"] for each in rendered.of("Secret")] == ["alert-history-admin-token"]


def test_a_changed_connection_restarts_the_pods() -> None:
    def checksum(url: str) -> str:
        rendered = render({"postgresql": {"enabled": False}, "externalDatabase": {"url": url}})
        annotation: str = rendered.named("Deployment", "alert-history")["spec"]["template"]["metadata"]["annotations"][
            "checksum/connections"
        ]
        return annotation

    assert checksum("postgresql://a@b/c") == checksum("postgresql://a@b/c") != checksum("postgresql://a@b/d")


def test_a_new_chart_version_restarts_no_database() -> None:
    """Nothing in its pod's template may change with a version."""
    for name in ("alert-history-postgresql", "alert-history-redis-master"):
        labels = render().named("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert not [label for label in labels if "chart" in label or "version" in label]


# --- routes -----------------------------------------------------------------------------------------------------------

YAML_OF_THE_DOCS = re.findall(
    r"^```yaml\n(.*?)^```",
    (ROOT / "docs" / "how-to" / "routes.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)
ROUTE = {"name": "ops", "targets": ["ops-slack"]}


def routes_in_values(document: str) -> Object:
    """The routes file as it would stand in a file of values, read as Helm reads it."""
    return helm_python.values_from_yaml("routes:\n" + indent(document, "  "))


@pytest.mark.parametrize("document", [text for text in YAML_OF_THE_DOCS if not text.startswith("# values.yaml")])
def test_routes_reach_the_service_as_they_were_meant(document: str) -> None:
    data = render(routes_in_values(document)).named("ConfigMap", "alert-history-routes")["data"]
    assert read_routes(data["routes.yml"]) == read_routes(document)


def test_the_docs_values_with_routes_can_be_used() -> None:
    (document,) = [text for text in YAML_OF_THE_DOCS if text.startswith("# values.yaml")]
    data = render(helm_python.values_from_yaml(document)).named("ConfigMap", "alert-history-routes")["data"]
    assert [route.name for route in read_routes(data["routes.yml"])] == ["payments", "everybody else"]


def routes_volume(rendered: Rendered) -> Any:
    """The name of the ConfigMap that is mounted at the folder of `ROUTES_FILE`, for reading, as a folder."""
    (mount,) = [each for each in rendered.container()["volumeMounts"] if each["name"] == "routes"]
    assert mount["readOnly"]
    assert "subPath" not in mount
    assert rendered.env()["ROUTES_FILE"]["value"] == f"{mount['mountPath']}/routes.yml"
    (volume,) = [each for each in rendered.service_pod()["volumes"] if each["name"] == "routes"]
    return volume["configMap"]["name"]


def test_routes_are_mounted_where_the_service_looks_for_them() -> None:
    assert routes_volume(render({"routes": {"routes": [ROUTE]}})) == "alert-history-routes"


def test_a_config_map_of_ones_own_is_mounted_instead() -> None:
    rendered = render({"existingRoutesConfigMap": "ours"})
    assert routes_volume(rendered) == "ours"
    assert "ConfigMap/alert-history-routes" not in rendered.names()


def test_without_routes_nothing_is_mounted_and_no_file_is_named() -> None:
    rendered = render()
    assert "ROUTES_FILE" not in rendered.env()
    assert "routes" not in [volume["name"] for volume in rendered.service_pod()["volumes"]]


def test_a_routes_file_in_env_goes_before_that_of_the_chart() -> None:
    rendered = render({"routes": {"routes": [ROUTE]}, "env": [{"name": "ROUTES_FILE", "value": "/ours/routes.yml"}]})
    assert rendered.env()["ROUTES_FILE"]["value"] == "/ours/routes.yml"


def test_changed_routes_restart_no_pod() -> None:
    """The service reads them again by itself."""

    def template(name: str) -> Any:
        return render({"routes": {"routes": [{**ROUTE, "name": name}]}}).named("Deployment", "alert-history")["spec"]

    assert template("a") == template("b")


# --- redis ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, expected",
    [
        (yaml.safe_load(REDIS_TUNING)["redis"]["master"]["configuration"].splitlines()[2], 'save ""'),
        ("# a comment of its own", "# a comment of its own"),
        ('requirepass "a # b" # why', 'requirepass "a # b"'),
        ("requirepass a#b", "requirepass a#b"),
        ("rename-command CONFIG 'x # y'", "rename-command CONFIG 'x # y'"),
        ('user "a \\" # b" on #c', 'user "a \\" # b" on'),
    ],
)
def test_comments_after_a_setting_of_redis_are_removed(given: str, expected: str) -> None:
    rendered = render({"redis": {"master": {"configuration": f"maxmemory 1mb\n{given}\nport 6379"}}})
    text = rendered.named("ConfigMap", "alert-history-redis-master")["data"]["redis.conf"]
    assert text.splitlines() == ["dir /data", "maxmemory 1mb", expected, "port 6379"]


def test_a_password_of_redis_stands_apart_from_the_url_so_that_it_may_hold_any_character() -> None:
    rendered = render({"redis": {"auth": {"enabled": True, "existingSecret": "ours"}}})
    env = rendered.env()
    assert env["REDIS_URL"]["value"] == "redis://alert-history-redis-master:6379/0"
    assert env["REDIS_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "ours", "key": "redis-password"}


def test_passwords_in_env_go_before_those_of_the_chart() -> None:
    given = [{"name": name, "value": "mine"} for name in ("PGPASSWORD", "REDIS_PASSWORD")]
    env = render({"env": given, "redis": {"auth": {"enabled": True}}}).env()
    assert (env["PGPASSWORD"], env["REDIS_PASSWORD"]) == (given[0], given[1])


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expression, complaint",
    [
        ("postgersql.enabled=true", "'postgersql' not allowed"),
        ("autoscaling.maxReplica=3", "at '/autoscaling': additional properties 'maxReplica' not allowed"),
        ("redis.architecture=replication", "at '/redis/architecture': value must be 'standalone'"),
        ("replicaCount=many", "at '/replicaCount': got string, want integer"),
        ("service.port=99999", "at '/service/port'"),
        ("image.digest=latest", "at '/image/digest'"),
        ("env[0].name=A,env[0].vlaue=b", "'vlaue' not allowed"),
        ("postgresql.primary.persistence.size=ten", "at '/postgresql/primary/persistence/size'"),
        ("postgresql.auth.username=a;b", "at '/postgresql/auth/username'"),
        ("externalDatabase.url=mysql://a", "at '/externalDatabase/url'"),
        ("routes.time_zone=UTC", "at '/routes': properties 'routes' required"),
        ("routes.routes[0].tagets[0]=a", "at '/routes/routes/0': additional properties 'tagets' not allowed"),
        ("routes.routes[0].quiet_hours[0].from=25:00", "at '/routes/routes/0/quiet_hours/0/from'"),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(expression: str, complaint: str) -> None:
    with pytest.raises(helm_python.HelmValuesError) as error:
        render(set_values(expression))
    assert complaint in str(error.value)


@pytest.mark.parametrize(
    "values, complaint",
    [
        ({"postgresql": {"enabled": False}}, "There is no database"),
        ({"externalDatabase": {"existingSecret": "ours"}}, "There are two databases: set postgresql.enabled=false"),
        ({"externalRedis": {"url": "redis://ours"}}, "There are two caches: set redis.enabled=false"),
        ({"ingress": {"enabled": True}}, "needs at least one host"),
        ({"routes": {"routes": [ROUTE]}, "existingRoutesConfigMap": "ours"}, "Routes come from one place"),
    ],
)
def test_what_can_not_work_is_refused_with_what_to_do(values: Object, complaint: str) -> None:
    with pytest.raises(helm_python.HelmRenderError, match=complaint):
        render(values)


@pytest.mark.parametrize("release", ["alert-history", "a", "x" * 53])
def test_names_fit_whatever_the_release_is_called(release: str) -> None:
    rendered = render(guide_values(), release=release)
    assert max(len(each["metadata"]["name"]) for each in rendered.objects) <= 63
    if release != "alert-history":
        assert f"Deployment/{release}-alert-history"[:56] in {name[:56] for name in rendered.names()}
