"""Firings of the samples of `ALERTS`: where each began, what cuts it, where it ended and how that is known.

Pure: it gets what each span has of each series, and says which firings are over. Facts of Prometheus that it rests on:

- A firing sample is written at each evaluation: the first is the posted start, the first one lacking the posted end.
- ALERTS_FOR_STATE names when the alert became active, in whole seconds. As evaluations lie on a grid, that is exact to
  the millisecond. As long as it names one moment, it is one firing, whatever samples are lacking.
- The first two evaluations after a start of the server post, but write no sample. An alert that was active by then has
  its first sample later than ALERTS_FOR_STATE says; so it tells that the server started, and when the firing began.
- A server that starts anew posts what fires with a new start, and never resolves the old one: one occurrence.

Source: `rules/alerting.go`, `rules/group.go` of prometheus/prometheus 2.42 and 3.x. Times are milliseconds since 1970.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter

import msgspec

from alert_history.domain.standing import EndedBy
from alert_history.origins.imports.prometheus_life import Life, tolerance_ms
from alert_history.origins.imports.prometheus_wire import Activation, Alert, Stretch

DEFAULT_INTERVAL_MS = 60_000
_UNWRITTEN = 2.5
"""How many intervals a first sample lies after the start of the alert at most, if the server had just started."""


class Rule(msgspec.Struct, frozen=True):
    """What is known of the rule of an alert; None is unknown."""

    interval_ms: int | None = None
    hold_ms: int | None = None


class Run(msgspec.Struct):
    """A firing that may go on. `began_ms` is when it was posted to begin, `active_s` what ALERTS_FOR_STATE names."""

    alert: Alert
    labels: dict[str, str]
    began_ms: int
    last_ms: int
    interval_ms: int | None
    active_s: int | None = None
    stale_ms: int | None = None

    @property
    def step_ms(self) -> int:
        """Its interval, or Prometheus' default."""
        return self.interval_ms or DEFAULT_INTERVAL_MS


class Firing(msgspec.Struct, frozen=True):
    """A firing that is over, or one that fires still: then `ended_ms` is None."""

    labels: dict[str, str]
    began_ms: int
    last_ms: int
    ended_ms: int | None
    ended_by: EndedBy


class Observed(msgspec.Struct):
    """What a span has of one series of ALERTS. `activations` are those of the alert, from `since_ms` on."""

    alert: Alert
    labels: dict[str, str]
    stretches: list[Stretch]
    interval_ms: int | None
    activations: Sequence[Activation] = ()
    since_ms: int = 0


class _Part(msgspec.Struct):
    """A stretch within one activation."""

    stretch: Stretch
    activation: Activation | None


class Runs:
    """Follows each series from span to span. `life_of` gives the evidence of the server of a series, by its labels."""

    def __init__(self, life_of: Callable[[dict[str, str]], Life], *, reads_from_ms: int) -> None:
        self._life_of = life_of
        self._reads_from_ms = reads_from_ms
        self._open: dict[Alert, Run] = {}
        self._pending_names: set[str] = set()
        self._marks_ends = False

    def __len__(self) -> int:
        return len(self._open)

    def open_run(self, alert: Alert) -> Run | None:
        """The run of a series that may go on."""
        return self._open.get(alert)

    def silent(self, since_ms: int) -> bool:
        """Whether a series that may go on has no sample since then."""
        return any(run.last_ms < since_ms for run in self._open.values())

    def earliest_open_ms(self) -> int | None:
        """When the earliest firing began that may go on."""
        return min((run.began_ms for run in self._open.values()), default=None)

    def go_on(self, alert: Alert, stretches: list[Stretch], *, until_ms: int) -> bool:
        """Whether the one stretch just goes on with the open run, to the end of the span; then the run is taken on."""
        run = self._open.get(alert)
        if run is None or run.interval_ms is None or run.stale_ms is not None or len(stretches) != 1:
            return False
        (stretch,), longest = stretches, run.interval_ms * 1.5
        if stretch.stale_ms is not None or stretch.first_ms - run.last_ms > longest:
            return False
        if until_ms - stretch.last_ms > longest:
            return False
        run.last_ms = max(run.last_ms, stretch.last_ms)
        return True

    def note(self, observed: Sequence[Observed]) -> None:
        """Learn which alerts pend and when servers started, of all series of a span, before any of them is taken."""
        for series in observed:
            if any(stretch.stale_ms is not None for stretch in series.stretches):
                self._marks_ends = True
            self._note_series(series)

    def take(self, series: Observed, rule: Rule) -> Iterator[Firing]:
        """Follow a series through a span; the firings of it that are over by now."""
        parts = _parts(series)
        if len(parts) > len(series.stretches):  # the alert ended between samples that lie evenly
            series.interval_ms = rule.interval_ms or min(series.interval_ms or DEFAULT_INTERVAL_MS, DEFAULT_INTERVAL_MS)
        for part in parts:
            run = self._open.get(series.alert)
            if run is not None and self._is_same(run, part, series=series, rule=rule):
                run.last_ms = max(run.last_ms, part.stretch.last_ms)
                run.stale_ms = part.stretch.stale_ms
                run.active_s = part.activation.active_s if part.activation else run.active_s
                run.interval_ms = series.interval_ms or run.interval_ms
                continue
            if run is not None:
                yield self._over(run)
            self._open[series.alert] = self._begun(part, series, rule=rule)

    def close_silent(self, now_ms: int) -> Iterator[Firing]:
        """The firings that are over because nothing can go on with them any more."""
        for alert, run in list(self._open.items()):
            if now_ms - run.last_ms > tolerance_ms(run.step_ms):
                del self._open[alert]
                yield self._over(run)

    def close_all(self, now_ms: int, *, current: Collection[Alert], hidden_ms: int = 0) -> Iterator[Firing]:
        """The rest, at the end of the reading. `current` are the alerts that the server has now: they fire still.

        An alert that ended is not there at once; one of a server that was killed stays for minutes.
        The server may hold back samples of the last `hidden_ms`.
        """
        for run in list(self._open.values()):
            silent_ms = now_ms - run.last_ms
            if run.alert in current and run.stale_ms is None and silent_ms <= 2 * run.step_ms + hidden_ms:
                yield Firing(run.labels, run.began_ms, run.last_ms, None, "inferred")
            elif run.stale_ms is None and silent_ms <= 2 * run.step_ms:
                yield Firing(run.labels, run.began_ms, run.last_ms, run.last_ms + run.step_ms, "resolved")
            else:
                yield self._over(run)
        self._open.clear()

    def _note_series(self, series: Observed) -> None:
        run = self._open.get(series.alert)
        last_ms, active_s = (run.last_ms, run.active_s) if run else (series.since_ms, None)
        for part in _parts(series):
            if part.activation is not None:
                is_new = part.activation.active_s != active_s
                start_ms = self._start_at(part, series) if is_new else _restart_within(part, series, last_ms=last_ms)
                if start_ms is not None:
                    self._life_of(series.labels).add_start(start_ms)
            last_ms, active_s = part.stretch.last_ms, part.activation.active_s if part.activation else None

    def _start_at(self, part: _Part, series: Observed) -> int | None:
        """When the server first evaluated after a start, as a new activation tells; and whether the alert pends."""
        activation = part.activation
        if activation is None:
            return None
        if activation.first_ms < part.stretch.first_ms:
            self._pending_names.add(series.labels.get("alertname", ""))
        return _active_ms(activation, series.interval_ms) if _starts_late(activation, series) else None

    def _is_same(self, run: Run, part: _Part, *, series: Observed, rule: Rule) -> bool:
        """Whether a part goes on with the firing of the run."""
        activation = part.activation
        if activation is not None and run.active_s == activation.active_s:
            return True
        if run.stale_ms is not None:
            return False
        silent_ms = part.stretch.first_ms - run.last_ms
        if self._marks_ends:  # it did not end: whoever evaluates it was down
            return silent_ms <= tolerance_ms(run.step_ms)
        if run.active_s is None or activation is None:
            return silent_ms <= run.step_ms * 1.5
        begins_ms = self._began_ms(part, series, rule=rule)
        return self._is_same_anew(run, begins_ms, starts_late=_starts_late(activation, series), rule=rule)

    def _is_same_anew(self, run: Run, begins_ms: int, *, starts_late: bool, rule: Rule) -> bool:
        """Whether an alert that became active anew is one firing with the run: it touches, or a restart explains it."""
        touches_ms = 0 if rule.interval_ms is None else rule.interval_ms * 1.5
        if begins_ms <= run.last_ms + touches_ms:
            return True
        life = self._life_of(run.labels)
        return starts_late and life.is_explained(run.last_ms, begins_ms, interval_ms=run.step_ms)

    def _begun(self, part: _Part, series: Observed, *, rule: Rule) -> Run:
        return Run(
            alert=series.alert,
            labels=series.labels,
            began_ms=self._began_ms(part, series, rule=rule),
            last_ms=part.stretch.last_ms,
            interval_ms=series.interval_ms,
            active_s=part.activation.active_s if part.activation else None,
            stale_ms=part.stretch.stale_ms,
        )

    def _began_ms(self, part: _Part, series: Observed, *, rule: Rule) -> int:
        """When the firing of a part was posted to begin."""
        first_ms, activation = part.stretch.first_ms, part.activation
        if activation is None or activation.first_ms < first_ms:  # it was seen to pend before, or nothing is known
            return first_ms
        step_ms = series.interval_ms or DEFAULT_INTERVAL_MS
        active_ms = _active_ms(activation, series.interval_ms)
        hold_ms = rule.hold_ms
        if hold_ms is None and series.labels.get("alertname", "") in self._pending_names:
            return first_ms
        began_ms = active_ms + math.ceil((hold_ms or 0) / step_ms) * step_ms
        if began_ms > first_ms:
            return first_ms
        is_cut_off = first_ms - self._reads_from_ms <= 1.5 * step_ms
        is_near = first_ms - began_ms <= _UNWRITTEN * step_ms
        return began_ms if not hold_ms or is_near or is_cut_off else first_ms

    def _over(self, run: Run) -> Firing:
        self._open.pop(run.alert, None)
        if run.stale_ms is not None:
            return Firing(run.labels, run.began_ms, run.last_ms, run.stale_ms, "resolved")
        if not self._marks_ends and self._life_of(run.labels).has_resolved(run.last_ms, run.step_ms):
            return Firing(run.labels, run.began_ms, run.last_ms, run.last_ms + run.step_ms, "resolved")
        return Firing(run.labels, run.began_ms, run.last_ms, run.last_ms, "inferred")


def _restart_within(part: _Part, series: Observed, *, last_ms: int) -> int | None:
    """When the server first evaluated after a start, if an activation that it restored lacks samples before a part."""
    step_ms = series.interval_ms or DEFAULT_INTERVAL_MS
    return part.stretch.first_ms - 2 * step_ms if part.stretch.first_ms - last_ms > _UNWRITTEN * step_ms else None


def _starts_late(activation: Activation, series: Observed) -> bool:
    """Whether the first sample of an activation lies one or two intervals after its start: the server had just started.

    Where the samples were read from then on only, nobody knows.
    """
    step_ms = series.interval_ms or DEFAULT_INTERVAL_MS
    late_ms = activation.first_ms - _active_ms(activation, series.interval_ms)
    is_cut_off = activation.first_ms - series.since_ms <= step_ms * 1.5
    return not is_cut_off and step_ms / 2 < late_ms <= _UNWRITTEN * step_ms


def _parts(series: Observed) -> list[_Part]:
    """The stretches, cut where ALERTS_FOR_STATE names another moment."""
    parts: list[_Part] = []
    for stretch in series.stretches:
        first = bisect_left(series.activations, stretch.first_ms, key=attrgetter("last_ms"))
        within = series.activations[
            first : bisect_right(series.activations, stretch.last_ms, key=attrgetter("first_ms"))
        ]
        if len(within) < 2:  # noqa: PLR2004  # nothing to cut
            parts.append(_Part(stretch, within[0] if within else None))
            continue
        for activation in within:
            is_last = activation is within[-1]
            cut = Stretch(
                max(stretch.first_ms, activation.first_ms),
                stretch.last_ms if is_last else min(stretch.last_ms, activation.last_ms),
                stretch.stale_ms if is_last else None,
            )
            parts.append(_Part(cut, activation))
    return parts


def _active_ms(activation: Activation, interval_ms: int | None) -> int:
    """When an alert became active, to the millisecond where the grid of its evaluations tells it."""
    active_s, first_ms = activation.active_s, activation.first_ms
    step_ms = interval_ms or DEFAULT_INTERVAL_MS
    steps = round((first_ms - active_s * 1000 - 500) / step_ms)
    candidates = [first_ms - number * step_ms for number in (0, 2, 1, steps)]
    return next((time for time in candidates if time // 1000 == active_s), active_s * 1000)
