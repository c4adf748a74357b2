"""The deployment guide does what it says: commands, files and statements, as far as one can without a cluster."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from kubernetes_validate import validate  # type: ignore[import-untyped]

from alert_history.config import load_settings
from alert_history.domain.token import new_secret
from alert_history.storage import open_store
from tests import servers
from tests.conformance.samples import alert, everything, receipt
from tests.guide import GUIDES, block, blocks, commands
from tests.kubernetes_api import KubernetesApi
from tests.processes import HOST, find_program
from tests.servers import PostgresServer

VALUES = Path(__file__).parents[1] / "data" / "chart" / "values-production.yaml"
CHART = Path(__file__).parents[2] / "charts" / "alert-history"
SEED_INDEXES = ("idx_alerts_timestamp", "idx_alerts_alertname", "idx_alerts_namespace")

USAGE = re.compile(r"unknown (flag|shorthand|command)|required|invalid argument|See 'kubectl|accepts|exactly")


# --- the text ---


def test_both_languages_have_the_same_blocks() -> None:
    assert blocks(guide="en") == blocks(guide="ru")


def test_both_languages_have_the_same_outline() -> None:
    outlines = [re.findall(r"^#+(?= )", GUIDES[name].read_text(), re.MULTILINE) for name in ("en", "ru")]
    assert outlines[0] == outlines[1]


def test_both_languages_link_to_the_same_places() -> None:
    def links(name: str) -> list[str]:
        all_links = re.findall(r"\]\(([^)]+)\)", GUIDES[name].read_text())
        return sorted(link for link in all_links if not link.startswith("deployment-guide"))

    assert links("en") == links("ru")


@pytest.mark.parametrize("number", range(len(blocks("bash"))))
def test_a_shell_block_is_shell(number: int) -> None:
    text = blocks("bash")[number].text
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- kubectl ---


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    server = KubernetesApi()
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Kubectl:
    """Runs shell text that calls kubectl, against the API server of the test."""

    def __init__(self, api: KubernetesApi, folder: Path) -> None:
        find_program("kubectl", package="kubernetes-client")
        config = api.write_kubeconfig(folder / "admin")
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "KUBECONFIG": str(config)}
        self.folder = folder

    def try_to(self, text: str, *, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = ["bash", "-euc", text]
        return subprocess.run(
            command,
            env=self.environment,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, text: str, *, stdin: str = "") -> str:
        done = self.try_to(text, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def kubectl(api: KubernetesApi, tmp_path: Path) -> Kubectl:
    return Kubectl(api, tmp_path)


def test_namespaces_and_secrets_are_made_as_written(api: KubernetesApi, kubectl: Kubectl) -> None:
    kubectl(block("kubectl create namespace alert-history"))
    for start in ("secret generic postgresql-auth", "rootly-config", "slack-webhook", "pagerduty-config", "llm-config"):
        (text, *_) = [each.text for each in blocks("bash") if f"{start} " in each.text and "create secret" in each.text]
        kubectl(text)
    secrets = {(place, name) for kind, place, name in api.etcd.objects if kind == "secrets"}
    assert secrets == {
        ("alert-history", "postgresql-auth"),
        ("alert-history", "alert-history-db"),
        ("alert-history", "llm-config"),
        ("alert-targets", "rootly-config"),
        ("alert-targets", "slack-webhook"),
        ("alert-targets", "pagerduty-config"),
    }
    listed = kubectl("kubectl get secrets -n alert-targets -l alert-history.io/target=true -o name")
    assert len(listed.split()) == 3


def test_the_database_url_of_the_secret_is_a_good_setting(kubectl: Kubectl) -> None:
    kubectl(block("kubectl create namespace alert-history"))
    kubectl(block("secret generic alert-history-db"))
    url = kubectl("kubectl get secret alert-history-db -o jsonpath='{.data.DATABASE_URL}' | base64 -d")
    assert load_settings({"DATABASE_URL": url}).database_url.reveal() == url


def test_pod_security_is_enforced_as_written(api: KubernetesApi, kubectl: Kubectl) -> None:
    api.add_namespace("alert-history")
    kubectl(block("pod-security.kubernetes.io/enforce"))
    labels = api.etcd.objects["namespaces", "", "alert-history"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: alert-history, namespace: alert-history}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: alert-history}}
  template:
    metadata: {labels: {app.kubernetes.io/name: alert-history}}
    spec:
      containers:
      - name: alert-history
        image: ghcr.io/ipiton/alert-history-service
        env: [{name: ENVIRONMENT, value: production}]
        resources: {limits: {memory: 1Gi, cpu: 1000m}}
"""


def container_after(patch: str, kubectl: Kubectl) -> dict[str, Any]:
    """The service's container once that command of the guide has run; kubectl merges as the server would."""
    words = patch.replace("kubectl patch deployment alert-history", "kubectl patch --local -o json -f -")
    patched = json.loads(kubectl(words, stdin=DEPLOYMENT))
    container: dict[str, Any] = patched["spec"]["template"]["spec"]["containers"][0]
    return container


def test_patches_change_what_they_say_and_nothing_else(kubectl: Kubectl) -> None:
    memory, level = [command for command in commands("kubectl") if "kubectl patch" in command]
    assert container_after(memory, kubectl)["resources"] == {"limits": {"memory": "2Gi", "cpu": "1000m"}}
    env = container_after(level, kubectl)["env"]
    assert {each["name"]: each["value"] for each in env} == {"ENVIRONMENT": "production", "LOG_LEVEL": "debug"}


@pytest.mark.parametrize("command", commands("kubectl"))
def test_every_command_is_one_that_kubectl_knows(kubectl: Kubectl, command: str) -> None:
    """Against a server that knows Secrets alone most of them fail; none may fail for how it is written."""
    text = re.sub(r" &$| [<>] \S+$", "", command)
    if text.endswith(' -c "'):
        text += '"'
    done = kubectl.try_to(f"timeout 20 {text}")
    assert not USAGE.search(done.stderr), done.stderr


def test_the_check_of_commands_would_see_a_wrong_one(kubectl: Kubectl) -> None:
    for wrong in ("kubectl get pods --selectr=a", "kubectl scale deployment x", "kubectl creat namespace x"):
        assert USAGE.search(kubectl.try_to(wrong).stderr), wrong


# --- files ---


def documents() -> list[dict[str, Any]]:
    """Every YAML document of the guide."""
    return [document for each in blocks("yaml") for document in yaml.safe_load_all(each.text)]


def test_every_yaml_block_parses() -> None:
    assert len(documents()) == len(blocks("yaml")) + 1
    assert all(isinstance(document, dict) for document in documents())


@pytest.mark.parametrize("version", ["1.25", "1.34"])
def test_kubernetes_takes_every_object(version: str) -> None:
    objects = [each for each in documents() if "kind" in each and "monitoring" not in each["apiVersion"]]
    assert {each["kind"] for each in objects} == {"ClusterRole", "ClusterRoleBinding", "NetworkPolicy"}
    for each in objects:
        validate(each, version, strict=True)


def test_the_network_policy_lets_out_what_the_service_needs() -> None:
    (policy,) = [each for each in documents() if each.get("kind") == "NetworkPolicy"]
    open_ports = {(port["protocol"], port["port"]) for rule in policy["spec"]["egress"] for port in rule["ports"]}
    needed = {("UDP", 53), ("TCP", 53), ("TCP", 5432), ("TCP", 6379), ("TCP", 443), ("TCP", 8080)}
    assert needed <= open_ports
    (outside,) = [to["ipBlock"] for rule in policy["spec"]["egress"] for to in rule.get("to", []) if "ipBlock" in to]
    assert outside == {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}


@pytest.mark.skipif(not VALUES.exists(), reason="the chart is not here")
def test_the_production_values_are_those_that_the_chart_is_tested_with() -> None:
    assert block("# values-production.yaml") == VALUES.read_text()


@pytest.mark.skipif(not CHART.exists(), reason="the chart is not here")
def test_the_chart_knows_every_value_that_a_command_sets() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for path in re.findall(r"--set ([\w.\[\]]+)=", " ".join(commands("helm"))):
        value = values
        for name in re.sub(r"\[\d+\].*", "", path).split("."):
            assert name in value, path
            value = value[name]


def test_every_env_of_the_production_values_is_a_good_setting() -> None:
    values = yaml.safe_load(block("# values-production.yaml"))
    given = {each["name"]: each["value"] for each in values["env"] if "value" in each}
    known = {name: value for name, value in given.items() if name.lower() in type(load_settings({})).model_fields}
    assert load_settings(known).environment == "production"
    assert given.keys() - known.keys() <= {"ENRICHMENT_MODE"}


def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    amtool = find_program("amtool", package="prometheus-alertmanager")
    (tmp_path / "alertmanager.yml").write_text(block("# alertmanager.yml"))
    done = subprocess.run([amtool, "check-config", tmp_path / "alertmanager.yml"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_prometheus_takes_every_rule(tmp_path: Path) -> None:
    promtool = find_program("promtool", package="prometheus")
    recording = yaml.safe_load(block("# prometheus-rules.yaml"))["spec"]
    for name, rules in (("recording", recording), ("alerts", yaml.safe_load(block("# alerts.yaml")))):
        path = tmp_path / f"{name}.yml"
        path.write_text(yaml.safe_dump(rules))
        done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True, check=False)
        assert (done.returncode, "SUCCESS: 3 rules found" in done.stdout) == (0, True), done.stdout + done.stderr


# --- the service ---


def test_every_endpoint_that_curl_calls_exists() -> None:
    from alert_history.bootstrap import make_application, make_service

    service = make_service(load_settings({"DATABASE_URL": "sqlite:///never-opened.db"}))
    document = json.loads(asyncio.run(openapi(make_application(service))))
    called = {re.sub(r"^https?://[^/]+", "", url) for url in re.findall(r"https?://\S+", " ".join(commands("curl")))}
    assert len(called) >= 6
    assert called <= document["paths"].keys()


KUBECTL_SHIM = """#!/bin/bash
[ "$*" = "get secret alert-history-admin-token -n alert-history -o jsonpath={.data.token}" ] || exit 9
printf %s "$ADMIN_TOKEN" | base64
"""


@pytest.mark.parametrize("is_asked", [True, False], ids=["a token is asked for", "nobody is asked"])
def test_the_calls_of_the_guide_are_answered_with_the_marked_line_and_without_where_nobody_is_asked(
    tmp_path: Path,
    is_asked: bool,  # noqa: FBT001  # a table's column
) -> None:
    token = new_secret()
    (tmp_path / "kubectl").write_text(KUBECTL_SHIM)
    (tmp_path / "kubectl").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ADMIN_TOKEN": token, "HOME": str(tmp_path)}
    text = block("/enrichment/mode").replace("curl https", "curl -sf https")
    plain = "\n".join(line for line in text.splitlines() if not line.startswith(("curl()", "# Token")))
    given = {"AUTH_MODE": "token", "ADMIN_TOKEN": token} if is_asked else {}
    with servers.service(given) as service:

        def run(script: str) -> subprocess.CompletedProcess[str]:
            here = script.replace("https://alert-history.your-domain.com", service.url).replace(
                "-X POST", "-sf -X POST"
            )
            return subprocess.run(
                ["bash", "-euc", here], env=env, capture_output=True, text=True, timeout=60, check=False
            )

        assert text != plain
        assert (run(plain).returncode == 0) is not is_asked
        if is_asked:
            done = run(text)
            assert (done.returncode, '"transparent"' in done.stdout) == (0, True), done.stderr


async def openapi(application: Any) -> bytes:
    import httpx

    transport = httpx.ASGITransport(app=application)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return (await client.get("/openapi.json")).content


def test_the_python_of_the_guide_finds_the_database(postgres_url: str) -> None:
    (text,) = re.findall(r'-- (python -c ".*?\n")', block("import asyncpg"), re.DOTALL)
    url = "postgresql://alerthistory:password@alert-history-postgresql:5432/alerthistory"
    assert url in text
    done = subprocess.run(
        ["bash", "-euc", text.replace(url, postgres_url).replace("python", sys.executable, 1)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Database connection OK\n", "")


# --- the database ---

# Stands for the cluster: what is to run beside PostgreSQL runs here, and a Deployment that is scaled is noted.
SHIM = """#!/bin/bash
case "$1" in
    exec) shift; [ "$1" = -i ] && shift; [ "$1 $2" = "deployment/alert-history-postgresql --" ] || exit 9
          shift 2; exec "$@" ;;
    scale) echo "$*" >> scaled ;;
    *) exit 9 ;;
esac
"""


def test_the_database_is_backed_up_and_recovered_as_written(postgres_server: PostgresServer, tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text(SHIM)
    (tmp_path / "kubectl").chmod(0o755)
    postgres_server.execute("CREATE ROLE alerthistory LOGIN")
    postgres_server.execute("CREATE DATABASE alerthistory OWNER alerthistory")
    path = f"{tmp_path}:{Path(postgres_server.psql).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "PGHOST": HOST, "PGPORT": str(postgres_server.port)}
    url = f"postgresql://alerthistory@{HOST}:{postgres_server.port}/alerthistory"

    def run(text: str) -> None:
        done = subprocess.run(
            ["bash", "-euc", text], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, "ERROR" in done.stderr) == (0, False), done.stderr

    async def record() -> None:
        store = open_store(url)
        await store.lifecycle.open()
        await store.recorder.commit([receipt(alert())])
        await store.lifecycle.close()

    async def alertnames() -> list[str]:
        store = open_store(url)
        names = [occurrence.alertname for occurrence in await everything(store)]
        assert (await store.lifecycle.check())["schema"] == "ok"
        await store.lifecycle.close()
        return names

    try:
        asyncio.run(record())
        run(block("# Manual backup").partition("# Manual backup")[2])
        assert "\r\n" not in (tmp_path / "backup.sql").read_text()
        run(block("DROP DATABASE"))
        assert asyncio.run(alertnames()) == ["DiskFull"]
        scaled = (tmp_path / "scaled").read_text().splitlines()
        assert scaled == [f"scale deployment alert-history --replicas={number}" for number in (0, 3)]
    finally:
        postgres_server.execute("DROP DATABASE IF EXISTS alerthistory WITH (FORCE)")
        postgres_server.execute("DROP ROLE alerthistory")


async def indexes(connection: Any) -> list[tuple[str, str]]:
    sql = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    return [tuple(row) for row in await connection.fetch(sql)]


async def test_index_statements_change_nothing(postgres_url: str) -> None:
    store = open_store(postgres_url)
    await store.lifecycle.open()
    await store.lifecycle.close()
    connection = await asyncpg.connect(postgres_url)
    before = await indexes(connection)
    statements = [line for line in block("CREATE INDEX").splitlines() if line.startswith("CREATE")]
    for statement in statements:
        await connection.execute(statement)
    assert [name for statement in statements for name in SEED_INDEXES if name in statement] == list(SEED_INDEXES)
    assert await indexes(connection) == before
    for statement in statements:  # as older guides had it
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute(statement.replace("IF NOT EXISTS", "").replace("INDEX", "INDEX CONCURRENTLY"))
    assert await indexes(connection) == before
    await connection.close()
