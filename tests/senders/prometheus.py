"""A Prometheus, or a vmalert: it evaluates a rule, and posts what fires and what is over."""

from collections.abc import Callable, Sequence

import msgspec

from tests.senders.world import World

RESOLVED_FOR = 900.0
"""How long a resolved alert is sent again and again."""
_DEAF_AFTER_START = 5.0
"""How long after its start it knows nobody to send to."""
_PROMISED_RESENDS = 4
PHANTOM = -1
"""The number of a firing that never was."""
_LOOKBACK = 300.0


class Posted(msgspec.Struct, frozen=True):
    """One alert as it is posted, by the clock of its sender; `number` is which true firing it is about."""

    member: str
    start: float
    end: float
    number: int
    origin: str


class Active(msgspec.Struct):
    """An alert that a Prometheus has in memory."""

    start: float
    number: int
    resolved: float | None = None
    sent: float | None = None


Post = Callable[[Sequence[Posted]], None]


class Prometheus:
    """Evaluates every `interval` seconds from `offset` on, and sends each alert again every `resend` seconds.

    `skew` is how much its clock is ahead. A vmalert sends at every evaluation.
    """

    def __init__(  # the knobs of a real one
        self,
        world: World,
        posts: Sequence[Post],
        *,
        origin: str,
        interval: float,
        resend: float,
        offset: float,
        skew: float,
    ) -> None:
        self._world = world
        self._posts = posts
        self.origin = origin
        self.interval = interval
        self.resend = resend
        self.skew = skew
        self.is_up = True
        self.started: float | None = None
        self._deaf_until = 0.0
        self._active: dict[str, Active] = {}
        world.at(offset, self._evaluate)

    @property
    def promise(self) -> float:
        """How far ahead it promises that an alert fires."""
        return _PROMISED_RESENDS * max(self.interval, self.resend)

    def firing(self) -> dict[str, Active]:
        """What fires, for all it knows."""
        return {member: active for member, active in self._active.items() if active.resolved is None}

    def kill(self) -> None:
        """It is gone, and what it had in memory with it."""
        self.is_up = False
        self._active = {}

    def start(self) -> None:
        """It starts anew: whatever fires has begun now, for all it knows."""
        self.is_up = True
        self.started = self._world.now
        self._deaf_until = self._world.now + _DEAF_AFTER_START

    def see_again(self, member: str) -> None:
        """Killed and started, it sees an old sample once more: a firing whose end alone is posted.

        It looks back five minutes, and has lost what falls due at once.
        """
        now = self._world.now
        is_recent = any(now - _LOOKBACK < firing.end <= now for firing in self._world.truth[member])
        if is_recent and self.is_up and self._world.number_of(member, now) is None:
            self._active[member] = Active(now, PHANTOM, sent=now)

    def _evaluate(self) -> None:
        now = self._world.now
        self._world.at(now + self.interval, self._evaluate)
        if not self.is_up:
            return
        for member in self._world.truth:
            self._look_at(member, now)
        posted = [self._posted(member, active, now) for member, active in self._active.items() if self._is_due(active)]
        if posted and now >= self._deaf_until:
            for post in self._posts:
                post(posted)

    def _look_at(self, member: str, now: float) -> None:
        number = self._world.number_of(member, now)
        active = self._active.get(member)
        if number is not None and (active is None or active.resolved is not None):
            self._active[member] = Active(now, number)
        elif number is not None and active is not None:
            active.number = number
        elif active is not None and active.resolved is None:
            if now > active.start:
                active.resolved = now
        elif active is not None and active.resolved is not None and now - active.resolved > RESOLVED_FOR:
            del self._active[member]

    def _is_due(self, active: Active) -> bool:
        """Whether it has to be sent now; then it is."""
        now = self._world.now
        is_news = active.sent is None or (active.resolved is not None and active.sent < active.resolved)
        is_due = is_news or (active.sent is not None and active.sent + self.resend <= now)
        if is_due:
            active.sent = now
        return is_due

    def _posted(self, member: str, active: Active, now: float) -> Posted:
        end = now + self.promise if active.resolved is None else active.resolved
        return Posted(member, active.start + self.skew, end + self.skew, active.number, self.origin)
