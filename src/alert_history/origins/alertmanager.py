"""An Alertmanager cluster that is asked: alerts with their state, silences, status. API v2, 0.16 and newer.

Its peers are asked at once. Alerts are asked for before silences, so that a silence that muted an alert is listed, and
status last, so that a restart in between shows. `alertmanager_wire` reads what they answer.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

import httpx
import msgspec

from alert_history.domain.alertmanager.masking import masked
from alert_history.domain.origin import Origin, Server
from alert_history.domain.poll import AlertmanagerPoll, ClusterPeer, merged
from alert_history.errors import OriginUnavailable
from alert_history.origins.alertmanager_wire import ALERTS, SILENCES, read_alerts, read_silences
from alert_history.origins.asking import POLL_SECONDS, Answer, Connection, poll_servers
from alert_history.origins.wire import read_time
from alert_history.ports.clock import Clock

_STATUS = "/api/v2/status"
_FACTS = ("versionInfo", "uptime", "cluster")

Mask = Callable[[str], str]
"""Masks all secrets in the text of a configuration."""


class _Peer(msgspec.Struct):
    name: str
    address: str = ""


class _Cluster(msgspec.Struct):
    status: str
    peers: list[_Peer] | None = None


class _Version(msgspec.Struct):
    version: str = ""


class _Config(msgspec.Struct, frozen=True):
    original: str = ""


class _Status(msgspec.Struct, rename="camel"):
    uptime: str
    cluster: _Cluster
    version_info: _Version
    config: _Config = _Config()


class _Answers(msgspec.Struct, frozen=True):
    """What one peer answered, and when the peer was asked."""

    asked_at: datetime
    alerts: Answer
    silences: Answer
    status: Answer


async def poll_alertmanager(
    origin: Origin,
    client: httpx.AsyncClient,
    *,
    clock: Clock,
    seconds: float = POLL_SECONDS,
    mask: Mask = masked,
) -> AlertmanagerPoll:
    """The cluster's poll: all peers that answer within `seconds`, merged (see `domain.poll.merged`).

    What is said of its configuration has passed the `mask`.

    Raises: OriginUnavailable where no peer answers whole and well, with the reason of each.
    """
    read = partial(_read, origin.name, mask)
    polls, silent = await poll_servers(origin, client, clock=clock, seconds=seconds, ask=_ask, read=read)
    return merged(polls, {url: str(error) for url, error in silent.items()})


async def _ask(connection: Connection) -> _Answers:
    asked_at = connection.now()
    alerts = await connection.get(ALERTS)
    silences = await connection.get(SILENCES)
    return _Answers(asked_at, alerts, silences, await connection.get(_STATUS))


def _read(name: str, mask: Mask, answers: _Answers, server: Server) -> AlertmanagerPoll:
    """Raises: OriginUnavailable."""
    try:
        status = msgspec.json.decode(answers.status.body, type=_Status)
        return AlertmanagerPoll(
            name=name,
            asked_at=answers.asked_at,
            started_at=answers.status.our_time(read_time(status.uptime)),
            version=status.version_info.version,
            cluster_status=status.cluster.status,
            cluster_peers=sorted(ClusterPeer(peer.name, peer.address) for peer in status.cluster.peers or []),
            alerts=read_alerts(answers.alerts.body),
            silences=read_silences(answers.silences.body),
            answered=[server.url],
            original=mask(status.config.original) if status.config.original else None,
            facts=_facts(answers.status.body),
        )
    except (ValueError, RecursionError):  # msgspec.DecodeError is a ValueError
        raise OriginUnavailable(f"{server.url}: its answer is not what an Alertmanager answers") from None


def _facts(body: bytes) -> dict[str, object]:
    """What the status says beside the configuration, as it says it."""
    status = msgspec.json.decode(body, type=dict[str, object])
    return {name: status[name] for name in _FACTS if name in status}
