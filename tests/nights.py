"""Facts of the night of 4 March 2026 as a test can count them by hand: 20:00 to 08:00, UTC."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from alert_history.domain.alert import Silence
from alert_history.domain.episode import Episode
from alert_history.domain.microseconds import to_us
from alert_history.domain.night import Night
from alert_history.domain.night_facts import FailedDelivery, NightFacts, NightOccurrence
from alert_history.domain.night_report import night
from alert_history.domain.night_span import night_of

SPAN = night_of(date(2026, 3, 4), UTC)
MINUTE = timedelta(minutes=1)
HANDED_OVER = SPAN.until + 5 * MINUTE


def at(clock: str) -> datetime:
    """A time of this night by its clock: `20:00` to `07:59`; what is later in the day is of its evening."""
    hours, minutes = map(int, clock.split(":"))
    midnight = datetime(2026, 3, 5, tzinfo=UTC) - timedelta(days=1 if hours >= 12 else 0)
    return midnight + timedelta(hours=hours, minutes=minutes)


def occurrence(
    alertname: str = "DiskFull",
    began: str | datetime = "22:00",
    *,
    minutes: float | None = None,
    severity: str = "warning",
    namespace: str = "shop",
    pod: int = 0,
    **more: Any,
) -> NightOccurrence:
    """One occurrence, received as it began, open unless it is over after so many minutes."""
    start = at(began) if isinstance(began, str) else began
    ends_at = None if minutes is None else start + timedelta(minutes=minutes)
    fingerprint = f"{alertname}-{pod}"
    episode = Episode(
        id=f"{fingerprint}-{to_us(start)}",
        fingerprint=fingerprint,
        alertname=alertname,
        severity=severity,
        namespace=namespace,
        starts_at=start,
        ends_at=ends_at,
        received_at=start,
        ended_by=None if minutes is None else "resolved",
    )
    return NightOccurrence(episode, **more)


def failure(alertname: str = "DiskFull", *, severity: str = "warning", **more: Any) -> FailedDelivery:
    """A delivery to `pager` that was given up at 23:00."""
    given: dict[str, Any] = {"target": "pager", "is_dead": True, "at": at("23:00"), "reason": "HTTP 404"}
    return FailedDelivery(occurrence_id="d-1", alertname=alertname, severity=severity, **(given | more))


def silence(silence_id: str = "s-1", *, ends: str | datetime = "23:00") -> Silence:
    """A silence of Ada over one alert name; it began an hour before the night."""
    ends_at = at(ends) if isinstance(ends, str) else ends
    matchers = [[{"name": "alertname", "op": "=", "value": "DiskFull"}]]
    begin = SPAN.since - 60 * MINUTE
    return Silence(silence_id, matchers, begin, ends_at, begin, "ada", "disk swap")


def report(*began: NightOccurrence, known: tuple[str, ...] = ("DiskFull",), **more: Any) -> Night:
    """The report of these facts, read five minutes after the night; rules in `known` were seen the day before."""
    seen = dict.fromkeys(known, SPAN.since - timedelta(days=1))
    given: dict[str, Any] = {"span": SPAN, "now": HANDED_OVER, "began": began, "last_seen": seen}
    return night(NightFacts(**(given | more)))
