"""What earlier occurrences of an alert say about it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median

import msgspec

from alert_history.domain.classification import Past, Similar
from alert_history.domain.flapping import FlapRule, is_flapping

BRIEF = timedelta(minutes=1)
MOST_OCCURRENCES = 1_000
MOST_AROUND = 10
MOST_SIMILAR = 3
LOOKS_BACK = timedelta(days=30)
AROUND = timedelta(minutes=5)


class Earlier(msgspec.Struct, frozen=True):
    """One earlier occurrence; `ends_at` is None while it fires."""

    fingerprint: str
    starts_at: datetime
    ends_at: datetime | None


def past_of(
    earlier: Sequence[Earlier],
    *,
    fingerprint: str,
    starts_at: datetime,
    around: Sequence[str],
    similar: Sequence[Similar],
) -> Past:
    """Sum them up. `earlier` began before `starts_at`, newest first."""
    lasted = [one.ends_at - one.starts_at for one in earlier if one.ends_at is not None]
    own = [one for one in earlier if one.fingerprint == fingerprint]
    changes = [time for one in own for time in (one.starts_at, one.ends_at) if time is not None]
    window = starts_at - FlapRule().window
    return Past(
        day=_since(earlier, starts_at - timedelta(days=1)),
        week=_since(earlier, starts_at - timedelta(days=7)),
        month=len(earlier),
        brief=sum(duration <= BRIEF for duration in lasted),
        same_hour=sum(one.starts_at.hour == starts_at.hour for one in earlier),
        days_seen=len({one.starts_at.date() for one in earlier}),
        median_seconds=median(duration.total_seconds() for duration in lasted) if lasted else None,
        flaps=sum(window <= change <= starts_at for change in changes),
        is_flapping=is_flapping(changes, starts_at, FlapRule()),
        around=tuple(around),
        similar=tuple(similar),
    )


def similar_of(earlier: Sequence[Earlier], told: tuple[str, tuple[str, ...]] | None) -> list[Similar]:
    """The newest earlier occurrences that are over; `told` is the severity and advice their shape was given."""
    severity, advice = told or (None, ())
    ended = [one for one in earlier if one.ends_at is not None][:MOST_SIMILAR]
    return [
        Similar(one.starts_at, (one.ends_at - one.starts_at).total_seconds(), severity, advice)  # type: ignore[operator, arg-type]  # over
        for one in ended
    ]


def _since(earlier: Sequence[Earlier], time: datetime) -> int:
    return sum(one.starts_at >= time for one in earlier)
