"""How much to measure, and where to say what is going on."""

import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console

_console = Console(file=sys.stderr)  # this very stream: what servers log at their end goes to another


class Plan(msgspec.Struct, frozen=True):
    """Sizes of a run: seconds of a load, rounds of it, occurrences in history, and those that are past retention."""

    seconds: float
    rounds: int
    history: int
    old: int
    folder: Path
    began: float = msgspec.field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Tell whoever waits."""
        elapsed = time.monotonic() - self.began
        _console.print(f"[dim]{elapsed:6.0f} s[/dim]  {text}", highlight=False)
