"""The Compose file is whole: what it mounts and asks for exists, its versions are pinned, its parts fit together."""

import re
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from monitoring import dashboard

from alert_history import __version__
from alert_history.config import load_settings, variables
from alert_history.domain.token import new_secret
from tests.monitoring.documents import ROOT, load, promtool

COMPOSE = ROOT / "deploy" / "compose"
FILE = COMPOSE / "compose.yaml"
HELD = load(FILE)
SERVICES: dict[str, dict[str, Any]] = HELD["services"]
BY_NAME = pytest.mark.parametrize("name", SERVICES)
ASKED_FOR = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
EXAMPLE = re.compile(r"^#?([A-Z_]+)=(.*)$", re.MULTILINE)
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?")


def example() -> dict[str, str]:
    """The variables of .env.example, those that are commented out too."""
    return dict(EXAMPLE.findall((COMPOSE / ".env.example").read_text(encoding="utf-8")))


def mounts(name: str) -> Iterator[tuple[str, str]]:
    """What a service mounts, and where: paths begin with a dot, volumes do not."""
    for text in SERVICES[name].get("volumes", []):
        source, target, *_ = text.split(":")
        yield source, target


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """As Compose does it, for what this file uses of it."""
    return ASKED_FOR.sub(lambda match: values.get(match[1]) or (match[3] if match[2] == "-" else ""), text)


def environment(values: Mapping[str, str]) -> dict[str, str]:
    """What Alert History is given where .env holds these values."""
    given = {}
    for name, value in SERVICES["alert-history"]["environment"].items():
        if value is not None:
            given[name] = interpolated(value, values)
        elif name in values:  # passed on if set, and else left out
            given[name] = values[name]
    return given


@BY_NAME
def test_a_version_is_pinned(name: str) -> None:
    assert PINNED.fullmatch(interpolated(SERVICES[name]["image"], {}))


def test_our_own_version_is_this_one() -> None:
    assert interpolated(SERVICES["alert-history"]["image"], {}).endswith(f":{__version__}")
    assert example()["ALERT_HISTORY_VERSION"] == __version__
    assert (COMPOSE / SERVICES["alert-history"]["build"] / "Dockerfile").is_file()


@BY_NAME
def test_its_health_is_asked_for(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@BY_NAME
def test_what_it_waits_for_is_there_and_says_how_it_is(name: str) -> None:
    for other in SERVICES[name].get("depends_on", {}):
        assert "healthcheck" in SERVICES[other]


@BY_NAME
def test_what_is_mounted_exists(name: str) -> None:
    for source, _ in mounts(name):
        if source.startswith("."):
            assert (COMPOSE / source).exists()
        else:
            assert source in HELD["volumes"]


def test_every_volume_is_mounted() -> None:
    assert set(HELD["volumes"]) == {source for name in SERVICES for source, _ in mounts(name)} & set(HELD["volumes"])


@BY_NAME
def test_nothing_listens_to_others_than_this_machine(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_what_is_asked_for_and_the_example_are_the_same() -> None:
    asked = {groups[0] for groups in ASKED_FOR.findall(FILE.read_text(encoding="utf-8"))}
    passed_on = {name for name, value in SERVICES["alert-history"]["environment"].items() if value is None}
    assert set(example()) == asked | passed_on


def test_what_must_be_set_is_what_the_example_leaves_open() -> None:
    needed = {groups[0] for groups in ASKED_FOR.findall(FILE.read_text(encoding="utf-8")) if groups[1] == "?"}
    open_lines = re.findall(r"^([A-Z_]+)=$", (COMPOSE / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(open_lines) == needed == {"POSTGRES_PASSWORD", "GRAFANA_PASSWORD"}


def test_no_password_is_in_the_file() -> None:
    for name, settings in SERVICES.items():
        for variable, value in settings.get("environment", {}).items():
            if "PASSWORD" in variable:
                assert str(value).startswith("${"), f"{name}: {variable}"


@pytest.mark.parametrize("is_full", [False, True], ids=["passwords-only", "all-set"])
def test_alert_history_starts_with_what_it_is_given(*, is_full: bool) -> None:
    values = {"POSTGRES_PASSWORD": "s3cret", "GRAFANA_PASSWORD": "s3cret"}
    if is_full:
        values |= {name: value or "sk-key" for name, value in example().items() if name not in values}
        values["ADMIN_TOKEN"] = new_secret()
    given = environment(values)
    assert set(given) <= {variable.name for variable in variables()}
    settings = load_settings(given)
    assert settings.database_url.reveal() == "postgresql://alerthistory:s3cret@postgres:5432/alerthistory"
    assert settings.targets_dir in {target for _, target in mounts("alert-history")}
    assert settings.enrichment_mode == ("enriched" if is_full else "transparent")


def test_it_is_given_more_time_to_stop_than_it_takes() -> None:
    grace = SERVICES["alert-history"]["stop_grace_period"]
    assert int(grace.removesuffix("s")) > load_settings({}).shutdown_grace_seconds


def test_names_between_services_are_those_of_services() -> None:
    texts = [path.read_text(encoding="utf-8") for path in COMPOSE.rglob("*.y*ml")]
    hosts = {host for text in texts for host in re.findall(r"(?://|@|\[)([a-z-]+):\d{4}", text)}
    assert hosts - {"localhost", "llm-proxy"} <= set(SERVICES)
    assert {"alert-history", "postgres", "redis", "prometheus", "alertmanager"} <= hosts


def test_prometheus_takes_its_configuration_with_the_rules(tmp_path: Path) -> None:
    for source, target in mounts("prometheus"):
        if source.startswith("."):
            place = tmp_path / Path(target).relative_to("/etc/prometheus")
            place.symlink_to((COMPOSE / source).resolve())
    output = promtool("check", "config", tmp_path / "prometheus.yml")
    count = sum(int(number) for number in re.findall(r"SUCCESS: (\d+) rules found", output))
    shipped = [load(path) for path in (ROOT / "monitoring" / "rules").glob("*.yaml")]
    assert count == 1 + sum(len(group["rules"]) for file in shipped for group in file["groups"])


def test_prometheus_scrapes_it_under_the_name_that_the_rules_ask_for() -> None:
    config = load(COMPOSE / "prometheus" / "prometheus.yml")
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert targets["alert-history"] == ["alert-history:8080"]


def test_grafana_is_given_the_dashboard_and_a_prometheus() -> None:
    given = {target: COMPOSE / source for source, target in mounts("grafana") if source.startswith(".")}
    (provider,) = load(given["/etc/grafana/provisioning/dashboards"] / "alert-history.yaml")["providers"]
    dashboards = {target: source for target, source in given.items() if target.endswith(".json")}
    ((place, source),) = dashboards.items()
    assert str(Path(place).parent) == provider["options"]["path"]
    assert source.resolve() == dashboard.PATH.resolve()
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == place
    (prometheus,) = load(given["/etc/grafana/provisioning/datasources"] / "prometheus.yaml")["datasources"]
    assert (prometheus["type"], prometheus["url"]) == ("prometheus", "http://prometheus:9090")


def test_what_containers_read_may_be_read_by_their_users() -> None:
    for name in SERVICES:
        for source, _ in mounts(name):
            path = COMPOSE / source
            if source.startswith(".") and path.is_file():
                assert path.stat().st_mode & stat.S_IROTH


def test_the_page_names_what_is_there() -> None:
    page = (ROOT / "docs" / "how-to" / "compose.md").read_text(encoding="utf-8")
    ports = {port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])}
    assert set(re.findall(r"localhost:(\d+)", page)) == ports
    for name in re.findall(r"docker compose (?:exec|restart) ([a-z-]+)", page):
        assert name in SERVICES
    for variable in set(re.findall(r"`([A-Z]+_[A-Z_]+)(?:=\w+)?`", page)):
        assert variable in example()


def schema_faults(schema: str, *files: Path) -> str:
    """What one of the schemas that check-jsonschema brings has against them; nothing: empty."""
    program = Path(sys.executable).parent / "check-jsonschema"
    words: list[str | Path] = [program, "--builtin-schema", schema, *files]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_compose_specification_allows_it() -> None:
    assert schema_faults("vendor.compose-spec", FILE) == ""


def test_the_specification_would_tell_a_wrong_key(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text(encoding="utf-8").replace("healthcheck:", "health_check:"), encoding="utf-8")
    assert "health_check" in schema_faults("vendor.compose-spec", wrong)


def test_github_takes_the_workflows() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    assert schema_faults("vendor.github-workflows", *workflows) == ""


def test_a_release_holds_the_dashboard_that_the_guide_takes_from_it() -> None:
    steps = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]["image"]["steps"]
    (upload,) = [step["run"] for step in steps if "gh release upload" in step.get("run", "")]
    given = re.findall(r"monitoring/\S+", upload)
    assert f"monitoring/{dashboard.PATH.name}" in given
    assert all(list(ROOT.glob(pattern)) for pattern in given)


def test_it_is_written_as_compose_reads_it() -> None:
    """YAML 1.1 and 1.2 differ in words such as no and off: none stands unquoted where a text is meant."""
    for service in SERVICES.values():
        for value in service.get("environment", {}).values():
            assert value is None or isinstance(value, str)
        for word in service.get("command", []):
            assert isinstance(word, str)
