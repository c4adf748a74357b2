"""When a server was alive, as its samples tell: what parts an alert that resolved from a server that was killed.

Pure. Two kinds of evidence: samples that rules wrote, which say that rules were evaluated then, and a witness, a series
that is scraped all the time, whose gaps say that the server was down. Times are milliseconds since 1970.
"""

from bisect import bisect_left, bisect_right
from operator import itemgetter

from alert_history.origins.imports.prometheus_wire import Stretch

PROMISE_FACTOR = 4
RESEND_MS = 60_000
EXPIRY_MS = 15 * 60_000
_SLACK = 0.5


def tolerance_ms(interval_ms: int) -> int:
    """How long after its last evaluation a server that restarts still goes on with the same firing.

    A post promises 4 × the longer of interval and resend delay, and the history waits 15 minutes beyond that for the
    sender: `Rules.expire_after_us` of `domain.standing`.
    """
    return PROMISE_FACTOR * max(interval_ms, RESEND_MS) + EXPIRY_MS


class Life:
    """The evidence of one server."""

    def __init__(self) -> None:
        self._evaluated: list[tuple[int, int]] = []
        self._noted: list[tuple[int, int]] = []
        self._witnessed: list[tuple[int, int]] = []
        self._witness_step_ms = 0
        self._starts: list[int] = []

    def add_evaluated(self, stretches: list[Stretch]) -> None:
        """Rules wrote samples from the first to the last time of each stretch, an interval apart."""
        self._noted += [(stretch.first_ms, stretch.last_ms) for stretch in stretches]

    def add_witnessed(self, chains: list[Stretch], *, step_ms: int) -> None:
        """The witness has samples from the first to the last time of each chain, `step_ms` apart."""
        self._witness_step_ms = max(step_ms, self._witness_step_ms)
        pieces = [*self._witnessed, *((chain.first_ms, chain.last_ms) for chain in chains)]
        self._witnessed = _joined(pieces, reach_ms=round(step_ms * (1 + _SLACK)))

    def add_start(self, first_evaluation_ms: int) -> None:
        """The server had started just before it evaluated a group then, for the first time."""
        index = bisect_left(self._starts, first_evaluation_ms)
        if self._starts[index : index + 1] != [first_evaluation_ms]:
            self._starts.insert(index, first_evaluation_ms)

    def forget_before(self, time_ms: int) -> None:
        """Drop evidence of which nothing is asked any more."""
        self._evaluated = [piece for piece in self._settled() if piece[1] >= time_ms]
        self._witnessed = [piece for piece in self._witnessed if piece[1] >= time_ms]
        self._starts = [start for start in self._starts if start >= time_ms]

    def next_start(self, after_ms: int) -> int | None:
        """The first known start of the server after that time."""
        index = bisect_right(self._starts, after_ms)
        return self._starts[index] if index < len(self._starts) else None

    def has_resolved(self, last_ms: int, interval_ms: int) -> bool:
        """Whether the server evaluated the alert once more after its last firing sample, and so found it over.

        Without a witness that is taken for granted, unless the server is known to have started anew since.
        """
        due = last_ms + interval_ms
        start = self.next_start(last_ms)
        bound = due + 2 * interval_ms - 1  # a server that starts anew at once writes its first samples then
        if start is not None:
            bound = min(bound, start - 1)
        if self._was_evaluated(due - 1, bound):
            return True
        is_restarted = start is not None and start <= due + interval_ms + self._witness_step_ms
        chain = self._chain_at(last_ms)
        if chain is not None:
            return chain[1] >= due and not is_restarted
        if any(first > last_ms for first, _ in self._witnessed):
            return False
        return start is None or start > last_ms + tolerance_ms(interval_ms)

    def is_explained(self, last_ms: int, start_ms: int, *, interval_ms: int) -> bool:
        """Whether a restart explains why nothing fired between a last sample and a first evaluation after the restart.

        It does not where the server evaluated the rules between the two, and did not find the alert.
        """
        due = last_ms + interval_ms
        if start_ms <= due + interval_ms * _SLACK:
            return True
        if start_ms - last_ms > tolerance_ms(interval_ms):
            return False
        begins = self.next_start(last_ms) or start_ms
        if self._was_evaluated(due - 1, min(begins, start_ms) - 1):
            return False
        chain = self._chain_at(last_ms)
        if chain is None:
            return True
        if chain[1] < start_ms - interval_ms * _SLACK:  # the witness has a gap of its own: down since then
            return chain[1] < due
        return start_ms - due <= interval_ms + 2 * self._witness_step_ms

    def _was_evaluated(self, since_ms: int, until_ms: int) -> bool:
        evaluated = self._settled()
        index = bisect_left(evaluated, since_ms, key=itemgetter(1))
        return since_ms <= until_ms and index < len(evaluated) and evaluated[index][0] <= until_ms

    def _settled(self) -> list[tuple[int, int]]:
        """When rules were evaluated: pieces in order, apart from each other."""
        if self._noted:
            self._evaluated = _joined([*self._evaluated, *self._noted], reach_ms=0)
            self._noted = []
        return self._evaluated

    def _chain_at(self, time_ms: int) -> tuple[int, int] | None:
        """The chain of the witness that a moment lies in, or a step after its end, as the witness is scraped rarely."""
        for first, last in self._witnessed:
            if first - self._witness_step_ms <= time_ms <= last + self._witness_step_ms:
                return first, last
        return None


def _joined(pieces: list[tuple[int, int]], *, reach_ms: int) -> list[tuple[int, int]]:
    """Pieces in order, those that overlap or lie within reach made one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(pieces):
        if joined and first <= joined[-1][1] + reach_ms:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined
