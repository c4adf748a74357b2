"""API tokens, as all replicas share them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from alert_history.domain.token import Token


class Tokens(Protocol):
    """The tokens. Every call may raise StorageUnavailable."""

    async def all(self) -> Sequence[Token]:
        """All of them, the revoked ones too, the newest first."""
        ...

    async def add(self, token: Token) -> bool:
        """Keep a token, durably; False where one that is not revoked has its name."""
        ...

    async def replace(self, token: Token, *, until: datetime) -> bool:
        """Keep a token in the place of the one with its name, which ends at `until`; False where there is none."""
        ...

    async def revoke(self, id_: str, *, now: datetime) -> bool:
        """Revoke a token for good; False where there is none that is not revoked."""
        ...

    async def note_uses(self, uses: Mapping[str, datetime]) -> None:
        """Keep when each of these tokens, by id, was used last."""
        ...
