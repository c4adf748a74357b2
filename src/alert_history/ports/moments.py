"""What was true at a past moment: the alerts that fired, the versions of silences and of configurations."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from alert_history.domain.alertmanager.moment import MomentAlert, SilenceVersion
from alert_history.domain.query import ALL, Query


class StoredConfiguration(msgspec.Struct, frozen=True):
    """What an Alertmanager cluster said of itself: its configuration with secrets masked, and how it fares.

    `since` is when this text was first seen, `seen_at` when it was last seen. `facts` are `versionInfo`, `uptime` and
    `cluster` as the status had them at `seen_at`.
    """

    cluster: str
    since: datetime
    seen_at: datetime
    original: str
    facts: dict[str, object]


class Post(msgspec.Struct, frozen=True):
    """The body of an accepted request, as its sender posted it to `/api/v2/alerts`."""

    received_at: datetime
    body: bytes


class Moments(Protocol):
    """Reads what was true at a moment; a call costs what fired then, however long the history is.

    Every call may raise StorageUnavailable or QueryTimeout.
    """

    async def alerts(
        self, at: datetime, *, query: Query = ALL, limit: int, names_witnesses: bool = True
    ) -> Sequence[MomentAlert]:
        """The alerts that fired at that moment, as an Alertmanager would have listed them, by fingerprint.

        What was posted to us fired from when we received it until we received its end. What came by webhook, poll or
        import fired from its start to its end. One more than `limit` says that there are more. `query` is asked of what
        they said then. Without `names_witnesses` only those are named that events name: this is quicker.
        """
        ...

    async def posts(self, at: datetime, *, within: timedelta, most: int, most_bytes: int) -> Sequence[Post]:
        """The newest posts by that moment, newest first; none where their bodies are gone.

        At most so many, which together have no more than so many bytes.
        """
        ...

    async def drop(self, before: datetime) -> int:
        """Forget a bounded step of what no moment since then needs; rows removed, 0 when done.

        These are late ends, and versions of silences and configurations; what was in force then stays.
        """
        ...


class Configurations(Protocol):
    """Configurations of Alertmanagers, kept as versions. Every call may raise StorageUnavailable or QueryTimeout."""

    async def keep(self, seen: Sequence[StoredConfiguration]) -> None:
        """Keep what was seen: a text that is not the newest of its cluster becomes a version, else `seen_at` moves."""
        ...

    async def at(self, at: datetime) -> Sequence[StoredConfiguration]:
        """Of each cluster the version that was in force at that moment: the newest since then or before, by name.

        Of a cluster that was first seen later there is none.
        """
        ...

    async def versions(self, cluster: str, *, limit: int) -> Sequence[StoredConfiguration]:
        """The versions of a cluster, the newest first."""
        ...


class SilenceVersions(Protocol):
    """The versions of silences. Every call may raise StorageUnavailable or QueryTimeout."""

    async def keep(self, versions: Sequence[SilenceVersion]) -> None:
        """Keep versions. One that is known, by cluster, id and `updated_at`, stays as it is."""
        ...

    async def at(self, at: datetime, *, ended_since: datetime, limit: int) -> Sequence[SilenceVersion]:
        """Of each silence the version in force at that moment, by id: those that had not ended by `ended_since`.

        A silence that was first made later is left out. One more than `limit` says that there are more.
        """
        ...

    async def of(self, ids: Collection[str]) -> Sequence[SilenceVersion]:
        """All versions of these silences, by id, the oldest first."""
        ...
