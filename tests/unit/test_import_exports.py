"""What `alert-history export` writes comes back as it was: in each format, whatever the texts hold.

Holds: `cli.export_formats`, `engine.export_rows`, `origins.imports.rows`, `origins.imports.columns`.
"""

import asyncio
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from alert_history.cli.export_formats import FormatName, open_writer
from alert_history.domain.past_firing import PastFiring
from alert_history.domain.speaker import SCOPE_PATTERN, grafana_scope
from alert_history.ports import StoredAlert
from tests.imports import read_past

FORMATS: list[FormatName] = ["jsonl", "csv", "parquet"]
LABELS = ("alertname", "severity", "namespace", "instance")

# Texts as a database holds them: any Unicode but NUL and lone surrogates. Those that a format may trip over come often.
texts = st.one_of(
    st.sampled_from(["=1+1", "'=1", "''@x", "-", "'", '"', ",", ";", "\t", "\r", "\r\n", "a\rb", "\n", "{}", "null"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)
values = texts.filter(bool)
labels = st.dictionaries(st.one_of(st.sampled_from(LABELS), values), values, min_size=1, max_size=6)
times = st.datetimes(datetime(1970, 1, 1), datetime(2026, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001  # they get one
lengths = st.timedeltas(timedelta(), timedelta(days=2))
json_values = st.recursive(st.none() | st.booleans() | texts, lambda parts: st.lists(parts, max_size=2))
scope_names = st.one_of(st.just(""), st.from_regex(re.compile(SCOPE_PATTERN, re.ASCII), fullmatch=True))
scopes = st.one_of(scope_names, st.builds(grafana_scope, scope_names, st.just("http://grafana"), st.just("1")))


@st.composite
def stored_alerts(draw: st.DrawFn) -> StoredAlert:
    named = draw(labels)
    starts_at, length, is_open = draw(times), draw(lengths), draw(st.booleans())
    seen_at = starts_at + length
    return StoredAlert(
        id=draw(texts),
        fingerprint="0123456789abcdef",
        alertname=named.get("alertname", ""),
        namespace=named.get("namespace", ""),
        severity=named.get("severity", ""),
        status="firing" if is_open else "resolved",
        labels=named,
        annotations=draw(st.dictionaries(texts, texts, max_size=3)),
        starts_at=starts_at,
        ends_at=None if is_open else seen_at,
        expires_at=draw(st.none() | times),
        timestamp=starts_at,
        last_received_at=seen_at,
        repeat_count=draw(st.integers(0, 2**62)),
        generator_url=draw(texts),
        source=draw(texts),
        receiver=draw(texts),
        details=draw(st.none() | st.dictionaries(texts, json_values, max_size=3)),
        scope=draw(scopes),
        state="unconfirmed" if is_open else "resolved",
        state_reason=draw(st.none() | texts),
        ended_by=None if is_open else draw(st.sampled_from(["resolved", "expired", "inferred", "reconciled"])),
        confirmed_at=draw(st.none() | times),
    )


def firing_of(alert: StoredAlert) -> PastFiring:
    """What comes back of an occurrence."""
    is_open = alert.ends_at is None
    return PastFiring(
        labels=alert.labels,
        starts_at=alert.starts_at,
        ends_at=alert.ends_at,
        last_seen_at=(alert.confirmed_at or alert.last_received_at) if is_open else alert.confirmed_at,
        ended_by=alert.ended_by or "resolved",
        annotations=alert.annotations,
        generator_url=alert.generator_url,
        receiver=alert.receiver,
        repeats=alert.repeat_count,
        source=alert.source,
        details=alert.details,
        scope=alert.scope,
    )


def brought_back(alerts: list[StoredAlert], format_: FormatName) -> tuple[list[PastFiring], list[Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "export")
        with path.open("wb") as file, open_writer(format_, file) as writer:
            writer.write(alerts)
        past = asyncio.run(read_past(format_, file=path))
    return [replace(firing, place="") for firing in past.firings], past.reasons


@pytest.mark.parametrize("format_", FORMATS)
@settings(max_examples=60, deadline=None)
@given(alerts=st.lists(stored_alerts(), max_size=5))
def test_an_export_comes_back_as_it_was(format_: FormatName, alerts: list[StoredAlert]) -> None:
    firings, refused = brought_back(alerts, format_)
    assert refused == []
    assert firings == [firing_of(alert) for alert in alerts]
