"""Which alerts can flap at all, told by one number that is kept for each: how often it began again within an hour.

An alert that changes so often that it flaps ends and begins again within the window of the rule. So whoever looks for
flapping looks at the alerts that began again often enough, and at no others. Pure.
"""

import math

from alert_history.domain.counting import AGAIN_WITHIN_US
from alert_history.domain.flap_checks import weighted_share
from alert_history.domain.flap_rules import CHECKS, FlapRule, KibanaRule, NewRelicRule, OursRule, WeightedRule

_AGAIN_WITHIN_SECONDS = AGAIN_WITHIN_US / 1_000_000


def least_again(rule: FlapRule) -> int | None:
    """How often an alert that flaps by this rule began again within an hour of its last end; at least 1.

    None where alerts can flap by it that never did so: then nothing can be left out.
    """
    match rule:
        case OursRule():
            return _least(rule.limit + 1, rule.window_seconds)
        case KibanaRule():
            runs = rule.look_back_window
            return _least(rule.status_change_threshold, (runs + 1) * rule.check_interval_seconds)
        case NewRelicRule():
            return None
        case _:
            return _least(_least_changes(rule), (CHECKS + 1) * rule.check_interval_seconds)


def _least(changes: int, window_seconds: float) -> int | None:
    """Of so many changes in a window, those starts that come less than an hour after the end before them.

    Of n changes in turn at least (n - 1) // 2 are starts after an end. Of the pauses before them only a few can be as
    long as an hour, because all of them are in the window.
    """
    longest_pauses = max(math.ceil(window_seconds / _AGAIN_WITHIN_SECONDS) - 1, 0)
    starts = (changes - 1) // 2 - longest_pauses
    return starts if starts > 0 else None


def _least_changes(rule: WeightedRule) -> int:
    """How many of the newest checks must have seen a change for the share to be high; none: one change is enough."""
    shares = (weighted_share(range(1, number + 1), number, rule) for number in range(1, CHECKS + 1))
    return next((number for number, share in enumerate(shares, 1) if share >= rule.high_share), CHECKS)
