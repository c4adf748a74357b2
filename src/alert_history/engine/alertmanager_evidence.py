"""What the timeline of an occurrence says of an Alertmanager: whom it notified, and what muted the occurrence there.

Pure. `domain.alertmanager.explanation` decides what follows.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.evidence import Evidence, Notice, SaidMuting
from alert_history.domain.alertmanager.outcome import InhibitingAlert, Muting, MutingSilence
from alert_history.domain.alertmanager.route_simulation import Fired
from alert_history.domain.reconciling import ASKED
from alert_history.ports import StoredEvent

_ALERTMANAGER = "alertmanager/"
_INTERVAL = "of the time interval "
"""How a listing names what mutes an alert where that is a time interval (`engine.listing`)."""

_ROLES = frozenset({"firing", "resolved", "muted"})
_FIRING = frozenset({"fired", "refired", "published", "annotations_changed", "start_moved", "confirmed"})


def evidence_of(events: Sequence[StoredEvent]) -> Evidence:
    """What these events say, oldest first."""
    return Evidence(
        notices=sorted(_notices(events), key=lambda notice: notice.at),
        mutings=list(_mutings(events)),
        groups=[(_text(event, "receiver"), event.at) for event in events if event.kind == "grouped"],
        is_recorded=any(event.kind in {"grouped", "notified"} for event in events),
    )


def completed(
    evidence: Evidence, others: Sequence[Fired], silences: Sequence[Silence], *, is_narrowed: bool
) -> Evidence:
    """The evidence with what is known by now: when silences really ended, and which alerts inhibited it until when.

    `silences` are all versions of those that match it. `is_narrowed`: who asks may not see alerts that are not known.
    """
    known = {other.fingerprint: other for other in others}
    ends = {silence.id: silence.ends_at for silence in sorted(silences, key=lambda silence: silence.updated_at)}
    mutings = [
        msgspec.structs.replace(said, muting=_completed(said.muting, known, ends, is_narrowed=is_narrowed))
        for said in evidence.mutings
    ]
    return msgspec.structs.replace(evidence, mutings=mutings)


def _completed(
    muting: Muting, known: Mapping[str, Fired], ends: Mapping[str, datetime], *, is_narrowed: bool
) -> Muting:
    inhibitors = [_inhibitor(each, known.get(each.fingerprint), is_narrowed=is_narrowed) for each in muting.inhibitors]
    silences = [
        msgspec.structs.replace(silence, ends_at=ends.get(silence.id, silence.ends_at)) for silence in muting.silences
    ]
    until = [silence.ends_at for silence in silences] + [alert.ends_at for alert in inhibitors]
    lasts = [each for each in until if each is not None]
    is_open = len(lasts) < len(until) or not lasts
    return Muting(silences, inhibitors, muting.intervals, None if is_open else max(lasts))


def _inhibitor(alert: InhibitingAlert, other: Fired | None, *, is_narrowed: bool) -> InhibitingAlert:
    if other is None:
        return msgspec.structs.replace(alert, is_named=not is_narrowed)
    return msgspec.structs.replace(
        alert, labels=other.labels, starts_at=other.starts_at, ends_at=other.ends_at, is_named=other.is_named
    )


def _notices(events: Sequence[StoredEvent]) -> Iterator[Notice]:
    for event in events:
        if event.kind == "notified":
            yield _recorded(event)
        elif event.source == "alertmanager" and event.receiver and event.receipt_id is not None:
            if event.kind in _FIRING:
                yield Notice(event.at, event.receiver, "firing", "webhook", is_ours=True)
            elif event.kind == "resolved":
                yield Notice(event.at, event.receiver, "resolved", "webhook", is_ours=True)


def _recorded(event: StoredEvent) -> Notice:
    role = _text(event, "role")
    return Notice(
        event.at,
        _text(event, "receiver"),
        role if role in _ROLES else "firing",  # type: ignore[arg-type]  # one of the three
        _text(event, "integration"),
        _text(event, "instance"),
        group_key=_text(event, "group_key"),
    )


def _mutings(events: Sequence[StoredEvent]) -> Iterator[SaidMuting]:
    """What was said to mute it, each until the next word on that of the same kind, or until it was lifted."""
    muting_events = [event for event in events if event.kind in {"silenced", "inhibited", "unsilenced"}]
    for position, event in enumerate(muting_events):
        if event.kind == "unsilenced":
            continue
        lifted = next((other.at for other in muting_events[position + 1 :] if other.kind == "unsilenced"), None)
        yield SaidMuting(event.at, _muting(event), _text(event, "instance"), _cluster(event), lifted)


def _muting(event: StoredEvent) -> Muting:
    detail = event.detail or {}
    if event.kind == "inhibited":
        rules = ", ".join(map(str, detail.get("rules") or ()))
        return Muting(
            inhibitors=[InhibitingAlert(str(each), {}, rules) for each in detail.get("inhibited_by") or ["?"]]
        )
    name = _text(event, "silence_id")
    if name.startswith(_INTERVAL):
        return Muting(intervals=name.removeprefix(_INTERVAL).split(", "))
    ends_at = _time(detail, "ends_at")
    silence = MutingSilence(name, _text(event, "created_by"), _text(event, "comment"), event.at, ends_at)
    return Muting(silences=[silence], until=ends_at)


def _time(detail: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(detail[name]) if detail.get(name) else None


def _text(event: StoredEvent, name: str) -> str:
    return str((event.detail or {}).get(name) or "")


def _cluster(event: StoredEvent) -> str:
    """The name of the cluster whose API said so."""
    asked = _text(event, ASKED)
    return asked.removeprefix(_ALERTMANAGER) if asked.startswith(_ALERTMANAGER) else ""
