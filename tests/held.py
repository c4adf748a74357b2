"""What Alertmanagers held, for tests that need no database: ports of moments in memory, and alerts by few words."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from alert_history.domain.alert import Silence, fingerprint
from alert_history.domain.alertmanager.moment import MomentAlert, SilenceVersion
from alert_history.domain.query import ALL, Query
from alert_history.domain.standing import Witnesses
from alert_history.engine.moments import MomentReads, MomentStates
from alert_history.ports.moments import Post, StoredConfiguration

NOW = datetime(2026, 11, 27, 3, tzinfo=UTC)

CONFIGURATION = """
route:
  receiver: default
  group_by: [alertname]
  routes:
  - matchers: [team="db"]
    receiver: db
    continue: true
  - matchers: [severity="critical"]
    receiver: pager
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity="warning"]
  equal: [instance]
receivers:
- name: default
- name: db
- name: pager
- name: unused
"""


def held(name: str, *, witnesses: Sequence[str] = (), **labels: str) -> MomentAlert:
    """An alert with that alertname that fires for an hour."""
    return alert_of({"alertname": name, **labels}, witnesses=witnesses)


def alert_of(labels: Mapping[str, str], *, witnesses: Sequence[str] = ()) -> MomentAlert:
    """An alert with these labels that fires for an hour."""
    own = dict(labels)
    return MomentAlert(
        occurrence_id=f"id-of-{fingerprint(own)}",
        fingerprint=fingerprint(own),
        scope="",
        labels=own,
        annotations={"summary": "It is broken"},
        starts_at=NOW - timedelta(hours=1),
        ends_at=NOW + timedelta(minutes=4),
        updated_at=NOW - timedelta(minutes=1),
        generator_url="",
        source="alertmanager",
        witnesses=tuple(witnesses),
    )


def silence(number: int, *matchers: tuple[str, str, str], hours: float = 1, begins: float = -1) -> Silence:
    """A silence from `begins` to `hours`, both in hours from `NOW`."""
    return Silence(
        id=f"{number:08d}-0000-4000-8000-000000000000",
        matchers=[[{"name": name, "op": op, "value": value} for name, op, value in matchers]],
        starts_at=NOW + timedelta(hours=begins),
        ends_at=NOW + timedelta(hours=hours),
        updated_at=NOW - timedelta(hours=2),
        created_by="ann",
        comment="maintenance",
    )


class HeldThen(msgspec.Struct):
    """Fulfils the ports of `ports.moments`, in memory. `asked` are the times that it was asked for.

    `seen_at` is when the Alertmanagers last answered, None: at the time that is asked for.
    """

    held: Sequence[MomentAlert] = ()
    originals: Mapping[str, str] = {}
    silences: Sequence[SilenceVersion] = ()
    facts: Mapping[str, object] = {}
    seen_at: datetime | None = None
    asked: list[datetime] = []

    def states(self, *, names: Sequence[str] = ("main",), witnesses: Witnesses | None = None) -> MomentStates:
        """What answers by them, at `NOW`."""
        known = Witnesses() if witnesses is None else witnesses
        return MomentStates(
            MomentReads(self, _Configurations(self), _Versions(self)),
            names=names,
            witnesses=lambda: known,
            retention=timedelta(days=30),
            clock=lambda: NOW,
        )

    async def alerts(
        self,
        at: datetime,
        *,
        query: Query = ALL,
        limit: int,
        names_witnesses: bool = True,  # noqa: ARG002
    ) -> Sequence[MomentAlert]:
        """See `ports.Moments.alerts`."""
        self.asked.append(at)
        found = [alert for alert in self.held if query.matches(alert.labels, alert.annotations)]
        return sorted(found, key=lambda alert: alert.fingerprint)[: limit + 1]

    async def posts(
        self,
        at: datetime,  # noqa: ARG002
        *,
        within: timedelta,  # noqa: ARG002
        most: int,  # noqa: ARG002
        most_bytes: int,  # noqa: ARG002
    ) -> Sequence[Post]:
        """See `ports.Moments.posts`."""
        return []

    async def drop(self, before: datetime) -> int:
        """See `ports.Moments.drop`."""
        raise NotImplementedError


class _Configurations(msgspec.Struct):
    then: HeldThen

    async def keep(self, seen: Sequence[StoredConfiguration]) -> None:
        raise NotImplementedError

    async def at(self, at: datetime) -> Sequence[StoredConfiguration]:
        since = NOW - timedelta(days=1)
        return [
            StoredConfiguration(cluster, since, self.then.seen_at or at, original, dict(self.then.facts))
            for cluster, original in sorted(self.then.originals.items())
            if at >= since
        ]

    async def versions(self, cluster: str, *, limit: int) -> Sequence[StoredConfiguration]:
        raise NotImplementedError


class _Versions(msgspec.Struct):
    then: HeldThen

    async def keep(self, versions: Sequence[SilenceVersion]) -> None:
        raise NotImplementedError

    async def at(self, at: datetime, *, ended_since: datetime, limit: int) -> Sequence[SilenceVersion]:
        return [
            version
            for version in self.then.silences
            if version.silence.updated_at <= at and version.silence.ends_at >= ended_since
        ][:limit]

    async def of(self, ids: Collection[str]) -> Sequence[SilenceVersion]:
        return [version for version in self.then.silences if version.silence.id in ids]
