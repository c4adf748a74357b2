"""Who is told, and where they and their routes are found."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.routes import Routes
from alert_history.domain.target import Message, Sent, TargetSpec


class Target(Protocol):
    """One target, ready to be told. Stateless: what must be remembered is in the messages."""

    speaks_of_groups: bool
    """Whether a message may hold several alerts of one group."""

    takes_follow_ups: bool
    """Whether it can be told afterwards what an alert means: an Outgoing whose event is `classified`."""

    default_rate_per_minute: float
    """How many messages it takes when its own settings don't say."""

    async def send(self, message: Message) -> Sent:
        """Tell it. One attempt, within the HTTP client's timeouts; it tries nothing again by itself.

        Raises:
            Retryable: rate-limited, out of order, or not reached.
            Rejected: it refuses this message for good.
        """
        ...

    def url_shown(self) -> str:
        """Where it is, with everything secret masked."""
        ...


class TargetsFound(Protocol):
    """Who wants to know the targets."""

    def __call__(self, targets: Sequence[TargetSpec]) -> None:
        """All targets there are now, broken ones with their fault."""
        ...


class DiscoveryState(msgspec.Struct, frozen=True):
    """`fault` is None while it works; `refreshed_at` is when it last knew for certain."""

    kind: str
    is_available: bool
    refreshed_at: datetime | None
    fault: str | None = None


class Discovery(Protocol):
    """Where targets are found."""

    async def watch(self, listener: TargetsFound) -> None:
        """Call `listener` with all targets now, and again within 2 s of every change, until cancelled.

        Never raises for what the outside does: it goes on with what it knows, and says so in `state`.
        """
        ...

    async def refresh(self) -> None:
        """Look anew at once."""
        ...

    def state(self) -> DiscoveryState:
        """How it is doing."""
        ...


class RoutesState(msgspec.Struct, frozen=True):
    """The routes in force, since when, and what is wrong with what the file says now, if it is not they."""

    path: str
    routes: Routes
    read_at: datetime
    faults: tuple[str, ...] = ()


class RoutesSource(Protocol):
    """Where routes come from."""

    def state(self) -> RoutesState:
        """What is in force."""
        ...

    async def watch(self, changed: Callable[[Routes], None]) -> None:
        """Call `changed` within 2 s of a change, until cancelled. Faulty routes leave the old ones in force."""
        ...
