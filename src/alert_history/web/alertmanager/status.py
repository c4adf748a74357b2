"""`GET /api/v2/status`: what an Alertmanager said of itself at a moment; without one, what we can honestly say.

`config.original` is always a configuration that Alertmanager accepts. Where it is not that of one Alertmanager,
comments in it say what it stands for.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from textwrap import wrap

import msgspec
from msgspec import UNSET, UnsetType

from alert_history import __version__
from alert_history.domain.alertmanager.moment import ClusterVersion
from alert_history.engine.moment_state import NOT_KNOWN, MomentState
from alert_history.web.alertmanager.forms import time_text

_WIDTH = 110
_VERSION_FIELDS = ("version", "revision", "branch", "buildUser", "buildDate", "goVersion")
_STATUSES = ("ready", "settling", "disabled")


class StatusParameters(msgspec.Struct, frozen=True):
    """`at` is a time, or how long ago: `-6h`."""

    at: str = ""


class PeerStatus(msgspec.Struct, frozen=True):
    """A peer of a cluster."""

    name: str
    address: str


class ClusterStatus(msgspec.Struct, frozen=True):
    """How a cluster is: `ready`, `settling`, or `disabled` where there is none. Its `name` is that of the peer."""

    status: str
    peers: Sequence[PeerStatus]
    name: str | UnsetType = UNSET


class AlertmanagerConfig(msgspec.Struct, frozen=True):
    """A configuration in YAML, secrets masked."""

    original: str


class AlertmanagerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The answer."""

    cluster: ClusterStatus
    config: AlertmanagerConfig
    uptime: str
    version_info: Mapping[str, str]


def status_answer(state: MomentState, *, started_at: datetime) -> AlertmanagerStatus:
    """The status of the one Alertmanager; of several, or without one, of this service."""
    version = state.parts[0].version if len(state.parts) == 1 else None
    original = _comments(state) if version is None or not version.original else version.original
    if version is None:
        own = {"version": f"alert-history {__version__}"}
        return AlertmanagerStatus(
            ClusterStatus("disabled", []), AlertmanagerConfig(original), time_text(started_at), _all_fields(own)
        )
    return AlertmanagerStatus(
        cluster=_cluster(version),
        config=AlertmanagerConfig(original),
        uptime=time_text(version.uptime or version.since),
        version_info=_all_fields(version.version_info),
    )


def _cluster(version: ClusterVersion) -> ClusterStatus:
    status = version.cluster_status if version.cluster_status in _STATUSES else "disabled"
    return ClusterStatus(status, [PeerStatus(*peer) for peer in version.peers], version.cluster_name or UNSET)


def _all_fields(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given.get(name, "") for name in _VERSION_FIELDS}


def _comments(state: MomentState) -> str:
    """A configuration that notifies nobody, with comments on why it stands here."""
    lines = [f"# {line}" for text in _reasons(state) for line in wrap(text, _WIDTH)]
    return "\n".join([*lines, "route:", f"  receiver: {NOT_KNOWN}", "receivers:", f"- name: {NOT_KNOWN}", ""])


def _reasons(state: MomentState) -> list[str]:
    if state.is_narrowed:
        return ["Who asks sees some alerts only, and a configuration shows what concerns others, so it is not shown."]
    if not state.names:
        return [
            "Alert History knows no Alertmanager, so this is no configuration of any: ALERTMANAGER_URLS names them."
        ]
    if len(state.parts) == 1:
        return [f"The configuration of {state.parts[0].name} is not known for {time_text(state.at)}."]
    names = [part.name for part in state.parts if part.name]
    return [
        f"Alert History knows {len(names)} Alertmanagers: {', '.join(names)}. Each has a configuration of its own.",
        f"Choose one by its name in the URL: amtool --alertmanager.url=http://HOST/am/{names[0]} config show",
    ]
