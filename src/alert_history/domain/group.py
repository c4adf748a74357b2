"""A group of Alertmanager as its payloads show it: its alerts, how often it is sent, and which alerts have left.

A payload that is not truncated names all firing, unmuted alerts of its group. An alert that two payloads at least a
`group_interval` apart lack has left: it ended without a word, or it is silenced or inhibited. Pure.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b

import msgspec

from alert_history.domain.claim import SECOND_US

MOST_MEMBERS = 2_000
"""How many alerts a group may have, to be checked for alerts that left."""
MOST_MISSING = 500
_REMEMBERED_GAPS = 10
_SHORTEST_STALE_US = 60 * SECOND_US
_STALE_GAPS = 2
_DOUBLE_US = 5 * SECOND_US
"""How long after a payload one that says the same may be that payload once more: an answer was lost, or was slow."""
_START_LASTS_US = 5 * 60 * SECOND_US


class SeenGroup(msgspec.Struct):
    """What is known of one group. `firing` and `resolved` are the fingerprints that its last payload listed.

    `missing` are those that the payloads since then lack, and since when. `gaps` are the last ones between two payloads
    that list the same firing alert, `repeats` those between two that say the same; `interval_us` is the shortest.
    """

    id: str
    receiver: str
    sender: str
    last_us: int
    firing: frozenset[str]
    resolved: frozenset[str] = frozenset()
    missing: dict[str, int] = {}
    gaps: list[int] = []
    repeats: list[int] = []
    interval_us: int | None = None


class Payload(msgspec.Struct, frozen=True):
    """One payload of a group: its alerts' fingerprints, those that fire and those that are over."""

    id: str
    receiver: str
    sender: str
    at_us: int
    firing: frozenset[str]
    resolved: frozenset[str]
    is_truncated: bool = False
    restarted_us: int | None = None


@lru_cache(maxsize=4096)
def group_id(scope: str, sender: str, receiver: str, group_key: str) -> str:
    """What names a group of a witness, the same in every process."""
    text = f"{scope}\0{sender}\0{receiver}\0{group_key}"
    return blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()


def see(group: SeenGroup | None, payload: Payload) -> tuple[SeenGroup, dict[str, int]]:
    """What is known after a payload, and who has left the group: fingerprint → since when it is missing.

    A payload that shares nothing with the one before may be of another group with the same key: it begins anew.
    """
    if group is None:
        return _begun(payload), {}
    gap_us = payload.at_us - group.last_us
    if gap_us < SECOND_US:  # its peer says the same
        return group, {}
    is_shared = not payload.firing.isdisjoint(group.firing)
    if not is_shared and payload.resolved.isdisjoint(group.firing):
        after = _begun(payload)
        after.gaps, after.repeats, after.interval_us = group.gaps, group.repeats, group.interval_us
        return after, {}
    is_repeat = payload.firing == group.firing and payload.resolved == group.resolved
    if is_repeat and gap_us < _DOUBLE_US:
        return group, {}
    interval_us = min(gap_us, group.interval_us or gap_us)
    missing, left = _missing(group, payload, interval_us=interval_us)
    after = SeenGroup(
        group.id,
        group.receiver,
        payload.sender,
        payload.at_us,
        _members(group, payload),
        payload.resolved,
        missing,
        [*group.gaps, gap_us][-_REMEMBERED_GAPS:] if is_shared else group.gaps,
        [*group.repeats, gap_us][-_REMEMBERED_GAPS:] if is_repeat else group.repeats,
        interval_us,
    )
    return after, left


def stale_after(groups: Iterable[SeenGroup]) -> Mapping[str, int]:
    """By receiver: how long what it listed may go without a sign. Twice the longest gap between two that say the same.

    Gaps between payloads that differ count where none that repeat was seen: changes in the group make them short. It is
    never less than a minute.
    """
    repeats: dict[str, int] = {}
    gaps: dict[str, int] = {}
    for group in groups:
        if group.repeats:
            repeats[group.receiver] = max(repeats.get(group.receiver, 0), *group.repeats)
        if group.gaps:
            gaps[group.receiver] = max(gaps.get(group.receiver, 0), *group.gaps)
    return {receiver: max(_STALE_GAPS * longest, _SHORTEST_STALE_US) for receiver, longest in (gaps | repeats).items()}


def _begun(payload: Payload) -> SeenGroup:
    return SeenGroup(payload.id, payload.receiver, payload.sender, payload.at_us, payload.firing, payload.resolved)


def _members(group: SeenGroup, payload: Payload) -> frozenset[str]:
    """Of a truncated payload those of before stay, unless it says that they are over."""
    if not payload.is_truncated or len(group.firing) > MOST_MEMBERS:
        return payload.firing
    return (payload.firing | group.firing) - payload.resolved


def _missing(group: SeenGroup, payload: Payload, *, interval_us: int) -> tuple[dict[str, int], dict[str, int]]:
    """Who is missing after a payload, and who has been for long enough."""
    listed = payload.firing | payload.resolved
    known = {name: since for name, since in group.missing.items() if name not in listed}
    if payload.is_truncated or _has_just_started(payload) or len(group.firing) > MOST_MEMBERS:
        return known, {}
    left = {name: since for name, since in known.items() if payload.at_us - since >= interval_us}
    missing = {name: since for name, since in known.items() if name not in left}
    for name in sorted(group.firing - listed):
        if len(missing) < MOST_MISSING:
            missing.setdefault(name, payload.at_us)
    return missing, left


def _has_just_started(payload: Payload) -> bool:
    """Whether its Alertmanager may not have heard of all its alerts yet."""
    return payload.restarted_us is not None and payload.at_us - payload.restarted_us < _START_LASTS_US
