"""Reconcile: history is compared with what its origins say that fires, and set right where both differ.

One replica asks at a time; the others show the states that it stored. An alert that is over ends after two rounds in a
row; `domain.reconciling` has the rules.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from typing import Protocol

import msgspec
import structlog

from alert_history.domain.alert import Silence
from alert_history.domain.claim import MINUTE_US, SECOND_US
from alert_history.domain.correcting import CORRECTION_KINDS, Correction, corrections
from alert_history.domain.decision import Decision, with_peers
from alert_history.domain.standing import Rules, Witnesses
from alert_history.engine.alertmanager_memory import AlertmanagerMemory
from alert_history.engine.comparing import Answers, Comparison, Voice, voices
from alert_history.engine.listing import Listing, api_sender
from alert_history.engine.origins import Asking, OriginState, Round, states_after
from alert_history.engine.upkeep import every
from alert_history.errors import StorageUnavailable
from alert_history.ports import ClaimRecorder, Clock, Reconciling, Store

_STEP_LABEL_SETS = 100
_STEP_SIGNS = 500
_REST_SECONDS = 0.02  # between two steps: ingest has the database to itself meanwhile
_SIGN_EVERY_US = MINUTE_US
_SIGNS_A_BOUND = 4
_RESTART_SLACK_US = 10 * SECOND_US  # an origin names its start by its own clock, and the time moves a little each time
_SETTING = "origins"
_TURN_LASTS = timedelta(seconds=30)

_log = structlog.get_logger()


class ReconcileObserver(Protocol):
    """Counts corrections, and shows when each origin last answered."""

    def corrected(self, source: str, kind: str, count: int) -> None:
        """So many corrections of that kind were made on the word of that source; 0 makes the pair known."""
        ...

    def answered(self, source: str, at: datetime) -> None:
        """That source last answered at that time, whichever replica asked."""
        ...


class Report(msgspec.Struct, frozen=True):
    """The result of a comparison: corrections, and how many signs of life it confirmed.

    `open` label sets were compared; no origin claims `strange` of them, so these stay as they were.
    """

    corrections: list[Correction]
    signs: int
    open: int
    strange: int


class Comparing:
    """Compares answers with the open label sets of a store, and remembers each origin's listing until the next time.

    `rest_seconds` is the pause between two steps, in which others have the database.
    """

    def __init__(
        self,
        reconciling: Reconciling,
        recorder: ClaimRecorder,
        *,
        clock: Clock,
        rules: Rules,
        rest_seconds: float = _REST_SECONDS,
    ) -> None:
        self._rest_seconds = rest_seconds
        self._reconciling = reconciling
        self._recorder = recorder
        self._clock = clock
        stale_us = rules.stale_after_us
        self._sign_every_us = _SIGN_EVERY_US if stale_us is None else min(_SIGN_EVERY_US, stale_us // _SIGNS_A_BOUND)
        self._silences: dict[str, Silence] = {}
        self._seen: dict[str, tuple[int, frozenset[str]]] = {}

    async def compare(self, rounds: Sequence[Round], *, is_dry_run: bool = False) -> Report:
        """Compare the answers of these rounds, the oldest first, and correct history where they differ.

        Raises: StorageUnavailable; corrections until then stay.
        """
        witnesses = _with_restarts(
            self._recorder.witnesses, [listing for round_ in rounds for listing in round_.listings]
        )
        faults = {api_sender(source.partition("/")[2]): fault for source, fault in _silent(rounds[-1]).items()}
        heard = voices([round_.listings for round_ in rounds], witnesses, faults)
        for voice in heard:
            voice.remember(*self._seen.get(voice.asked.source, (None, frozenset())))
        comparison = Comparison(heard, witnesses, sign_every_us=self._sign_every_us)
        async for page in self._reconciling.read_open():
            comparison.take(page)
        decisions, witnesses = await self._answer(comparison.listed(), witnesses, is_dry_run=is_dry_run)
        more, witnesses = await self._answer(comparison.lacked(witnesses), witnesses, is_dry_run=is_dry_run)
        if not is_dry_run:
            await self._confirm(comparison)
            await self._keep_silences(heard)
            self._recorder.take_up_witnesses(self._recorder.witnesses.merged(witnesses))
            self._remember(heard)
        made = [correction for decision in (*decisions, *more) for correction in corrections(decision)]
        return Report(made, len(comparison.signs), comparison.open, len(comparison.strange))

    async def _answer(
        self, answers: Answers, witnesses: Witnesses, *, is_dry_run: bool
    ) -> tuple[list[Decision], Witnesses]:
        """Take answers in steps; the decisions, and the witnesses that are known then."""
        decisions: list[Decision] = []
        names = list(answers)
        for begin in range(0, len(names), _STEP_LABEL_SETS):
            step = {name: answers[name] for name in names[begin : begin + _STEP_LABEL_SETS]}
            made = await self._reconciling.answer(step, self._clock(), witnesses=witnesses, is_dry_run=is_dry_run)
            witnesses = with_peers(witnesses, made)
            decisions += [decision for decision in made if decision.events]
            await asyncio.sleep(self._rest_seconds)
        return decisions, witnesses

    async def _confirm(self, comparison: Comparison) -> None:
        signs = comparison.signs
        for begin in range(0, len(signs), _STEP_SIGNS):
            await self._reconciling.confirm(signs[begin : begin + _STEP_SIGNS])
            await asyncio.sleep(self._rest_seconds)

    async def _keep_silences(self, heard: Sequence[Voice]) -> None:
        """Store silences that are new, or have changed since this process last stored them."""
        listed = {silence.id: silence for voice in heard for listing in voice.listings for silence in listing.silences}
        news = [silence for name, silence in listed.items() if self._silences.get(name) != silence]
        for begin in range(0, len(news), _STEP_SIGNS):
            await self._reconciling.keep_silences(news[begin : begin + _STEP_SIGNS])
        if listed:
            self._silences = listed

    def _remember(self, heard: Sequence[Voice]) -> None:
        for voice in heard:
            last = voice.listings[-1]
            self._seen[voice.asked.source] = (last.asked.asked_us, frozenset(last.listed))


def _silent(round_: Round) -> dict[str, str]:
    return {source: fault for source, fault in round_.faults.items() if source.startswith("alertmanager/")}


def _with_restarts(witnesses: Witnesses, listings: Sequence[Listing]) -> Witnesses:
    """The known witnesses, with the time when each cluster that was asked began."""
    for listing in listings:
        sender, began_us = listing.asked.sender, listing.asked.began_us
        if listing.asked.kind == "witness" and began_us is not None:
            known_us = witnesses.restarted_us.get(witnesses.of(sender), 0)
            if began_us > known_us + _RESTART_SLACK_US:
                witnesses = witnesses.restarted(sender, began_us)
    return witnesses


class Reconcile:
    """The job that compares in the background. `holder` names this process, and is unique to it.

    `state` says when each origin last answered, and its fault, as far as this process knows.
    """

    def __init__(
        self,
        store: Store,
        asking: Asking,
        comparing: Comparing,
        *,
        holder: str,
        interval: timedelta,
        clock: Clock,
        observer: ReconcileObserver,
    ) -> None:
        self._store = store
        self._asking = asking
        self._comparing = comparing
        self._memory = AlertmanagerMemory(store.configurations, store.silence_versions)
        self._holder = holder
        self._interval = interval
        self._clock = clock
        self._observer = observer
        self._has_turn = False
        self.state: Mapping[str, OriginState] = {}

    def fault(self) -> str | None:
        """Which origins are silent, and why; None if all answer."""
        faults = [f"{source}: {state.fault}" for source, state in self.state.items() if state.fault is not None]
        return "; ".join(sorted(faults)) or None

    async def run(self) -> None:
        """Until cancelled; then the turn is free, so that whoever comes next asks at once."""
        for source in self._sources():
            for kind in CORRECTION_KINDS:
                self._observer.corrected(source, kind, 0)
        try:
            async with aclosing(self._asking):
                await every(self._interval.total_seconds(), "reconcile", self.round)
        finally:
            if self._has_turn:
                with suppress(StorageUnavailable):
                    await self._store.reconciling.take_turn(self._holder, lasts=timedelta())

    async def round(self) -> Report | None:
        """Ask and compare once, if this process has the turn; the report, or None without a turn."""
        lasts = 2 * self._interval + _TURN_LASTS
        self._has_turn = await self._store.reconciling.take_turn(self._holder, lasts=lasts)
        if not self._has_turn:
            value = await self._store.settings.read(_SETTING)
            self._show({} if value is None else msgspec.convert(value, dict[str, OriginState]))
            return None
        recorder = self._store.recorder
        recorder.take_up_witnesses(recorder.witnesses.merged(self._asking.origins.witnesses()))
        round_ = await self._asking.ask(recorder.witnesses)
        self._show(states_after(round_, self.state, self._clock()))
        await self._store.settings.write(_SETTING, msgspec.to_builtins(self.state))
        report = await self._comparing.compare([round_])
        await self._memory.keep(round_.listings)
        self._count(report)
        return report

    def _sources(self) -> list[str]:
        origins = self._asking.origins
        return [
            *(f"alertmanager/{origin.name}" for origin in origins.alertmanagers),
            *(f"prometheus/{origin.name}" for origin in origins.prometheuses),
        ]

    def _show(self, state: Mapping[str, OriginState]) -> None:
        self.state = {source: state.get(source, OriginState()) for source in self._sources()}
        for source, origin in self.state.items():
            if origin.answered_at is not None:
                self._observer.answered(source, origin.answered_at)

    def _count(self, report: Report) -> None:
        counted = Counter((correction.source, correction.kind) for correction in report.corrections)
        for (source, kind), count in counted.items():
            self._observer.corrected(source, kind, count)
        if counted:
            _log.info("reconciled", **{f"{source} {kind}": count for (source, kind), count in counted.items()})
