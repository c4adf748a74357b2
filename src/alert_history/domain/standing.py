"""A standing: all that is claimed of one label set now, and how its last firings ended.

There is one for each scope and fingerprint, and it holds at most one open firing. Holds what can be read off it; what
changes it stands in `hearing` (a sender says something), `lapsing` (all are silent) and `reconciling` (a poll).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from alert_history.domain.claim import MILLISECOND_US, MINUTE_US, Claim, Ended, Word, is_same_start

EndedBy = Literal["resolved", "expired", "inferred", "reconciled"]

_REMEMBERED_FIRINGS = 8
_REMEMBERED_WORDS = 16
_REMEMBERED_SENDERS = 1_000
DEFAULT_GROUP_INTERVAL_US = 5 * MINUTE_US
"""Alertmanager's own default, taken where nothing was seen of it."""


class Rules(msgspec.Struct, frozen=True):
    """Settings for all label sets: how long a silent sender may come back, and how long a witness may be silent.

    `stale_after_us` is None where it is learnt. 0 for `stale_ends_after_us`: never. `retention_us` is how long history
    is kept, None for ever: what has no sign for three quarters of it ends before it is dropped.
    """

    expire_after_us: int = 15 * MINUTE_US
    stale_after_us: int | None = None
    stale_ends_after_us: int = 7 * 24 * 60 * MINUTE_US
    retention_us: int | None = None

    def ends_unheard_us(self, last_sign_us: int) -> int | None:
        """When a firing without a further sign ends, before its history is dropped, whichever claim holds it."""
        return None if self.retention_us is None else last_sign_us + self.retention_us * 3 // 4

    def silence_us(self, learnt_us: int | None, unseen_us: int) -> int:
        """How long a witness may be silent: as set, else as learnt, else `unseen_us`; within what retention allows."""
        silence_us = self.stale_after_us or learnt_us or unseen_us
        return silence_us if self.retention_us is None else min(silence_us, self.retention_us // 2)


DEFAULT_RULES = Rules()


class Witnesses(msgspec.Struct, frozen=True):
    """Which peers are one witness (sender id → id of the whole), and when each was last known to start anew.

    `posters` are the first-hand senders that posted to us (sender id → the origin that their alerts name). `scopes` are
    those that the URLs of senders name (sender id → scope).
    """

    clusters: Mapping[str, str] = {}
    restarted_us: Mapping[str, int] = {}
    posters: Mapping[str, str] = {}
    scopes: Mapping[str, str] = {}

    def of(self, sender: str) -> str:
        """The id under which a sender's claims stand."""
        return self.clusters.get(sender, sender)

    def joined(self, sender: str, peer: str) -> "Witnesses":
        """These, and that the two senders are peers."""
        gone, stays = sorted([self.of(sender), self.of(peer)], reverse=True)
        if gone == stays:
            return self
        moved = {sender: stays for sender, cluster in self.clusters.items() if cluster == gone}
        restarted = {stays if sender == gone else sender: at for sender, at in sorted(self.restarted_us.items())}
        clusters = {**self.clusters, **moved, gone: stays}
        return msgspec.structs.replace(self, clusters=clusters, restarted_us=restarted)

    def restarted(self, sender: str, at_us: int) -> "Witnesses":
        """These, and that the one began anew then."""
        whole = self.of(sender)
        if self.restarted_us.get(whole, 0) >= at_us:
            return self
        return msgspec.structs.replace(self, restarted_us={**self.restarted_us, whole: at_us})

    def posted(self, sender: str, origin: str) -> "Witnesses":
        """These, and that the first-hand sender posts for that origin; who came long before is forgotten."""
        if self.posters.get(sender) == origin:
            return self
        return msgspec.structs.replace(self, posters=_with(self.posters, sender, origin))

    def scoped(self, sender: str, scope: str) -> "Witnesses":
        """These, and that the sender sends to a URL that names that scope; who came long before is forgotten."""
        if self.scopes.get(sender) == scope:
            return self
        return msgspec.structs.replace(self, scopes=_with(self.scopes, sender, scope))

    def scope_of(self, senders: Collection[str]) -> str | None:
        """The scope that one of these senders, or a peer of it, sends to; None if that is not known."""
        wholes = {self.of(sender) for sender in senders}
        return next((scope for sender, scope in self.scopes.items() if self.of(sender) in wholes), None)

    def posters_of(self, origins: Collection[str]) -> list[str]:
        """The first-hand senders that post for one of these origins, the newest last."""
        return [sender for sender, origin in self.posters.items() if origin in origins]

    def merged(self, others: "Witnesses") -> "Witnesses":
        """What both know."""
        merged = self
        for sender, cluster in others.clusters.items():
            merged = merged.joined(sender, cluster)
        for sender, at_us in others.restarted_us.items():
            merged = merged.restarted(sender, at_us)
        for sender, origin in others.posters.items():
            merged = merged.posted(sender, origin)
        for sender, scope in others.scopes.items():
            merged = merged.scoped(sender, scope)
        return merged


def _with(senders: Mapping[str, str], sender: str, text: str) -> dict[str, str]:
    others = [pair for pair in senders.items() if pair[0] != sender]
    return dict([*others[1 - _REMEMBERED_SENDERS :], (sender, text)])


class Hold(msgspec.Struct, array_like=True, gc=False):
    """Words of end that are held back until `due_us`, because another sender that looks the same may fire on.

    `waiting` are claims with starts after those ends, which wait for the outcome.
    """

    words: tuple[Ended, ...]
    due_us: int
    waiting: tuple[Claim, ...] = ()
    is_to_publish: bool = False


class Muted(msgspec.Struct, array_like=True, gc=False):
    """Why a witness is silent about what fires: `kind` is silenced or inhibited; `until_us` is None where unknown."""

    kind: str
    by: str
    until_us: int | None = None


class Firing(msgspec.Struct, array_like=True, gc=False):
    """The open firing. `key_us` names its occurrence and never changes; `start_us` is the earliest claimed.

    `notified` are the targets that were notified of it. `unconfirmed` is why no sender confirms it any more, since
    `unconfirmed_us`; None where a sender does. `is_found`: no sender posted it, but a sender that was asked listed it.
    """

    key_us: int
    start_us: int
    claims: list[Claim]
    ended: tuple[Ended, ...] = ()
    is_published: bool = False
    notified: tuple[str, ...] = ()
    unconfirmed: str | None = None
    unconfirmed_us: int | None = None
    hold: Hold | None = None
    muted: Muted | None = None
    is_found: bool = False

    @property
    def last_sign_us(self) -> int:
        """When a sender last said that it fires."""
        return max((claim.last_us for claim in self.claims), default=self.key_us)


class Past(msgspec.Struct, array_like=True, gc=False):
    """A firing that is over; `words` are the words of end of its senders, the newest last.

    `is_paged`: it was published, and nothing muted it when it ended. `is_unheard`: its end was the first that came.
    """

    key_us: int
    start_us: int
    end_us: int
    ended_by: EndedBy
    words: tuple[Ended, ...] = ()
    notified: tuple[str, ...] = ()
    is_paged: bool = False
    is_unheard: bool = False

    @property
    def is_ended_first_hand(self) -> bool:
        """Whether a first-hand sender said that it ended."""
        return any(word.is_first_hand for word in self.words)


class Standing(msgspec.Struct, array_like=True, gc=False):
    """What is known of one scope and fingerprint. `past` holds its last firings, the newest last.

    `splits` are the times of words that ended the claim of one sender while the claim of another went on.
    `conflict_us` is when a conflict was last shown.
    """

    firing: Firing | None = None
    past: tuple[Past, ...] = ()
    splits: tuple[int, ...] = ()
    conflict_us: int | None = None

    @property
    def newest_key_us(self) -> int | None:
        """The key of the newest occurrence; None without any occurrence."""
        if self.firing is not None:
            return self.firing.key_us
        return self.past[-1].key_us if self.past else None

    @property
    def known_ends(self) -> list[Ended]:
        """All remembered words of end, except the words that are held back."""
        words = [word for past in self.past for word in past.words]
        return words if self.firing is None else [*words, *self.firing.ended]

    @property
    def last_end_us(self) -> int | None:
        """The latest end of all past firings; None without any past firing."""
        return max((past.end_us for past in self.past), default=None)


def key_at(standing: Standing, start_us: int | None) -> int | None:
    """The key of the occurrence that a sender means by a start; without a start it is the newest occurrence."""
    if start_us is None:
        return standing.newest_key_us
    firing = standing.firing
    if firing is not None and (start_us >= firing.start_us or find_start(firing, start_us)):
        return firing.key_us
    meant = [
        p for p in standing.past if p.start_us // MILLISECOND_US <= start_us // MILLISECOND_US and start_us <= p.end_us
    ]
    return meant[-1].key_us if meant else None


def find_start(firing: Firing, start_us: int) -> bool:
    """Whether a sender claims or claimed that start for a firing."""
    starts = [firing.key_us, firing.start_us, *(c.start_us for c in firing.claims), *(w.start_us for w in firing.ended)]
    return any(is_same_start(start, start_us) for start in starts)


def live_claims(firing: Firing, now_us: int) -> list[Claim]:
    """The first-hand claims that are neither lapsed nor superseded."""
    return [
        claim
        for claim in firing.claims
        if claim.until_us is not None and claim.until_us > now_us and not is_superseded(claim, firing.claims)
    ]


def is_superseded(claim: Claim, claims: Sequence[Claim]) -> bool:
    """Whether the sender of a claim claimed a later start, without a repeat of this claim since."""
    return any(
        other.sender == claim.sender and other.start_us > claim.start_us and other.first_us > claim.last_us
        for other in claims
    )


def witness_claims(firing: Firing) -> list[Claim]:
    """The claims of witnesses that still list the alert."""
    return [c for c in firing.claims if c.until_us is None and not c.has_left]


def find_claim(claims: Sequence[Claim], sender: str, start_us: int) -> Claim | None:
    """The claim of a sender with that start."""
    return next((c for c in claims if c.sender == sender and is_same_start(c.start_us, start_us)), None)


def find_ended(words: Sequence[Ended], sender: str, start_us: int) -> Ended | None:
    """The newest word of end of a sender about that start."""
    return next((w for w in reversed(words) if w.sender == sender and is_same_start(w.start_us, start_us)), None)


def is_repeated_end(words: Sequence[Ended], word: Word, sender: str) -> bool:
    """Whether the sender has sent this very end before, with any start."""
    return any(w.sender == sender and is_same_start(w.end_us, word.given_end_us) for w in words)


def is_known_end(standing: Standing, word: Word, *, own: Claim | None) -> bool:
    """Whether the sender has sent this end before. A witness that has claimed the alert since sends a new end."""
    if own is not None and not own.is_first_hand and word.start_us < word.given_end_us:
        return False
    return is_repeated_end(standing.known_ends, word, word.sender)


def reach_us(claim: Claim, *, interval_us: int, rules: Rules) -> int:
    """Until when a claim holds its firing open, without a further sign."""
    if claim.until_us is not None:
        return max(claim.until_us, claim.last_us) + rules.expire_after_us
    return claim.last_us + interval_us


def group_interval(word: Word) -> int:
    """How often Alertmanager looks at the group of a word."""
    return word.group_interval_us or DEFAULT_GROUP_INTERVAL_US


def remembered(words: tuple[Ended, ...], word: Ended) -> tuple[Ended, ...]:
    """Words of end and one more word, of which the last few are remembered."""
    return (*words, word)[-_REMEMBERED_WORDS:]


def add_past(standing: Standing, past: Past) -> None:
    """Remember a firing that is over, in the order of the ends; the last few are remembered."""
    ordered = sorted((*standing.past, past), key=lambda over: over.end_us)
    standing.past = tuple(ordered[-_REMEMBERED_FIRINGS:])


def is_before_memory(standing: Standing, end_us: int) -> bool:
    """Whether a firing that ended then is older than all that is remembered, while more has been forgotten.

    It may be one that is kept, so nobody can take it for one that was never heard of.
    """
    return len(standing.past) == _REMEMBERED_FIRINGS and end_us < standing.past[0].start_us


def close(standing: Standing, end_us: int, ended_by: EndedBy) -> Past:
    """Move the open firing to the past firings; its end is never before its start."""
    firing = standing.firing
    if firing is None:
        raise ValueError("nothing is open")
    end_us = max(end_us, firing.start_us)
    is_paged = firing.is_published and firing.muted is None
    past = Past(firing.key_us, firing.start_us, end_us, ended_by, firing.ended, firing.notified, is_paged)
    standing.firing = None
    add_past(standing, past)
    return past


def closed_us(standing: Standing) -> int | None:
    """When the last firing of a label set ended; None while a firing is open."""
    return None if standing.firing is not None else standing.last_end_us
