"""A scenario: what is true, who watches it, and what goes wrong; and all that arrives of it."""

from collections.abc import Sequence
from functools import partial

import msgspec

from tests.senders.alertmanager import Cluster, Receiver, Silencing, Sinks, Timing
from tests.senders.network import Arrival, Network, Trouble
from tests.senders.prometheus import RESOLVED_FOR, Post, Prometheus
from tests.senders.world import Firing, World


class Watcher(msgspec.Struct, frozen=True):
    """A Prometheus (`resend` of a minute) or a vmalert (`resend` of its interval)."""

    interval: float = 15.0
    resend: float = 60.0
    offset: float = 0.0
    skew: float = 0.0


class Outage(msgspec.Struct, frozen=True):
    """One of several processes is down for some time."""

    which: int
    begin: float
    end: float


class Alerting(msgspec.Struct, frozen=True):
    """An Alertmanager, or a cluster: as many peers as it has names."""

    names: tuple[str, ...] = ("am-0",)
    receivers: tuple[Receiver, ...] = (Receiver("team", "/webhook/proxy"),)
    timing: Timing = Timing(30, 300, 3600)
    silences: tuple[Silencing, ...] = ()
    has_recorder: bool = False
    outages: tuple[Outage, ...] = ()


class Site(msgspec.Struct, frozen=True):
    """Prometheus servers, and the Alertmanager behind them, if there is one; `is_direct`: they post to us, too.

    `is_alike`: one can't be told from the other, because they have one external URL and one proxy before them.
    """

    name: str
    firings: dict[str, list[Firing]]
    watchers: tuple[Watcher, ...] = (Watcher(),)
    is_direct: bool = True
    is_alike: bool = False
    alerting: Alerting | None = None
    outages: tuple[Outage, ...] = ()
    phantoms: tuple[tuple[int, str, float], ...] = ()
    scope: str = ""


class Scenario(msgspec.Struct, frozen=True):
    """Sites, and the troubles on the way from them."""

    sites: tuple[Site, ...]
    troubles: tuple[Trouble, ...] = ()

    @property
    def calms_at(self) -> float:
        """When the last change and the last trouble are over; a condition that holds for ever counts as its begin."""
        times = [0.0, *(one.end for one in self.troubles)]
        for site in self.sites:
            outages = [*site.outages, *(site.alerting.outages if site.alerting else ())]
            silences = site.alerting.silences if site.alerting else ()
            times += [one.end for one in outages] + [one.end for one in silences]
            times += [at for _, _, at in site.phantoms]
            for firing in (firing for firings in site.firings.values() for firing in firings):
                times += [firing.begin] if firing.end == float("inf") else [firing.begin, firing.end]
        return max(times)

    @property
    def settles_at(self) -> float:
        """When everybody has said all that there is to say."""
        waits = [site.alerting.timing for site in self.sites if site.alerting]
        longest = max((one.repeat_interval + 3 * one.group_interval for one in waits), default=0.0)
        return self.calms_at + RESOLVED_FOR + longest + 1_800


class Played(msgspec.Struct, frozen=True):
    """What arrived, in order, and what is true: fingerprint → firings."""

    arrivals: list[Arrival]
    truth: dict[str, list[Firing]]


def play(scenario: Scenario) -> Played:
    """All that arrives until everybody has said all that there is to say."""
    arrivals: list[Arrival] = []
    truth: dict[str, list[Firing]] = {}
    for site in scenario.sites:
        world, network = _build(site, scenario.troubles)
        world.run(scenario.settles_at)
        arrivals += network.arrivals
        for member, firings in site.firings.items():
            truth.setdefault(network.fingerprint_of(member), []).extend(firings)
    return Played(sorted(arrivals, key=lambda one: one.at), truth)


def _build(site: Site, troubles: Sequence[Trouble]) -> tuple[World, Network]:
    world = World(site.firings)
    network = Network(world, troubles, name=site.name, scope=site.scope)
    cluster = None if site.alerting is None else _cluster(world, network, site.alerting)
    watchers = [_watcher(world, network, site, number, cluster) for number in range(len(site.watchers))]
    for outage in site.outages:
        watcher = watchers[outage.which % len(watchers)]
        world.at(outage.begin, watcher.kill)
        world.at(outage.end, watcher.start)
    for which, member, at in site.phantoms:
        world.at(at, partial(watchers[which % len(watchers)].see_again, member))
    return world, network


def _cluster(world: World, network: Network, alerting: Alerting) -> Cluster:
    cluster = Cluster(
        world,
        Sinks(network.payload, network.report),
        names=alerting.names,
        receivers=alerting.receivers,
        timing=alerting.timing,
        silences=alerting.silences,
        has_recorder=alerting.has_recorder,
    )
    for outage in alerting.outages:
        peer = cluster.peers[outage.which % len(cluster.peers)]
        world.at(outage.begin, peer.kill)
        world.at(outage.end, peer.start)
    return cluster


def _watcher(world: World, network: Network, site: Site, number: int, cluster: Cluster | None) -> Prometheus:
    watcher = site.watchers[number]
    which = 0 if site.is_alike else number
    posts: list[Post] = [partial(network.post, client=f"{site.name}-{which}")] if site.is_direct else []
    if cluster is not None:
        posts.append(cluster.post)
    return Prometheus(
        world,
        posts,
        origin=f"http://prometheus-{site.name}-{which}:9090",
        interval=watcher.interval,
        resend=watcher.resend,
        offset=watcher.offset,
        skew=watcher.skew,
    )
