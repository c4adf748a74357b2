"""Passwords are made once and kept, with Helm's engine asking a Kubernetes API server for what is there already."""

from base64 import b64decode

from tests.chart.cluster import Cluster, ClusterApi
from tests.chart.rendering import NAMESPACE, Rendered, render

SECRET = "alert-history-postgresql"  # noqa: S105  # its name


def passwords(rendered: Rendered, name: str = SECRET) -> dict[str, str]:
    data = rendered.named("Secret", name)["data"]
    return {key: b64decode(value).decode() for key, value in data.items()}


def test_a_first_installation_makes_passwords_that_nobody_chose(cluster: Cluster) -> None:
    first, second = (passwords(cluster.render()) for _ in range(2))
    assert set(first) == {"postgres-password", "password"}
    assert len({*first.values(), *second.values()}) == 4
    assert all(len(each) == 32 and each.isalnum() for each in first.values())


def test_an_upgrade_keeps_the_passwords(api: ClusterApi, cluster: Cluster) -> None:
    installed = passwords(cluster.render())
    api.add_secret(NAMESPACE, SECRET, installed, labels={})
    assert passwords(cluster.render(is_upgrade=True)) == installed


def test_a_key_that_is_missing_is_added_and_the_others_kept(api: ClusterApi, cluster: Cluster) -> None:
    api.add_secret(NAMESPACE, SECRET, {"password": "chosen-by-hand"}, labels={})
    upgraded = passwords(cluster.render(is_upgrade=True))
    assert upgraded["password"] == "chosen-by-hand"  # noqa: S105  # made up
    assert len(upgraded["postgres-password"]) == 32


def test_the_cache_keeps_its_password_as_well(api: ClusterApi, cluster: Cluster) -> None:
    name, values = "alert-history-redis-master", {"redis": {"auth": {"enabled": True}}}
    installed = passwords(cluster.render(values), name)
    api.add_secret(NAMESPACE, name, installed, labels={})
    assert passwords(cluster.render(values, is_upgrade=True), name) == installed


def test_the_passwords_stay_with_the_volume_after_an_uninstall() -> None:
    rendered = render()
    for kind in ("Secret", "PersistentVolumeClaim"):
        annotations = rendered.named(kind, SECRET)["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
