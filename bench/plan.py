"""How much to measure, and where to say what is going on."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bench.raw import plain

_console = Console(file=sys.stderr)  # this very stream: what servers log at their end goes to another


class Plan(msgspec.Struct, frozen=True):
    """Sizes of a run: seconds of a load, rounds of it, occurrences in history, and those that are past retention.

    `raw` gathers what each round measured, by name.
    """

    seconds: float
    rounds: int
    history: int
    old: int
    folder: Path
    began: float = msgspec.field(default_factory=time.monotonic)
    raw: dict[str, Any] = msgspec.field(default_factory=dict)

    def say(self, text: str) -> None:
        """Tell whoever waits."""
        elapsed = time.monotonic() - self.began
        _console.print(f"[dim]{elapsed:6.0f} s[/dim]  {text}", highlight=False)

    def keep(self, name: str, rounds: Sequence[Any]) -> None:
        """Remember what the rounds measured, for `--json`."""
        self.raw[name] = plain(rounds)
