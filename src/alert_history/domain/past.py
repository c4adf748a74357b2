"""What earlier occurrences of an alert say about it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import msgspec

from alert_history.domain.classification import Past, Similar
from alert_history.domain.flap_rules import OursRule
from alert_history.domain.flapping import is_flapping

BRIEF = timedelta(minutes=1)
MOST_OCCURRENCES = 1_000
MOST_OF_A_NAME = 2_000
"""So many of the newest with the same alertname are looked through for those of the namespace: what bounds the cost."""
MOST_BEGAN = 500
"""So many of what was received around that time are looked through for other names."""
MOST_AROUND = 10
MOST_SIMILAR = 3
LOOKS_BACK = timedelta(days=30)
AROUND = timedelta(minutes=5)
LATE = timedelta(minutes=5)
"""How much later than it began an alert may be received and still count as around: groups wait."""


_ENOUGH_TO_JUDGE = 5
_MOST = 0.8


class Earlier(msgspec.Struct, frozen=True):
    """One earlier occurrence; `ends_at` is None while it fires."""

    fingerprint: str
    starts_at: datetime
    ends_at: datetime | None


def has_room(starts_at: datetime) -> bool:
    """Whether there is time to look back from there, and around it: a start at the edge of the calendar has no past."""
    edge = LOOKS_BACK + AROUND + LATE
    return datetime.min.replace(tzinfo=UTC) + edge < starts_at < datetime.max.replace(tzinfo=UTC) - edge


def past_of(
    earlier: Sequence[Earlier],
    *,
    fingerprint: str,
    starts_at: datetime,
    around: Sequence[str],
    similar: Sequence[Similar],
) -> Past:
    """Sum them up. `earlier` began before `starts_at`, newest first."""
    lasted = [each.ends_at - each.starts_at for each in earlier if each.ends_at is not None]
    own = [each for each in earlier if each.fingerprint == fingerprint]
    changes = [time for each in own for time in (each.starts_at, each.ends_at) if time is not None]
    window = starts_at - OursRule().window
    return Past(
        day=_since(earlier, starts_at - timedelta(days=1)),
        week=_since(earlier, starts_at - timedelta(days=7)),
        month=len(earlier),
        brief=sum(duration <= BRIEF for duration in lasted),
        same_hour=sum(each.starts_at.hour == starts_at.hour for each in earlier),
        days_seen=len({each.starts_at.date() for each in earlier}),
        median_seconds=median(duration.total_seconds() for duration in lasted) if lasted else None,
        flaps=sum(window <= change <= starts_at for change in changes),
        is_flapping=is_flapping(changes, starts_at, OursRule()),
        around=tuple(around),
        similar=tuple(similar),
    )


def similar_of(earlier: Sequence[Earlier], advised: tuple[str, tuple[str, ...]] | None) -> list[Similar]:
    """The newest earlier occurrences that are over; `advised` is the severity and advice their shape was given."""
    severity, advice = advised or (None, ())
    ended = [each for each in earlier if each.ends_at is not None][:MOST_SIMILAR]
    return [
        Similar(each.starts_at, (each.ends_at - each.starts_at).total_seconds(), severity, advice)  # type: ignore[operator, arg-type]  # over
        for each in ended
    ]


def supports_noise(past: Past) -> bool:
    """Whether the history alone shows that no person needs to know: flapping, over in a minute, or a daily habit."""
    if past.month < _ENOUGH_TO_JUDGE:
        return False
    is_habit = past.same_hour >= _MOST * past.month and past.days_seen >= _ENOUGH_TO_JUDGE
    return past.is_flapping or past.brief >= _MOST * past.month or is_habit


def _since(earlier: Sequence[Earlier], time: datetime) -> int:
    return sum(each.starts_at >= time for each in earlier)
