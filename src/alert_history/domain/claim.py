"""A claim: what one sender says of one label set, and who that sender is.

A first-hand sender evaluates rules and must repeat itself: its claims lapse. A witness (an Alertmanager cluster, a
Grafana) says each thing once and does not lapse. Must not know how senders write (that is `sources/`), nor what becomes
of their claims (that is `standing` and `hearing`). Times are microseconds since 1970, UTC; starts compare in
milliseconds, which is what all senders keep.
"""

from hashlib import blake2b
from typing import Literal

import msgspec

SenderKind = Literal["first_hand", "witness"]

UNKNOWN_SENDER = ""
"""The sender of a claim that an older release kept."""

MILLISECOND_US = 1_000
SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
CLOCK_US = 5 * MINUTE_US
"""How far the clock of a sender that names no start may be off."""
RESENDS_PROMISED = 4
"""How many resend delays ahead Prometheus and vmalert promise."""

_SHORTEST_RESEND_US = SECOND_US
_ANY_TIME_US = 10**15
_LONGEST_RESEND_US = 5 * MINUTE_US
_HASH_BITS = 63
_HASH_MASK = (1 << _HASH_BITS) - 1
_ODD = 0x9E3779B97F4A7C15  # an odd number whose bits are even: it spreads what it multiplies
_ID_BYTES = 6


class Sender(msgspec.Struct, frozen=True, gc=False):
    """Who makes claims.

    A first-hand sender is its generator's `origin` and the `address` that it posts from. Of a witness `origin` is the
    external URL, or the recorder's instance, of one of its peers; which peers are one witness is known elsewhere.
    """

    kind: SenderKind
    origin: str
    address: str = ""

    @property
    def id(self) -> str:
        """Twelve hex digits, the same in every process."""
        text = f"{self.kind}\0{self.origin}\0{self.address}"
        return blake2b(text.encode("utf-8", "replace"), digest_size=_ID_BYTES).hexdigest()


class Word(msgspec.Struct, frozen=True, gc=False):
    """What one sender says once: a label set fires since `start_us`, or is over since `end_us`.

    `until_us` is how long a first-hand sender promises; `at_us` when it was received; `content` the hash of the
    annotations. `is_listed`: it stands in a group's payload, so nothing mutes it; `group_interval_us` is that of the
    group, None where that is not known. `peer` is which of a witness's peers says so, where `sender` is the whole.
    """

    sender: str
    kind: SenderKind
    is_firing: bool
    start_us: int
    at_us: int
    content: int
    end_us: int | None = None
    until_us: int | None = None
    is_start_given: bool = True
    is_to_publish: bool = False
    is_listed: bool = False
    group_interval_us: int | None = None
    peer: str = ""

    @property
    def given_end_us(self) -> int:
        """The end that a word names, or else its receipt."""
        return self.at_us if self.end_us is None else self.end_us


class Claim(msgspec.Struct, array_like=True, gc=False):
    """That it fires since `start_us`, as one sender says.

    A first-hand one lapses at `until_us` (None: a witness's, which does not lapse). `first_us` and `last_us` are its
    first and its last sign. `is_doubled`: two senders that can't be told apart make it. `missed_us` is when a poll of
    the sender first lacked it. `has_left`: its sender's group went on without it.
    """

    sender: str
    start_us: int
    until_us: int | None
    first_us: int
    last_us: int
    content: int
    is_doubled: bool = False
    missed_us: int | None = None
    has_left: bool = False

    @property
    def is_first_hand(self) -> bool:
        """Whether its sender evaluates the rule itself."""
        return self.until_us is not None

    @property
    def resend_us(self) -> int:
        """How long its first-hand sender waits before it says the same again, by what it promises."""
        promised = (self.until_us or self.last_us) - self.last_us
        return min(max(promised // RESENDS_PROMISED, _SHORTEST_RESEND_US), _LONGEST_RESEND_US)

    @property
    def sends_within_us(self) -> int:
        """Within which time its sender must say the same again.

        Prometheus looks at each evaluation whether more than a resend delay has passed: that may be two of them.
        """
        return self.resend_us * 9 // 4


class Ended(msgspec.Struct, array_like=True, gc=False):
    """A word of end: which sender said that its claim since `start_us` ended, received at `at_us`.

    `until_us` is how long that claim had been promised; None for a witness, of which `peer` said so.
    `is_recorded_only`: it came from one whose firings are not published.
    """

    sender: str
    start_us: int
    end_us: int
    at_us: int
    until_us: int | None = None
    peer: str = ""
    is_recorded_only: bool = False

    @property
    def is_first_hand(self) -> bool:
        """Whether its sender evaluates the rule itself."""
        return self.until_us is not None


def is_same_start(start_us: int, other_us: int) -> bool:
    """Whether two starts are the same: senders keep milliseconds."""
    return start_us // MILLISECOND_US == other_us // MILLISECOND_US


def claim_hash(sender: str, start_us: int, end_us: int | None = None) -> int:
    """What names a claim, or a word of end, in one number above 0: the same for each repeat of it, in every process."""
    end_ms = 0 if end_us is None else end_us // MILLISECOND_US
    mixed = (int(sender or "0", 16) * _ODD + start_us // MILLISECOND_US) * _ODD + end_ms
    return (mixed ^ mixed >> _HASH_BITS) & _HASH_MASK or 1


def shortest_wait_us(word: Word) -> int:
    """How long after the last sign a word may be a plain repeat: sooner, two first-hand senders may speak as one."""
    if word.kind == "witness" or word.until_us is None:
        return -_ANY_TIME_US
    return max(word.until_us - word.at_us, 0) // (2 * RESENDS_PROMISED)
