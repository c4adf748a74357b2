"""The stored configuration of an Alertmanager cluster, read: each text once, because a text stays for weeks."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from alert_history.domain.alertmanager.behaviour import Behaviour, behaviour_of
from alert_history.domain.alertmanager.configuration import Configuration
from alert_history.domain.alertmanager.moment import ClusterVersion
from alert_history.domain.alertmanager.reading import read_configuration
from alert_history.domain.alertmanager.routing import Routing
from alert_history.domain.alertmanager.statuses import Statuses
from alert_history.errors import InvalidConfiguration
from alert_history.ports.moments import StoredConfiguration

_MOST_TEXTS = 64


class _Peer(msgspec.Struct, frozen=True):
    name: str = ""
    address: str = ""


class _Cluster(msgspec.Struct, frozen=True):
    name: str = ""
    status: str = ""
    peers: list[_Peer] | None = None


class _Facts(msgspec.Struct, frozen=True, rename="camel"):
    version_info: dict[str, str] = {}
    uptime: datetime | None = None
    cluster: _Cluster = _Cluster()


def read_version(stored: StoredConfiguration) -> ClusterVersion:
    """What is known of the cluster. A configuration that can't be read is None, and `fault` says why."""
    configuration, _, fault = _read(stored.original)
    facts = _facts(stored.facts)
    return ClusterVersion(
        name=stored.cluster,
        since=stored.since,
        seen_at=stored.seen_at,
        original=stored.original,
        configuration=configuration,
        fault=fault,
        version_info=facts.version_info,
        uptime=facts.uptime,
        cluster_status=facts.cluster.status,
        cluster_name=facts.cluster.name,
        peers=[(peer.name, peer.address) for peer in facts.cluster.peers or []],
    )


def routing_of(version: ClusterVersion) -> Routing | None:
    """The routing by the configuration of the cluster; None where that can't be read."""
    return _read(version.original)[1]


def statuses_of(version: ClusterVersion) -> Statuses | None:
    """What says what becomes of alerts in the cluster; None where its configuration can't be read.

    It does so as the version of its Alertmanager does.
    """
    return _statuses(version.original, behaviour_of(version.version_info.get("version", "")))


@lru_cache(maxsize=_MOST_TEXTS)
def _statuses(text: str, behaviour: Behaviour) -> Statuses | None:
    configuration, _, _ = _read(text)
    return None if configuration is None else Statuses(configuration, behaviour=behaviour)


@lru_cache(maxsize=_MOST_TEXTS)
def _read(text: str) -> tuple[Configuration | None, Routing | None, str]:
    try:
        configuration = read_configuration(text)
    except InvalidConfiguration as error:
        return None, None, str(error)
    return configuration, Routing(configuration), ""


def _facts(facts: Mapping[str, Any]) -> _Facts:
    """What an Alertmanager said of itself; nothing of it where it is not as Alertmanager says it."""
    try:
        return msgspec.convert(facts, _Facts, strict=False)
    except msgspec.ValidationError:
        return _Facts()
