"""A scenario: what is true, who watches it, and what goes wrong; and all that arrives of it."""

from collections.abc import Sequence
from functools import partial

import msgspec

from alert_history.engine.origins import Origins
from tests.senders.alertmanager import Cluster, Receiver, Silencing, Sinks, Timing
from tests.senders.asking import Answered, Askable, Asking
from tests.senders.network import Arrival, Network, Trouble
from tests.senders.prometheus import PHANTOM, RESOLVED_FOR, Post, Prometheus
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
    """Sites, the troubles on the way from them, and how they are asked, if they are."""

    sites: tuple[Site, ...]
    troubles: tuple[Trouble, ...] = ()
    asking: Asking | None = None

    @property
    def calms_at(self) -> float:
        """When the last change and the last trouble are over; a condition that holds for ever counts as its begin."""
        times = [0.0, *(trouble.end for trouble in self.troubles)]
        times += [end for _, end in self.asking.deaf] if self.asking else []
        for site in self.sites:
            outages = [*site.outages, *(site.alerting.outages if site.alerting else ())]
            silences = site.alerting.silences if site.alerting else ()
            times += [span.end for span in outages] + [span.end for span in silences]
            times += [at for _, _, at in site.phantoms]
            for firing in (firing for firings in site.firings.values() for firing in firings):
                times += [firing.begin] if firing.end == float("inf") else [firing.begin, firing.end]
        return max(times)

    @property
    def settles_at(self) -> float:
        """When everybody has said all that there is to say."""
        return self.calms_at + self.settling

    @property
    def settling(self) -> float:
        """How long after the last change and the last trouble that is."""
        waits = [site.alerting.timing for site in self.sites if site.alerting]
        longest = max((timing.repeat_interval + 3 * timing.group_interval for timing in waits), default=0.0)
        return RESOLVED_FOR + longest + 1_800


class Played(msgspec.Struct, frozen=True):
    """What arrived and what was answered, in order, and what is true: fingerprint → firings.

    Where two sites have a label set, it fires as long as it does in one of them.
    """

    heard: list[Arrival | Answered]
    truth: dict[str, list[Firing]]
    sites: dict[str, dict[str, list[Firing]]]

    def number(self, site: str, name: str, own: int) -> int:
        """Which of all firings of a label set one of a site's own is part of."""
        if own == PHANTOM:
            return own
        begin = self.sites[site][name][own].begin
        return next(number for number, firing in enumerate(self.truth[name]) if firing.begin <= begin <= firing.end)

    @property
    def arrivals(self) -> list[Arrival]:
        """What arrived."""
        return [entry for entry in self.heard if isinstance(entry, Arrival)]


class Scene:
    """One site as it goes on: its world, and those in it who can be stopped and started."""

    def __init__(self, site: Site, troubles: Sequence[Trouble]) -> None:
        self.site = site
        self.world = World(site.firings)
        self.network = Network(self.world, troubles, name=site.name, scope=site.scope)
        self.cluster = None if site.alerting is None else _cluster(self.world, self.network, site.alerting)
        self.watchers = [
            _watcher(self.world, self.network, site, number, self.cluster) for number in range(len(site.watchers))
        ]
        self.askable = Askable(site.name, self.network, self.cluster, self.watchers, site.is_alike)

    @property
    def truth(self) -> dict[str, list[Firing]]:
        """What is true by now: fingerprint → firings."""
        return {self.network.fingerprint_of(member): firings for member, firings in self.world.truth.items()}


class Stage:
    """All sites of a scenario as they go on: some time passes, or somebody is asked."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.scenes = [Scene(site, scenario.troubles) for site in scenario.sites]
        self.now = 0.0
        self._answered: list[Answered] = []

    def run(self, until: float) -> None:
        """Let time pass; whoever is to be asked is asked in time."""
        asking = self.scenario.asking
        while asking is not None and (next_at := (self.now // asking.every + 1) * asking.every) <= until:
            self._run(next_at)
            self.ask(asking)
        self._run(until)

    def ask(self, asking: Asking) -> None:
        """Ask all who can be asked."""
        answered = Answered(self.now + asking.delay, self.now, [], [], {}, {}, set(), set())
        for scene in self.scenes:
            scene.askable.answer(asking, answered)
        self._answered.append(answered)

    def origins(self) -> list[Origins]:
        """Who is asked, as configured."""
        asking = self.scenario.asking
        return [] if asking is None else [scene.askable.origins(asking) for scene in self.scenes]

    def silences(self) -> dict[str, list[Silencing]]:
        """All silences by now, by fingerprint."""
        silences: dict[str, list[Silencing]] = {}
        for scene in self.scenes:
            for silence in scene.cluster.silences if scene.cluster else ():
                silences.setdefault(scene.network.fingerprint_of(silence.member), []).append(silence)
        return silences

    def played(self) -> Played:
        """All that arrived and was answered by now, and what is true. An answer speaks of what had arrived by then."""
        arrivals = [arrival for scene in self.scenes for arrival in scene.network.arrivals]
        truth: dict[str, list[Firing]] = {}
        for scene in self.scenes:
            for name, firings in scene.truth.items():
                truth.setdefault(name, []).extend(firings)
        whole = {name: _joined(firings) for name, firings in truth.items()}
        sites = {scene.site.name: scene.truth for scene in self.scenes}
        return Played(sorted([*arrivals, *self._answered], key=lambda entry: entry.at), whole, sites)

    def _run(self, until: float) -> None:
        for scene in self.scenes:
            scene.world.run(until)
        self.now = until


def _joined(firings: Sequence[Firing]) -> list[Firing]:
    """Those that overlap as one."""
    joined: list[Firing] = []
    for firing in sorted(firings, key=lambda firing: firing.begin):
        if joined and firing.begin <= joined[-1].end:
            joined[-1] = Firing(joined[-1].begin, max(joined[-1].end, firing.end))
        else:
            joined.append(firing)
    return joined


def play(scenario: Scenario) -> Stage:
    """The stage when everybody has said all that there is to say."""
    stage = Stage(scenario)
    for scene in stage.scenes:
        _plan(scene)
    stage.run(scenario.settles_at)
    return stage


def _plan(scene: Scene) -> None:
    """Let what goes wrong in a site go wrong in time."""
    site, world = scene.site, scene.world
    for outage in site.outages:
        watcher = scene.watchers[outage.which % len(scene.watchers)]
        world.at(outage.begin, watcher.kill)
        world.at(outage.end, watcher.start)
    for which, member, at in site.phantoms:
        world.at(at, partial(scene.watchers[which % len(scene.watchers)].see_again, member))
    for outage in site.alerting.outages if site.alerting else ():
        peers = scene.cluster.peers if scene.cluster else []
        peer = peers[outage.which % len(peers)]
        world.at(outage.begin, peer.kill)
        world.at(outage.end, peer.start)


def _cluster(world: World, network: Network, alerting: Alerting) -> Cluster:
    return Cluster(
        world,
        Sinks(network.payload, network.report),
        names=alerting.names,
        receivers=alerting.receivers,
        timing=alerting.timing,
        silences=alerting.silences,
        has_recorder=alerting.has_recorder,
    )


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
