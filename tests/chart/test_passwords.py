"""Passwords are made once and kept, with Helm's engine asking a Kubernetes API server for what is there already."""

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import helm_python
import pytest

from tests.chart.rendering import CHART, NAMESPACE, RELEASE, Object, Rendered, parsed, render
from tests.kubernetes_api import KubernetesApi

SECRET = "alert-history-postgresql"  # noqa: S105  # its name


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    server = KubernetesApi()
    server.start()
    server.add_namespace(NAMESPACE)
    yield server
    server.stop()


@pytest.fixture
def kubeconfig(api: KubernetesApi, tmp_path: Path) -> Path:
    return api.write_kubeconfig(tmp_path / "kubeconfig", namespace=NAMESPACE)


def render_in(kubeconfig: Path, values: Object | None = None, *, is_upgrade: bool = False) -> Rendered:
    """Render as an installation or upgrade in this cluster does."""
    with (
        helm_python.Config(kubeconfig_path=kubeconfig, namespace=NAMESPACE) as config,
        helm_python.Chart.load(CHART) as chart,
    ):
        texts = config.render(
            chart, values, name=RELEASE, namespace=NAMESPACE, is_install=not is_upgrade, is_upgrade=is_upgrade
        )
    return parsed(texts)


def passwords(rendered: Rendered, name: str = SECRET) -> dict[str, str]:
    data = rendered.named("Secret", name)["data"]
    return {key: b64decode(value).decode() for key, value in data.items()}


def test_a_first_installation_makes_passwords_that_nobody_chose(kubeconfig: Path) -> None:
    first, second = (passwords(render_in(kubeconfig)) for _ in range(2))
    assert set(first) == {"postgres-password", "password"}
    assert len({*first.values(), *second.values()}) == 4
    assert all(len(each) == 32 and each.isalnum() for each in first.values())


def test_an_upgrade_keeps_the_passwords(api: KubernetesApi, kubeconfig: Path) -> None:
    installed = passwords(render_in(kubeconfig))
    api.add_secret(NAMESPACE, SECRET, installed, labels={})
    assert passwords(render_in(kubeconfig, is_upgrade=True)) == installed


def test_a_key_that_is_missing_is_added_and_the_others_kept(api: KubernetesApi, kubeconfig: Path) -> None:
    api.add_secret(NAMESPACE, SECRET, {"password": "chosen-by-hand"}, labels={})
    upgraded = passwords(render_in(kubeconfig, is_upgrade=True))
    assert upgraded["password"] == "chosen-by-hand"  # noqa: S105  # made up
    assert len(upgraded["postgres-password"]) == 32


def test_the_cache_keeps_its_password_as_well(api: KubernetesApi, kubeconfig: Path) -> None:
    name, values = "alert-history-redis-master", {"redis": {"auth": {"enabled": True}}}
    installed = passwords(render_in(kubeconfig, values), name)
    api.add_secret(NAMESPACE, name, installed, labels={})
    assert passwords(render_in(kubeconfig, values, is_upgrade=True), name) == installed


def test_the_passwords_stay_with_the_volume_after_an_uninstall() -> None:
    rendered = render()
    for kind in ("Secret", "PersistentVolumeClaim"):
        annotations = rendered.named(kind, SECRET)["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
