"""A new release asks who calls; a release that runs goes on as it does, and nothing that was taken is refused.

With Helm's engine asking a cluster what is there. `tests/data/chart` has the release before: its values, and what its
chart made of them.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python
import httpx
import pytest
import yaml

from alert_history.config import load_settings
from alert_history.domain.token import check_secret, new_secret
from tests import servers
from tests.chart.cluster import Cluster, ClusterApi, decoded
from tests.chart.rendering import (
    BASIC_SETS,
    CHART,
    NAMESPACE,
    REDIS_TUNING,
    RELEASE,
    ROOT,
    Object,
    Rendered,
    guide_values,
    render,
    set_values,
)
from tests.payloads import alert, webhook

DATA = ROOT / "tests" / "data" / "chart"
OLD_DEFAULTS, OLD_GUIDE = yaml.safe_load_all((DATA / "deployments-0.2.0.yaml").read_text(encoding="utf-8"))
OLD_VALUES = DATA / "values-0.2.0.yaml"
SECRET = "alert-history-admin-token"  # noqa: S105  # its name
TRUST = {"AUTH_MODE", "AUTH_NONE_ACCEPTED", "ADMIN_TOKEN", "INGEST_AUTH", "METRICS_AUTH"}
NONE_ACCEPTED = {"mode": "none", "noneAccepted": True}
SCRAPED = {"serviceMonitor": {"enabled": True}}


def trust(rendered: Rendered) -> dict[str, Any]:
    """The variables of trust: their text, or the Secret and key that they come from."""
    return {name: _value(entry) for name, entry in rendered.env().items() if name in TRUST}


def _value(entry: Object) -> Any:
    if "value" in entry:
        return entry["value"]
    reference = entry["valueFrom"]["secretKeyRef"]
    return (reference["name"], reference["key"])


def auth(**values: Any) -> Object:
    return {"auth": values}


def env(**values: str) -> Object:
    return {"env": [{"name": name, "value": value} for name, value in values.items()]}


def token_of(rendered: Rendered) -> str:
    return decoded(rendered.named("Secret", SECRET))["token"]


# --- a new release ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [{}, set_values(*BASIC_SETS), guide_values()], ids=["defaults", "basic", "guide"])
def test_a_new_release_asks_readers_for_a_token_and_takes_alerts_from_everybody(
    cluster: Cluster, values: Object
) -> None:
    installed = cluster.install(values)
    assert trust(installed) == {"AUTH_MODE": "token", "ADMIN_TOKEN": (SECRET, "token")}
    check_secret(token_of(installed))
    assert installed.named("Secret", SECRET)["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    migrating = {entry["name"] for entry in installed.service_pod()["initContainers"][0]["env"]}
    assert migrating == set(installed.env())


def test_each_release_has_a_token_of_its_own() -> None:
    tokens = {token_of(render()) for _ in range(3)}
    assert len(tokens) == 3
    assert len({len(token) for token in tokens}) == 1


def test_an_upgrade_keeps_the_token_and_the_mode(cluster: Cluster) -> None:
    installed = cluster.install()
    upgraded = cluster.upgrade()
    assert token_of(upgraded) == token_of(installed)
    assert trust(upgraded) == trust(installed)
    assert token_of(cluster.install()) == token_of(installed), "after an uninstall the Secret is still there"


def test_the_notes_say_how_to_fetch_the_token_and_that_ingest_is_open(cluster: Cluster) -> None:
    notes = cluster.render().notes
    assert "kubectl get secret alert-history-admin-token --namespace alert-history -o jsonpath='{.data.token}'" in notes
    assert "Everybody who reaches the service may send alerts" in notes
    closed = cluster.render(auth(ingest="required")).notes
    assert "Everybody who reaches" not in closed
    own = cluster.render(auth(adminToken={"existingSecret": "ours", "existingSecretKey": "first"})).notes
    assert "kubectl get secret ours --namespace alert-history -o jsonpath='{.data.first}'" in own


def test_a_secret_of_ones_own_takes_the_place_of_the_charts(cluster: Cluster) -> None:
    rendered = cluster.install(auth(adminToken={"existingSecret": "ours", "existingSecretKey": "first"}))
    assert trust(rendered) == {"AUTH_MODE": "token", "ADMIN_TOKEN": ("ours", "first")}
    assert SECRET not in [each["metadata"]["name"] for each in rendered.of("Secret")]


def test_a_token_in_env_takes_the_place_of_the_charts(cluster: Cluster) -> None:
    for name in ("ADMIN_TOKEN", "ADMIN_TOKEN_FILE"):
        rendered = cluster.render(env(**{name: "x"}))
        assert SECRET not in [each["metadata"]["name"] for each in rendered.of("Secret")]
        assert {"ADMIN_TOKEN", "ADMIN_TOKEN_FILE"} & set(rendered.env()) == {name}


def test_env_goes_before_the_values_and_both_before_what_runs(cluster: Cluster) -> None:
    cluster.install()
    rendered = cluster.upgrade(env(AUTH_MODE="none", METRICS_AUTH="required", INGEST_AUTH="open") | auth(mode="token"))
    assert trust(rendered) == {"AUTH_MODE": "none", "METRICS_AUTH": "required", "INGEST_AUTH": "open"}
    assert trust(cluster.upgrade(auth(mode="token")))["AUTH_MODE"] == "token"


def test_nobody_is_asked_where_the_values_say_so(cluster: Cluster) -> None:
    installed = cluster.install(auth(**NONE_ACCEPTED))
    assert trust(installed) == {"AUTH_MODE": "none", "AUTH_NONE_ACCEPTED": "true"}
    assert SECRET not in str(installed.objects)
    assert trust(cluster.upgrade()) == trust(installed)


def test_an_open_service_in_production_needs_a_word_more(cluster: Cluster) -> None:
    """The service would not start, and the pods of the upgrade would wait for ever."""
    for values in (guide_values() | auth(mode="none"), env(ENVIRONMENT="production", AUTH_MODE="none")):
        with pytest.raises(helm_python.HelmRenderError, match=r"set auth\.noneAccepted=true if that is meant"):
            cluster.render(values)
    accepted = guide_values() | auth(**NONE_ACCEPTED)
    assert trust(cluster.render(accepted)) == {"AUTH_MODE": "none", "AUTH_NONE_ACCEPTED": "true"}


def test_a_tool_without_a_cluster_renders_the_same_each_time_where_the_secret_is_named() -> None:
    values = {
        "auth": {"mode": "token", "adminToken": {"existingSecret": "ours"}},
        "postgresql": {"auth": {"existingSecret": "passwords"}},
    }
    assert render(values) == render(values)


# --- an upgrade of the release before ---------------------------------------------------------------------------------

TAKEN: dict[str, Object] = {
    "nothing": {},
    "all its defaults": yaml.safe_load(OLD_VALUES.read_text(encoding="utf-8")),
    "basic": set_values(*BASIC_SETS),
    "guide": guide_values(),
    "redis": yaml.safe_load(REDIS_TUNING),
    "monitoring": {"monitoring": {**SCRAPED, "prometheusRule": {"enabled": True}}},
    "external": {"postgresql": {"enabled": False}, "externalDatabase": {"existingSecret": "ours"}},
}


@pytest.mark.parametrize("old", [OLD_DEFAULTS, OLD_GUIDE], ids=["ran the defaults", "ran the guide"])
@pytest.mark.parametrize("values", TAKEN.values(), ids=TAKEN)
def test_the_values_of_the_release_before_close_nothing(
    api: ClusterApi, cluster: Cluster, old: Object, values: Object
) -> None:
    api.deployments[RELEASE] = old
    upgraded = cluster.upgrade(values)
    assert trust(upgraded) == {}
    assert SECRET not in upgraded.names()
    assert "AUTH_MODE is unset" in upgraded.notes
    assert trust(cluster.upgrade(values)) == {}, "nor does the upgrade after it"


@pytest.mark.parametrize("values", TAKEN.values(), ids=TAKEN)
def test_an_upgrade_that_can_not_see_the_cluster_closes_nothing_either(values: Object) -> None:
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(values, name=RELEASE, namespace=NAMESPACE, is_install=False, is_upgrade=True)
    assert not TRUST & set(re.findall(r"name: (\w+)", str(texts)))


def test_an_upgrade_that_reuses_the_values_of_the_release_before_knows_no_new_ones(
    api: ClusterApi, cluster: Cluster, tmp_path: Path
) -> None:
    """`helm upgrade --reuse-values` puts the old chart's defaults in the place of the new one's."""
    reused = tmp_path / "chart"
    shutil.copytree(CHART, reused)
    shutil.copyfile(OLD_VALUES, reused / "values.yaml")
    api.deployments[RELEASE] = OLD_GUIDE
    upgraded = cluster.render(guide_values(), is_upgrade=True, chart=reused)
    old = {entry["name"]: entry for entry in OLD_GUIDE["spec"]["template"]["spec"]["containers"][0]["env"]}
    env = upgraded.env()
    assert "alert-history.your-domain.com" in env.pop("MCP_ALLOWED_HOSTS")["value"]  # which follows from old values
    assert env == old
    assert trust(cluster.render(auth(mode="token"), is_upgrade=True, chart=reused))["AUTH_MODE"] == "token"


def test_what_runs_as_it_did_is_changed_by_the_values_alone(api: ClusterApi, cluster: Cluster) -> None:
    api.deployments[RELEASE] = OLD_GUIDE
    upgraded = cluster.upgrade(guide_values() | auth(mode="token"))
    assert trust(upgraded) == {"AUTH_MODE": "token", "ADMIN_TOKEN": (SECRET, "token")}
    assert token_of(cluster.upgrade(guide_values())) == token_of(upgraded)
    assert trust(cluster.upgrade(guide_values())) == trust(upgraded)


def test_a_release_that_changed_its_name_is_still_known(api: ClusterApi, cluster: Cluster) -> None:
    renamed = {"fullnameOverride": "recorder"}

    def env_of_upgrade() -> list[Object]:
        deployment = cluster.render(renamed, is_upgrade=True).named("Deployment", "recorder")
        env: list[Object] = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        return env

    api.deployments[RELEASE] = OLD_DEFAULTS
    assert not TRUST & {entry["name"] for entry in env_of_upgrade()}
    api.deployments.clear()
    cluster.install()
    assert {"name": "AUTH_MODE", "value": "token"} in env_of_upgrade()


def test_a_first_installation_that_broke_off_does_not_end_open(api: ClusterApi, cluster: Cluster) -> None:
    """Helm makes Secrets first, and the next try is an upgrade."""
    cluster.install()
    api.deployments.clear()
    assert trust(cluster.upgrade())["AUTH_MODE"] == "token"


def test_a_mode_that_came_from_somewhere_else_is_asked_for(cluster: Cluster) -> None:
    source = {"name": "AUTH_MODE", "valueFrom": {"configMapKeyRef": {"name": "ours", "key": "mode"}}}
    cluster.install({"env": [source]})
    assert trust_names(cluster.upgrade({"env": [source]})) >= {"AUTH_MODE", "ADMIN_TOKEN"}
    with pytest.raises(helm_python.HelmRenderError, match="AUTH_MODE of the running release came from somewhere else"):
        cluster.upgrade()


def trust_names(rendered: Rendered) -> set[str]:
    return TRUST & set(rendered.env())


# --- ingest -----------------------------------------------------------------------------------------------------------

CLOSING = [auth(ingest="required"), env(INGEST_AUTH="required"), env(INGEST_AUTH=" Required ")]


@pytest.mark.parametrize("closing", CLOSING)
@pytest.mark.parametrize("old", [OLD_DEFAULTS, OLD_GUIDE, None])
def test_an_upgrade_that_would_close_ingest_is_refused_with_what_to_set(
    api: ClusterApi, cluster: Cluster, old: Object | None, closing: Object
) -> None:
    """`None` is a release of this chart, which has ingest open as well."""
    if old is None:
        cluster.install()
    else:
        api.deployments[RELEASE] = old
    with pytest.raises(helm_python.HelmRenderError) as error:
        cluster.upgrade(closing)
    for word in ("close ingest", "auth.acceptClosingIngest=true", "auth.ingest=open"):
        assert word in str(error.value)


@pytest.mark.parametrize("closing", CLOSING)
def test_a_closing_that_is_accepted_is_asked_about_once(cluster: Cluster, closing: Object) -> None:
    cluster.install()
    accepted = {"auth": {**closing.get("auth", {}), "acceptClosingIngest": True}}
    assert trust(cluster.upgrade({**closing, **accepted}))["INGEST_AUTH"].strip().lower() == "required"
    assert trust(cluster.upgrade(closing))["INGEST_AUTH"].strip().lower() == "required"
    assert trust(cluster.upgrade())["INGEST_AUTH"] == "required", "nor is it opened by being left out"
    assert trust(cluster.upgrade(auth(ingest="open")))["INGEST_AUTH"] == "open"
    with pytest.raises(helm_python.HelmRenderError, match="close ingest"):
        cluster.upgrade(closing)


def test_a_closing_that_can_not_be_seen_is_refused_as_well(cluster: Cluster) -> None:
    cluster.install()
    source = {"name": "INGEST_AUTH", "valueFrom": {"configMapKeyRef": {"name": "ours", "key": "ingest"}}}
    with pytest.raises(helm_python.HelmRenderError, match="close ingest"):
        cluster.upgrade({"env": [source]})
    assert cluster.upgrade({"env": [source], "auth": {"acceptClosingIngest": True}}).env()["INGEST_AUTH"] == source
    assert cluster.upgrade({"env": [source]}).env()["INGEST_AUTH"] == source


@pytest.mark.parametrize("closing", CLOSING)
def test_a_new_release_may_have_ingest_closed_from_the_start(cluster: Cluster, closing: Object) -> None:
    assert trust(cluster.install(closing))["INGEST_AUTH"].strip().lower() == "required"


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_prometheus_scrapes_with_a_token_where_one_is_needed(cluster: Cluster) -> None:
    closed = auth(metrics="required")
    with pytest.raises(helm_python.HelmRenderError, match=r"set monitoring\.serviceMonitor\.tokenSecret\.name"):
        cluster.install({"monitoring": SCRAPED, **closed})
    monitor = {"serviceMonitor": {"enabled": True, "tokenSecret": {"name": "prometheus-token"}}}
    rendered = cluster.install({"monitoring": monitor, **closed})
    [endpoint] = rendered.named("ServiceMonitor", RELEASE)["spec"]["endpoints"]
    assert endpoint["authorization"] == {
        "type": "Bearer",
        "credentials": {"name": "prometheus-token", "key": "token"},
    }
    assert trust(rendered)["METRICS_AUTH"] == "required"
    [endpoint] = render({"monitoring": SCRAPED}).named("ServiceMonitor", RELEASE)["spec"]["endpoints"]
    assert "authorization" not in endpoint


# --- as the service reads it ------------------------------------------------------------------------------------------


def settings(rendered: Rendered) -> dict[str, str]:
    """The variables of trust as a pod gets them."""
    secrets = {(SECRET, "token"): token_of(rendered)} if f"Secret/{SECRET}" in rendered.names() else {}
    return {name: secrets.get(value, value) if value else value for name, value in trust(rendered).items()}


def asked(url: str, path: str, headers: Mapping[str, str] | None = None) -> int:
    return httpx.get(url + path, headers=headers, trust_env=False, timeout=20).status_code


def sent(url: str) -> int:
    headers = {"content-type": "application/json"}
    body = webhook(alert(1))
    return httpx.post(f"{url}/webhook/proxy", content=body, headers=headers, trust_env=False, timeout=20).status_code


def test_a_new_release_takes_alerts_and_shows_them_to_the_holder_of_its_token(cluster: Cluster) -> None:
    given = settings(cluster.install())
    with servers.service(given) as service:
        assert sent(service.url) == 200
        assert [asked(service.url, path) for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]
        assert asked(service.url, "/history") == 401
        assert asked(service.url, "/history", {"authorization": f"Bearer {given['ADMIN_TOKEN']}"}) == 200


def test_an_upgraded_release_answers_all_that_it_answered(api: ClusterApi, cluster: Cluster) -> None:
    api.deployments[RELEASE] = OLD_GUIDE
    with servers.service(settings(cluster.upgrade(guide_values()))) as service:
        paths = ("/history", "/publishing/targets", "/publishing/mode", "/enrichment/mode", "/metrics", "/dashboard")
        assert sent(service.url) == 200
        assert [asked(service.url, path) for path in paths] == [200] * len(paths)


def checked(url: str, token: str = "") -> subprocess.CompletedProcess[str]:
    """What `helm test` runs."""
    pod_env = {"PATH": "/usr/bin:/bin", **({"TOKEN": token} if token else {})}
    script = ["sh", "-c", (CHART / "files" / "check.sh").read_text(encoding="utf-8"), "check", url]
    return subprocess.run(script, env=pod_env, capture_output=True, text=True, timeout=60, check=False)


def test_the_charts_own_test_has_the_token_and_passes(cluster: Cluster) -> None:
    token, wrong = new_secret(), new_secret()
    [pod] = cluster.install().of("Pod")
    assert [_value(entry) for entry in pod["spec"]["containers"][0]["env"]] == [(SECRET, "token")]
    assert "env" not in cluster.render(auth(**NONE_ACCEPTED)).of("Pod")[0]["spec"]["containers"][0]
    with servers.service({"AUTH_MODE": "token", "ADMIN_TOKEN": token, "METRICS_AUTH": "required"}) as service:
        done = checked(service.url, token)
        assert (done.returncode, "answers from its history" in done.stdout) == (0, True), done.stderr
        assert "shows its metrics" in done.stdout
        without = checked(service.url)
        assert (without.returncode, "asks who calls" in without.stdout) == (0, True), without.stderr
        assert checked(service.url, wrong).returncode != 0
    assert checked("http://127.0.0.1:9").returncode != 0


# --- people sign in at a provider -------------------------------------------------------------------------------------


def test_the_values_that_the_docs_give_for_a_provider_are_what_the_service_takes() -> None:
    document = (ROOT / "docs" / "how-to" / "install-on-kubernetes.md").read_text(encoding="utf-8")
    [block] = [each for each in re.findall(r"```yaml\n(.*?)```", document, re.DOTALL) if "mode: oidc" in each]
    rendered = render(yaml.safe_load(block))
    given = {name: entry.get("value", "a-secret") for name, entry in rendered.env().items() if name.startswith("OIDC_")}
    settings = load_settings({**given, "AUTH_MODE": "oidc", "PUBLIC_URL": "https://alerts.example.com"})
    assert trust(rendered)["AUTH_MODE"] == settings.auth_mode == "oidc"
    assert trust(rendered)["ADMIN_TOKEN"] == (SECRET, "token")
