"""Targets and routes: how a target is notified, and where targets and routes come from."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from alert_history.domain.routes import Routes
from alert_history.domain.target import Message, Sent, TargetSpec


class Target(Protocol):
    """One target, ready to be notified. Stateless: the messages hold what must be remembered.

    A target may have `shown_acts` besides, the acts of people that it can show: an Outgoing with an `act`. A target
    without it is told of none.
    """

    speaks_of_groups: bool
    """Whether a message may hold several alerts of one group."""

    takes_follow_ups: bool
    """Whether the target takes what an alert means afterwards: an Outgoing whose event is `classified`."""

    default_rate_per_minute: float
    """How many messages the target takes a minute, where its settings name no rate."""

    async def send(self, message: Message) -> Sent:
        """Send one message. Makes one attempt, within the timeouts of the HTTP client.

        Raises:
            Retryable: the target is over its rate, out of order, or can't be reached.
            Rejected: the target refuses this message for good.
        """
        ...

    def url_shown(self) -> str:
        """The URL of the target, with all secrets masked."""
        ...


class TargetsFound(Protocol):
    """A listener to changes of the targets."""

    def __call__(self, targets: Sequence[TargetSpec]) -> None:
        """Take all targets that exist now, broken targets with their fault."""
        ...


class DiscoveryState(msgspec.Struct, frozen=True):
    """How a discovery is: `fault` is None while it works; `refreshed_at` is when it last knew all targets."""

    kind: str
    is_available: bool
    refreshed_at: datetime | None
    fault: str | None = None


class Discovery(Protocol):
    """Where targets come from."""

    async def watch(self, listener: TargetsFound) -> None:
        """Call `listener` with all targets now, and again within 2 s of every change, until cancelled.

        Never raises because of the outside: it goes on with the targets that it knows, and `state` shows the fault.
        """
        ...

    async def refresh(self) -> None:
        """Look for targets at once."""
        ...

    def state(self) -> DiscoveryState:
        """How the discovery is now."""
        ...


class RoutesState(msgspec.Struct, frozen=True):
    """The routes in force, since when, and the faults of the file, where the file holds other routes now."""

    path: str
    routes: Routes
    read_at: datetime
    faults: tuple[str, ...] = ()


class RoutesSource(Protocol):
    """Where routes come from."""

    def state(self) -> RoutesState:
        """The routes in force."""
        ...

    async def watch(self, changed: Callable[[Routes], None]) -> None:
        """Call `changed` within 2 s of a change, until cancelled. Faulty routes leave the old ones in force."""
        ...
