"""Showing: what an occurrence says of the claims in the standing of its label set.

Repeats are counted on the occurrence alone, by the number of its claim; so it has to say truly which claim that is, and
when to look again. Pure.
"""

from datetime import datetime

from alert_history.domain.claim import Claim, claim_hash
from alert_history.domain.conflict import is_split
from alert_history.domain.microseconds import from_us, to_us
from alert_history.domain.occurrence import Occurrence
from alert_history.domain.standing import Firing, Past, live_claims, witness_claims


def shown_start(start_us: int, key_us: int) -> datetime | None:
    """The start to be shown, None where it is the key."""
    return None if start_us == key_us else from_us(start_us)


def show_firing(occurrence: Occurrence, firing: Firing) -> None:
    """Let an open occurrence show what is claimed of it."""
    occurrence.is_published = firing.is_published
    sign_us = firing.last_sign_us
    is_last_word = from_us(sign_us) == occurrence.last_received_at and firing.unconfirmed is None
    occurrence.confirmed_at = None if is_last_word else from_us(sign_us)
    occurrence.expires_at = _look_at(firing, to_us(occurrence.last_received_at))
    claim = _plain_claim(firing, occurrence)
    occurrence.claim = 0 if claim is None else hash_of(claim)


def _look_at(firing: Firing, now_us: int) -> datetime | None:
    """When time alone may change it; None where only a witness holds it: those are looked for by their last sign."""
    times = [] if firing.hold is None else [firing.hold.due_us]
    live = live_claims(firing, now_us)
    if live:
        times.append(max(claim.until_us or 0 for claim in live))
    elif not witness_claims(firing) or firing.unconfirmed is not None:
        times.append(firing.unconfirmed_us or now_us)
    return from_us(min(times)) if times else None


def _plain_claim(firing: Firing, occurrence: Occurrence) -> Claim | None:
    """The claim whose repeats change nothing else; None where each word has to be thought about."""
    if len(firing.claims) != 1 or firing.hold is not None or firing.unconfirmed is not None or firing.muted is not None:
        return None
    if is_split(firing):
        return None
    claim = firing.claims[0]
    if claim.is_doubled or claim.has_left or claim.missed_us is not None or claim.content != occurrence.content_hash:
        return None
    return claim


def hash_of(claim: Claim) -> int:
    """What names the claim on its occurrence."""
    return claim_hash(claim.sender, claim.start_us)


def show_past(occurrence: Occurrence, past: Past) -> None:
    """Let an occurrence that is over show by which word it is known."""
    occurrence.is_published = False
    occurrence.claim = 0
    if past.words:
        word = past.words[-1]
        occurrence.claim = claim_hash(word.sender, word.start_us, word.end_us)
