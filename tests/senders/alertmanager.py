"""An Alertmanager, or a cluster of them: it takes what a Prometheus posts, and sends each group's payloads.

Its peers share what they notified and what is silenced; each has the alerts in its own memory.
Source: `dispatch`, `notify`, `provider/mem` and `types` of prometheus/alertmanager 0.25.
"""

from collections.abc import Callable, Sequence

import msgspec

from tests.senders.prometheus import Posted
from tests.senders.world import World

_PEER_TIMEOUT = 15.0
"""How much longer each peer waits than the one before it, for it to have notified."""


class Receiver(msgspec.Struct, frozen=True):
    """Whom it sends a group to. `max_alerts`: 0 for all."""

    name: str
    path: str
    sends_resolved: bool = True
    max_alerts: int = 0


class Timing(msgspec.Struct, frozen=True):
    """When a group is told: at first, after changes, and again."""

    group_wait: float
    group_interval: float
    repeat_interval: float


class Silencing(msgspec.Struct, frozen=True):
    """A silence over one member."""

    member: str
    begin: float
    end: float

    @property
    def id(self) -> str:
        """By which Alertmanager names it."""
        return f"s-{self.member}-{self.begin}"


class Listed(msgspec.Struct, frozen=True):
    """An alert in a payload; `end` is None while it fires."""

    member: str
    start: float
    end: float | None
    number: int
    origin: str


class Payload(msgspec.Struct, frozen=True):
    """What a peer sends to a receiver."""

    receiver: Receiver
    peer: str
    alerts: Sequence[Listed]
    truncated: int


class Reported(msgspec.Struct, frozen=True):
    """An event of a peer's recorder: created, resolved, silenced (by `silence`), or started."""

    kind: str
    peer: str
    alert: Listed | None = None
    silence: Silencing | None = None


class Sinks(msgspec.Struct, frozen=True):
    """Where it sends to; a payload is taken, or it is not."""

    payload: Callable[[Payload], bool]
    report: Callable[[Reported], None]


class Held(msgspec.Struct):
    """An alert in a peer's memory. It fires as long as its end lies ahead."""

    start: float
    end: float
    number: int
    origin: str
    updated: float


class Notified(msgspec.Struct):
    """What the cluster last told a receiver of the group."""

    at: float
    firing: frozenset[str]
    resolved: frozenset[str]


class Group(msgspec.Struct):
    """A receiver's group in a peer's memory."""

    members: set[str]
    generation: int
    is_flushed: bool = False


class Cluster:
    """Peers that share what they notified and what is silenced."""

    def __init__(
        self,
        world: World,
        sinks: Sinks,
        *,
        names: Sequence[str],
        receivers: Sequence[Receiver],
        timing: Timing,
        silences: Sequence[Silencing] = (),
        has_recorder: bool = False,
    ) -> None:
        self.world = world
        self.sinks = sinks
        self.receivers = receivers
        self.timing = timing
        self.silences = silences
        self.has_recorder = has_recorder
        self.notified: dict[str, Notified] = {}
        self.peers = [Peer(self, name) for name in names]

    def post(self, posted: Sequence[Posted]) -> None:
        """A Prometheus sends to every peer that is up."""
        for peer in self.peers:
            peer.post(posted)

    def place_of(self, peer: "Peer") -> int:
        """How many peers that are up come before one."""
        return [each for each in self.peers if each.is_up].index(peer)

    def silence(self, member: str, seconds: float) -> None:
        """Silence a member from now on for so long."""
        self.silences = [*self.silences, Silencing(member, self.world.now, self.world.now + seconds)]

    def silence_of(self, member: str) -> Silencing | None:
        """What silences a member now."""
        now = self.world.now
        return next(
            (silence for silence in self.silences if silence.member == member and silence.begin <= now < silence.end),
            None,
        )


class Peer:
    """One Alertmanager."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._world = cluster.world
        self.name = name
        self.is_up = True
        self.started: float | None = None
        self._alerts: dict[str, Held] = {}
        self._told_over: set[str] = set()
        self._groups: dict[str, Group] = {}
        self._generations = 0

    def kill(self) -> None:
        """It is gone, and the alerts with it."""
        self.is_up = False
        self._alerts, self._groups, self._told_over = {}, {}, set()

    def start(self) -> None:
        """It starts with what it had notified, and without alerts."""
        self.is_up = True
        self.started = self._world.now
        self._report(Reported("started", self.name))

    def firing(self) -> dict[str, Held]:
        """What its API lists."""
        return {member: alert for member, alert in self._alerts.items() if alert.end > self._world.now}

    def post(self, posted: Sequence[Posted]) -> None:
        """Take what a Prometheus posts."""
        if not self.is_up:
            return
        now = self._world.now
        for entry in posted:
            before = self._alerts.get(entry.member)
            taken = Held(entry.start, entry.end, entry.number, entry.origin, now)
            alert = self._alerts[entry.member] = _merged(before, taken, now)
            was_firing = before is not None and before.end > now
            if alert.end > now and not was_firing:
                self._report(Reported("created", self.name, _listed(entry.member, alert, now)))
                self._told_over.discard(entry.member)
            elif alert.end <= now:
                self._report_over(entry.member, alert)
            for receiver in self._cluster.receivers:
                self._insert(receiver, entry.member, alert)

    def _report(self, reported: Reported) -> None:
        if self._cluster.has_recorder:
            self._cluster.sinks.report(reported)

    def _report_over(self, member: str, alert: Held) -> None:
        if member not in self._told_over:
            self._told_over.add(member)
            self._report(Reported("resolved", self.name, _listed(member, alert, self._world.now)))

    def _insert(self, receiver: Receiver, member: str, alert: Held) -> None:
        group = self._groups.get(receiver.name)
        now, timing = self._world.now, self._cluster.timing
        if group is None:
            self._generations += 1
            group = self._groups[receiver.name] = Group(set(), self._generations)
            wait = 0.0 if alert.start + timing.group_wait < now else timing.group_wait
            self._world.at(now + wait, self._flush(receiver, group))
        elif not group.is_flushed and alert.start + timing.group_wait < now:
            self._generations += 1
            group.generation = self._generations
            self._world.at(now, self._flush(receiver, group))
        group.members.add(member)

    def _flush(self, receiver: Receiver, group: Group) -> Callable[[], None]:
        generation = group.generation

        def flush() -> None:
            if not self.is_up or self._groups.get(receiver.name) is not group or group.generation != generation:
                return
            group.is_flushed = True
            now = self._world.now
            alerts = {member: self._alerts[member] for member in sorted(group.members)}
            listed = [_listed(member, alert, now) for member, alert in alerts.items()]
            for entry in listed:
                if entry.end is not None:
                    self._report_over(entry.member, alerts[entry.member])
            wait = _PEER_TIMEOUT * self._cluster.place_of(self)
            self._world.at(now + wait, lambda: self._notify(receiver, group, listed))
            self._world.at(now + self._cluster.timing.group_interval, flush)

        return flush

    def _notify(self, receiver: Receiver, group: Group, listed: Sequence[Listed]) -> None:
        if not self.is_up or self._groups.get(receiver.name) is not group:
            return
        is_done = self._tell(receiver, [entry for entry in listed if not self._is_muted(entry)])
        over = {
            entry.member
            for entry in listed
            if entry.end is not None and self._alerts[entry.member].end <= self._world.now
        }
        if is_done:
            group.members -= over
        if not group.members:
            del self._groups[receiver.name]

    def _is_muted(self, entry: Listed) -> bool:
        silence = self._cluster.silence_of(entry.member)
        if silence is None:
            return False
        if entry.end is None:
            self._report(Reported("silenced", self.name, entry, silence))
        return True

    def _tell(self, receiver: Receiver, listed: Sequence[Listed]) -> bool:
        """Whether all is well: the receiver was told, or need not be."""
        now = self._world.now
        firing = frozenset(entry.member for entry in listed if entry.end is None)
        over = frozenset(entry.member for entry in listed if entry.end is not None)
        if not _is_news(self._cluster, receiver, firing, over, now):
            return True
        shown = [entry for entry in listed if entry.end is None or receiver.sends_resolved]
        if shown:
            sent = shown[: receiver.max_alerts] if receiver.max_alerts else shown
            payload = Payload(receiver, self.name, sent, len(shown) - len(sent))
            if not self._cluster.sinks.payload(payload):
                return False
        self._cluster.notified[receiver.name] = Notified(now, firing, over)
        return True


def _is_news(cluster: Cluster, receiver: Receiver, firing: frozenset[str], over: frozenset[str], now: float) -> bool:
    """Source: `DedupStage.needsUpdate`."""
    before = cluster.notified.get(receiver.name)
    if before is None:
        return bool(firing)
    if not firing <= before.firing:
        return True
    if not firing:
        return bool(before.firing)
    if receiver.sends_resolved and not over <= before.resolved:
        return True
    return before.at < now - cluster.timing.repeat_interval


def _merged(before: Held | None, taken: Held, now: float) -> Held:
    """Source: `Alerts.Put` and `Alert.Merge`: ranges that overlap are one, with the earliest start."""
    if before is None:
        return taken
    is_overlapping = before.start < taken.end < before.end or before.start < taken.start < before.end
    if not is_overlapping:
        return taken
    is_latest = taken.end > now or before.end <= now
    end = max(before.end, taken.end) if is_latest else taken.end
    return Held(min(before.start, taken.start), end, taken.number, taken.origin, now)


def _listed(member: str, alert: Held, now: float) -> Listed:
    return Listed(member, alert.start, alert.end if alert.end <= now else None, alert.number, alert.origin)
