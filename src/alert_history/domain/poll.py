"""What a Prometheus or an Alertmanager answered when it was asked what fires, and how far its word goes.

Holds the values of one poll, and the decisions made of them alone. Must ask no origin, and must not know the wire.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal, TypeVar

import msgspec

from alert_history.domain.alert import Silence
from alert_history.domain.relabelling import RelabelRule

AlertState = Literal["active", "suppressed", "unprocessed"]
RuleAlertState = Literal["pending", "firing"]

_ALERTMANAGER_WARMS_UP = timedelta(minutes=5)
_RESENDS = 2


class PolledAlert(msgspec.Struct, frozen=True, gc=False):
    """An alert that an Alertmanager holds: it has not ended, and may be muted.

    `silenced_by` names silences by id, `inhibited_by` alerts by fingerprint, `muted_by` time intervals (Alertmanager
    0.28 and newer). `ends_at` is when it ends unless its sender sends it again. Labels and annotations are as they
    came: who keeps them checks them as those of any sender.
    """

    fingerprint: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime
    updated_at: datetime
    generator_url: str
    receivers: list[str]
    state: AlertState
    silenced_by: list[str]
    inhibited_by: list[str]
    muted_by: list[str]


_Updated = TypeVar("_Updated", PolledAlert, Silence)


class ClusterPeer(msgspec.Struct, frozen=True, order=True, gc=False):
    """A member of an Alertmanager cluster. Its name is random, made anew at each start."""

    name: str
    address: str


class AlertmanagerPoll(msgspec.Struct, frozen=True, gc=False):
    """What the peers of one cluster that answered say together. See `merged`.

    `asked_at` is before the first request. `started_at` is by our clock; other times are by theirs. `silences` are
    all that are listed, expired ones too; they were asked for after the alerts. `answered` and `silent` name the
    servers that were asked by their URL, `silent` with the reason. `original` is the text of its configuration with
    secrets masked, None where it has none; `facts` are `versionInfo`, `uptime` and `cluster` of its status.
    """

    name: str
    asked_at: datetime
    started_at: datetime
    version: str
    cluster_status: str
    cluster_peers: list[ClusterPeer]
    alerts: list[PolledAlert]
    silences: list[Silence]
    answered: list[str]
    silent: dict[str, str] = {}
    original: str | None = None
    facts: dict[str, object] = {}


class PolledRuleAlert(msgspec.Struct, frozen=True, gc=False):
    """An alert of a rule of Prometheus, before external labels and relabelling (see `relabelling.sent_labels`).

    `active_at` is when it began to pend, `fires_since` when it began to fire; None where that is unknown. `value` is
    text, as Prometheus writes it. Labels that are empty are left out.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    state: RuleAlertState
    active_at: datetime
    value: str
    fires_since: datetime | None = None


class PrometheusPoll(msgspec.Struct, frozen=True, gc=False):
    """What one Prometheus says. `server` is its URL, without credentials.

    `external_url` is the one that its alerts link to, None where it does not say. `asked_at` is before the first
    request. `started_at` and `reloaded_at` are by our clock, None where it does not say. `external_labels` is None
    where it does not say what it sends; `unnamed_because` says why, or is None. `faulty_rules` are alertnames of which
    at least one rule was not evaluated, or failed: of their alerts it knows nothing now.
    """

    name: str
    server: str
    asked_at: datetime
    started_at: datetime | None
    reloaded_at: datetime | None
    version: str
    alerts: list[PolledRuleAlert]
    faulty_rules: frozenset[str]
    longest_for: timedelta
    longest_interval: timedelta
    resend_delay: timedelta
    external_labels: dict[str, str] | None
    alert_relabel_configs: list[RelabelRule]
    unnamed_because: str | None
    external_url: str | None = None


def may_correct(poll: AlertmanagerPoll | PrometheusPoll, now: datetime) -> str | None:
    """Why this poll must not end or open anything; None if it may. A poll that may not can still confirm."""
    if isinstance(poll, AlertmanagerPoll):
        if poll.cluster_status == "settling":
            return "its cluster is settling"
        return _just(poll.started_at, now, wait=_ALERTMANAGER_WARMS_UP, what="started")
    if poll.unnamed_because is not None:
        return poll.unnamed_because
    if poll.started_at is None:
        return "it does not say when it started"
    resent = _RESENDS * max(poll.resend_delay, poll.longest_interval)
    reason = _just(poll.started_at, now, wait=poll.longest_for + resent, what="started")
    return reason or _just(poll.reloaded_at, now, wait=resent, what="was reloaded")


def _just(then: datetime | None, now: datetime, *, wait: timedelta, what: str) -> str | None:
    if then is None or now - then >= wait:
        return None
    ago = max(0, int((now - then).total_seconds()))
    return f"it {what} {ago} s ago, and needs {int(wait.total_seconds())} s to know all that fires"


def merged(polls: list[AlertmanagerPoll], silent: Mapping[str, str]) -> AlertmanagerPoll:
    """What peers of one cluster say together: an alert or a silence is there if one of them has it.

    Peers do not tell each other their alerts, and one that started just now has none. So who started first answers
    for the cluster. Where they differ about an alert or a silence, the newest update is right.
    """
    oldest = min(polls, key=lambda poll: poll.started_at)
    return msgspec.structs.replace(
        oldest,
        asked_at=min(poll.asked_at for poll in polls),
        cluster_peers=sorted({peer for poll in polls for peer in poll.cluster_peers}),
        alerts=_newest((alert for poll in polls for alert in poll.alerts), key=lambda alert: alert.fingerprint),
        silences=_newest((silence for poll in polls for silence in poll.silences), key=lambda silence: silence.id),
        answered=[server for poll in polls for server in poll.answered],
        silent=dict(silent),
    )


def _newest(updated: Iterable[_Updated], *, key: Callable[[_Updated], str]) -> list[_Updated]:
    """Of those with one key the one that was updated last; of equals the first."""
    newest: dict[str, _Updated] = {}
    for each in updated:
        known = newest.get(key(each))
        if known is None or each.updated_at > known.updated_at:
            newest[key(each)] = each
    return list(newest.values())
