"""Storms of a night, by the one definition of `alert_storms`, with the occurrences that belong to them."""

from datetime import timedelta
from typing import NamedTuple

from alert_history.domain.alert_storms import AlertStorm, StormRules, find_storms
from alert_history.domain.begins import Begin
from alert_history.domain.night_facts import NightFacts, NightOccurrence

_TICK = timedelta(microseconds=1)


class NightStorm(NamedTuple):
    """A storm, and all occurrences that were received in it, in this order."""

    storm: AlertStorm
    occurrences: list[NightOccurrence]


def storms_of(facts: NightFacts) -> list[NightStorm]:
    """The storms of a night as far as it is over, in the order of time."""
    ordered = sorted(facts.began, key=lambda each: (each.episode.received_at, each.episode.id))
    begins = [
        Begin(each.episode.alertname, each.episode.received_at, fingerprint=each.episode.fingerprint)
        for each in ordered
    ]
    if not begins:
        return []
    until = max(facts.known_until, begins[-1].at + _TICK)  # some may have come since the clock was read
    storms = find_storms(begins, StormRules(), since=facts.span.since, until=until)
    return [
        NightStorm(storm, [each for each in ordered if storm.since <= each.episode.received_at <= storm.until])
        for storm in storms
    ]
