"""`alert-history classify`: saved notifications, classified by the configured model or the rules. A dry run."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.table import Table

from alert_history.cli.console import cell, output_console, print_line
from alert_history.cli.payloads import read_payloads
from alert_history.cli.store import faults_of, using_store
from alert_history.config import Settings, load_settings
from alert_history.domain.alert import Alert
from alert_history.domain.classification import Case, Past, Verdict, shape_of
from alert_history.domain.visible import first_visible
from alert_history.enrichers import make_enricher
from alert_history.errors import ConfigurationError, InvalidRequest
from alert_history.ports import Enricher
from alert_history.sources import decode_prometheus, decode_webhook


def classify(
    *files: Annotated[
        str,
        Parameter(
            name="FILE", allow_leading_hyphen=True, help="JSON payloads; .jsonl holds one a line; - is standard input."
        ),
    ],
    json: Annotated[bool, Parameter(negative="", help="One JSON object a line instead of a table.")] = False,
    history: Annotated[bool, Parameter(negative="", help="Take what DATABASE_URL knows of the alerts along.")] = False,
) -> int:
    """Classify every alert in the files, and only print the answers. Raises: ConfigurationError on wrong usage."""
    if not files:
        raise ConfigurationError(["classify needs a FILE, or - for standard input"])
    settings = load_settings(os.environ)
    cases = [_case(alert) for file in files for alert in _alerts(file, settings)]
    verdicts = asyncio.run(_classify(settings, cases, has_history=history))
    if json:
        for case, verdict in zip(cases, verdicts, strict=True):
            classification = None if verdict is None else verdict.classification
            print_line(msgspec.json.encode({"labels": case.labels, "classification": classification}).decode())
    else:
        output_console().print(_table(cases, verdicts))
    return 0


def _alerts(file: str, settings: Settings) -> Sequence[Alert]:
    """The alerts in a file. Raises OSError, or ConfigurationError with the name of a wrong payload."""
    alerts: list[Alert] = []
    for name, body in read_payloads(file):
        decode = decode_prometheus if body.lstrip()[:1] == b"[" else decode_webhook
        try:
            group = decode(body, received_at=datetime.now(UTC), max_alerts=settings.max_alerts_per_request)
        except InvalidRequest as error:
            raise ConfigurationError([f"{name}: {error}"]) from None
        alerts += group.alerts
    return alerts


def _case(alert: Alert) -> Case:
    return Case(
        shape_of(alert.labels),
        alert.fingerprint,
        alert.labels,
        alert.annotations,
        alert.starts_at,
        past=Past(is_known=False),
    )


async def _classify(settings: Settings, cases: Sequence[Case], *, has_history: bool) -> list[Verdict | None]:
    if has_history:
        cases = await _with_past(settings, cases)
    enricher = make_enricher(settings, clock=lambda: datetime.now(UTC))
    try:
        return await _ask(enricher, cases)
    finally:
        await enricher.close()


async def _ask(enricher: Enricher, cases: Sequence[Case]) -> list[Verdict | None]:
    verdicts: list[Verdict | None] = []
    for start in range(0, len(cases), enricher.most_cases):
        verdicts += await enricher.classify(cases[start : start + enricher.most_cases])
    return verdicts


async def _with_past(settings: Settings, cases: Sequence[Case]) -> list[Case]:
    async with using_store(settings) as store:
        if faults := await faults_of(store, settings):
            raise ConfigurationError(faults)
        return [msgspec.structs.replace(case, past=await store.classification_history.past(case)) for case in cases]


def _table(cases: Sequence[Case], verdicts: Sequence[Verdict | None]) -> Table:
    table = Table("alert", "severity", "sure", "what it means", "why", show_edge=False)
    for case, verdict in zip(cases, verdicts, strict=True):
        name = cell(first_visible(case.labels, "alertname") or case.fingerprint)
        if verdict is None:
            table.add_row(name, "", "", "no answer", "")
            continue
        classification = verdict.classification
        sure = f"{classification.confidence:.0%}"
        table.add_row(name, classification.severity, sure, cell(classification.summary), cell(classification.reasoning))
    return table
