"""Settings that all replicas share."""

from collections.abc import Callable
from typing import Any, Protocol


class StoredSettings(Protocol):
    """Values by name that all replicas of a store share. Every call may raise StorageUnavailable."""

    async def read(self, name: str) -> Any:
        """The value that any replica wrote last; None for an unknown name."""
        ...

    async def write(self, name: str, value: Any) -> None:
        """Keep a setting (any JSON value), durably."""
        ...

    async def change(self, name: str, make: Callable[[Any], Any]) -> Any:
        """Keep what `make` makes of the value (None: there is none yet); returns that.

        Changes of one setting happen one after the other, so none is lost. What `make` raises, this raises, and
        nothing is changed. `make` may be called in another thread.
        """
        ...
