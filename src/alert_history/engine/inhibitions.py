"""By which alerts an occurrence was inhibited, from when to when, as its events say."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.occurrence import ENDINGS
from alert_history.engine.firing_alerts import FiringAlert, of_now
from alert_history.ports import History, HistoryFilter, PageRequest, StoredEvent

MOST_INHIBITORS = 10
_TICK = timedelta(microseconds=1)


class Inhibition(msgspec.Struct, frozen=True):
    """Alerts inhibited an occurrence from `begin` until `end`; None where nothing ended it so far.

    `by` are those of them that are known to who calls, `others` how many are not. `rules` are the names of the rules,
    as far as they were told.
    """

    begin: datetime
    end: datetime | None
    rules: Sequence[str]
    by: Sequence[FiringAlert] = ()
    others: int = 0


class _Told(msgspec.Struct, frozen=True):
    begin: datetime
    end: datetime | None
    fingerprints: tuple[str, ...]
    rules: tuple[str, ...]


async def inhibitions_of(events: Sequence[StoredEvent], history: History) -> list[Inhibition]:
    """The inhibitions that events of one occurrence tell of, the newest first, with so many inhibitors and no more."""
    notes = list(_told(events))[::-1]
    names = dict.fromkeys((print_, each.begin) for each in notes for print_ in each.fingerprints)
    asked = list(names)[:MOST_INHIBITORS]
    alerts = await asyncio.gather(*(_firing(print_, at, history) for print_, at in asked))
    known = {name: alert for name, alert in zip(asked, alerts, strict=True) if alert is not None}
    return [_inhibition(each, known) for each in notes]


def _inhibition(told: _Told, known: Mapping[tuple[str, datetime], FiringAlert]) -> Inhibition:
    by = [alert for print_ in told.fingerprints if (alert := known.get((print_, told.begin))) is not None]
    return Inhibition(told.begin, told.end, told.rules, by, len(told.fingerprints) - len(by))


def _told(events: Sequence[StoredEvent]) -> Iterator[_Told]:
    """What events tell, oldest first; the same told again is one inhibition."""
    current: _Told | None = None
    for event in events:
        if event.kind == "inhibited":
            detail = event.detail or {}
            following = _Told(event.at, None, _texts(detail.get("inhibited_by")), _texts(detail.get("rules")))
            if current is None or (current.fingerprints, current.rules) != (following.fingerprints, following.rules):
                if current is not None:
                    yield msgspec.structs.replace(current, end=event.at)
                current = following
        elif current is not None and (event.kind in {"unsilenced", "silenced"} or event.kind in ENDINGS):
            yield msgspec.structs.replace(current, end=event.at)
            current = None
    if current is not None:
        yield current


def _texts(value: object) -> tuple[str, ...]:
    return tuple(sorted(map(str, value))) if isinstance(value, list) else ()


async def _firing(fingerprint: str, at: datetime, history: History) -> FiringAlert | None:
    """The alert of that label set that fired at that time; None where it is gone, or beyond the reach of who calls."""
    page = await history.page(HistoryFilter(fingerprint=fingerprint, until=at + _TICK), PageRequest(limit=1))
    fired = [alert for alert in page.alerts if alert.ends_at is None or alert.ends_at >= at]
    return of_now(fired[0]) if fired else None
