"""Publishing: each target has a worker of its own. `notifying` decides which target is notified of which event.

A target that hangs, fails or limits its rate holds up its own worker only. A worker leaves deliveries that have to
wait in the outbox, so they outlive this process.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence

import msgspec
import structlog

from alert_history.domain.acts import ActKind
from alert_history.domain.target import TargetSpec
from alert_history.engine.router import Router
from alert_history.engine.switchboard import Switchboard, TargetsTakenUp
from alert_history.engine.turns import Turns
from alert_history.engine.worker import Pause, TargetHealth, TargetWorker
from alert_history.ports import Clock, Outbox, Target

_log = structlog.get_logger()

MakeTarget = Callable[[TargetSpec], Target]


class Publisher:
    """All targets and their workers. Discovery calls `take_up`; `router` decides by the same targets."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        router: Router,
        make: MakeTarget,
        clock: Clock,
        switchboard: Switchboard,
    ) -> None:
        self._outbox = outbox
        self._router = router
        self._make = make
        self._clock = clock
        self._switchboard = switchboard
        self._turns = Turns()
        self._specs: dict[str, TargetSpec] = {}
        self._workers: dict[str, tuple[TargetSpec, TargetWorker, asyncio.Task[None]]] = {}

    @property
    def specs(self) -> list[TargetSpec]:
        """All targets, broken ones too, by priority and name."""
        return list(self._specs.values())

    def health(self, name: str) -> TargetHealth:
        """How the deliveries to a target go."""
        worker = self._worker(name)
        return TargetHealth() if worker is None else worker.health

    def target(self, name: str) -> Target | None:
        """A working target by name; None if no target of that name works."""
        worker = self._worker(name)
        return None if worker is None else worker.target

    def pause(self, name: str) -> Pause | None:
        """Why a target gets nothing just now; None while it does, and for one that does not work."""
        worker = self._worker(name)
        return None if worker is None else worker.pause

    def rate_per_minute(self, name: str) -> float | None:
        """How many messages a minute a working target gets at most."""
        worker = self._worker(name)
        return None if worker is None else worker.rate_per_minute

    def takes_follow_ups(self, name: str) -> bool:
        """Whether a target accepts a classification after the alert itself."""
        worker = self._worker(name)
        return worker is not None and worker.target.takes_follow_ups

    def may_show(self, name: str, kind: ActKind) -> bool:
        """Whether a target can show such an act of a person. Before the targets are known each may; workers decide."""
        worker = self._worker(name)
        return not self._specs if worker is None else kind in worker.shown_acts

    def take_up(self, specs: Sequence[TargetSpec]) -> None:
        """Take `specs` as all the targets there are: start, replace and stop workers. Needs a running loop."""
        wanted: dict[str, TargetSpec] = {}
        for spec in specs:
            wanted[spec.name] = self._with_worker(spec)
        for name in [name for name in self._workers if name not in wanted]:
            self._stop_worker(name)
        # In order once and for all: every event asks for them.
        self._specs = dict(sorted(wanted.items(), key=lambda item: (-item[1].priority, item[0])))
        self._router.take_up_targets(self.specs)
        self._switchboard.say(TargetsTakenUp(self.specs))
        _log.info("targets_found", targets=[spec.name for spec in specs])

    def wake(self, names: Collection[str] | None = None) -> None:
        """Let the workers of these targets, by name, look for new work; by default those of all targets.

        Workers of targets with higher priority are woken first.
        """
        for name in self._specs:
            if name in self._workers and (names is None or name in names):
                self._workers[name][1].wake()

    async def stop(self) -> None:
        """Stop all workers; their deliveries go back to the outbox."""
        tasks = [self._stop_worker(name) for name in list(self._workers)]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _with_worker(self, spec: TargetSpec) -> TargetSpec:
        """Make sure that a usable target has a worker of exactly this spec; the spec, with a fault if it has one."""
        running = self._workers.get(spec.name)
        if running is not None:
            if running[0] == spec:
                return spec
            self._stop_worker(spec.name)
        if spec.fault is not None or not spec.is_enabled:
            return spec
        try:
            target = self._make(spec)
        except ValueError as error:
            return msgspec.structs.replace(spec, fault=str(error))
        worker = TargetWorker(
            spec,
            target,
            outbox=self._outbox,
            clock=self._clock,
            switchboard=self._switchboard,
            turns=self._turns,
            regroup=self._router.regroup,
        )
        task = asyncio.create_task(worker.run(), name=f"target {spec.name}")
        self._workers[spec.name] = (spec, worker, task)
        return spec

    def _worker(self, name: str) -> TargetWorker | None:
        running = self._workers.get(name)
        return None if running is None else running[1]

    def _stop_worker(self, name: str) -> asyncio.Task[None]:
        _, _, task = self._workers.pop(name)
        task.cancel()
        return task
