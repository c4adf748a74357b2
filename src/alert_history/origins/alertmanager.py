"""An Alertmanager cluster that is asked: alerts with their state, silences, status. API v2, 0.16 and newer.

Its peers are asked at once. Alerts are asked for before silences, so that a silence that muted an alert is listed, and
status last, so that a restart in between shows. Source: `api/v2/openapi.yaml` of prometheus/alertmanager.
"""

from datetime import datetime
from functools import partial

import httpx
import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.origin import Origin, Server
from alert_history.domain.poll import AlertmanagerPoll, AlertState, ClusterPeer, PolledAlert, merged
from alert_history.errors import OriginUnavailable
from alert_history.origins.asking import POLL_SECONDS, Answer, Connection, poll_servers
from alert_history.origins.wire import read_time, without_empty
from alert_history.ports.clock import Clock

_ALERTS = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"
_SILENCES = "/api/v2/silences"
_STATUS = "/api/v2/status"
_OPERATORS = {(False, True): "=", (True, True): "=~", (False, False): "!=", (True, False): "!~"}


class _Receiver(msgspec.Struct):
    name: str


class _AlertStatus(msgspec.Struct, rename="camel"):
    state: AlertState
    silenced_by: list[str] | None = None
    inhibited_by: list[str] | None = None
    muted_by: list[str] | None = None


class _Alert(msgspec.Struct, rename="camel"):
    fingerprint: str
    labels: dict[str, str]
    starts_at: str
    ends_at: str
    updated_at: str
    status: _AlertStatus
    annotations: dict[str, str] = {}
    receivers: list[_Receiver] = []
    generator_url: str = msgspec.field(default="", name="generatorURL")


class _Matcher(msgspec.Struct, rename="camel"):
    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class _Silence(msgspec.Struct, rename="camel"):
    id: str
    matchers: list[_Matcher]
    starts_at: str
    ends_at: str
    updated_at: str
    created_by: str = ""
    comment: str = ""


class _Peer(msgspec.Struct):
    name: str
    address: str = ""


class _Cluster(msgspec.Struct):
    status: str
    peers: list[_Peer] | None = None


class _Version(msgspec.Struct):
    version: str = ""


class _Status(msgspec.Struct, rename="camel"):
    uptime: str
    cluster: _Cluster
    version_info: _Version


class _Answers(msgspec.Struct, frozen=True):
    """What one peer answered, and when the peer was asked."""

    asked_at: datetime
    alerts: Answer
    silences: Answer
    status: Answer


async def poll_alertmanager(
    origin: Origin, client: httpx.AsyncClient, *, clock: Clock, seconds: float = POLL_SECONDS
) -> AlertmanagerPoll:
    """The cluster's poll: all peers that answer within `seconds`, merged (see `domain.poll.merged`).

    Raises: OriginUnavailable where no peer answers whole and well, with the reason of each.
    """
    read = partial(_read, origin.name)
    polls, silent = await poll_servers(origin, client, clock=clock, seconds=seconds, ask=_ask, read=read)
    return merged(polls, {url: str(error) for url, error in silent.items()})


async def _ask(connection: Connection) -> _Answers:
    asked_at = connection.now()
    alerts = await connection.get(_ALERTS)
    silences = await connection.get(_SILENCES)
    return _Answers(asked_at, alerts, silences, await connection.get(_STATUS))


def _read(name: str, answers: _Answers, server: Server) -> AlertmanagerPoll:
    """Raises: OriginUnavailable."""
    try:
        alerts = msgspec.json.decode(answers.alerts.body, type=list[_Alert])
        silences = msgspec.json.decode(answers.silences.body, type=list[_Silence])
        status = msgspec.json.decode(answers.status.body, type=_Status)
        return AlertmanagerPoll(
            name=name,
            asked_at=answers.asked_at,
            started_at=answers.status.our_time(read_time(status.uptime)),
            version=status.version_info.version,
            cluster_status=status.cluster.status,
            cluster_peers=sorted(ClusterPeer(peer.name, peer.address) for peer in status.cluster.peers or []),
            alerts=list(map(_alert, alerts)),
            silences=list(map(_silence, silences)),
            answered=[server.url],
        )
    except (ValueError, RecursionError):  # msgspec.DecodeError is a ValueError
        raise OriginUnavailable(f"{server.url}: its answer is not what an Alertmanager answers") from None


def _alert(wire: _Alert) -> PolledAlert:
    return PolledAlert(
        fingerprint=wire.fingerprint,
        labels=without_empty(wire.labels),
        annotations=wire.annotations,
        starts_at=read_time(wire.starts_at),
        ends_at=read_time(wire.ends_at),
        updated_at=read_time(wire.updated_at),
        generator_url=wire.generator_url,
        receivers=[receiver.name for receiver in wire.receivers],
        state=wire.status.state,
        silenced_by=wire.status.silenced_by or [],
        inhibited_by=wire.status.inhibited_by or [],
        muted_by=wire.status.muted_by or [],
    )


def _silence(wire: _Silence) -> Silence:
    return Silence(
        id=wire.id,
        matchers=[list(map(_matcher, wire.matchers))],
        starts_at=read_time(wire.starts_at),
        ends_at=read_time(wire.ends_at),
        updated_at=read_time(wire.updated_at),
        created_by=wire.created_by,
        comment=wire.comment,
    )


def _matcher(wire: _Matcher) -> dict[str, str]:
    return {"name": wire.name, "op": _OPERATORS[wire.is_regex, wire.is_equal], "value": wire.value}
