"""The history of one silence: what each version of it changed, when, and by whom. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.silence_matching import queries_of

ChangeKind = Literal["created", "known", "edited", "prolonged", "shortened", "expired"]
"""`known`: the oldest version that reached us is not the first that there was. `expired`: somebody ended it early."""

FieldName = Literal["matchers", "starts_at", "ends_at", "created_by", "comment"]

_AT_ONCE = timedelta(seconds=2)
"""Alertmanager writes a silence that begins now, or is ended, a moment before or after the time that it names."""


class FieldChange(msgspec.Struct, frozen=True):
    """One field that a version changed, as texts; matchers as queries, times as RFC 3339."""

    field: FieldName
    before: str
    after: str


class SilenceChange(msgspec.Struct, frozen=True):
    """One version of a silence: made at `at`, by who is named in it, and known here since `known_at`.

    Alertmanager does not note who ends a silence: `by` is empty then. `cluster` is empty where it is not known.
    """

    at: datetime
    kind: ChangeKind
    by: str
    comment: str
    starts_at: datetime
    ends_at: datetime
    queries: Sequence[str]
    fields: Sequence[FieldChange]
    known_at: datetime
    cluster: str


def changes_of(versions: Sequence[SilenceVersion]) -> list[SilenceChange]:
    """What each version changed, the oldest first. The versions are of one silence, in order."""
    if not versions:
        return []
    first = versions[0]
    kind: ChangeKind = "created" if first.silence.updated_at <= first.silence.starts_at + _AT_ONCE else "known"
    return [_change(first, kind, ()), *(_changed(before, after) for before, after in pairwise(versions))]


def _changed(before: SilenceVersion, after: SilenceVersion) -> SilenceChange:
    fields = [
        FieldChange(name, old, new)
        for (name, old), (_, new) in zip(_texts(before.silence), _texts(after.silence), strict=True)
        if old != new
    ]
    return _change(after, _kind(before.silence, after.silence, fields), fields)


def _kind(before: Silence, after: Silence, fields: Sequence[FieldChange]) -> ChangeKind:
    if after.ends_at < before.ends_at and after.ends_at <= after.updated_at + _AT_ONCE:
        return "expired"
    if [each.field for each in fields] == ["ends_at"]:
        return "prolonged" if after.ends_at > before.ends_at else "shortened"
    return "edited"


def _change(version: SilenceVersion, kind: ChangeKind, fields: Sequence[FieldChange]) -> SilenceChange:
    silence = version.silence
    return SilenceChange(
        at=silence.updated_at,
        kind=kind,
        by="" if kind == "expired" else silence.created_by,
        comment=silence.comment,
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        queries=[text for text, _ in queries_of(silence)],
        fields=fields,
        known_at=version.known_at,
        cluster=version.cluster,
    )


def _texts(silence: Silence) -> list[tuple[FieldName, str]]:
    return [
        ("matchers", " or ".join(text for text, _ in queries_of(silence))),
        ("starts_at", silence.starts_at.isoformat()),
        ("ends_at", silence.ends_at.isoformat()),
        ("created_by", silence.created_by),
        ("comment", silence.comment),
    ]
