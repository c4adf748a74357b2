"""The console: commands print results on standard output, and all about the work itself on standard error."""

import sys
from io import TextIOWrapper

from rich.console import Console
from rich.text import Text

from alert_history.domain.printable import printable

_PIPED_COLUMNS = 200  # a table in a log is wider than rich's guess of 80


def output_console() -> Console:
    """Standard output, for results. Letters that its encoding lacks are escaped, as on standard error."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_COLUMNS)


def error_console() -> Console:
    """Standard error, for faults and progress."""
    return Console(stderr=True, highlight=False)


def print_line(text: str) -> None:
    """Print a result as one plain line."""
    output_console().print(Text(_one_line(text)), soft_wrap=True)


def print_error(text: str) -> None:
    """Print a fault as one line."""
    error_console().print(Text.assemble(("error: ", "bold red"), _one_line(text)), soft_wrap=True)


def cell(text: str) -> Text:
    """Text of others for a table; its control characters are shown, without effect."""
    return Text("\n".join(map(printable, text.split("\n"))))


def _one_line(text: str) -> str:
    return printable(" ".join(text.split("\n")).strip())
