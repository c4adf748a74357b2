"""Storms: how many questions the alerts of one rule may cost, so that a storm of different alerts stays cheap."""

from collections import defaultdict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta

from alert_history.domain.classification import Case

WINDOW = timedelta(minutes=5)

_MAX_RULES = 10_000


class Storms:
    """Counts how many shapes of each rule, by its alertname, were asked about in the last five minutes.

    `most` is how many may be asked about; None: all.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._asked: defaultdict[str, deque[datetime]] = defaultdict(deque)

    @property
    def reason(self) -> str:
        """Why an alert beyond `most` goes unenriched."""
        return f"a storm: {self._most} kinds of alerts of its rule were asked about within {WINDOW.seconds // 60} min"

    def beyond(self, cases: Iterable[Case], now: datetime) -> list[str]:
        """The shapes of these cases that are beyond `most`."""
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
        """Count these cases as asked about."""
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
    """The rule of a case, by its alertname."""
    return case.labels.get("alertname", "")
