"""Storms of a night: runs of occurrences that were received within minutes of each other."""

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

from alert_history.domain.night_facts import NightOccurrence

STORM_ALERTS = 25
STORM_WINDOW = timedelta(minutes=5)
STORM_RATIO = 4
"""A storm is so many times as dense as the night on average: where thousands are usual, twenty-five are no storm."""


def storm_size(began: int, length: timedelta) -> int:
    """How many alerts within the window make a storm, in a night of that length in which so many began."""
    usual = began * (STORM_WINDOW / length)
    return max(STORM_ALERTS, ceil(STORM_RATIO * usual))


def find_storms(
    began: Sequence[NightOccurrence], *, alerts: int = STORM_ALERTS, window: timedelta = STORM_WINDOW
) -> list[list[NightOccurrence]]:
    """The storms, the earliest first, each in the order in which its occurrences were received.

    A storm is at least so many `alerts` within a `window`; windows that overlap are one storm.
    """
    ordered = sorted(began, key=lambda each: (each.episode.received_at, each.episode.id))
    storms: list[list[NightOccurrence]] = []
    end = 0
    for first in range(len(ordered) - alerts + 1):
        behind = first + alerts
        if ordered[behind - 1].episode.received_at - ordered[first].episode.received_at > window:
            continue
        if first < end:
            storms[-1] += ordered[end:behind]
        else:
            storms.append(ordered[first:behind])
        end = behind
    return storms
