"""Flapping as programs see it that check a state now and then: Nagios, Icinga 2 and Kibana.

Times are numbers of checks here. `checks` are those, in ascending order, that saw another state than the check before.
`flap_rules` has the rules and says where each is from.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from alert_history.domain.flap_rules import CHECKS, KibanaRule, NagiosRule, WeightedRule


class Run(NamedTuple):
    """The alert flaps from the check `begin` until before the check `end`."""

    begin: int
    end: int


class _Weights(NamedTuple):
    """A change weighs `newest / whole`, and less by `step / whole` with each check after it, for 20 checks.

    They are whole numbers, so that a share that equals a threshold does so exactly.
    """

    newest: int
    step: int
    whole: int


_NAGIOS = _Weights(95, 2, 1520)
"""1.25 down to 0.75 in 19 steps, in 76ths; of 20 places."""
_ICINGA = _Weights(59, 1, 1000)
"""1.18 down to 0.80 in 19 steps, in 50ths; of 20 places."""


def seen_changes(changes: Iterable[int]) -> list[int]:
    """Which checks see another state than the one before; `changes` are the first check at or after each change.

    Two changes between the same two checks are not seen.
    """
    checks: list[int] = []
    for check in changes:
        if checks and checks[-1] == check:
            checks.pop()
        else:
            checks.append(check)
    return checks


def weighted_share(checks: Sequence[int], at: int, rule: WeightedRule) -> float:
    """The weighted share of changes among the last 20, the check `at` included; 0 to 1."""
    newest, step, whole = _NAGIOS if isinstance(rule, NagiosRule) else _ICINGA
    recent = checks[bisect_right(checks, at - CHECKS) : bisect_right(checks, at)]
    return sum(newest - step * (at - check) for check in recent) / whole


def weighted_runs(checks: Sequence[int], rule: WeightedRule) -> list[Run]:
    """When the alert flaps: from the check at which the share is high until the one at which it is low."""
    runs: list[Run] = []
    for check in checks:  # between changes the share only falls
        if runs and check <= runs[-1].end:
            continue
        if _is_high(weighted_share(checks, check, rule), rule):
            end = check + 1
            while weighted_share(checks, end, rule) > rule.low_share:
                end += 1
            runs.append(Run(check, end))
    return runs


def _is_high(share: float, rule: WeightedRule) -> bool:
    """Nagios begins at its higher threshold, Icinga 2 above it; both are calm at the lower one."""
    is_reached = share >= rule.high_share if isinstance(rule, NagiosRule) else share > rule.high_share
    return is_reached and share > rule.low_share


def changes_in_runs(checks: Sequence[int], at: int, rule: KibanaRule) -> int:
    """How many of the last runs, the check `at` included, saw a change."""
    return bisect_right(checks, at) - bisect_right(checks, at - rule.look_back_window)


def threshold_runs(checks: Sequence[int], rule: KibanaRule) -> list[Run]:
    """When the alert flaps: from the change that makes them too many until none is left in the window."""
    runs: list[Run] = []
    for check in checks:
        if runs and check <= runs[-1].end:
            runs[-1] = Run(runs[-1].begin, check + rule.look_back_window)
        elif changes_in_runs(checks, check, rule) >= rule.status_change_threshold:
            runs.append(Run(check, check + rule.look_back_window))
    return runs


def looks(checks: Sequence[int], first: int, end: int) -> list[int]:
    """Where the highest value of a stretch of checks can be: its first check, and each at which something changed."""
    return [first, *checks[bisect_right(checks, first) : bisect_left(checks, end)]] if first < end else []
