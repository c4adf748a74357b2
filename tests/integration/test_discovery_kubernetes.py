"""Targets in Secrets: found with the guide's own kubectl commands, and kept through what API servers do to a watch."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from alert_history.discovery.kubernetes import KubernetesDiscovery
from alert_history.domain.target import TargetSpec
from tests.kubernetes_api import KubernetesApi
from tests.kubernetes_objects import Refusal
from tests.processes import HOST, find_program
from tests.watching import watching

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "publish-alerts.md"
NAMESPACE = "alert-targets"

Kubectl = Callable[[str], str]


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    server = KubernetesApi()
    server.start()
    try:
        server.add_namespace(NAMESPACE)
        yield server
    finally:
        server.stop()


@pytest.fixture
def kubectl(api: KubernetesApi, tmp_path: Path) -> Kubectl:
    """Runs a shell command that calls kubectl; its standard output."""
    find_program("kubectl", package="kubernetes-client")
    config = api.write_kubeconfig(tmp_path / "admin")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(config)}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def now() -> datetime:
    return datetime.now(UTC)


def discovery(api: KubernetesApi, folder: Path, *, token: str | None = None) -> KubernetesDiscovery:
    config = api.write_kubeconfig(folder / "kubeconfig", token=token)
    return KubernetesDiscovery(NAMESPACE, clock=now, kubeconfig=config, environ={}, chance=lambda: 0.5)


def holds(name: str, targets: Mapping[str, TargetSpec]) -> bool:
    return name in targets


def commands(page: str) -> list[str]:
    return [block for block in re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "kubectl" in block]


# --- the guide's commands ---


async def test_the_guides_commands_make_targets(api: KubernetesApi, kubectl: Kubectl, tmp_path: Path) -> None:
    create_namespace, rootly, slack, pagerduty, annotate = commands(GUIDE.read_text())
    del api.etcd.objects["namespaces", "", NAMESPACE]
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: targets == {})
        await asyncio.to_thread(kubectl, create_namespace)
        for name, command in ("rootly-config", rootly), ("slack-webhook", slack), ("pagerduty-config", pagerduty):
            await asyncio.to_thread(kubectl, command)
            await watcher.until(partial(holds, name))
        await asyncio.to_thread(kubectl, annotate)
        await watcher.until(lambda targets: targets["slack-webhook"].rate_limit_per_minute == 30)
    targets = watcher.targets
    assert {name: (spec.format, spec.fault) for name, spec in targets.items()} == {
        "pagerduty-config": ("pagerduty", None),
        "rootly-config": ("rootly", None),
        "slack-webhook": ("slack", None),
    }
    assert targets["rootly-config"].fields == {
        "url": "https://api.rootly.com",
        "api_key": "your-rootly-api-key",
        "organization_id": "your-org-id",
        "service_id": "your-service-id",
    }
    assert targets["slack-webhook"].match_text == '{severity="critical",namespace!="staging"}'


async def test_changes_with_kubectl_take_effect_soon(api: KubernetesApi, kubectl: Kubectl, tmp_path: Path) -> None:
    api.add_secret(NAMESPACE, "slack", {"webhook_url": "https://one"})
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: "slack" in targets)
        patch = json.dumps({"stringData": {"webhook_url": "https://two"}})
        await asyncio.to_thread(kubectl, f"kubectl patch secret slack -n {NAMESPACE} -p '{patch}'")
        await watcher.until(lambda targets: targets["slack"].fields == {"webhook_url": "https://two"})
        await asyncio.to_thread(kubectl, f"kubectl label secret slack -n {NAMESPACE} alert-history.io/target-")
        await watcher.until(lambda targets: targets == {})
        await asyncio.to_thread(kubectl, f"kubectl label secret slack -n {NAMESPACE} alert-history.io/target=true")
        await watcher.until(lambda targets: "slack" in targets)
        await asyncio.to_thread(kubectl, f"kubectl delete secret slack -n {NAMESPACE}")
        await watcher.until(lambda targets: targets == {})


def test_the_guides_selector_lists_the_targets(api: KubernetesApi, kubectl: Kubectl) -> None:
    api.add_secret(NAMESPACE, "slack", {})
    api.add_secret(NAMESPACE, "other", {}, labels={})
    listed = kubectl(f"kubectl get secrets -n {NAMESPACE} -l alert-history.io/target=true -o name")
    assert listed.split() == ["secret/slack"]


# --- what is found ---


async def test_secrets_of_other_namespaces_are_no_targets(api: KubernetesApi, tmp_path: Path) -> None:
    api.add_namespace("other")
    api.add_secret("other", "foreign", {})
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: targets == {})
        api.add_secret("other", "late", {})
        api.add_secret(NAMESPACE, "ours", {})
        await watcher.until(lambda targets: "ours" in targets)
    assert set(watcher.targets) == {"ours"}


async def test_a_broken_secret_is_listed_beside_the_others(api: KubernetesApi, tmp_path: Path) -> None:
    api.add_secret(NAMESPACE, "well", {"webhook_url": "https://one"})
    api.add_secret(NAMESPACE, "broken", {"webhook_url": "a\nb"}, annotations={"alert-history.io/priority": "x"})
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: len(targets) == 2)
    assert watcher.targets["well"].fault is None
    assert "key webhook_url" in (watcher.targets["broken"].fault or "")


async def test_a_list_of_many_pages_is_read_whole(api: KubernetesApi, tmp_path: Path) -> None:
    for number in range(1200):
        api.add_secret(NAMESPACE, f"target-{number}", {})
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: len(targets) == 1200, seconds=10)
    assert api.count("list") == 3


async def test_line_separators_in_an_annotation_do_not_break_the_watch(api: KubernetesApi, tmp_path: Path) -> None:
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: targets == {})
        api.add_secret(NAMESPACE, "odd", {}, annotations={"note": "one\u2028two\u0085three"})
        await watcher.until(lambda targets: "odd" in targets)
    assert api.count("watch") == 1


async def test_a_secret_as_large_as_can_be_is_read(api: KubernetesApi, tmp_path: Path) -> None:
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: targets == {})
        api.add_secret(NAMESPACE, "large", {"webhook_url": "https://one", "unused": "x" * 1_000_000})
        await watcher.until(lambda targets: "large" in targets)
    assert watcher.targets["large"].fault == "key unused has more than 65536 bytes"


async def test_refresh_lists_anew(api: KubernetesApi, tmp_path: Path) -> None:
    looked = discovery(api, tmp_path)
    async with watching(looked) as watcher:
        await watcher.until(lambda targets: targets == {})
        before = api.count("list")
        await looked.refresh()
        assert api.count("list") == before + 1
        assert looked.state().fault is None


# --- what an API server does to a watch ---


async def test_a_watch_that_expires_is_begun_anew_without_missing_anything(api: KubernetesApi, tmp_path: Path) -> None:
    api.add_secret(NAMESPACE, "goes", {})
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: "goes" in targets)
        api.remove_secret(NAMESPACE, "goes")
        api.add_secret(NAMESPACE, "comes", {})
        await asyncio.to_thread(api.compact)
        await watcher.until(lambda targets: set(targets) == {"comes"})
        api.add_secret(NAMESPACE, "later", {})
        await watcher.until(lambda targets: set(targets) == {"comes", "later"})


async def test_a_watch_refused_for_its_old_version_is_begun_anew(api: KubernetesApi, tmp_path: Path) -> None:
    api.refuse_next("watch", Refusal(410, "too old resource version: 1 (2)"))
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: targets == {})
        api.add_secret(NAMESPACE, "comes", {})
        await watcher.until(lambda targets: "comes" in targets)
    assert api.count("list") == 2


async def test_the_servers_end_of_a_watch_needs_no_new_list(api: KubernetesApi, tmp_path: Path) -> None:
    api.longest_watch_seconds = 0.3
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: targets == {})
        for number in range(5):
            api.add_secret(NAMESPACE, f"target-{number}", {})
            await watcher.until(partial(holds, f"target-{number}"))
        await watcher.until_state(lambda _: api.count("watch") > 2)
    assert api.count("list") == 1


async def test_bookmarks_keep_the_version_young(api: KubernetesApi, tmp_path: Path) -> None:
    api.longest_watch_seconds = 0.5
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: targets == {})
        api.add_namespace("elsewhere")
        young = str(api.etcd.version)
        await watcher.until_state(lambda _: api.called[-1].query.get("resourceVersion") == young)


async def test_a_restart_of_the_api_server_is_survived(api: KubernetesApi, tmp_path: Path) -> None:
    api.add_secret(NAMESPACE, "stays", {})
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: "stays" in targets)
        await asyncio.to_thread(api.stop)
        await watcher.until_state(lambda state: not state.is_available and state.fault is not None)
        assert "stays" in watcher.targets
        api.add_secret(NAMESPACE, "comes", {})
        await asyncio.to_thread(api.start)
        await watcher.until(lambda targets: set(targets) == {"stays", "comes"}, seconds=10)
        await watcher.until_state(lambda state: state.is_available and state.fault is None)


async def test_an_api_server_that_is_away_at_the_start_is_waited_for(api: KubernetesApi, tmp_path: Path) -> None:
    api.add_secret(NAMESPACE, "stays", {})
    await asyncio.to_thread(api.stop)
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until_state(lambda state: "can't be reached" in (state.fault or ""))
        assert watcher.finds == []
        await asyncio.to_thread(api.start)
        await watcher.until(lambda targets: "stays" in targets, seconds=10)


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_an_api_server_that_is_not_well_is_asked_again(api: KubernetesApi, tmp_path: Path, code: int) -> None:
    api.answers_with = code
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until_state(lambda state: str(code) in (state.fault or ""))
        api.answers_with = None
        await watcher.until(lambda targets: targets == {}, seconds=10)


async def test_pauses_between_attempts_grow(api: KubernetesApi, tmp_path: Path) -> None:
    api.answers_with = 500
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until_state(lambda _: api.count("list") >= 3)
        early = api.count("list")
        with pytest.raises(AssertionError):
            await watcher.until(lambda _: False, seconds=0.4)
        assert api.count("list") - early <= 1


# --- permissions and tokens ---


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_a_missing_permission_is_named(api: KubernetesApi, tmp_path: Path, verb: str) -> None:
    api.denied = {verb}
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until_state(lambda state: state.fault is not None)
        state = watcher.discovery.state()
        assert state.is_available
        assert (state.fault or "").startswith(f"no permission to {verb} secrets in namespace {NAMESPACE} (403)")
        api.denied = set()
        await watcher.until_state(lambda state: state.fault is None)


async def test_targets_stay_when_a_permission_is_taken_away(api: KubernetesApi, tmp_path: Path) -> None:
    api.add_secret(NAMESPACE, "stays", {})
    async with watching(discovery(api, tmp_path)) as watcher:
        await watcher.until(lambda targets: "stays" in targets)
        api.denied = {"list", "watch"}
        await asyncio.to_thread(api.end_watches, Refusal(403, "forbidden"))
        await watcher.until_state(lambda state: "no permission to list" in (state.fault or ""))
        assert "stays" in watcher.targets


async def test_a_token_that_is_not_accepted_is_a_fault(api: KubernetesApi, tmp_path: Path) -> None:
    api.tokens = {"right"}
    async with watching(discovery(api, tmp_path, token="wrong")) as watcher:  # noqa: S106  # of nothing
        await watcher.until_state(lambda state: "401" in (state.fault or ""))
        assert "wrong" not in (watcher.discovery.state().fault or "")


# --- inside a pod ---


@pytest.fixture
def secure_api(tmp_path: Path) -> Iterator[KubernetesApi]:
    """An API server with a certificate of its own authority."""
    openssl = find_program("openssl", package="openssl")
    certificate, key = tmp_path / "ca.crt", tmp_path / "ca.key"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kubernetes", "-days", "1"]
    command += ["-addext", f"subjectAltName=IP:{HOST}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    server = KubernetesApi(certificate=certificate, key=key)
    server.start()
    try:
        server.add_namespace(NAMESPACE)
        yield server
    finally:
        server.stop()


def service_account(folder: Path, token: str) -> Path:
    """What the kubelet mounts; the authority's certificate is there already."""
    (folder / "token").write_text(token)
    (folder / "namespace").write_text(NAMESPACE)
    return folder


async def test_a_pod_uses_its_service_account_and_its_fresh_tokens(secure_api: KubernetesApi, tmp_path: Path) -> None:
    secure_api.tokens = {"first"}
    secure_api.add_secret(NAMESPACE, "slack", {})
    account = service_account(tmp_path, "first\n")
    environ = {"KUBERNETES_SERVICE_HOST": HOST, "KUBERNETES_SERVICE_PORT": str(secure_api.port)}
    pod = KubernetesDiscovery(None, clock=now, environ=environ, service_account=account)
    async with watching(pod) as watcher:
        await watcher.until(lambda targets: "slack" in targets)
        secure_api.tokens = {"second"}
        await asyncio.to_thread(secure_api.end_watches, Refusal(401, "Unauthorized"))
        await watcher.until_state(lambda state: "401" in (state.fault or ""))
        (account / "token").write_text("second")
        await watcher.until_state(lambda state: state.fault is None)
        secure_api.add_secret(NAMESPACE, "late", {})
        await watcher.until(lambda targets: "late" in targets)


async def test_an_api_server_of_another_authority_is_not_trusted(secure_api: KubernetesApi, tmp_path: Path) -> None:
    config = secure_api.write_kubeconfig(tmp_path / "kubeconfig")
    text = json.loads(config.read_text())
    del text["clusters"][0]["cluster"]["certificate-authority-data"]
    config.write_text(json.dumps(text))
    async with watching(KubernetesDiscovery(NAMESPACE, clock=now, kubeconfig=config)) as watcher:
        await watcher.until_state(lambda state: "certificate" in (state.fault or "").lower())


async def test_without_kubernetes_it_is_not_available(tmp_path: Path) -> None:
    async with watching(KubernetesDiscovery(NAMESPACE, clock=now, environ={}, service_account=tmp_path)) as watcher:
        await watcher.until_state(lambda state: state.fault is not None)
        state = watcher.discovery.state()
    assert (state.kind, state.is_available, state.refreshed_at, watcher.finds) == ("kubernetes", False, None, [])


@pytest.mark.parametrize(
    "text, fault",
    [
        ("{", "is not YAML, see line 1"),
        ("[]", "is no kubeconfig"),
        ("{}", "current-context is not set"),
        ("current-context: a", "no context is named a"),
        ("", "is empty"),
    ],
)
async def test_a_wrong_kubeconfig_is_a_fault(tmp_path: Path, text: str, fault: str) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(text)
    async with watching(KubernetesDiscovery(NAMESPACE, clock=now, kubeconfig=config)) as watcher:
        await watcher.until_state(lambda state: fault in (state.fault or ""))
