"""What replicas call out to each other."""

from collections.abc import Callable
from typing import Protocol


class Signals(Protocol):
    """What replicas call out to each other. Lossy: whoever hears nothing finds out a little later."""

    async def send(self, word: str) -> None:
        """Tell all replicas, this one too. Never raises, and takes half a second at most."""
        ...

    async def follow(self, heard: Callable[[str], None]) -> None:
        """Call `heard` with every word until cancelled. Never raises for what the outside does."""
        ...

    def state(self) -> str:
        """`ok`, or what is wrong."""
        ...
