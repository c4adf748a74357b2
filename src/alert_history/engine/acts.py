"""What people do about occurrences: they acknowledge them and write notes, and the targets that can show it are told.

Must not decide how a target shows an act (`targets` do), and must not change an occurrence.
"""

from collections.abc import Collection
from typing import Protocol

import msgspec

from alert_history.domain.acts import Act, ActKind, acknowledgement_id
from alert_history.engine.history import Moved, key_of
from alert_history.engine.intake import MakeId
from alert_history.errors import NotFound
from alert_history.ports import Acts, Clock, History, StoredAlert


class ActTaken(msgspec.Struct, frozen=True):
    """An act that is kept. `is_repeated`: it was kept before, so it is told to no target again.

    `targets` are those that are told of it now.
    """

    act: Act
    is_repeated: bool = False
    targets: tuple[str, ...] = ()


class ActTargets(Protocol):
    """The targets, as far as acts are concerned."""

    def may_show(self, name: str, kind: ActKind) -> bool:
        """Whether the target of that name may be able to show such an act."""
        ...

    def wake(self, names: Collection[str] | None = None) -> None:
        """Let these targets look for new work."""
        ...


class Acting:
    """Takes the acts of people. Every call may raise NotFound or StorageUnavailable."""

    def __init__(self, history: History, acts: Acts, *, targets: ActTargets, clock: Clock, make_id: MakeId) -> None:
        self._history = history
        self._acts = acts
        self._targets = targets
        self._clock = clock
        self._make_id = make_id

    async def acknowledge(self, occurrence_id: str, *, by: str, text: str) -> ActTaken | Moved:
        """Keep that a person takes care of an occurrence. A second call of the same person changes nothing."""
        alert = await self._found(occurrence_id)
        if alert.id != occurrence_id:
            return Moved(alert.id)
        key = key_of(alert.id)
        act_id = acknowledgement_id(key, by=by, acts=await self._acts.of_occurrence(*key))
        return await self._take(self._act(alert, "acknowledged", act_id=act_id, by=by, text=text))

    async def note(self, occurrence_id: str, *, by: str, text: str) -> ActTaken | Moved:
        """Keep a person's note about an occurrence. The same words again are one more note."""
        alert = await self._found(occurrence_id)
        if alert.id != occurrence_id:
            return Moved(alert.id)
        act_id = self._make_id(self._clock())
        return await self._take(self._act(alert, "noted", act_id=act_id, by=by, text=text))

    async def _found(self, occurrence_id: str) -> StoredAlert:
        """The occurrence, if something may be kept of it. Raises NotFound: nothing in an archive changes."""
        alert = await self._history.find(occurrence_id)
        if alert.is_archived:
            raise NotFound(f"{occurrence_id!r} is in an archive, where nothing changes; restore it first")
        return alert

    def _act(self, alert: StoredAlert, kind: ActKind, *, act_id: str, by: str, text: str) -> Act:
        fingerprint, starts_at = key_of(alert.id)
        labels = (alert.alertname, alert.severity, alert.namespace)
        return Act(act_id, fingerprint, starts_at, *labels, self._clock(), kind, by, text)

    async def _take(self, act: Act) -> ActTaken:
        audience = await self._acts.audience(*act.key)
        targets = tuple(name for name in audience if self._targets.may_show(name, act.kind))
        if not await self._acts.keep(act, targets=targets):
            earlier = await self._acts.of_occurrence(*act.key)
            return ActTaken(next((other for other in earlier if other.id == act.id), act), is_repeated=True)
        self._targets.wake(targets)
        return ActTaken(act, targets=targets)
