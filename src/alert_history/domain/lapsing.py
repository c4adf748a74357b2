"""Lapsing: what becomes of a firing about which all senders are silent.

A first-hand claim lapses at the time until which its sender promised it; the word of a witness only goes stale. Pure:
the standing is changed in place.
"""

import msgspec

from alert_history.domain.claim import MINUTE_US, SECOND_US
from alert_history.domain.hearing import end_firing, take_hold
from alert_history.domain.standing import (
    Firing,
    Rules,
    Standing,
    live_claims,
    witness_claims,
)
from alert_history.domain.step import Step

UNSEEN_STALE_AFTER_US = 25 * 60 * MINUTE_US
"""How long a witness without known repeats may be silent: a day is the longest repeat that people set."""

FELL_SILENT = "its sender fell silent"
SIGN_TOO_OLD = "there was no sign of it for nearly as long as history is kept"
LEFT_GROUP = "its Alertmanager lists its group without it"


class Passed(msgspec.Struct, frozen=True):
    """What the passing of time changed, and when to look again; None: at the next word of a sender."""

    steps: list[Step]
    next_us: int | None


def pass_time(standing: Standing, now_us: int, *, rules: Rules, stale_after_us: int | None) -> Passed:
    """Let it be `now_us`. `stale_after_us` is how long the witness may be silent; None before that is learnt."""
    steps = _take_due_hold(standing, now_us)
    firing = standing.firing
    if firing is None:
        return Passed(steps, None)
    last_us = rules.ends_unheard_us(firing.last_sign_us)
    if last_us is not None and last_us <= now_us:
        return Passed([*steps, *_unconfirm(firing, last_us, SIGN_TOO_OLD), _give_up(standing, firing)], None)
    stale_after_us = rules.silence_us(stale_after_us, UNSEEN_STALE_AFTER_US)
    holds_until_us, reason = _holds_until(firing, now_us, stale_after_us=stale_after_us)
    if holds_until_us > now_us:
        return Passed(steps, min(_sooner(holds_until_us, firing), last_us or holds_until_us))
    steps += _unconfirm(firing, holds_until_us, reason)
    ends_us = _ends_at(firing, rules)
    if ends_us is None or ends_us > now_us:
        hold_due_us = None if firing.hold is None else firing.hold.due_us
        return Passed(steps, min((at for at in (ends_us, last_us, hold_due_us) if at is not None), default=None))
    return Passed([*steps, _give_up(standing, firing)], None)


def leave_group(standing: Standing, sender: str, *, missed_us: int, at_us: int) -> list[Step]:
    """The group of a witness lacks the alert since `missed_us`; only other senders may still confirm the firing."""
    firing = standing.firing
    if firing is None or _is_muted(firing, at_us):
        return []
    own = [c for c in firing.claims if c.sender == sender and not c.is_first_hand and not c.has_left]
    if not own or any(claim.last_us >= missed_us for claim in own):
        return []
    for claim in own:
        claim.has_left = True
    steps = [Step("left", firing.key_us, firing.start_us, reason=LEFT_GROUP, sender=sender)]
    if live_claims(firing, at_us) or witness_claims(firing):
        return steps
    return [*steps, *_unconfirm(firing, at_us, LEFT_GROUP)]


def _take_due_hold(standing: Standing, now_us: int) -> list[Step]:
    """Let words of end count whose hold is due, because no sender took them back; then what waited for them."""
    firing = standing.firing
    if firing is None or firing.hold is None or firing.hold.due_us > now_us:
        return []
    return take_hold(standing, firing, firing.hold)


def _is_muted(firing: Firing, now_us: int) -> bool:
    muted = firing.muted
    return muted is not None and (muted.until_us is None or muted.until_us > now_us)


def _holds_until(firing: Firing, now_us: int, *, stale_after_us: int) -> tuple[int, str]:
    """Until when a sender confirms the firing, and why no sender does after that."""
    live = live_claims(firing, now_us)
    if live:
        return max(claim.until_us or 0 for claim in live), FELL_SILENT
    witnesses = witness_claims(firing)
    if witnesses:
        if firing.muted is not None and _is_muted(firing, now_us):
            return firing.muted.until_us or now_us + stale_after_us, FELL_SILENT
        muted_until_us = (firing.muted.until_us or 0) if firing.muted is not None else 0
        silent_since_us = max(muted_until_us, *(claim.last_us for claim in witnesses))
        return silent_since_us + stale_after_us, f"there was no sign of it for {_span(stale_after_us)}"
    lapsed = [claim.until_us for claim in firing.claims if claim.until_us is not None]
    if lapsed:
        return max(lapsed), FELL_SILENT
    return firing.unconfirmed_us or firing.last_sign_us, LEFT_GROUP


def _unconfirm(firing: Firing, since_us: int, reason: str) -> list[Step]:
    if firing.unconfirmed is not None:
        return []
    firing.unconfirmed, firing.unconfirmed_us = reason, since_us
    return [Step("unconfirmed", firing.key_us, firing.start_us, reason=reason)]


def _ends_at(firing: Firing, rules: Rules) -> int | None:
    """When an unconfirmed firing is taken as over; None: never."""
    lapsed_us = _lapsed_us(firing)
    if lapsed_us is not None:
        return max(lapsed_us, firing.unconfirmed_us or 0) + rules.expire_after_us
    if rules.stale_ends_after_us == 0 or firing.unconfirmed_us is None:
        return None
    return firing.unconfirmed_us + rules.stale_ends_after_us


def _give_up(standing: Standing, firing: Firing) -> Step:
    """End a firing: as expired where its first-hand senders fell silent, else as inferred at its last sign."""
    lapsed_us = _lapsed_us(firing)
    if lapsed_us is not None:
        return end_firing(standing, lapsed_us, "expired", reason=FELL_SILENT)
    sign_us = firing.last_sign_us
    reason = firing.unconfirmed or FELL_SILENT
    bounds_us = (sign_us, firing.unconfirmed_us or sign_us)
    return end_firing(standing, sign_us, "inferred", bounds_us=bounds_us, reason=reason)


def _lapsed_us(firing: Firing) -> int | None:
    """When the last first-hand claim lapsed; None without such a claim, or where a witness listed the alert since."""
    lapsed_us = max((claim.until_us for claim in firing.claims if claim.until_us is not None), default=None)
    return None if lapsed_us is None or firing.last_sign_us > lapsed_us else lapsed_us


def _sooner(time_us: int, firing: Firing) -> int:
    return time_us if firing.hold is None else min(time_us, firing.hold.due_us)


def _span(microseconds: int) -> str:
    seconds = microseconds // SECOND_US
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds} s"
    minutes = seconds // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004
