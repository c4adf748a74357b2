"""How often classifications had the severity right, as persons saw it later."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import msgspec


class Accuracy(msgspec.Struct, frozen=True):
    """Of the classifications that a person looked at on one day (UTC): how many had the severity right."""

    day: str
    model: str
    reviewed: int
    right: int


def right_by_day(reviews: Iterable[tuple[datetime, str, str, str]]) -> list[Accuracy]:
    """How often people agreed: reviews are a time, what the person said, and the model and severity before."""
    reviewed: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    for at, severity, model, correct in reviews:
        day = at.date().isoformat()
        reviewed[day, model] += 1
        right[day, model] += severity == correct
    return [Accuracy(day, model, count, right[day, model]) for (day, model), count in sorted(reviewed.items())]
