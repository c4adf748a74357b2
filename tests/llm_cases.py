"""Cases to be classified, and settings that lead to a proxy."""

from datetime import UTC, datetime
from typing import Any

from alert_history.config import Settings, load_settings
from alert_history.domain.classification import Case, Past, shape_of
from tests.llm_proxy import KEY

BEGAN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NOISY = Past(day=9, week=40, month=100, brief=95, days_seen=20, median_seconds=31.0)
RARE = Past(month=1, days_seen=1)


def case(
    name: str = "DiskFull", *, past: Past = RARE, annotations: dict[str, str] | None = None, **labels: str
) -> Case:
    """A case of that alertname in the namespace shop, a warning unless said otherwise."""
    every = {"alertname": name, "namespace": "shop", "severity": "warning"} | labels
    notes = {"summary": "/var is 97 % full"} if annotations is None else annotations
    return Case(shape_of(every), "507a62d79ee76c9a", every, notes, BEGAN, past=past)


def llm_settings(url: str, **changes: Any) -> Settings:
    """As an operator sets them."""
    usual = {"LLM_PROXY_URL": url, "LLM_API_KEY": KEY, "LLM_MODEL": "gpt-4", "LLM_TIMEOUT_SECONDS": "10"}
    given = {name.upper(): value for name, value in changes.items()}
    return load_settings({name: str(value) for name, value in (usual | given).items() if value is not None})
