"""The words that replicas send to each other."""

from collections.abc import Callable
from typing import Protocol


class Signals(Protocol):
    """The words that replicas send to each other. A word may be lost: the replica learns a little later."""

    async def send(self, word: str) -> None:
        """Send a word to all replicas, this one too. Never raises, and takes half a second at most."""
        ...

    async def follow(self, heard: Callable[[str], None]) -> None:
        """Call `heard` with every word until cancelled. Never raises because of the outside."""
        ...

    def state(self) -> str:
        """`ok`, or what is wrong."""
        ...
