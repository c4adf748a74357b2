"""Settings that all replicas share."""

from typing import Any, Protocol


class StoredSettings(Protocol):
    """What all replicas of a store know under a name. Every call may raise StorageUnavailable."""

    async def read(self, name: str) -> Any:
        """A setting's value, as it was last written by any replica; None if it never was."""
        ...

    async def write(self, name: str, value: Any) -> None:
        """Keep a setting (any JSON value), durably."""
        ...
