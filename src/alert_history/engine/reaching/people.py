"""What people did, silenced and judged, and what they keep for all, as far as it concerns who calls."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from alert_history.domain.acts import Act
from alert_history.domain.alert import Silence
from alert_history.domain.classification import Case, KeptVerdict, Past
from alert_history.domain.occurrence import Key
from alert_history.domain.severity import Severity
from alert_history.engine.reach import as_shown, check_sees_all, is_narrowed, within
from alert_history.engine.reaching.keys import ReachedKeys
from alert_history.errors import NotFound
from alert_history.ports import (
    Accuracy,
    Acts,
    ClassificationHistory,
    ClassifiedCount,
    History,
    HistoryFilter,
    MutedAlerts,
    PageRequest,
    SilenceCounts,
    SilencePage,
    Silences,
    SilenceState,
    StoredSettings,
)

_ACTS_READ = 5_000
_MUTED_READ = 50
_VERDICTS_READ = 50
_TICK = timedelta(microseconds=1)


class ReachingActs:
    """See `ports.Acts`."""

    def __init__(self, acts: Acts, keys: ReachedKeys) -> None:
        self._acts = acts
        self._keys = keys

    async def keep(self, act: Act, *, targets: Sequence[str] = ()) -> bool:
        """See `ports.Acts.keep`. Raises NotFound for an occurrence beyond the reach."""
        if is_narrowed() and not await self._keys.has(act.key):
            raise NotFound("no such occurrence")
        return await self._acts.keep(act, targets=targets)

    async def of_occurrence(self, fingerprint: str, starts_at: datetime) -> list[Act]:
        """See `ports.Acts.of_occurrence`."""
        if is_narrowed() and not await self._keys.has((fingerprint, starts_at)):
            return []
        return await self._acts.of_occurrence(fingerprint, starts_at)

    async def of_occurrences(self, keys: Collection[Key]) -> list[Act]:
        """See `ports.Acts.of_occurrences`."""
        return await self._acts.of_occurrences(await self._keys.among(keys) if is_narrowed() else keys)

    async def between(self, since: datetime, until: datetime, *, limit: int) -> list[Act]:
        """See `ports.Acts.between`."""
        if not is_narrowed():
            return await self._acts.between(since, until, limit=limit)
        own: list[Act] = []
        while len(own) < limit and since < until:
            acts = await self._acts.between(since, until, limit=_ACTS_READ)
            is_last = len(acts) < _ACTS_READ
            if not is_last and acts[0].at < acts[-1].at:  # those of the last moment may be cut: they come once more
                acts = [act for act in acts if act.at < acts[-1].at]
            own += await self._keys.rows(acts, [act.key for act in acts])
            if is_last:
                break
            since = acts[-1].at + _TICK
        return own[:limit]

    async def audience(self, fingerprint: str, starts_at: datetime) -> list[str]:
        """See `ports.Acts.audience`."""
        if is_narrowed() and not await self._keys.has((fingerprint, starts_at)):
            return []
        return await self._acts.audience(fingerprint, starts_at)


class ReachingSilences:
    """See `ports.Silences`. Of silences, those concern a caller that muted an alert within the reach."""

    def __init__(self, silences: Silences, keys: ReachedKeys) -> None:
        self._silences = silences
        self._keys = keys

    async def in_force(self, since: datetime, until: datetime, *, limit: int) -> list[Silence]:
        """See `ports.Silences.in_force`."""
        silences = await self._silences.in_force(since, until, limit=limit)
        if not is_narrowed() or not silences:
            return silences
        muted = await self._silences.muted([silence.id for silence in silences], newest=_MUTED_READ)
        ids = {alert.occurrence_id for alerts in muted.values() for alert in alerts.newest}
        reached = await self._keys.of_ids(ids)
        own = {id_ for id_, alerts in muted.items() if any(each.occurrence_id in reached for each in alerts.newest)}
        return [silence for silence in silences if silence.id in own]

    async def named(self, ids: Collection[str]) -> list[Silence]:
        """See `ports.Silences.named`. Callers know of the ids in the events of their own alerts, and of no other."""
        return await self._silences.named(ids)

    async def page(
        self,
        state: SilenceState,
        now: datetime,
        *,
        limit: int,
        cursor: str | None = None,
        ends_before: datetime | None = None,
    ) -> SilencePage:
        """See `ports.Silences.page`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._silences.page(state, now, limit=limit, cursor=cursor, ends_before=ends_before)

    async def counts(self, now: datetime, *, soon: datetime) -> SilenceCounts:
        """See `ports.Silences.counts`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._silences.counts(now, soon=soon)

    async def muted(self, ids: Collection[str], *, newest: int) -> dict[str, MutedAlerts]:
        """See `ports.Silences.muted`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._silences.muted(ids, newest=newest)


class ReachingSettings:
    """See `ports.StoredSettings`. Saved views and the like are of all: who sees some alerts only has none of them."""

    def __init__(self, settings: StoredSettings) -> None:
        self._settings = settings

    async def read(self, name: str) -> Any:
        """See `ports.StoredSettings.read`."""
        return None if is_narrowed() else await self._settings.read(name)

    async def write(self, name: str, value: Any) -> None:
        """See `ports.StoredSettings.write`. Raises Forbidden where there is a reach."""
        check_sees_all()
        await self._settings.write(name, value)

    async def change(self, name: str, make: Callable[[Any], Any]) -> Any:
        """See `ports.StoredSettings.change`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._settings.change(name, make)


class ReachingClassificationHistory:
    """See `ports.ClassificationHistory`. Alerts of others may have the same shape, so verdicts on these are left out.

    Of the others the words are left out, as in `engine.reach.as_shown`.
    """

    def __init__(self, classifications: ClassificationHistory, history: History) -> None:
        self._classifications = classifications
        self._history = history

    async def history(self, shape: str, *, limit: int) -> list[KeptVerdict]:
        """See `ports.ClassificationHistory.history`."""
        if not is_narrowed():
            return await self._classifications.history(shape, limit=limit)
        verdicts = await self._classifications.history(shape, limit=max(limit, _VERDICTS_READ))
        reached = {each.fingerprint: await self._is_reached(each.fingerprint) for each in verdicts}
        return [as_shown(each) for each in verdicts if reached[each.fingerprint]][:limit]

    async def _is_reached(self, fingerprint: str) -> bool:
        page = await self._history.page(within(HistoryFilter(fingerprint=fingerprint)), PageRequest(limit=1))
        return bool(page.alerts)

    async def recent(self, *, limit: int, severity: Severity | None) -> list[KeptVerdict]:
        """See `ports.ClassificationHistory.recent`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._classifications.recent(limit=limit, severity=severity)

    async def counts(self, *, since: datetime, until: datetime) -> list[ClassifiedCount]:
        """See `ports.ClassificationHistory.counts`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._classifications.counts(since=since, until=until)

    async def accuracy(self, *, since: datetime, until: datetime) -> list[Accuracy]:
        """See `ports.ClassificationHistory.accuracy`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._classifications.accuracy(since=since, until=until)

    async def past(self, case: Case) -> Past:
        """See `ports.ClassificationHistory.past`. Raises Forbidden where there is a reach."""
        check_sees_all()
        return await self._classifications.past(case)
