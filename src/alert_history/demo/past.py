"""The past of the demo's company: ninety days of alerts, up to the recorded incident. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from alert_history.demo import incidents, stories
from alert_history.demo.alertmanager import apart, notices
from alert_history.demo.company import EUROPE
from alert_history.demo.dates import DAYS, chat_failure, midnight, silence
from alert_history.demo.days import firings
from alert_history.demo.deliveries import news_of
from alert_history.demo.firing import Firing, Message
from alert_history.demo.silences import Silenced, created, muted, over_cable, over_settlement
from alert_history.ports import PastNews

SEED = 20

_ENDS_TOLD_WITHIN = timedelta(minutes=6)
"""How long after its end the end of a firing is received, at most."""


class Past(msgspec.Struct, frozen=True):
    """All that was received, in order of time, and what became of it then.

    `newest` has the fingerprint of the alert that a rule fired for last, by the name of the rule.
    """

    messages: list[Message]
    news: list[PastNews]
    newest: dict[str, str]


def past(until: datetime, *, days: int = DAYS, seed: int = SEED) -> Past:
    """The past before `until`, an aware time, since `days` whole days before the day of `until`, in UTC.

    What begins on the whole days is the same at whatever time of the day `until` is.
    """
    today = midnight(until)
    silences = (over_settlement(silence(today)), over_cable(today))
    heard, hidden = _parted(_all(today, days=days, until=until, seed=seed), silences)
    heard_notices = notices(heard, until=until)
    recorded = [message for each in silences for message in (created(each), *muted(hidden[each.id], each))]
    messages = sorted(
        [*(notice.message for notice in heard_notices), *recorded],
        key=lambda message: (message.received_at, message.body),
    )
    newest = {each.rule.name: each.fingerprint for notice in heard_notices for each in notice.begun}
    return Past(messages, [*news_of(heard_notices, refused=chat_failure(today), seed=seed)], newest)


def _all(today: datetime, *, days: int, until: datetime, seed: int) -> list[Firing]:
    """All firings that an Alertmanager tells apart, those of the day that has begun as far as they are over."""
    happened = [*stories.firings(today, until=until, seed=seed), *incidents.firings(today, seed=seed)]
    for number in range(days + 1):
        happened += firings(today - timedelta(days=number), number=number, seed=seed)
    since, over_by = today - timedelta(days=days), until - _ENDS_TOLD_WITHIN
    return apart(each for each in happened if since <= each.starts_at and (each.ends_at or each.starts_at) < over_by)


def _parted(firings: Iterable[Firing], silences: Iterable[Silenced]) -> tuple[list[Firing], dict[str, list[Firing]]]:
    """The firings that nobody silenced, and by silence those that it hid."""
    heard: list[Firing] = []
    hidden: dict[str, list[Firing]] = {each.id: [] for each in silences}
    for firing in firings:
        by = next((each for each in silences if hides(each, firing)), None)
        (heard if by is None else hidden[by.id]).append(firing)
    return heard, hidden


def hides(silence: Silenced, firing: Firing) -> bool:
    """Whether the silence, which the Alertmanager in Europe has, holds all the time that the alert fires."""
    labels = firing.labels
    return (
        labels["cluster"] == EUROPE.name
        and all(labels.get(name) == value for name, value in silence.matches.items())
        and silence.span.holds(firing.starts_at)
        and firing.ends_at is not None
        and firing.ends_at < silence.span.end
    )
