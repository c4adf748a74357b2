"""Gates and tokens for tests that need no database."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from alert_history.domain.token import Token
from alert_history.engine.tokens import TokenBook
from alert_history.ports import Clock, Tokens
from alert_history.web.http.gate import Gate


class Time:
    """A clock that stands still until it is set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


async def opened(tokens: Tokens, clock: Clock) -> TokenBook:
    """The tokens of a process that has started."""
    book = TokenBook(tokens, clock=clock)
    await book.begin()
    return book


class MemoryTokens:
    """Fulfils `ports.Tokens`, in memory."""

    def __init__(self, *tokens: Token) -> None:
        self.tokens = list(tokens)
        self.uses: dict[str, datetime] = {}

    async def all(self) -> Sequence[Token]:
        return list(self.tokens)

    async def add(self, token: Token) -> bool:
        self.tokens.append(token)
        return True

    async def replace(self, token: Token, *, until: datetime) -> bool:  # noqa: ARG002  # the port's shape
        self.tokens.append(token)
        return True

    async def revoke(self, id_: str, *, now: datetime) -> bool:  # noqa: ARG002  # the port's shape
        self.tokens = [token for token in self.tokens if token.id != id_]
        return True

    async def note_uses(self, uses: Mapping[str, datetime]) -> None:
        self.uses |= uses


def open_gate() -> Gate:
    """The gate where nobody has to say who they are."""
    return Gate(TokenBook(MemoryTokens(), clock=lambda: datetime.now(UTC), known=[]), is_open=True)
