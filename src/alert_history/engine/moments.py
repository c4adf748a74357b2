"""What each Alertmanager held at a moment, now or past, as far as it exists for who calls.

One code path answers for now and for the past. The whole store is asked, because an alert that a reader may not see can
inhibit one that they may; what is handed on is cut to their reach.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from alert_history.domain.alertmanager.moment import AlertStatus, ClusterVersion, MomentAlert, SilenceVersion
from alert_history.domain.alertmanager.statuses import statuses
from alert_history.domain.standing import Witnesses
from alert_history.engine.cluster_versions import read_version, routing_of, statuses_of
from alert_history.engine.moment_clusters import Attribution
from alert_history.engine.moment_reach import within_reach
from alert_history.engine.moment_state import NOT_KNOWN, ClusterMoment, MomentState, united
from alert_history.engine.moment_unknown import beyond, cut, silent, unattributed, unknown_of
from alert_history.engine.posted_ends import with_posted_ends
from alert_history.engine.reach import is_narrowed, is_within
from alert_history.errors import InvalidQuery, NotFound
from alert_history.ports import Clock
from alert_history.ports.moments import Configurations, Moments, SilenceVersions, StoredConfiguration

MOST_ALERTS = 100_000
MOST_SILENCES = 50_000
KEPT_ENDED = timedelta(hours=120)
"""For so long an Alertmanager lists a silence that has ended, unless its `--data.retention` says otherwise."""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing that is kept is older."""
_AHEAD = timedelta(minutes=1)
"""A caller's clock may be ahead of ours by so much."""
_GONE_AFTER = timedelta(minutes=5)
"""So long after its last answer an Alertmanager is gone that is not asked any more: renamed, or taken away."""


class _Stored(msgspec.Struct, frozen=True):
    """What a state is made of, as the store has it."""

    alerts: Sequence[MomentAlert]
    configurations: Sequence[StoredConfiguration]
    silences: Sequence[SilenceVersion]


class MomentReads(msgspec.Struct, frozen=True):
    """The ports of the whole store that are read."""

    moments: Moments
    configurations: Configurations
    silences: SilenceVersions


class MomentStates:
    """Makes states. `names` are the Alertmanagers that are asked, `witnesses` says which senders are one cluster.

    Of what is older than `retention` nothing is kept.
    """

    def __init__(
        self,
        reads: MomentReads,
        *,
        names: Sequence[str],
        witnesses: Callable[[], Witnesses],
        retention: timedelta,
        clock: Clock,
    ) -> None:
        self._reads = reads
        self._names = names
        self._witnesses = witnesses
        self._retention = retention
        self._clock = clock

    async def state(self, at: datetime | None, *, cluster: str | None = None, has_alerts: bool = True) -> MomentState:
        """What was held at a time, None: now; of one cluster, or of all together.

        Unless it `has_alerts`, the state is made without alerts, which takes no time; who sees some alerts only gets
        theirs all the same, because what else is shown follows from them.

        Raises: InvalidQuery for a time to come; NotFound for a cluster that is not known then; StorageUnavailable,
        QueryTimeout.
        """
        now = self._clock()
        if at is not None and at > now + _AHEAD:
            raise InvalidQuery(f"at: {at.isoformat()} is still to come")
        moment = now if at is None else max(min(at, now), _FIRST)
        configurations = self._still_there(await self._reads.configurations.at(moment), moment, is_now=at is None)
        are_several = len({*self._names, *(stored.cluster for stored in configurations)}) > 1
        alerts, silences = await asyncio.gather(
            self._alerts(moment, are_several=are_several) if has_alerts or is_narrowed() else _none(),
            self._reads.silences.at(moment, ended_since=moment - KEPT_ENDED, limit=MOST_SILENCES),
        )
        stored = _Stored(alerts, configurations, silences)
        return await asyncio.to_thread(self._state, stored, moment, is_now=at is None, cluster=cluster)

    async def silence(
        self, silence_id: str, at: datetime | None, *, cluster: str | None = None
    ) -> tuple[SilenceVersion | None, MomentState]:
        """The silence with that id as it stood at a time, None: now; None where there was none for who calls.

        One that ended long ago is known here, though an Alertmanager has forgotten it. With it comes the state. Raises
        as `state`.
        """
        state = await self.state(at, cluster=cluster, has_alerts=False)
        versions = [version for version in state.silences if version.silence.id == silence_id]
        if versions or state.is_narrowed:
            return (versions[0] if versions else None), state
        earlier = [
            version
            for version in await self._reads.silences.of([silence_id])
            if version.silence.updated_at <= state.at and cluster in {None, version.cluster or cluster}
        ]
        return (earlier[-1] if earlier else None), state

    def _still_there(
        self, configurations: Sequence[StoredConfiguration], at: datetime, *, is_now: bool
    ) -> list[StoredConfiguration]:
        """Without those of Alertmanagers that are not asked any more: nobody knows what they hold.

        A process that asks none, such as a command, goes by what the service kept.
        """
        return [
            stored
            for stored in configurations
            if not self._names or stored.cluster in self._names or (not is_now and at <= stored.seen_at + _GONE_AFTER)
        ]

    async def _alerts(self, at: datetime, *, are_several: bool) -> Sequence[MomentAlert]:
        """Who told of them is asked only where there are several Alertmanagers that could have."""
        alerts = await self._reads.moments.alerts(at, limit=MOST_ALERTS, names_witnesses=are_several)
        return await with_posted_ends(alerts, self._reads.moments, at)

    def _state(self, stored: _Stored, at: datetime, *, is_now: bool, cluster: str | None) -> MomentState:
        versions = {each.cluster: read_version(each) for each in stored.configurations}
        names = list(dict.fromkeys([*self._names, *versions]))
        if cluster is not None and cluster not in names:
            raise NotFound(_no_such_cluster(cluster, names))
        attribution = Attribution(names, self._witnesses())
        alerts = stored.alerts[:MOST_ALERTS]
        by_name = _by_cluster(alerts, attribution, names=names if cluster is None else [cluster])
        if cluster is not None:
            by_name = {cluster: by_name[cluster]}
        parts = [_part(name, versions.get(name), own, stored.silences, at=at) for name, own in by_name.items()]
        whole = MomentState(
            at=at,
            is_now=is_now,
            alerts=united(parts),
            silences=_once_each(each for each in stored.silences if cluster in {None, each.cluster or cluster}),
            clusters=[part.version for part in parts if part.version is not None],
            parts=parts,
            names=names,
            unknown=[],
        )
        state = within_reach(whole)
        unknown = [
            *beyond(at, oldest=self._clock() - self._retention),
            *cut(len(stored.alerts), most=MOST_ALERTS),
            *silent(state.parts, at),
            *unknown_of([alert for alert, _ in state.alerts], state.parts, names=names),
            *unattributed(_visible(alerts), state.parts, attribution=attribution, names=names),
        ]
        return msgspec.structs.replace(state, unknown=unknown)


def _once_each(versions: Iterable[SilenceVersion]) -> list[SilenceVersion]:
    """The newest version of each silence: peers that are asked as two Alertmanagers have the same silences."""
    newest: dict[str, SilenceVersion] = {}
    for version in versions:
        before = newest.get(version.silence.id)
        if before is None or before.silence.updated_at < version.silence.updated_at:
            newest[version.silence.id] = version
    return list(newest.values())


async def _none() -> Sequence[MomentAlert]:
    return ()


def _visible(alerts: Sequence[MomentAlert]) -> list[MomentAlert]:
    """Those within the reach of who calls: a sentence that counts others would tell how many there are."""
    return [alert for alert in alerts if is_within(alert.labels, alert.annotations)]


def _by_cluster(
    alerts: Sequence[MomentAlert], attribution: Attribution, *, names: Sequence[str]
) -> dict[str, list[MomentAlert]]:
    """The alerts of each of these clusters; under an empty name those of none, if there are any or no clusters."""
    own: dict[str, list[MomentAlert]] = {name: [] for name in names}
    others: list[MomentAlert] = []
    for alert in alerts:
        clusters = attribution.clusters(alert)
        for name in clusters:
            if name in own:
                own[name].append(alert)
        if not clusters:
            others.append(alert)
    if others or not own:
        own[""] = others
    return own


def _part(
    name: str,
    version: ClusterVersion | None,
    alerts: Sequence[MomentAlert],
    silences: Sequence[SilenceVersion],
    *,
    at: datetime,
) -> ClusterMoment:
    """What one cluster holds. A silence of which nobody knows where it was made is in each."""
    own = [each.silence for each in silences if each.cluster in {"", name} or not name]
    prepared = None if version is None else statuses_of(version)
    if prepared is not None:
        made = prepared.of(alerts, silences=own, at=at)
    else:
        made = statuses(alerts, silences=own, configuration=None, at=at)
    return ClusterMoment(
        name=name,
        version=version,
        routing=None if version is None else routing_of(version),
        alerts=[(alert, _with_receiver(status)) for alert, status in zip(alerts, made, strict=True)],
    )


def _with_receiver(status: AlertStatus) -> AlertStatus:
    return status if status.receivers else msgspec.structs.replace(status, receivers=(NOT_KNOWN,))


def _no_such_cluster(name: str, names: Sequence[str]) -> str:
    known = f"there are {', '.join(names)}" if names else "none is known: ALERTMANAGER_URLS names those that are asked"
    return f"no Alertmanager is called {name!r}; {known}"
