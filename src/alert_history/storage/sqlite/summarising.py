"""SQLite: builds the segments of searches. A thread that reads takes the texts apart; the thread that writes adds them.

An occurrence that is added between the two, and is old enough for the segment, is a stray: see `strays`.
"""

import sqlite3
import time
from datetime import datetime
from itertools import islice
from typing import Any

from alert_history.storage.shared.segments import SETTLED, Plan, Summary, keep, plan
from alert_history.storage.shared.session import Session
from alert_history.storage.sqlite.connection import Connections
from alert_history.storage.sqlite.database import run_work
from alert_history.storage.sqlite.scanning import ORDER

_SLICE_ROWS = 64
"""After so many rows the thread lets others run, which would else wait for it 5 ms at a time."""


async def summarise(connections: Connections, now: datetime) -> int:
    """Build one segment; the number of its rows, 0 where nothing is to be done."""
    step, summary, row = await connections.read(_read, now)
    if step.span is None and not step.outdated and not step.loose:
        return 0
    return await connections.write(lambda connection: run_work(connection, _keep, step, summary, row=row))


async def _keep(session: Session, step: Plan, summary: Summary | None, *, row: dict[str, Any] | None) -> int:
    """Carry out the plan, unless what was the newest occurrence is forgotten: it decides what is a stray."""
    newest = await session.fetch(ORDER.newest)
    if step.span is not None and (not newest or newest[0].at - SETTLED < step.span.until):
        return 0
    return await keep(session, step, summary, row=row)


def _read(connection: sqlite3.Connection, now: datetime) -> tuple[Plan, Summary | None, dict[str, Any] | None]:
    return run_work(connection, _summary, now)


async def _summary(session: Session, now: datetime) -> tuple[Plan, Summary | None, dict[str, Any] | None]:
    newest = await session.fetch(ORDER.newest)
    if not newest:
        return Plan(), None, None
    step = await plan(session, ORDER, min(now, newest[0].at) - SETTLED)
    if step.span is None:
        return step, None, None
    summary = Summary()
    rows = iter(await session.fetch(ORDER.texts, first=step.span.first, until=step.span.until))
    while some := list(islice(rows, _SLICE_ROWS)):
        summary.add(some)
        time.sleep(0)  # noqa: ASYNC251  # it runs in a thread, without an event loop
    return step, summary, summary.row(step.span)
