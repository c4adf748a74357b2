"""Hearing: what one more word of a sender changes in the standing of its label set.

The rules stand in the order in which they apply; `docs/explanation/senders.md` explains them to users. A step is one
change of one occurrence, and becomes an event. Pure: the standing is changed in place.
"""

from collections.abc import Sequence

import msgspec

from alert_history.domain.claim import CLOCK_US, MINUTE_US, SECOND_US, Claim, Ended, Word, is_same_start
from alert_history.domain.conflict import watch_split
from alert_history.domain.peers import find_peer, merge_peers, rename_peers, take_over
from alert_history.domain.standing import (
    EndedBy,
    Firing,
    Hold,
    Past,
    Rules,
    Standing,
    Witnesses,
    add_past,
    close,
    find_claim,
    find_ended,
    group_interval,
    is_before_memory,
    is_known_end,
    is_repeated_end,
    is_superseded,
    live_claims,
    reach_us,
    remembered,
    witness_claims,
)
from alert_history.domain.step import Step

_OVERTAKEN_US = 10 * SECOND_US
"""How much later than the next request of its sender a request may come: each is answered within half of that."""
_AHEAD_US = MINUTE_US // 2
"""How far the clock of a first-hand sender may be ahead."""
_LATE_US = 2 * MINUTE_US
"""How much further a post before an end may promise than the post before it: posts between may be lost."""


def hear(standing: Standing, word: Word, *, rules: Rules, witnesses: Witnesses) -> list[Step]:
    """Take one word; returns its steps, in order. A word without steps changes nothing: it repeats what is known."""
    sender = witnesses.of(word.sender)
    if standing.firing is not None:
        take_over(standing.firing, word, sender)
    steps = []
    if word.kind == "witness":
        if standing.firing is not None:
            merge_peers(standing.firing, witnesses)
        peer = find_peer(standing, sender, word)
        if peer is not None:
            witnesses = witnesses.joined(sender, peer)
            steps.append(Step("peers", 0, 0, sender=sender, peer=peer))
            sender = witnesses.of(peer)
            rename_peers(standing, witnesses)
    word = msgspec.structs.replace(word, sender=sender)
    if word.is_firing:
        return steps + _hear_firing(standing, word, rules=rules, witnesses=witnesses)
    return steps + _hear_end(standing, word)


# --- It fires ---------------------------------------------------------------------------------------------------------


def _hear_firing(standing: Standing, word: Word, *, rules: Rules, witnesses: Witnesses) -> list[Step]:
    if standing.firing is None:
        return _fires_anew(standing, word)
    if _is_late(standing, word):
        return []
    firing = standing.firing
    steps: list[Step] = []
    if firing.hold is not None:
        if find_ended(firing.hold.words, word.sender, word.start_us):
            steps = _withdraw(firing, firing.hold, word)
        elif _has_to_wait(firing, firing.hold, word):
            _wait(firing.hold, word)
            return []
    if _lies_after_a_gap(firing, word, rules=rules, witnesses=witnesses):
        ended = end_firing(
            standing, firing.last_sign_us, "inferred", bounds_us=(firing.last_sign_us, _shown_start(word))
        )
        return [*steps, ended, *_open(standing, word)]
    return steps + _join(standing, word)


def _fires_anew(standing: Standing, word: Word) -> list[Step]:
    """No firing is open: a start after every known end is a new firing; another is late, or the last firing again."""
    last_end_us = standing.last_end_us
    if last_end_us is None or _shown_start(word) >= last_end_us:
        return _open(standing, word)
    if _is_late(standing, word) or not _may_reopen(standing.past[-1], word):
        return []
    return reopen(standing, word)


def _is_late(standing: Standing, word: Word) -> bool:
    """Whether the first-hand sender resolved this start, or a later start, after it sent this word.

    A word from before the end promises no more than the sender had promised by then. A word that promises more was sent
    since: a script fires again with the earlier start.
    """
    if word.kind == "witness":
        return False
    return any(
        w.sender == word.sender
        and (is_same_start(w.start_us, word.start_us) or w.start_us > word.start_us)
        and w.end_us > word.start_us
        and (word.until_us or 0) <= (w.until_us or 0) + _LATE_US
        for w in standing.known_ends
    )


def _may_reopen(past: Past, word: Word) -> bool:
    """Whether a start before a known end speaks against that end.

    The sender of the end knows what happened since; only a word that overtook the end is late. Another peer, which
    waits for its turn, may send a moment late what it saw before; half a group interval after the end it has looked
    again.
    """
    if word.kind == "first_hand":
        return not _is_end_by_a_clock_ahead(past, word)
    if past.is_ended_first_hand:
        return False
    own = [w for w in past.words if w.sender == word.sender]
    if not own:
        return True
    is_same_peer = word.peer == own[-1].peer != "" and not past.is_unheard
    late_us = group_interval(word) // 2
    if is_same_peer:
        late_us = min(late_us, _OVERTAKEN_US)
    return word.at_us - own[-1].at_us >= late_us


def _is_end_by_a_clock_ahead(past: Past, word: Word) -> bool:
    """Whether a word may be an end in our future: it promises little, and no more than the words of end had.

    A sender that still fires promises more with its next post.
    """
    until_us = word.until_us or 0
    promised_us = max((end.until_us or 0 for end in past.words), default=0)
    return until_us - word.at_us <= _AHEAD_US and until_us <= promised_us


def _lies_after_a_gap(firing: Firing, word: Word, *, rules: Rules, witnesses: Witnesses) -> bool:
    """Whether the start of a word lies after all that holds the open firing."""
    start_us = _shown_start(word)
    if not firing.claims or start_us <= firing.start_us:
        return False
    if any(is_same_start(claim.start_us, word.start_us) for claim in firing.claims):
        return False  # it was in the future, by a clock that is ahead
    if word.kind == "witness":
        restarted_us = witnesses.restarted_us.get(word.sender, 0)
        if firing.last_sign_us < restarted_us <= word.at_us:
            return False
    if word.kind == "first_hand" and firing.unconfirmed is None and witness_claims(firing):
        return False  # the word of a witness does not lapse
    interval_us = group_interval(word)
    return all(start_us > reach_us(claim, interval_us=interval_us, rules=rules) for claim in firing.claims)


def _shown_start(word: Word) -> int:
    """The start that is shown: a start in the future is shown as its receipt."""
    return min(word.start_us, word.at_us)


def _open(standing: Standing, word: Word) -> list[Step]:
    start_us = _shown_start(word)
    key_us = _next_key(standing, start_us)
    is_published = word.is_to_publish or _takes_back_an_end(standing, word)
    standing.firing = Firing(key_us, start_us, [_claim(word)], is_published=is_published)
    return [Step("opened", key_us, start_us, sender=word.sender)]


def _takes_back_an_end(standing: Standing, word: Word) -> bool:
    """Whether an alert fires again a moment after an end that was published by the word of a recorder alone.

    Where both lie between two looks at the group, the receiver of Alertmanager gets neither, and is silent for a whole
    repeat. So the recorder, whose end closed the page, has to open the page again.
    """
    past = standing.past[-1] if standing.past else None
    if past is None or not past.is_paged or past.ended_by != "resolved" or word.kind != "witness":
        return False
    if not all(end.is_recorded_only and end.sender == word.sender for end in past.words):
        return False
    return any(word.at_us - end.at_us < group_interval(word) for end in past.words)


def _next_key(standing: Standing, start_us: int) -> int:
    """The key of a new firing, after all keys of the label set."""
    newest_us = standing.newest_key_us
    return start_us if newest_us is None else max(start_us, newest_us + 1)


def reopen(standing: Standing, word: Word) -> list[Step]:
    """The last firing goes on after all."""
    is_published = word.is_to_publish or _takes_back_an_end(standing, word)
    *earlier, past = standing.past
    standing.past = tuple(earlier)
    floor_us = standing.last_end_us
    start_us = min(past.start_us, _shown_start(word))
    if floor_us is not None:
        start_us = max(start_us, floor_us)
    standing.firing = Firing(past.key_us, start_us, [_claim(word)], ended=past.words, is_published=is_published)
    return [Step("reopened", past.key_us, start_us, sender=word.sender)]


def _claim(word: Word) -> Claim:
    until_us = word.until_us if word.kind == "first_hand" else None
    return Claim(word.sender, word.start_us, until_us, word.at_us, word.at_us, word.content)


def _withdraw(firing: Firing, hold: Hold, word: Word) -> list[Step]:
    """Take a word of end back, because its sender fires with the same start: waiting claims join the open firing."""
    withdrawn = find_ended(hold.words, word.sender, word.start_us)
    words = tuple(end for end in hold.words if end is not withdrawn)
    firing.claims = [*firing.claims, *hold.waiting]
    firing.hold = msgspec.structs.replace(hold, words=words, waiting=()) if words else None
    if firing.is_published or not hold.is_to_publish:
        return []
    firing.is_published = True
    return [Step("published", firing.key_us, firing.start_us, sender=word.sender)]


def _has_to_wait(firing: Firing, hold: Hold, word: Word) -> bool:
    """Whether a later start may be a new firing: it is part of the open firing if another sender claims that one."""
    if word.start_us <= max(end.end_us for end in hold.words):
        return False
    if find_claim(firing.claims, word.sender, word.start_us) is not None:
        return False
    return all(find_ended(hold.words, claim.sender, claim.start_us) for claim in live_claims(firing, word.at_us))


def _wait(hold: Hold, word: Word) -> None:
    """Let a later start wait until it is known whether the firing before it has ended."""
    hold.is_to_publish = hold.is_to_publish or word.is_to_publish
    known = find_claim(hold.waiting, word.sender, word.start_us)
    if known is None:
        hold.waiting = (*hold.waiting, _claim(word))
    else:
        known.last_us, known.until_us = word.at_us, word.until_us


def take_hold(standing: Standing, firing: Firing, hold: Hold) -> list[Step]:
    """Let the words of end in a hold count, because no sender took them back. Waiting claims are a new firing."""
    firing.hold = None
    steps: list[Step] = []
    for word in hold.words:
        if standing.firing is firing:
            steps += take_end(standing, firing, word, own=find_claim(firing.claims, word.sender, word.start_us))
    waiting = sorted(hold.waiting, key=lambda claim: claim.start_us)
    if standing.firing is not None:
        firing.claims = [*firing.claims, *waiting]
    elif waiting:
        first = waiting[0]
        start_us = min(first.start_us, first.first_us)
        key_us = _next_key(standing, start_us)
        standing.firing = Firing(key_us, start_us, waiting, is_published=hold.is_to_publish)
        steps.append(Step("opened", key_us, start_us, sender=first.sender))
    return steps


def _join(standing: Standing, word: Word) -> list[Step]:
    """Take one more word about the open firing."""
    firing = standing.firing
    if firing is None:
        raise ValueError("nothing is open")
    if not word.is_start_given:
        word = msgspec.structs.replace(word, start_us=_meant_start(firing, word))
    steps = confirm(firing, word.sender)
    if word.is_listed:
        firing.muted = None
    steps += _take_claim(standing, firing, word)
    if word.is_to_publish and not firing.is_published:
        firing.is_published = True
        steps.append(Step("published", firing.key_us, firing.start_us, sender=word.sender))
    steps += watch_split(standing, firing, word)
    return steps


def _meant_start(firing: Firing, word: Word) -> int:
    """The start that a sender means without naming a start: that of its own claim, or of the open firing."""
    own = [claim.start_us for claim in firing.claims if claim.sender == word.sender]
    return max(own, default=firing.start_us)


def confirm(firing: Firing, sender: str) -> list[Step]:
    """Take up that a sender says again that the alert fires."""
    if firing.unconfirmed is None:
        return []
    firing.unconfirmed = firing.unconfirmed_us = None
    return [Step("confirmed", firing.key_us, firing.start_us, sender=sender)]


def _take_claim(standing: Standing, firing: Firing, word: Word) -> list[Step]:
    own = find_claim(firing.claims, word.sender, word.start_us)
    if own is not None:
        return _repeat_claim(firing, own, word)
    is_known_content = any(claim.content == word.content for claim in firing.claims)
    had_claims = any(claim.sender == word.sender for claim in firing.claims)
    if word.kind == "witness":  # it has one claim, its latest word
        firing.claims = [c for c in firing.claims if c.sender != word.sender]
    firing.claims.append(_claim(word))
    steps = _move_start(standing, firing, word)
    if had_claims and not is_known_content:
        steps.append(Step("reworded", firing.key_us, firing.start_us, sender=word.sender))
    return steps


def _repeat_claim(firing: Firing, own: Claim, word: Word) -> list[Step]:
    own.is_doubled = own.is_doubled or _comes_twice(own, word)
    if word.at_us >= own.last_us:
        own.until_us = word.until_us if own.is_first_hand else None
    own.last_us = max(own.last_us, word.at_us)
    own.missed_us, own.has_left = None, False
    if own.content == word.content:
        return []
    own.content = word.content
    return [Step("reworded", firing.key_us, firing.start_us, sender=word.sender)]


def _comes_twice(own: Claim, word: Word) -> bool:
    """Whether two senders say the same: the word came sooner than one sender repeats itself, and promises as much.

    A promise that is much shorter is an end by a clock that is ahead.
    """
    if own.until_us is None or word.until_us is None or own.content != word.content:
        return False
    is_too_soon = 0 <= word.at_us - own.last_us < own.resend_us // 2
    return is_too_soon and word.until_us - word.at_us >= (own.until_us - own.last_us) // 2


def _move_start(standing: Standing, firing: Firing, word: Word) -> list[Step]:
    """Show the earliest claimed start; it never reaches back into a firing that is over."""
    claimed_us = _shown_start(word)
    if is_same_start(claimed_us, firing.start_us):
        return []
    was_us = firing.start_us
    firing.start_us = min(was_us, max(claimed_us, standing.last_end_us or claimed_us))
    return [Step("start_moved", firing.key_us, firing.start_us, bounds_us=(was_us, word.start_us), sender=word.sender)]


# --- It is over -------------------------------------------------------------------------------------------------------


def _hear_end(standing: Standing, word: Word) -> list[Step]:
    firing = standing.firing
    end_us = min(word.given_end_us, word.at_us)
    if firing is None:
        return _ends_unheard(standing, word, end_us)
    if firing.hold is not None and _means_waiting(firing.hold, word):
        return [*take_hold(standing, firing, firing.hold), *_hear_end(standing, word)]
    own = find_claim(firing.claims, word.sender, word.start_us)
    if is_known_end(standing, word, own=own):
        return _lists_as_over(standing, firing, word)
    if not word.is_start_given:
        return _ends_open(standing, firing, word, end_us)
    if own is None and _lies_before(word, end_us, firing.start_us):
        return [*_ends_unheard(standing, word, end_us), *_lists_as_over(standing, firing, word)]
    steps = _move_start(standing, firing, word) if word.start_us < min(firing.start_us, end_us) else []
    return steps + _end_claims(standing, firing, word, own=own, end_us=end_us)


def _lists_as_over(standing: Standing, firing: Firing, word: Word) -> list[Step]:
    """End the later claim of a witness whose payload names an earlier end: it is over, at an unknown time.

    A peer that waits for its turn may send a moment late what it saw before.
    """
    own = next((claim for claim in firing.claims if claim.sender == word.sender), None)
    if own is None or own.is_first_hand or not word.is_listed:
        return []
    if word.at_us - own.last_us < group_interval(word) // 2:
        return []
    sign_us = firing.last_sign_us
    firing.claims = [claim for claim in firing.claims if claim is not own]
    if live_claims(firing, word.at_us) or witness_claims(firing):
        return []
    reason = "its Alertmanager lists it as over, without its end"
    bounds_us = (sign_us, word.at_us)
    return [end_firing(standing, sign_us, "inferred", bounds_us=bounds_us, sender=word.sender, reason=reason)]


def _means_waiting(hold: Hold, word: Word) -> bool:
    """Whether the end is that of a waiting start, so that the firing before it has ended, too."""
    return any(is_same_start(claim.start_us, word.start_us) or not word.is_start_given for claim in hold.waiting)


def _lies_before(word: Word, end_us: int, start_us: int) -> bool:
    """Whether a firing that ended lies wholly before a start; a firing without length may end at the start."""
    if is_same_start(end_us, start_us):
        return word.start_us < end_us
    return end_us < start_us


def _end_claims(standing: Standing, firing: Firing, word: Word, *, own: Claim | None, end_us: int) -> list[Step]:
    """End the claim `own`, or else all claims of the sender; end the firing as well if no claim holds it open."""
    ended = _ended(word, end_us, claims=firing.claims if own is None else [own])
    if own is not None and own.is_doubled:
        _hold(firing, ended, due_us=word.at_us + own.sends_within_us)
        return []
    return take_end(standing, firing, ended, own=own)


def _hold(firing: Firing, ended: Ended, *, due_us: int) -> None:
    """Hold a word of end back; a repeat, or an earlier end, changes nothing."""
    hold = firing.hold or Hold((), 0)
    known = find_ended(hold.words, ended.sender, ended.start_us)
    if known is None or ended.end_us > known.end_us:
        words = tuple(word for word in hold.words if word is not known)
        firing.hold = msgspec.structs.replace(hold, words=(*words, ended), due_us=due_us)


def _ended(word: Word, end_us: int, *, claims: Sequence[Claim] = ()) -> Ended:
    promises = [c.until_us for c in claims if c.sender == word.sender and c.until_us is not None]
    until_us = max([*promises, word.at_us]) if word.kind == "first_hand" else None
    return Ended(
        word.sender, word.start_us, end_us, word.at_us, until_us, word.peer, is_recorded_only=not word.is_to_publish
    )


def take_end(standing: Standing, firing: Firing, ended: Ended, *, own: Claim | None) -> list[Step]:
    """Let a word of end count, also one from a hold. The claims that its sender superseded end with it."""
    gone = [own] if own is not None else [c for c in firing.claims if c.sender == ended.sender]
    gone += [c for c in firing.claims if c.sender == ended.sender and is_superseded(c, firing.claims)]
    firing.claims = [claim for claim in firing.claims if claim not in gone]
    firing.ended = remembered(firing.ended, ended)
    others = live_claims(firing, ended.at_us)
    if not others and own is not None and not ended.is_first_hand:
        others = witness_claims(firing)
    if others:
        return []
    return [end_firing(standing, _latest_end(firing), "resolved", sender=ended.sender)]


def _latest_end(firing: Firing) -> int:
    """The end of a firing, which is the end of its last claim."""
    return max(word.end_us for word in firing.ended if word.end_us >= firing.start_us or word is firing.ended[-1])


def _ends_open(standing: Standing, firing: Firing, word: Word, end_us: int) -> list[Step]:
    """End the open firing, whoever claims it, by a word of end without a start."""
    if end_us < firing.start_us - CLOCK_US:
        return _ends_unheard(standing, word, end_us)
    end_us = max(end_us, firing.start_us)
    firing.ended = remembered(firing.ended, _ended(word, end_us, claims=firing.claims))
    return [end_firing(standing, end_us, "resolved", sender=word.sender)]


def _ends_unheard(standing: Standing, word: Word, end_us: int) -> list[Step]:
    """Take the end of a firing that is not open: a known firing, or one without a word while it fired."""
    start_us = min(word.start_us, end_us)
    for past in reversed(standing.past):
        slack_us = 0 if word.is_start_given else CLOCK_US
        if start_us <= past.end_us + slack_us and end_us >= past.start_us - slack_us:
            if not is_repeated_end(past.words, word, word.sender):
                past.words = remembered(past.words, _ended(word, end_us))
            return []
    if is_before_memory(standing, end_us):
        return []
    key_us = _free_key(standing, start_us)
    add_past(standing, Past(key_us, start_us, end_us, "resolved", (_ended(word, end_us),), is_unheard=True))
    return [Step("recorded_over", key_us, start_us, end_us=end_us, ended_by="resolved", sender=word.sender)]


def _free_key(standing: Standing, key_us: int) -> int:
    """That key, or the next key that no occurrence of the label set has."""
    keys = {past.key_us for past in standing.past}
    if standing.firing is not None:
        keys.add(standing.firing.key_us)
    while key_us in keys:
        key_us += 1
    return key_us


def end_firing(
    standing: Standing,
    end_us: int,
    ended_by: EndedBy,
    *,
    bounds_us: tuple[int, int] | None = None,
    sender: str = "",
    reason: str = "",
) -> Step:
    """End the open firing."""
    past = close(standing, end_us, ended_by)
    return Step(
        "ended",
        past.key_us,
        past.start_us,
        end_us=past.end_us,
        ended_by=ended_by,
        bounds_us=bounds_us,
        reason=reason,
        sender=sender,
    )
