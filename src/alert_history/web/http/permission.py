"""What each path needs, in one place. `gate.allow` checks it, for each operation and page."""

from collections.abc import Iterable
from typing import Protocol

from alert_history.domain.permission import Permission


class Served(Protocol):
    """One method of one path, as operations, pages and ingest paths are."""

    @property
    def method(self) -> str:
        """As in the request line."""
        ...

    @property
    def path(self) -> str:
        """With its parameters in braces."""
        ...

    @property
    def needs(self) -> Permission:
        """What its caller must be allowed to do."""
        ...


def permissions(served: Iterable[Served]) -> dict[str, Permission]:
    """`METHOD path` → what it needs. Raises ValueError where one is served twice: then the second is never called."""
    needed: dict[str, Permission] = {}
    for each in served:
        name = f"{each.method} {each.path}"
        if name in needed:
            raise ValueError(f"{name} is served twice")
        needed[name] = each.needs
    return needed
