"""What is measured against what is promised, as a table on the terminal and in markdown."""

import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from alert_history import __version__


class Limit(NamedTuple):
    """What is promised: at least, or at most, so much."""

    value: float
    is_minimum: bool

    def met_by(self, value: float) -> bool:
        return value >= self.value if self.is_minimum else value <= self.value

    def __str__(self) -> str:
        return f"{'≥' if self.is_minimum else '≤'} {shown(self.value)}"


def at_least(value: float) -> Limit:
    """A promise of speed."""
    return Limit(value, is_minimum=True)


def at_most(value: float) -> Limit:
    """A promise of size or delay."""
    return Limit(value, is_minimum=False)


class Measured(NamedTuple):
    """One line of the table."""

    database: str
    what: str
    value: float
    unit: str
    limit: Limit | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """How far it is from the limit: value ÷ limit."""
        if self.limit is None:
            return ""
        sign = "✓" if self.limit.met_by(self.value) else "✗"
        return f"{sign} {self.value / self.limit.value:.2f} ×"

    def cells(self) -> tuple[str, ...]:
        limit = "" if self.limit is None else f"{self.limit} {self.unit}".rstrip()
        return (self.database, self.what, f"{shown(self.value)} {self.unit}".rstrip(), limit, self.verdict, self.note)


_MIN_WIDTH = 170
_HEADINGS = ("database", "what", "measured", "promised", "measured ÷ promised", "how")


def shown(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if abs(value) >= 1000:
        return grouped(round(value, -2 if abs(value) >= 10_000 else -1))
    return f"{value:.3g}"


def grouped(value: float) -> str:
    """A whole number, thousands apart."""
    return f"{value:,.0f}".replace(",", " ")


def print_table(lines: Iterable[Measured]) -> None:
    """On the terminal."""
    table = Table(title="Alert History: speed and memory", title_justify="left")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in {"measured", "promised"} else "left")
    for line in lines:
        style = "red" if line.verdict.startswith("✗") else None
        table.add_row(*line.cells(), style=style)
    Console(width=max(Console().width, _MIN_WIDTH)).print(table)


def markdown(lines: Sequence[Measured]) -> str:
    """As a table for the documents."""
    rows = [_HEADINGS, ("---",) * len(_HEADINGS), *(line.cells() for line in lines)]
    escaped = ([cell.replace("|", r"\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)


def conditions() -> str:
    """What it ran on, for whoever compares."""
    today = datetime.now(UTC).date().isoformat()
    versions = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    return f"Version {__version__}, {today}, {os.cpu_count()} cores, {versions}"
