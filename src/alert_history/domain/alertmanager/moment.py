"""What an Alertmanager holds at a moment: alerts, silences and a configuration, and what follows from them.

Holds the values. `statuses` says what mutes each alert and where it goes; `engine.moments` brings them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from alert_history.domain.alert import Silence, Source
from alert_history.domain.alertmanager.configuration import Configuration
from alert_history.domain.poll import AlertState

MutedBy = tuple[Literal["silenced", "inhibited"], tuple[str, ...]]
"""What mutes an alert: silences by id, or alerts by fingerprint."""


class MomentAlert(msgspec.Struct, frozen=True, gc=False):
    """An alert that fires at a moment. `fingerprint` is Alertmanager's, without our scope.

    `ends_at` is when it ends unless its sender sends it again, as its sender last said by then; None where that is not
    known. `updated_at` is when its sender last said so. `unknown` names the fields that can't be known for the moment,
    by their names in Alertmanager's API; they hold the nearest that is known. `is_unconfirmed`: a plain Alertmanager
    may have dropped it by then, because its sender was silent for too long. `receiver` is that of the webhook that told
    of it, or empty. `witnesses` are the ids (see `domain.claim.Sender`) of the senders by which one of several
    Alertmanagers is known to hold it; empty: none of them is known to.
    """

    occurrence_id: str
    fingerprint: str
    scope: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    updated_at: datetime
    generator_url: str
    source: Source
    receiver: str = ""
    is_unconfirmed: bool = False
    witnesses: tuple[str, ...] = ()
    muted: MutedBy | None = None
    """What muted it then, as events say."""
    unknown: tuple[str, ...] = ()


class AlertStatus(msgspec.Struct, frozen=True, gc=False):
    """What becomes of an alert: silences by id, inhibiting alerts by fingerprint, time intervals by name.

    `inhibit_rules` are the rules by which the alerts of `inhibited_by` mute it, in their order. `receivers` are those
    that its routes name, in the order of the routes: as in Alertmanager's answers, as often as routes name one.
    """

    state: AlertState
    receivers: tuple[str, ...]
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    inhibit_rules: tuple[int, ...] = ()
    muted_by: tuple[str, ...] = ()


class ClusterVersion(msgspec.Struct, frozen=True):
    """What is known of one Alertmanager cluster at a moment, from the last answer of its status by then.

    `original` is its configuration with secrets masked; `configuration` is None where it can't be read (`fault` says
    why). `cluster_name` is what the peer that was asked calls itself. `since` is when this configuration was first
    seen: it was loaded between the look before and then.
    """

    name: str
    since: datetime
    seen_at: datetime
    original: str
    configuration: Configuration | None
    fault: str = ""
    version_info: Mapping[str, str] = {}
    uptime: datetime | None = None
    cluster_status: str = ""
    cluster_name: str = ""
    peers: Sequence[tuple[str, str]] = ()


class SilenceVersion(msgspec.Struct, frozen=True):
    """A silence as it stood from `silence.updated_at` on, in one cluster (empty: not known in which).

    `known_at` is when we came to know this version.
    """

    silence: Silence
    cluster: str
    known_at: datetime
