"""Settings that all replicas share."""

from typing import Any, Protocol


class StoredSettings(Protocol):
    """Values by name that all replicas of a store share. Every call may raise StorageUnavailable."""

    async def read(self, name: str) -> Any:
        """The value that any replica wrote last; None for an unknown name."""
        ...

    async def write(self, name: str, value: Any) -> None:
        """Keep a setting (any JSON value), durably."""
        ...
