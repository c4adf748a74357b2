"""What the receivers of Alertmanagers did about an occurrence and why, read from what is on record of then.

Reads a bounded number of records, and asks the whole store: what is out of the reach of who asks counts, and is not
named. Must not decide: `domain.alertmanager.explanation` does.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.behaviour import behaviour_of
from alert_history.domain.alertmanager.dispatch import Reload
from alert_history.domain.alertmanager.evidence import Evidence
from alert_history.domain.alertmanager.explanation import Gap, Scene, Subject, explain
from alert_history.domain.alertmanager.moment import ClusterVersion, SilenceVersion
from alert_history.domain.alertmanager.outcome import ReceiverOutcome
from alert_history.domain.alertmanager.route_simulation import Fired, World, route_outcomes
from alert_history.domain.silence_matching import SilenceMatching
from alert_history.engine.alertmanager_evidence import completed, evidence_of
from alert_history.engine.alertmanager_past import AlertmanagerPast, as_fired, end_of
from alert_history.engine.cluster_versions import read_version
from alert_history.engine.history import Records
from alert_history.engine.reach import is_narrowed
from alert_history.errors import InvalidQuery
from alert_history.ports import StoredAlert
from alert_history.ports.moments import Configurations, SilenceVersions

_GRAFANA = "grafana"
_FIRST_TELLERS = frozenset({"alertmanager", "event_recorder"})
_MOST_SILENCES = 2_000
_MOST_MATCHING = 50
_MOST_VERSIONS = 20
_NEVER_LONGER = timedelta(days=31)
"""Of an occurrence that lasted longer only the beginning is simulated."""


class AlertmanagerExplaining:
    """Explains what became of an occurrence at receivers. Every call may raise StorageUnavailable or QueryTimeout.

    `patience` is for how long an Alertmanager need not have answered us before that counts.
    """

    def __init__(
        self,
        past: AlertmanagerPast,
        *,
        configurations: Configurations,
        silence_versions: SilenceVersions,
        patience: timedelta,
    ) -> None:
        self._past = past
        self._configurations = configurations
        self._silence_versions = silence_versions
        self._patience = patience

    async def outcomes(self, records: Records, *, now: datetime) -> list[ReceiverOutcome]:
        """What became of it at each receiver; none where no Alertmanager can have had it."""
        alert, evidence = records.alert, evidence_of(records.events)
        if alert.source == _GRAFANA and not evidence.notices:
            return []
        fired = as_fired(alert, now)
        until = min(fired.ends_at or now, fired.had_at + _NEVER_LONGER)
        silences = [] if alert.is_archived else await self._silences(alert, fired.had_at, until)
        scenes = [] if alert.is_archived else await self._scenes(alert, evidence, silences, until=until, now=now)
        others = [other for _, around in scenes for other in around]
        subject = Subject(alert.starts_at, end_of(alert, now))
        known = [version.silence for version in silences]
        evidence = completed(evidence, others, known, is_narrowed=is_narrowed())
        outcomes = explain(subject, evidence, [scene for scene, _ in scenes], now=now)
        if is_narrowed():  # receivers that it does not go to are those of others
            outcomes = [outcome for outcome in outcomes if outcome.kind != "not_routed"]
        return outcomes

    async def _scenes(
        self,
        alert: StoredAlert,
        evidence: Evidence,
        silences: Sequence[SilenceVersion],
        *,
        until: datetime,
        now: datetime,
    ) -> list[tuple[Scene, Sequence[Fired]]]:
        """Each Alertmanager that is known of then, with what fired around the occurrence there."""
        subject = as_fired(alert, now)
        versions = [read_version(stored) for stored in await self._configurations.at(subject.had_at)]
        if not versions:
            later = await self._configurations.at(until)
            return [(Scene(each.cluster, None, since=each.since), ()) for each in later]
        is_told = alert.source in _FIRST_TELLERS and len(versions) == 1
        made = (self._scene(alert, subject, version, silences=silences, until=until, now=now) for version in versions)
        scenes = await asyncio.gather(*made)
        sure = {each.cluster for each in evidence.notices} | {each.cluster for each in evidence.mutings}
        return [
            (
                msgspec.structs.replace(scene, is_assumed=not is_told and not self._is_sure(scene, sure, versions)),
                others,
            )
            for scene, others in scenes
        ]

    def _is_sure(self, scene: Scene, clusters: set[str], versions: Sequence[ClusterVersion]) -> bool:
        """Whether it is on record that this Alertmanager had it."""
        return scene.cluster in clusters or (bool(clusters) and len(versions) == 1)

    async def _scene(
        self,
        alert: StoredAlert,
        subject: Fired,
        version: ClusterVersion,
        *,
        silences: Sequence[SilenceVersion],
        until: datetime,
        now: datetime,
    ) -> tuple[Scene, Sequence[Fired]]:
        if version.configuration is None:
            return Scene(version.name, None, fault=version.fault), ()
        try:
            around = await self._past.around(alert, version.configuration, until=until, now=now)
            reloads, gap = await self._later(version, subject.had_at, until)
            world = World(
                version.configuration,
                around.others,
                [each.silence for each in silences if each.cluster in {"", version.name}],
                reloads,
                around.unsure,
                behaviour_of(version.version_info.get("version", "")),
            )
            made = await asyncio.to_thread(route_outcomes, subject, world, now=now)
        except InvalidQuery as error:
            return Scene(version.name, None, fault=str(error)), ()
        return Scene(version.name, version.configuration, made, gap), around.others

    async def _later(
        self, version: ClusterVersion, had_at: datetime, until: datetime
    ) -> tuple[Sequence[Reload], Gap | None]:
        """The configurations that followed while it fired; and the time in which the Alertmanager did not answer us."""
        if version.seen_at >= until:
            return (), None
        stored = await self._configurations.versions(version.name, limit=_MOST_VERSIONS)
        later = sorted((each for each in stored if each.since > version.since), key=lambda each: each.since)
        following = later[0].since if later else None
        is_silent = version.seen_at + self._patience < had_at and (following is None or following > had_at)
        gap = Gap(version.seen_at, following) if is_silent else None
        read = [(each.since, read_version(each).configuration) for each in later if had_at < each.since < until]
        return [Reload(at, configuration) for at, configuration in read if configuration is not None], gap

    async def _silences(self, alert: StoredAlert, since: datetime, until: datetime) -> Sequence[SilenceVersion]:
        """All versions of the silences that match it and were in force at some time while it fired."""
        known = await self._silence_versions.at(until, ended_since=since, limit=_MOST_SILENCES)
        ids = await asyncio.to_thread(_matching, [each.silence for each in known], alert.labels)
        return await self._silence_versions.of(ids[:_MOST_MATCHING]) if ids else []


def _matching(silences: Sequence[Silence], labels: Mapping[str, str]) -> list[str]:
    matching = (silence.id for silence in silences if SilenceMatching(silence).matches(labels))
    return list(dict.fromkeys(matching))
