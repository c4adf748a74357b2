"""`alert-history doctor` on targets and on where they are found: each fault by name, and nothing that is secret."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_cli_doctor import diagnose
from tests.kubernetes_api import KubernetesApi

SLACK = {"labels": "alert-history.io/target=true\nalert-history.io/format=slack\n"}
URL = "https://hooks.slack.com/services/T/B/s3cret"

pytestmark = pytest.mark.migrated


def written(folder: Path, **targets: dict[str, str]) -> str:
    for name, files in targets.items():
        (folder / name).mkdir()
        for key, value in files.items():
            (folder / name / key).write_text(value)
    return str(folder)


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    server = KubernetesApi()
    server.add_namespace("alert-targets")
    server.start()
    yield server
    server.stop()


def cluster(api: KubernetesApi, folder: Path) -> dict[str, str]:
    kubeconfig = api.write_kubeconfig(folder / "kubeconfig", namespace="alert-targets")
    return {"TARGET_DISCOVERY_ENABLED": "true", "TARGET_DISCOVERY_KUBECONFIG": str(kubeconfig)}


def test_targets_of_a_folder_are_named(sqlite_url: str, tmp_path: Path) -> None:
    folder = written(tmp_path, ops={"webhook_url": URL, **SLACK}, dev={"webhook_url": URL, **SLACK})
    diagnosis = diagnose(DATABASE_URL=sqlite_url, TARGETS_DIR=folder)
    assert diagnosis.code == 0, diagnosis.output
    assert diagnosis.states("folder") == ["ok"]
    assert [(row.state, row.finding) for row in diagnosis.rows if row.subject == "targets"] == [("ok", "dev, ops")]


def test_a_broken_target_is_a_fault_that_shows_no_value(sqlite_url: str, tmp_path: Path) -> None:
    folder = written(tmp_path, ops={"webhook_url": URL, **SLACK}, typo={"webhook_ulr": URL, **SLACK})
    diagnosis = diagnose(DATABASE_URL=sqlite_url, TARGETS_DIR=folder)
    assert diagnosis.code == 1
    assert diagnosis.states("targets") == ["fault", "ok"]
    assert "typo: key webhook_url is missing" in " ".join(diagnosis.output.split())
    assert "s3cret" not in diagnosis.output


def test_a_folder_that_is_missing_is_a_fault(sqlite_url: str, tmp_path: Path) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, TARGETS_DIR=str(tmp_path / "nowhere"))
    assert (diagnosis.code, diagnosis.states("folder"), diagnosis.states("targets")) == (1, ["fault"], []), (
        diagnosis.output
    )


def test_no_target_at_all_is_noted(sqlite_url: str, tmp_path: Path) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, TARGETS_DIR=str(tmp_path))
    assert (diagnosis.code, diagnosis.states("targets")) == (0, ["note"]), diagnosis.output


def test_where_nobody_is_told_nothing_is_said(sqlite_url: str, tmp_path: Path) -> None:
    diagnosis = diagnose(DATABASE_URL=sqlite_url, TARGETS_DIR=str(tmp_path), PUBLISHING_ENABLED="false")
    assert (diagnosis.states("folder"), diagnosis.states("targets")) == ([], [])


def test_secrets_that_can_be_watched_are_well(sqlite_url: str, tmp_path: Path, api: KubernetesApi) -> None:
    api.add_secret("alert-targets", "ops", {"webhook_url": URL})
    diagnosis = diagnose(DATABASE_URL=sqlite_url, **cluster(api, tmp_path))
    assert diagnosis.code == 0, diagnosis.output
    assert (diagnosis.states("kubernetes"), diagnosis.states("targets")) == (["ok"], ["ok"])


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_a_missing_permission_is_a_fault_that_is_named(
    sqlite_url: str, tmp_path: Path, api: KubernetesApi, verb: str
) -> None:
    api.denied.add(verb)
    diagnosis = diagnose(DATABASE_URL=sqlite_url, **cluster(api, tmp_path))
    assert (diagnosis.code, diagnosis.states("kubernetes")) == (1, ["fault"]), diagnosis.output
    assert f"no permission to {verb} secrets" in " ".join(diagnosis.output.split())


def test_an_api_server_that_is_away_is_a_fault_and_the_folder_is_read_still(
    sqlite_url: str, tmp_path: Path, api: KubernetesApi
) -> None:
    api.stop()
    (tmp_path / "targets").mkdir()
    folder = written(tmp_path / "targets", ops={"webhook_url": URL, **SLACK})
    diagnosis = diagnose(DATABASE_URL=sqlite_url, TARGETS_DIR=folder, **cluster(api, tmp_path))
    assert (diagnosis.states("kubernetes"), diagnosis.states("folder"), diagnosis.states("targets")) == (
        ["fault"],
        ["ok"],
        ["ok"],
    )
    assert diagnosis.code == 1
