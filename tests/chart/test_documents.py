"""The chart's README, schema and copies say what its values and `monitoring/` say."""

import json
from typing import Any

import pytest
import yaml

import alert_history
from tests.chart import documents
from tests.chart.rendering import CHART, Object, render


def test_the_readme_lists_the_values_as_they_are() -> None:
    assert documents.README.read_text(encoding="utf-8") == documents.readme(), "run `make chart`"
    assert documents.table() in documents.readme()


def test_every_value_is_described() -> None:
    assert documents.undescribed() == []


def test_the_chart_is_of_this_release() -> None:
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert metadata["version"] == metadata["appVersion"] == alert_history.__version__


def paths(tree: Object, prefix: str = "") -> set[str]:
    keys = set()
    for name, value in tree.items():
        keys.add(f"{prefix}{name}")
        if isinstance(value, dict):
            keys |= paths(value, f"{prefix}{name}.")
    return keys


def schema_paths(schema: Object, definitions: Object, prefix: str = "") -> set[str]:
    """The paths that the schema names; what stands below a free object has none."""
    keys = set()
    for name, below in schema.get("properties", {}).items():
        target = definitions[below["$ref"].rpartition("/")[2]] if "$ref" in below else below
        keys.add(f"{prefix}{name}")
        keys |= schema_paths(target, definitions, f"{prefix}{name}.")
    return keys


def test_the_schema_names_every_value_and_no_other() -> None:
    schema: Any = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    named, default_paths = schema_paths(schema, schema["definitions"]), paths(defaults)
    tops = {path for path in named if "." not in path}
    assert tops - default_paths == {"global"}
    for value in documents.values():
        assert value.key in named, value.key


def test_the_copies_are_those_of_monitoring() -> None:
    copies = documents.copies()
    if not copies:
        assert not documents.MONITORING.exists(), "monitoring/ holds neither rules nor the dashboard"
        pytest.skip("there is no monitoring/ to compare with: the chart holds files of its own until there is")
    for source, copy in copies.items():
        assert copy.read_bytes() == source.read_bytes(), "run `make chart`"
    files = {*CHART.glob("files/rules/*"), *CHART.glob("files/dashboards/*")}
    assert files == set(copies.values()), "run `make chart`"


def test_rules_and_dashboards_reach_the_cluster_unchanged() -> None:
    """Their own braces are not the chart's."""
    rendered = render({"monitoring": {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}})
    files = sorted((CHART / "files" / "rules").glob("*.yaml"))
    groups = [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    assert rendered.named("PrometheusRule", "alert-history")["spec"]["groups"] == groups
    assert "{{" in str(groups)
    config = rendered.named("ConfigMap", "alert-history-dashboards")
    text = (CHART / "files" / "dashboards" / documents.DASHBOARD).read_text(encoding="utf-8")
    assert json.loads(config["data"][documents.DASHBOARD]) == json.loads(text)
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
