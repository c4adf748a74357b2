"""Who is asked what fires: what an Alertmanager cluster or a pair of Prometheus answers, as they are at that moment."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from alert_history.domain.alert import Silence, fingerprint
from alert_history.domain.origin import Origin, Server
from alert_history.domain.poll import (
    AlertmanagerPoll,
    ClusterPeer,
    PolledAlert,
    PolledRuleAlert,
    PrometheusPoll,
    merged,
)
from alert_history.engine.origins import Origins
from tests.senders.alertmanager import Cluster, Peer, Silencing
from tests.senders.network import Network, moment
from tests.senders.prometheus import Prometheus

_RESEND = 60.0
_ALERTMANAGER_WARMS_UP = 300.0
_LONG_AGO = -1_000_000.0


class Asking(msgspec.Struct, frozen=True):
    """How often who is asked, and how long it takes until an answer is taken up.

    `names_itself`: an Alertmanager calls itself by the URL by which it is asked. `deaf` are times in which nobody
    answers.
    """

    every: float = 60.0
    asks_alertmanager: bool = True
    asks_prometheus: bool = True
    is_publishing: bool = False
    names_itself: bool = True
    delay: float = 0.0
    deaf: tuple[tuple[float, float], ...] = ()

    def is_deaf(self, at: float) -> bool:
        """Whether nobody answers then."""
        return any(begin <= at < end for begin, end in self.deaf)


class Answered(msgspec.Struct, frozen=True):
    """What all who are asked answer, taken up at `at`. `silent` says why a replica of a Prometheus does not answer.

    `numbers` are what is listed: source → fingerprint → which true firing. `unripe` are sources that have just started,
    `partial` those of which not all answer.
    """

    at: float
    asked_at: float
    alertmanagers: list[AlertmanagerPoll]
    prometheuses: list[tuple[list[PrometheusPoll], str | None]]
    faults: dict[str, str]
    numbers: dict[str, dict[str, int]]
    unripe: set[str]
    partial: set[str]


class Askable(msgspec.Struct, frozen=True):
    """Those of one site that can be asked."""

    name: str
    network: Network
    cluster: Cluster | None
    watchers: Sequence[Prometheus]
    is_alike: bool

    def origins(self, asking: Asking) -> Origins:
        """Who is asked, as configured."""
        alertmanagers = []
        if self.cluster is not None and asking.asks_alertmanager:
            alertmanagers = [Origin(self.name, tuple(map(Server, self._urls(self.cluster, asking))))]
        return Origins(alertmanagers, [])

    def answer(self, asking: Asking, answered: Answered) -> None:
        """Add what they say."""
        if self.cluster is not None and asking.asks_alertmanager:
            self._answer_alertmanager(self.cluster, asking, answered)
        if asking.asks_prometheus and all(watcher.resend == _RESEND for watcher in self.watchers):
            self._answer_prometheus(asking, answered)

    # --- Alertmanager -------------------------------------------------------------------------------------------------

    def _urls(self, cluster: Cluster, asking: Asking) -> list[str]:
        if asking.names_itself:
            return [self.network.external_url(peer.name) for peer in cluster.peers]
        return [f"http://{peer.name}.{self.name}.internal:9093" for peer in cluster.peers]

    def _answer_alertmanager(self, cluster: Cluster, asking: Asking, answered: Answered) -> None:
        source = f"alertmanager/{self.name}"
        urls = self._urls(cluster, asking)
        at = answered.asked_at
        up = [] if asking.is_deaf(at) else [pair for pair in zip(cluster.peers, urls, strict=True) if pair[0].is_up]
        if not up:
            answered.faults[source] = "can't connect"
            return
        if at - min(_LONG_AGO if peer.started is None else peer.started for peer, _ in up) < _ALERTMANAGER_WARMS_UP:
            answered.unripe.add(source)
        if len(up) < len(urls):
            answered.partial.add(source)
        polls = [self._poll_of(cluster, peer, url, at) for peer, url in up]
        silent = {url: "can't connect" for url in urls if url not in {url for _, url in up}}
        answered.alertmanagers.append(merged(polls, silent))
        answered.numbers[source] = {
            self.network.plain_fingerprint_of(member): alert.number
            for peer, _ in up
            for member, alert in peer.firing().items()
        }

    def _poll_of(self, cluster: Cluster, peer: Peer, url: str, at: float) -> AlertmanagerPoll:
        silences = {member: cluster.silence_of(member) for member in peer.firing()}
        return AlertmanagerPoll(
            name=self.name,
            asked_at=moment(at),
            started_at=moment(_LONG_AGO if peer.started is None else peer.started),
            version="0.25.0",
            cluster_status="ready",
            cluster_peers=[ClusterPeer(each.name, each.name) for each in cluster.peers if each.is_up],
            alerts=[
                PolledAlert(
                    fingerprint=fingerprint(self.network.labels_of(member)),
                    labels=self.network.labels_of(member),
                    annotations={"summary": "full"},
                    starts_at=moment(alert.start),
                    ends_at=moment(alert.end),
                    updated_at=moment(alert.updated),
                    generator_url=f"{alert.origin}/graph?g0.expr=x",
                    receivers=[receiver.name for receiver in cluster.receivers],
                    state="active" if silences[member] is None else "suppressed",
                    silenced_by=[] if (silence := silences[member]) is None else [silence.id],
                    inhibited_by=[],
                    muted_by=[],
                )
                for member, alert in peer.firing().items()
            ],
            silences=[_silence(silence) for silence in silences.values() if silence is not None],
            answered=[url],
        )

    # --- Prometheus ---------------------------------------------------------------------------------------------------

    def _answer_prometheus(self, asking: Asking, answered: Answered) -> None:
        source, at = f"prometheus/{self.name}", answered.asked_at
        up = [] if asking.is_deaf(at) else [watcher for watcher in self.watchers if watcher.is_up]
        if not up:
            answered.faults[source] = "can't connect"
            return
        if any(
            watcher.started is not None and at - watcher.started < 2 * max(watcher.interval, watcher.resend)
            for watcher in up
        ):
            answered.unripe.add(source)
        if self.is_alike and len(up) < len(self.watchers):
            answered.partial.add(source)
        silent = "its replica does not answer" if self.is_alike and len(up) < len(self.watchers) else None
        answered.prometheuses.append(([self._poll_of_rules(watcher, at) for watcher in up], silent))
        answered.numbers[source] = {
            self.network.plain_fingerprint_of(member): active.number
            for watcher in up
            for member, active in watcher.firing().items()
        }

    def _poll_of_rules(self, watcher: Prometheus, at: float) -> PrometheusPoll:
        started_at = moment(_LONG_AGO if watcher.started is None else watcher.started)
        number = list(self.watchers).index(watcher)
        return PrometheusPoll(
            name=self.name,
            server=f"http://prometheus-{self.name}-{number}.internal:9090",
            asked_at=moment(at),
            started_at=started_at,
            reloaded_at=started_at,
            version="2.42.0",
            alerts=[
                PolledRuleAlert(
                    self.network.labels_of(member),
                    {"summary": "full"},
                    "firing",
                    moment(active.start + watcher.skew),
                    "1",
                    moment(active.start + watcher.skew),
                )
                for member, active in watcher.firing().items()
            ],
            faulty_rules=frozenset(),
            longest_for=timedelta(),
            longest_interval=timedelta(seconds=watcher.interval),
            resend_delay=timedelta(seconds=watcher.resend),
            external_labels={},
            alert_relabel_configs=[],
            unnamed_because=None,
            external_url=watcher.origin,
        )


def _silence(silence: Silencing) -> Silence:
    begins_at, ends_at = moment(silence.begin), moment(silence.end)
    return Silence(silence.id, [], begins_at, ends_at, begins_at, "ada", "later")
