"""Sign-ins of browsers, as all replicas share them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from alert_history.domain.sign_in import SignIn


class SignIns(Protocol):
    """The sign-ins. Every call may raise StorageUnavailable."""

    async def add(self, sign_in: SignIn) -> None:
        """Keep one, durably."""
        ...

    async def find(self, digest: bytes) -> SignIn | None:
        """The one with that digest, expired or not."""
        ...

    async def take(self, digest: bytes) -> SignIn | None:
        """End the one with that digest, and return it; of several who take it at once, one gets it."""
        ...

    async def of_people(self, now: datetime, *, limit: int) -> Sequence[SignIn]:
        """Those that are good, the newest first; none that has only begun."""
        ...

    async def end_all(self, key: str) -> int:
        """End all of one user, by the key; how many."""
        ...

    async def forget(self, before: datetime) -> int:
        """Forget those that expired before then; how many."""
        ...
