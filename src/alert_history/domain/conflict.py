"""Conflicts: two senders that contradict each other for long, or often, about one label set."""

from datetime import timedelta

from alert_history.domain.claim import MINUTE_US, Word
from alert_history.domain.standing import Firing, Standing
from alert_history.domain.step import Step

_SPLIT_BEGINS_US = 2 * MINUTE_US
"""How long one of a pair may go on after the other ended: an evaluation, a resend delay, a clock."""
_SPLIT_LASTS_US = 10 * MINUTE_US
_SPLITS = 3
_SPLITS_WITHIN_US = 60 * MINUTE_US
CONFLICT_LASTS = timedelta(days=1)
"""How long a label set is shown as in conflict; then a conflict is shown anew."""

_SHOWN_AGAIN_US = CONFLICT_LASTS // timedelta(microseconds=1)


def watch_split(standing: Standing, firing: Firing, word: Word) -> list[Step]:
    """Remember that a sender repeats what another sender ended. If it lasts long, or comes often, it is a conflict."""
    ended = firing.ended[-1] if firing.ended else None
    if ended is None or ended.sender == word.sender or any(c.sender == ended.sender for c in firing.claims):
        return []
    lasts_us = word.at_us - ended.at_us
    if lasts_us >= _SPLIT_LASTS_US:
        return _conflict(standing, firing, word.at_us)
    if lasts_us < _SPLIT_BEGINS_US or ended.at_us in standing.splits:
        return []
    recent = [at_us for at_us in standing.splits if at_us > ended.at_us - _SPLITS_WITHIN_US]
    standing.splits = (*recent, ended.at_us)[-_SPLITS:]
    return _conflict(standing, firing, word.at_us) if len(standing.splits) == _SPLITS else []


def is_split(firing: Firing) -> bool:
    """Whether a split is open, so that each repeat must be looked at: one sender goes on after another ended."""
    claim = firing.claims[0]
    ended = firing.ended[-1] if firing.ended else None
    return ended is not None and ended.sender != claim.sender and claim.last_us - ended.at_us < _SPLIT_LASTS_US


def _conflict(standing: Standing, firing: Firing, now_us: int) -> list[Step]:
    if standing.conflict_us is not None and now_us - standing.conflict_us < _SHOWN_AGAIN_US:
        return []
    standing.conflict_us = now_us
    reason = "two senders contradict each other about one label set: add a cluster label, or a scope"
    return [Step("conflict", firing.key_us, firing.start_us, reason=reason)]
