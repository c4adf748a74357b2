"""Versions of silences: what an event recorder and a poll say of the same change is one version. Pure.

The API of Alertmanager cuts its times to milliseconds, its event recorder does not; so a version has milliseconds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.alertmanager.moment import SilenceVersion
from alert_history.domain.receipt import Receipt

VersionKey = tuple[str, datetime]
"""What names a version within its cluster: the id, and when it was made."""

_MILLISECOND_US = 1_000


class Keeping(msgspec.Struct, frozen=True):
    """What there is to write: versions to add, and of which ids the versions without a cluster are of which cluster."""

    added: Sequence[SilenceVersion]
    named: Mapping[str, str]


def versions_of(silences: Iterable[Silence], *, cluster: str, known_at: datetime) -> list[SilenceVersion]:
    """The versions that these silences are."""
    return [SilenceVersion(silence, cluster, known_at) for silence in silences]


def recorded_versions(receipts: Iterable[Receipt]) -> list[SilenceVersion]:
    """The versions in a batch of requests. An event recorder names no cluster by our names."""
    return [
        SilenceVersion(silence, "", receipt.received_at) for receipt in receipts for silence in receipt.group.silences
    ]


def version_key(version: SilenceVersion) -> VersionKey:
    """See `VersionKey`."""
    return version.silence.id, version.silence.updated_at


def to_keep(versions: Iterable[SilenceVersion], known: Collection[tuple[str, datetime, str]]) -> Keeping:
    """What of these versions is new, where versions with these ids, times and clusters are `known`.

    A version without a cluster is that of the cluster in which its silence is known; where that is learnt later, it is
    named then. An id is of one cluster: Alertmanager makes it at random.
    """
    clusters = {id_: {c for other, _, c in known if other == id_} for id_ in {id_ for id_, _, _ in known}}
    keys = {(id_, at): {c for i, t, c in known if (i, t) == (id_, at)} for id_, at, _ in known}
    added: list[SilenceVersion] = []
    named: dict[str, str] = {}
    for version in map(to_milliseconds, sorted(versions, key=lambda each: (not each.cluster, each.known_at))):
        id_ = version.silence.id
        of_id = clusters.setdefault(id_, set())
        if not version.cluster and (only := of_id - {""}):
            version = msgspec.structs.replace(version, cluster=min(only))  # noqa: PLW2901  # the same version, with a name
        at_key = keys.setdefault(version_key(version), set())
        if version.cluster and "" in of_id:
            named[id_] = version.cluster
        if version.cluster not in at_key and not (version.cluster and "" in at_key):
            added.append(version)
        at_key.add(version.cluster)
        of_id.add(version.cluster)
    return Keeping(added, named)


def to_milliseconds(version: SilenceVersion) -> SilenceVersion:
    """The version with its times cut to milliseconds."""
    silence = version.silence
    cut = msgspec.structs.replace(
        silence,
        starts_at=_cut(silence.starts_at),
        ends_at=_cut(silence.ends_at),
        updated_at=_cut(silence.updated_at),
    )
    return msgspec.structs.replace(version, silence=cut)


def _cut(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // _MILLISECOND_US * _MILLISECOND_US)
