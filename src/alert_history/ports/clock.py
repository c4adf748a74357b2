"""Where time comes in."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes in."""

    def __call__(self) -> datetime:
        """Now, aware UTC."""
        ...
