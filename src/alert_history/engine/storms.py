"""How much is asked of one rule: a storm whose alerts all differ must not cost a call for each."""

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta

from alert_history.domain.classification import Case

WINDOW = timedelta(minutes=5)

_MAX_RULES = 10_000


class Storms:
    """Remembers of which rule, by its alertname, how many shapes were asked about in the last five minutes.

    `most` is how many may be; None: as many as there are.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._asked: defaultdict[str, deque[datetime]] = defaultdict(deque)

    @property
    def reason(self) -> str:
        """Why one beyond that goes unenriched."""
        return f"a storm: {self._most} kinds of alerts of its rule were asked about within {WINDOW.seconds // 60} min"

    def beyond(self, cases: Iterable[Case], now: datetime) -> list[str]:
        """The shapes of these that there is no room for."""
        if self._most is None:
            return []
        room: dict[str, int] = {}
        shapes: list[str] = []
        for case in cases:
            name = rule_of(case)
            left = room[name] = room.get(name, self._room(name, now)) - 1
            if left < 0:
                shapes.append(case.shape)
        return shapes

    def ask(self, cases: Iterable[Case], now: datetime) -> None:
        """These are asked about."""
        if self._most is None:
            return
        if len(self._asked) > _MAX_RULES:
            self._asked.clear()
        for case in cases:
            self._asked[rule_of(case)].append(now)

    def _room(self, name: str, now: datetime) -> int:
        times = self._asked.get(name, deque())
        while times and times[0] <= now - WINDOW:
            times.popleft()
        return (self._most or 0) - len(times)


def rule_of(case: Case) -> str:
    """The rule a case is of, by its alertname."""
    return case.labels.get("alertname", "")
