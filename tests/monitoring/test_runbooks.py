"""What runbooks and monitoring pages have people type exists: routes, queries, SQL, settings, objects of Kubernetes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import promql_parser
import pytest

from alert_history.bootstrap import make_application, make_service
from alert_history.config import load_settings, variables
from tests.chart.rendering import render
from tests.monitoring.documents import ROOT
from tests.monitoring.test_rules import OURS, exposed
from tests.servers import PostgresServer

RUNBOOKS = ROOT / "docs" / "runbooks"
MONITOR = ROOT / "docs" / "how-to" / "monitor.md"
PAGES = [*sorted(RUNBOOKS.glob("*.md")), *(ROOT / "docs" / "how-to" / f"{name}.md" for name in ("monitor", "compose"))]
BY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
URL = re.compile(r"https?://(?:alert-history\.your-domain\.com|localhost:8080)([^\s'`|>)]*)")
POSTED = re.compile(r"-X POST (?:https?://[^/\s]+)?(/[^\s`]*)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"-- alert-history ([a-z]+)")
OBJECT = re.compile(r"\b(deployment|cronjob|hpa|servicemonitor)[/ ]((?:alert-history|postgresql)[a-z-]*)")
KINDS = {
    "deployment": "Deployment",
    "cronjob": "CronJob",
    "hpa": "HorizontalPodAutoscaler",
    "servicemonitor": "ServiceMonitor",
}
# What is said in capitals and is no setting of the service: of the pages themselves, of Compose, of Prometheus.
NO_SETTINGS = {"ALERTS", "ALERT_HISTORY_VERSION", "GRAFANA_PASSWORD"}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> Iterator[str]:
    return (block for named, block in BLOCK.findall(text(page)) if named == language)


@cache
def paths() -> dict[str, Any]:
    """The HTTP interface, by path."""
    service = make_service(load_settings({"DATABASE_URL": "sqlite:///never-opened.db"}))
    described: dict[str, Any] = make_application(service).schema["paths"]
    return described


@cache
def operation(path: str, method: str) -> dict[str, Any] | None:
    """What serves that, with words in capitals where a path has a parameter."""
    for template, methods in paths().items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            description: dict[str, Any] | None = methods.get(method)
            return description
    return None


@cache
def commands() -> set[str]:
    usage = subprocess.run(
        [sys.executable, "-m", "alert_history", "--help"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    return set(re.findall(r"[a-z]+", usage))


@BY_PAGE
def test_every_url_is_served_with_its_parameters(page: Path) -> None:
    for url in URL.findall(text(page)):
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        if path in {"", "/docs"}:
            continue
        methods = [description for method in ("get", "post") if (description := operation(path, method))]
        assert methods, url
        known = {parameter["name"] for description in methods for parameter in description.get("parameters", [])}
        assert set(query) <= known, url


@BY_PAGE
def test_what_is_posted_to_takes_posts(page: Path) -> None:
    for path in POSTED.findall(text(page)):
        assert operation(path, "post"), path


@BY_PAGE
def test_every_query_is_promql(page: Path) -> None:
    for block in blocks(page, "promql"):
        for query in block.splitlines():
            promql_parser.parse(query)


@BY_PAGE
def test_every_statement_runs(page: Path, postgres_server: PostgresServer) -> None:
    for block in blocks(page, "sql"):
        postgres_server.execute(block)


@BY_PAGE
def test_every_command_exists(page: Path) -> None:
    assert set(COMMAND.findall(text(page))) <= commands()


@BY_PAGE
def test_every_setting_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"`([A-Z]{2,}[A-Z_]{3,})(?:=[^`]*)?`", text(page)))
    assert named - NO_SETTINGS <= {variable.name for variable in variables()} | {"POST"}


def test_every_object_that_is_named_is_the_charts() -> None:
    rendered = render({"autoscaling": {"enabled": True}, "monitoring": {"serviceMonitor": {"enabled": True}}})
    named = {pair for page in RUNBOOKS.glob("*.md") for pair in OBJECT.findall(text(page))}
    assert len(named) >= 5
    for kind, name in named:
        assert rendered.named(KINDS[kind], name)


def test_every_metric_is_told_what_it_means() -> None:
    metrics = {re.sub(r"_(bucket|sum|count)$", "", name) for name in OURS.findall(text(MONITOR))}
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed() if name.startswith("alert_history_")}
    assert metrics == ours | {"alert_history_grafana_dashboard_v3_enrichment"}
