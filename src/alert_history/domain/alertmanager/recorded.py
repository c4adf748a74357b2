"""What one occurrence was at a past moment, from how it is recorded now and from its events. Pure.

The rule: what was posted to us fired from when we had received it until we received its end. What an Alertmanager or a
Grafana told, what it was found by, and what was imported, was known elsewhere before we heard of it: it fired from its
start to its end. `docs/explanation/moments.md` explains both to users.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from alert_history.domain.alert import Source
from alert_history.domain.alertmanager.moment import MomentAlert, MutedBy
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import ENDINGS, EventKind, occurrence_id
from alert_history.domain.reconciling import ASKED
from alert_history.domain.speaker import recorder_id, split_scope, witness_id
from alert_history.domain.standing import EndedBy

NEEDED_KINDS: tuple[EventKind, ...] = (
    "fired",
    "refired",
    "resolved",
    "expired",
    "inferred",
    "reconciled",
    "start_moved",
    "annotations_changed",
    "unconfirmed",
    "confirmed",
    "silenced",
    "inhibited",
    "unsilenced",
)
"""The kinds of events that say what an occurrence was."""

_OPENINGS = frozenset({"fired", "refired"})
_MUTES = frozenset({"silenced", "inhibited", "unsilenced"})
_TIMES = ("endsAt", "updatedAt")

_State = Literal["confirmed", "unconfirmed"]


class Change(msgspec.Struct, frozen=True, gc=False):
    """An event of an occurrence. `origin` is the external URL of the request that brought it, where it is a firing."""

    kind: EventKind
    at: datetime
    detail: Mapping[str, Any]
    origin: str = ""


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An occurrence as it is recorded now. `fingerprint` is with its scope; `key` is its key as a time.

    `starts_at` is the start that is shown, `ends_at` None while it fires; `expires_at` is until when its senders
    promise it, None where they are silent. `changes` are its events of `NEEDED_KINDS` in their order.
    """

    fingerprint: str
    key: datetime
    starts_at: datetime
    received_at: datetime
    ends_at: datetime | None
    ended_by: EndedBy | None
    expires_at: datetime | None
    last_received_at: datetime
    confirmed_at: datetime | None
    is_imported: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    generator_url: str
    source: Source
    receiver: str
    changes: Sequence[Change] = ()


def alert_at(recorded: Recorded, at: datetime) -> MomentAlert | None:
    """What the occurrence was at a moment; None where it did not fire then."""
    is_posted = was_posted(recorded)
    state = _posted_state(recorded, at) if is_posted else _told_state(recorded, at)
    if state is None:
        return None
    ends_at, updated_at, unknown = _promise(recorded, at) if is_posted else (None, _last_news(recorded, at), _TIMES)
    is_unconfirmed = state == "unconfirmed" or (is_posted and ends_at is not None and ends_at <= at)
    fingerprint, scope = split_scope(recorded.fingerprint)
    return MomentAlert(
        occurrence_id=occurrence_id(recorded.fingerprint, to_us(recorded.key)),
        fingerprint=fingerprint,
        scope=scope,
        labels=recorded.labels,
        annotations=_annotations(recorded, at),
        starts_at=_start(recorded, at),
        ends_at=ends_at,
        updated_at=updated_at,
        generator_url=recorded.generator_url,
        source=recorded.source,
        receiver=recorded.receiver,
        is_unconfirmed=is_unconfirmed,
        witnesses=() if is_posted else _witnesses(recorded, at),
        muted=_muted(recorded, at),
        unknown=("status", *unknown) if is_unconfirmed else unknown,
    )


def was_posted(recorded: Recorded) -> bool:
    """Whether its sender posted it to us, so that no Alertmanager knew of it before us by our word."""
    if recorded.source != "prometheus" or recorded.is_imported:
        return False
    return not any(change.kind == "fired" and ASKED in change.detail for change in recorded.changes)


def listed(alerts: Iterable[MomentAlert]) -> list[MomentAlert]:
    """By fingerprint and scope, each label set once: as it is confirmed, else as it began last."""
    chosen: dict[tuple[str, str], MomentAlert] = {}
    for alert in alerts:
        other = chosen.get((alert.fingerprint, alert.scope))
        if other is None or _weight(alert) > _weight(other):
            chosen[alert.fingerprint, alert.scope] = alert
    return [chosen[key] for key in sorted(chosen)]


def _weight(alert: MomentAlert) -> tuple[bool, datetime]:
    return not alert.is_unconfirmed, alert.starts_at


# --- Whether it fired -------------------------------------------------------------------------------------------------


def _posted_state(recorded: Recorded, at: datetime) -> _State | None:
    """By what had been received: the last word by then opened it."""
    word, end = None, None
    for change in recorded.changes:
        if change.kind in _OPENINGS or change.kind in ENDINGS:
            if change.at > at:
                end = change if change.kind in ENDINGS else None
                break
            word = change
    if word is None or word.kind not in _OPENINGS:
        return None
    if end is not None and end.kind != "resolved" and _bounds(end)[0] <= at:
        return "unconfirmed"
    return _said_state(recorded, at)


def _told_state(recorded: Recorded, at: datetime) -> _State | None:
    """By its own times; within the bounds of an end that nobody sent, it may have fired."""
    if recorded.starts_at > at:
        return None
    if recorded.ends_at is None or at < recorded.ends_at:
        return _said_state(recorded, at)
    if recorded.ended_by in {None, "resolved"}:
        return None
    end = next((change for change in reversed(recorded.changes) if change.kind in ENDINGS), None)
    return "unconfirmed" if end is not None and at < _bounds(end)[1] else None


def _bounds(end: Change) -> tuple[datetime, datetime]:
    """Between what an end lies that nobody sent: from the last sign to when it was surely over, or we took it so."""
    between = end.detail.get("between")
    if between:
        since, until = map(datetime.fromisoformat, between)
        return since, until
    ends_at = end.detail.get("ends_at")
    return (end.at if ends_at is None else datetime.fromisoformat(ends_at)), end.at


def _said_state(recorded: Recorded, at: datetime) -> _State:
    """Whether a sender confirmed it then, as events say."""
    return "confirmed" if _silent_since(recorded, at) is None else "unconfirmed"


# --- What it said -----------------------------------------------------------------------------------------------------


def _promise(recorded: Recorded, at: datetime) -> tuple[datetime | None, datetime, tuple[str, ...]]:
    """Until when its sender had promised it, when the sender had last said so, and what of both is not known."""
    if recorded.ends_at is None and recorded.last_received_at <= at:
        if recorded.expires_at is not None:
            return recorded.expires_at, recorded.last_received_at, ()
        return _silent_since(recorded, at), recorded.last_received_at, ("endsAt",)
    said_at = recorded.confirmed_at
    if recorded.ended_by == "expired" and said_at is not None and said_at <= at:
        return recorded.ends_at, said_at, ()
    return _silent_since(recorded, at), _last_news(recorded, at), _TIMES


def _silent_since(recorded: Recorded, at: datetime) -> datetime | None:
    """When it was noticed that its sender had fallen silent, where it still was: its promise had passed by then."""
    since: datetime | None = None
    for change in recorded.changes:
        if change.at > at:
            break
        if change.kind == "unconfirmed":
            since = change.at
        elif change.kind == "confirmed" or change.kind in _OPENINGS:
            since = None
    return since


def _last_news(recorded: Recorded, at: datetime) -> datetime:
    """The last time by then at which something was said of it that is on record, or else its start."""
    return max((change.at for change in recorded.changes if change.at <= at), default=min(recorded.starts_at, at))


def _annotations(recorded: Recorded, at: datetime) -> Mapping[str, str]:
    """The annotations as they were: changes since then are taken back, the newest first."""
    later = [change.detail for change in recorded.changes if change.at > at and "before" in change.detail]
    if not later:
        return recorded.annotations
    annotations = dict(recorded.annotations)
    for detail in reversed(later):
        for name in detail["after"]:
            annotations.pop(name, None)
        annotations |= detail["before"]
    return annotations


def _start(recorded: Recorded, at: datetime) -> datetime:
    """The start as it was known then."""
    for change in recorded.changes:
        if change.kind == "start_moved" and change.at > at and "was" in change.detail:
            return min(datetime.fromisoformat(change.detail["was"]), at)
    return recorded.starts_at


def _muted(recorded: Recorded, at: datetime) -> MutedBy | None:
    """What muted it: the silences since it was last free of them that had not ended, or else the last inhibition."""
    silences: list[str] = []
    inhibited: MutedBy | None = None
    for change in recorded.changes:
        if change.at > at or change.kind not in _MUTES:
            continue
        if change.kind == "silenced":
            inhibited = None
            ends = change.detail.get("ends_at")
            if ends is None or datetime.fromisoformat(ends) > at:
                silences.append(str(change.detail.get("silence_id", "")))
        elif change.kind == "inhibited":
            inhibited = ("inhibited", tuple(map(str, change.detail.get("inhibited_by", ()))))
        else:
            silences, inhibited = [], None
    return ("silenced", tuple(sorted({*silences}))) if silences else inhibited


def _witnesses(recorded: Recorded, at: datetime) -> tuple[str, ...]:
    """The ids of the senders that had said by then that it fires."""
    names: set[str] = set()
    for change in recorded.changes:
        if change.at > at and change.kind != "fired":
            continue
        if change.origin:
            names.add(witness_id(change.origin))
        names |= _named_in(change.detail)
    return tuple(sorted(names))


def _named_in(detail: Mapping[str, Any]) -> set[str]:
    """The ids of the witnesses that the detail of an event names."""
    asked = str(detail.get(ASKED, ""))
    if asked:
        kind, _, name = asked.partition("/")
        return {witness_id(f"api of {name}")} if kind == "alertmanager" else set()
    if instance := detail.get("instance"):
        return {recorder_id(str(instance))}
    sender = detail.get("sender")
    return {witness_id(str(sender))} if sender else set()
