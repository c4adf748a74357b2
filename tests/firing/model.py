"""A stateful model: hypothesis lets things happen to senders one after the other, and a judge looks at the end of it.

What is true is known at each moment. The senders, the judge and the rules are those of the trials.
"""

from functools import partial
from typing import Literal

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.firing.stories import MOST_SEEDS, SPANS
from tests.firing.trial import Trial, describe
from tests.senders.alertmanager import Receiver, Timing
from tests.senders.asking import Asking
from tests.senders.scenario import Alerting, Scenario, Scene, Site, Stage, Watcher

MEMBERS = st.sampled_from(["db-1", "db-2"])
WHICH = st.integers(0, 1)
PAIR = (Watcher(15, 60, 0, 7), Watcher(15, 60, 7, -20))
RECEIVERS = (Receiver("pager", "/webhook/proxy"), Receiver("more", "/webhook/proxy"))
TIMING = Timing(10, 60, 600)
_SHORTEST_WAIT = 1.0


class Senders(RuleBasedStateMachine):
    """A pair of Prometheus and a pair of Alertmanagers, or one kind of them, to which things happen."""

    stage: Stage
    calms_at: float = 0.0

    @initialize(
        way=st.sampled_from(["direct", "alertmanager", "both"]),
        is_alike=st.booleans(),
        has_recorder=st.booleans(),
        is_asked=st.booleans(),
    )
    def set_up(self, way: str, *, is_alike: bool, has_recorder: bool, is_asked: bool) -> None:
        """Who posts to whom, and who is asked."""
        alerting = Alerting(("am-0", "am-1"), RECEIVERS, TIMING, has_recorder=has_recorder)
        site = Site(
            "a",
            {"db-1": [], "db-2": []},
            PAIR,
            is_direct=way != "alertmanager",
            is_alike=is_alike,
            alerting=None if way == "direct" else alerting,
        )
        self.stage = Stage(Scenario((site,), asking=Asking() if is_asked else None))

    @property
    def scene(self) -> Scene:
        """The one site."""
        return self.stage.scenes[0]

    @rule(member=MEMBERS)
    def condition_changes(self, member: str) -> None:
        """It begins to hold, or holds no more."""
        self.wait(_SHORTEST_WAIT)
        world = self.scene.world
        if world.number_of(member, world.now) is None:
            world.begin(member)
        else:
            world.end(member)
        self._is_calm_after(0)

    @rule(seconds=SPANS)
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.stage.run(self.stage.now + seconds)

    @rule(which=WHICH, seconds=SPANS)
    def prometheus_is_down(self, which: int, seconds: float) -> None:
        """One of the pair dies, or is only restarted."""
        watcher = self.scene.watchers[which]
        if watcher.is_up:
            watcher.kill()
            self.scene.world.at(self.stage.now + seconds, watcher.start)
            self._is_calm_after(seconds)

    @precondition(lambda self: self.scene.cluster)
    @rule(which=WHICH, seconds=SPANS)
    def alertmanager_is_down(self, which: int, seconds: float) -> None:
        """One of the peers dies, or is only restarted."""
        peer = self.scene.cluster.peers[which] if self.scene.cluster else None
        if peer is not None and peer.is_up:
            peer.kill()
            self.scene.world.at(self.stage.now + seconds, peer.start)
            self._is_calm_after(seconds)

    @precondition(lambda self: self.scene.cluster)
    @rule(member=MEMBERS, seconds=SPANS)
    def member_is_silenced(self, member: str, seconds: float) -> None:
        """Somebody silences it for some time."""
        if self.scene.cluster is not None and self.scene.cluster.silence_of(member) is None:
            self.scene.cluster.silence(member, seconds)
            self._is_calm_after(seconds)

    @rule(kind=st.sampled_from(["lost", "doubled", "late"]), seconds=SPANS)
    def network_is_troubled(self, kind: Literal["lost", "doubled", "late"], seconds: float) -> None:
        """For some time requests are lost, or come twice, or late."""
        self.scene.network.trouble(kind, seconds)
        self._is_calm_after(seconds)

    @rule(which=WHICH, member=MEMBERS)
    def prometheus_sees_an_old_sample(self, which: int, member: str) -> None:
        """Killed and started again, it sees a sample of before once more."""
        self.scene.world.at(self.stage.now, partial(self.scene.watchers[which].see_again, member))
        self._is_calm_after(0)

    @precondition(lambda self: self.stage.scenario.asking)
    @rule()
    def somebody_asks(self) -> None:
        """All are asked out of turn."""
        if self.stage.scenario.asking is not None:
            self.wait(_SHORTEST_WAIT)
            self.stage.ask(self.stage.scenario.asking)

    def teardown(self) -> None:
        """Let all come to rest, and judge."""
        if hasattr(self, "stage") and any(self.scene.truth.values()):
            self.stage.run(max(self.calms_at, self.stage.now) + self.stage.scenario.settling)
            self.judge()

    def judge(self) -> None:
        """What became of it has no fault."""
        trial = Trial(self.stage)
        assert trial.faults() == [], describe(trial)

    def _is_calm_after(self, seconds: float) -> None:
        self.calms_at = max(self.calms_at, self.stage.now + seconds)


def modelled(*, count: int, sizes: tuple[int, int]) -> list[Stage]:
    """Stages of exactly so many runs, in which so much is heard: for tests that need a database each.

    They are the same as long as the same local modules are loaded, see `drawn`.
    """
    stages: list[Stage] = []

    class Keeping(Senders):
        def judge(self) -> None:
            if len(stages) < count and sizes[0] <= len(self.stage.played().heard) <= sizes[1]:
                stages.append(self.stage)

    settled = settings(
        max_examples=20 * count,
        stateful_step_count=25,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    for number in range(MOST_SEEDS):
        if len(stages) < count:
            run_state_machine_as_test(seed(number)(Keeping), settings=settled)
    assert len(stages) == count, f"{len(stages)} of {count} stages"
    return stages
