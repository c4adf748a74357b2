"""`alert-history doctor`, of the history: contradictions, unconfirmed alerts, rows that older releases left."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from rich.table import Table

from alert_history.bootstrap import rules_of
from alert_history.cli.console import cell, output_console, print_line
from alert_history.cli.doctor_audit import examine_audit
from alert_history.cli.doctor_numbers import examine_numbers
from alert_history.cli.finding import Finding
from alert_history.cli.router import look_for_router
from alert_history.cli.store import faults_of, on_primary, require, using_store
from alert_history.config import Settings
from alert_history.domain.conflict import CONFLICT_LASTS
from alert_history.domain.decision import Decision
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import ENDINGS, occurrence_id
from alert_history.ports import Conflict, Store

_MOST_CONFLICTS = 10
_LABELS_SHOWN = 6
_FEW_UNCONFIRMED = 10
_STEP = 100
_MOST_SHOWN = 1_000

_Row = tuple[str, str, str, str]  # an alert's name, the event, the occurrence, and why


async def examine_history(settings: Settings, *, is_audit_whole: bool = False) -> list[Finding]:
    """No findings where all is well, or where the database can't be read: that is a finding of its own."""
    async with using_store(on_primary(settings)) as store:
        if await faults_of(store, settings):
            return []
        since = datetime.now(UTC) - CONFLICT_LASTS
        conflicts = await store.reconciling.conflicts(since, limit=_MOST_CONFLICTS)
        counts = await store.standings.count()
        today = datetime.now(UTC).date()
        numbers = await examine_numbers(store.rollup_checks, today=today)
        audit = await examine_audit(store.audit_trail, today=today, is_whole=is_audit_whole)
    return [
        *map(_judge_conflict, conflicts),
        *_judge_unconfirmed(counts["firing"], counts["unconfirmed"]),
        *numbers,
        *audit,
    ]


def _judge_conflict(conflict: Conflict) -> Finding:
    shown = ", ".join(f"{name}={value}" for name, value in sorted(conflict.labels.items())[:_LABELS_SHOWN])
    observation = f"two senders contradict each other about {{{shown}}}, last at {conflict.at:%Y-%m-%d %H:%M:%S} UTC"
    return Finding("conflict", "note", observation, "add a cluster label or a scope")


def _judge_unconfirmed(firing: int, unconfirmed: int) -> list[Finding]:
    if unconfirmed < _FEW_UNCONFIRMED or unconfirmed < firing:
        return []
    observation = f"{unconfirmed} of {firing + unconfirmed} open alerts are confirmed by nobody any more"
    return [
        Finding("unconfirmed", "note", observation, "see that their senders run; ALERTMANAGER_URLS lets us ask them")
    ]


def print_repairs(settings: Settings, *, is_dry_run: bool) -> None:
    """Repair rows that older releases left, and print a line for each event. Raises: StorageUnavailable, Busy."""
    rows = asyncio.run(_repair(settings, is_dry_run=is_dry_run))
    if rows:
        table = Table("repaired", "event", "id", "why", title_justify="left", show_edge=False)
        for row in rows[:_MOST_SHOWN]:
            table.add_row(*map(cell, row))
        output_console().print(table)
    joined = sum(row[1] == "joined" for row in rows)
    ended = sum(row[1] in ENDINGS for row in rows)
    done = "would be" if is_dry_run else "were"
    print_line(f"{joined} doubles {done} joined, {ended} occurrences {done} ended")


async def _repair(settings: Settings, *, is_dry_run: bool) -> list[_Row]:
    router = None if is_dry_run else await look_for_router(settings)
    async with using_store(settings, router=router, rules=rules_of(settings)) as store:
        await require(store, settings)
        return [row async for row in _rows(store, is_dry_run=is_dry_run)]


async def _rows(store: Store, *, is_dry_run: bool) -> AsyncIterator[_Row]:
    after = ""
    now = datetime.now(UTC)
    while decisions := await store.reconciling.repair(now, after=after, limit=_STEP, is_dry_run=is_dry_run):
        after = decisions[-1].fingerprint
        for decision in decisions:
            for row in _events(decision):
                yield row


def _events(decision: Decision) -> list[_Row]:
    return [
        (
            alert.labels.get("alertname", "") or alert.fingerprint,
            event.kind,
            occurrence_id(event.fingerprint, to_us(event.starts_at)),
            str((event.detail or {}).get("reason", "")),
        )
        for event, alert in zip(decision.events, decision.alerts, strict=True)
    ]
