"""Words about one label set, said at seconds that a test can name, and what the domain's rules make of them."""

from typing import Any

from alert_history.domain.claim import SECOND_US, Sender, SenderKind, Word
from alert_history.domain.hearing import hear
from alert_history.domain.lapsing import leave_group, pass_time
from alert_history.domain.standing import DEFAULT_RULES, Firing, Past, Rules, Standing, Witnesses
from alert_history.domain.step import Step

BASE_US = 1_772_625_600 * SECOND_US
"""Second 0 of every story."""

PROM_A = Sender("first_hand", "http://prometheus-a:9090", "10.0.0.1").id
PROM_B = Sender("first_hand", "http://prometheus-b:9090", "10.0.0.2").id
AM_0 = Sender("witness", "http://alertmanager-0:9093").id
AM_1 = Sender("witness", "http://alertmanager-1:9093").id
OTHER_AM = Sender("witness", "http://elsewhere:9093").id

_WITNESSES = {AM_0, AM_1, OTHER_AM}
_UNKNOWN = Witnesses()

PROMISE_SECONDS = 240.0
"""How far ahead Prometheus promises: four resend delays of a minute."""


def us(second: float) -> int:
    """A second of the story in microseconds since 1970."""
    return BASE_US + round(second * SECOND_US)


def second(time_us: int) -> float:
    """The inverse of `us`."""
    return (time_us - BASE_US) / SECOND_US


def fires(sender: str, at: float, *, since: float | None = None, promise: float = PROMISE_SECONDS, **more: Any) -> Word:
    """It fires, says a sender at that second; since then if nothing else is given."""
    start_us = us(at if since is None else since)
    until_us = None if sender in _WITNESSES else us(at + promise)
    return _word(sender, at, is_firing=True, start_us=start_us, until_us=until_us, **more)


def resolved(sender: str, at: float, *, since: float, end: float | None = None, **more: Any) -> Word:
    """It is over, says a sender at that second: it fired since then, and ended there, or now."""
    end_us = us(at if end is None else end)
    return _word(sender, at, is_firing=False, start_us=us(since), end_us=end_us, **more)


def _word(sender: str, at: float, **given: Any) -> Word:
    is_witness = sender in _WITNESSES
    kind: SenderKind = "witness" if is_witness else "first_hand"
    peer = sender if is_witness else ""
    usual: dict[str, Any] = {"is_to_publish": True, "is_listed": is_witness, "content": 0, "peer": peer}
    return Word(sender, kind, at_us=us(at), **(usual | given))


class Story:
    """One label set: what is said of it is heard in order, and time passes in between as far as a test lets it."""

    def __init__(self, *words: Word, rules: Rules = DEFAULT_RULES, witnesses: Witnesses = _UNKNOWN) -> None:
        self.standing = Standing()
        self._rules = rules
        self._witnesses = witnesses
        self.steps: list[Step] = []
        for word in words:
            self.hears(word)

    @property
    def firing(self) -> Firing:
        """What is open."""
        assert self.standing.firing is not None
        return self.standing.firing

    @property
    def over(self) -> tuple[Past, ...]:
        """What is over, the newest last; nothing is open."""
        assert self.standing.firing is None
        return self.standing.past

    @property
    def ends(self) -> list[tuple[float, str]]:
        """When each firing that is over ended, and how that is known."""
        return [(second(past.end_us), past.ended_by) for past in self.standing.past]

    def hears(self, word: Word) -> list[str]:
        """The kinds of the steps that one more word makes."""
        return self._took(hear(self.standing, word, rules=self._rules, witnesses=self._witnesses))

    def waits(self, until: float, *, stale_after: float | None = None) -> list[str]:
        """The kinds of the steps that the passing of time makes."""
        stale_after_us = None if stale_after is None else round(stale_after * SECOND_US)
        passed = pass_time(self.standing, us(until), rules=self._rules, stale_after_us=stale_after_us)
        return self._took(passed.steps)

    def looks_again(self, at: float) -> float | None:
        """When time alone may change it next, as it is at that second."""
        passed = pass_time(self.standing, us(at), rules=self._rules, stale_after_us=None)
        return None if passed.next_us is None else second(passed.next_us)

    def leaves(self, sender: str, at: float, *, missed: float) -> list[str]:
        """The kinds of the steps that a witness makes whose group goes on without it."""
        return self._took(leave_group(self.standing, sender, missed_us=us(missed), at_us=us(at)))

    def _took(self, steps: list[Step]) -> list[str]:
        self.steps += steps
        for step in steps:
            if step.kind == "peers":
                self._witnesses = self._witnesses.joined(step.sender, step.peer)
        return [step.kind for step in steps]
