"""Silences as they stood at a past moment, by their versions; see `ports.Silences`.

What ended long before the moment is left out, as an Alertmanager forgets it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from alert_history.domain.alert import Silence
from alert_history.domain.silence_matching import state_of
from alert_history.errors import InvalidQuery
from alert_history.ports import MutedAlerts, SilenceCounts, SilencePage, Silences, SilenceState, SilenceVersions

ENDED_WITHIN = timedelta(days=90)
MOST_SILENCES = 5_000
_MUTED_READ = 50


class SilencesAsOf:
    """See `ports.Silences`; `now` of its calls is passed over: the moment is. Reads the versions once."""

    def __init__(self, silences: Silences, versions: SilenceVersions, at: datetime) -> None:
        self._silences = silences
        self._versions = versions
        self._at = at
        self._of_then: Sequence[Silence] | None = None

    async def in_force(self, since: datetime, until: datetime, *, limit: int) -> list[Silence]:
        """See `ports.Silences.in_force`."""
        own = [each for each in await self._all() if each.starts_at < until and each.ends_at > since]
        return sorted(own, key=lambda each: (each.ends_at, each.id))[:limit]

    async def named(self, ids: Collection[str]) -> list[Silence]:
        """See `ports.Silences.named`: the newest versions that had been made by then."""
        versions = await self._versions.of(ids)
        newest = {each.silence.id: each.silence for each in versions if each.silence.updated_at <= self._at}
        return [newest[id_] for id_ in sorted(newest)]

    async def page(
        self,
        state: SilenceState,
        now: datetime,  # noqa: ARG002  # the port's shape
        *,
        limit: int,
        cursor: str | None = None,
        ends_before: datetime | None = None,
    ) -> SilencePage:
        """See `ports.Silences.page`."""
        own = [each for each in await self._all() if state_of(each, self._at) == state]
        if ends_before is not None:
            own = [each for each in own if each.ends_at < ends_before]
        own.sort(
            key=lambda each: (each.starts_at if state == "pending" else each.ends_at, each.id),
            reverse=state == "expired",
        )
        begin = _place(cursor, state)
        following = begin + limit if begin + limit < len(own) else None
        return SilencePage(own[begin : begin + limit], None if following is None else f"{state}.{following}")

    async def counts(self, now: datetime, *, soon: datetime) -> SilenceCounts:  # noqa: ARG002  # the port's shape
        """See `ports.Silences.counts`."""
        states = [(state_of(each, self._at), each) for each in await self._all()]
        numbers = {state: sum(own == state for own, _ in states) for state in ("active", "pending", "expired")}
        return SilenceCounts(
            soon=sum(state == "active" and each.ends_at < soon for state, each in states),
            **numbers,
        )

    async def muted(self, ids: Collection[str], *, newest: int) -> dict[str, MutedAlerts]:
        """See `ports.Silences.muted`: what events of until then say, as far as the newest events of each tell."""
        muted = await self._silences.muted(ids, newest=max(newest, _MUTED_READ))
        return {
            id_: MutedAlerts(alerts.number, alerts.is_exact, own[:newest])
            if len(own) == len(alerts.newest)
            else MutedAlerts(len(own), False, own[:newest])
            for id_, alerts in muted.items()
            if (own := [each for each in alerts.newest if each.at <= self._at])
        }

    async def _all(self) -> Sequence[Silence]:
        if self._of_then is None:
            versions = await self._versions.at(self._at, ended_since=self._at - ENDED_WITHIN, limit=MOST_SILENCES)
            self._of_then = list({each.silence.id: each.silence for each in versions}.values())
        return self._of_then


def _place(cursor: str | None, state: SilenceState) -> int:
    """The place behind which a page begins. Raises InvalidQuery."""
    if cursor is None:
        return 0
    made_for, _, place = cursor.partition(".")
    if made_for != state or not place.isascii() or not place.isdigit() or len(place) > len(str(MOST_SILENCES)):
        raise InvalidQuery("cursor: it is of no page of these silences")
    return int(place)
