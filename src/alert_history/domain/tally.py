"""Tallies: changes of the numbers, added up by day and by what they are about.

A tally row holds the numbers of one value of one dimension on one UTC day. All of them are sums, so rows are merged by
adding, in any order. Its parts are small maps, because a rule is quiet for most minutes of a day:

- `minutes`: how many occurrences began, by the minute of `timestamp`, the column that history is searched by;
- `moves`: how many more fired at the end of a quarter of an hour than at its begin, and how many seconds the ones that
  began left of the quarter, less those that the ones that ended left; what fires at any time follows from it;
- `lengths`: how long the occurrences that began on the day fired, by how they ended, in buckets of `log_buckets`.

Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from alert_history.domain.counting import Changes, Counted, Repeated
from alert_history.domain.log_buckets import bucket_of

Outcome = Literal["delivered", "superseded", "dead"]
Dimension = Literal[
    "all", "alertname", "severity", "namespace", "receiver", "source", "delivered", "superseded", "dead"
]
DIMENSIONS: tuple[Dimension, ...] = ("all", "alertname", "severity", "namespace", "receiver", "source")
"""What occurrences are counted by. `all` has the one value ''."""

OUTCOMES: tuple[Outcome, ...] = ("delivered", "superseded", "dead")
"""What settled deliveries are counted by: each outcome is a dimension, whose values are the targets.

They have `begun` and `minutes` alone: how many were settled so, and when.
"""

SHORT_US = 300 * 1_000_000
"""An occurrence that resolves within so short a time is short."""

MINUTE_US = 60 * 1_000_000
QUARTER_US = 15 * MINUTE_US
DAY_US = 86_400 * 1_000_000
SECOND_US = 1_000_000
_MINUTES_A_DAY = 1440
LONGEST_VALUE = 400
"""A longer value of a dimension is cut, because an index of PostgreSQL holds 2.7 kB."""


class Tally(msgspec.Struct, gc=False):
    """The numbers of one value on one day, or of several days added up.

    `ended` are those of the begun that ended, `short` those that resolved within five minutes, `again` those that began
    within an hour of the end of the firing before them. `length_us` is how long the ended ones fired in all. The keys
    of `moves` are quarters of the day, with (more firing, microseconds left). The keys of `lengths` are (how it ended,
    bucket).
    """

    begun: int = 0
    repeats: int = 0
    ended: int = 0
    short: int = 0
    again: int = 0
    length_us: int = 0
    minutes: dict[int, int] = {}
    moves: dict[int, tuple[int, int]] = {}
    lengths: dict[tuple[str, int], int] = {}

    def add(self, other: "Tally") -> None:
        """Add the numbers of another tally."""
        self.begun += other.begun
        self.repeats += other.repeats
        self.ended += other.ended
        self.short += other.short
        self.again += other.again
        self.length_us += other.length_us
        for minute, number in other.minutes.items():
            self.minutes[minute] = self.minutes.get(minute, 0) + number
        for quarter, (more, left_us) in other.moves.items():
            self.move(quarter, more, left_us)
        for key, number in other.lengths.items():
            self.lengths[key] = self.lengths.get(key, 0) + number

    def copied(self) -> "Tally":
        """The same numbers, with maps of its own."""
        return msgspec.structs.replace(
            self, minutes=dict(self.minutes), moves=dict(self.moves), lengths=dict(self.lengths)
        )

    def move(self, quarter: int, more: int, left_us: int) -> None:
        """Add to `moves`."""
        was = self.moves.get(quarter, (0, 0))
        self.moves[quarter] = (was[0] + more, was[1] + left_us)

    def without_zeros(self) -> "Tally":
        """The same tally without entries that came to nothing."""
        self.minutes = {minute: number for minute, number in self.minutes.items() if number}
        self.moves = {quarter: move for quarter, move in self.moves.items() if move != (0, 0)}
        self.lengths = {key: number for key, number in self.lengths.items() if number}
        return self

    @property
    def is_empty(self) -> bool:
        """Whether all numbers are 0."""
        return self == Tally()


TallyMap = Literal["minutes", "moves", "lengths"]
"""A map of a tally. Whoever needs one alone need not read the others."""

Place = tuple[Dimension, int, str]
"""A dimension, a day (days since 1970, UTC), and a value."""

_Group = tuple[str, str, str, str, str]
"""The values of the dimensions behind `all`, in their order."""


class Tallies:
    """Changes as tallies. First those that are about the same are added up, then the sums go to each dimension."""

    def __init__(self) -> None:
        self._days: dict[int, dict[_Group, Tally]] = {}
        self.again: dict[tuple[int, str, str], int] = {}
        """How many firings of a label set began again: by day, fingerprint and alertname."""
        self._settled: dict[Place, Tally] = {}
        self.labels: dict[str, dict[str, int]] = {}
        """How many occurrences began with a label, by its name and value."""

    def take(self, changes: Changes) -> None:
        """Add changes."""
        for counted in changes.added:
            self.count(counted, 1)
        for counted in changes.removed:
            self.count(counted, -1)
        for repeated in changes.repeated:
            self.repeat(repeated)
        for name, value, number in changes.labels:
            values = self.labels.setdefault(name, {})
            values[value] = values.get(value, 0) + number

    def count(self, counted: Counted, sign: int) -> None:
        """Add an occurrence, or take one away."""
        about = counted.about
        group = (about.alertname, about.severity, about.namespace, counted.receiver, about.source)
        day, rest_us = divmod(about.received_us, DAY_US)
        tally = self._tally(group, day)
        tally.begun += sign
        minute = rest_us // MINUTE_US
        tally.minutes[minute] = tally.minutes.get(minute, 0) + sign
        self._move(group, counted.start_us, sign)
        if counted.end_us is not None:
            self._move(group, counted.end_us, -sign)
            _end(tally, counted, counted.end_us - counted.start_us, sign)
        if counted.is_again:
            tally.again += sign
            key = (day, counted.fingerprint, about.alertname)
            self.again[key] = self.again.get(key, 0) + sign

    def repeat(self, repeated: Repeated) -> None:
        """Add messages that changed nothing."""
        about = repeated.about
        group = (about.alertname, about.severity, about.namespace, repeated.receiver, about.source)
        self._tally(group, about.received_us // DAY_US).repeats += repeated.number

    def settle(self, target: str, outcome: Outcome, at_us: int, *, number: int) -> None:
        """Add settled deliveries; a dead letter that is tried again is taken away."""
        day, rest_us = divmod(at_us, DAY_US)
        place = (outcome, day, target[:LONGEST_VALUE])
        tally = self._settled.get(place)
        if tally is None:
            tally = self._settled[place] = empty_tally()
        minute = rest_us // MINUTE_US
        tally.begun += number
        tally.minutes[minute] = tally.minutes.get(minute, 0) + number

    def before(self, first_day: int) -> "Tallies":
        """The tallies of the days before this one alone; no labels, which have no day."""
        some = Tallies()
        some._days = {day: groups for day, groups in self._days.items() if day < first_day}
        some._settled = {place: tally for place, tally in self._settled.items() if place[1] < first_day}
        some.again = {place: number for place, number in self.again.items() if place[0] < first_day}
        return some

    def by_place(self) -> dict[Place, Tally]:
        """The tally of each value of each dimension on each day."""
        places: dict[Place, Tally] = {place: tally.copied() for place, tally in self._settled.items()}
        for day, groups in self._days.items():
            for group, tally in groups.items():
                for dimension, value in zip(DIMENSIONS, ("", *group), strict=True):
                    place = (dimension, day, value[:LONGEST_VALUE])
                    sums = places.get(place)
                    if sums is None:
                        places[place] = tally.copied()
                    else:
                        sums.add(tally)
        return places

    def _tally(self, group: _Group, day: int) -> Tally:
        groups = self._days.get(day)
        if groups is None:
            groups = self._days[day] = {}
        tally = groups.get(group)
        if tally is None:
            tally = groups[group] = empty_tally()
        return tally

    def _move(self, group: _Group, at_us: int, more: int) -> None:
        day, rest_us = divmod(at_us, DAY_US)
        quarter, into_us = divmod(rest_us, QUARTER_US)
        moves = self._tally(group, day).moves
        was = moves.get(quarter)
        left_us = more * (QUARTER_US - into_us)
        moves[quarter] = (more, left_us) if was is None else (was[0] + more, was[1] + left_us)


def empty_tally() -> Tally:
    """A tally of nothing, with maps of its own."""
    return Tally(minutes={}, moves={}, lengths={})


def without_maps(tally: Tally) -> Tally:
    """The same plain numbers, with empty maps."""
    return msgspec.structs.replace(tally, minutes={}, moves={}, lengths={})


def _end(tally: Tally, counted: Counted, length_us: int, sign: int) -> None:
    tally.ended += sign
    tally.length_us += sign * length_us
    if length_us < SHORT_US and counted.ended_by == "resolved":
        tally.short += sign
    key = (counted.ended_by or "resolved", bucket_of(length_us / SECOND_US))
    tally.lengths[key] = tally.lengths.get(key, 0) + sign


# --- as bytes ---------------------------------------------------------------------------------------------------------

_encode = msgspec.msgpack.Encoder().encode
_read_minutes = msgspec.msgpack.Decoder(dict[int, int]).decode
_read_moves = msgspec.msgpack.Decoder(dict[int, tuple[int, int]]).decode
_read_lengths = msgspec.msgpack.Decoder(list[tuple[str, int, int]]).decode


class Packed(msgspec.Struct, frozen=True, gc=False):
    """The maps of a tally as bytes."""

    minutes: bytes
    moves: bytes
    lengths: bytes


def packed(tally: Tally) -> Packed:
    """The maps of a tally as bytes."""
    lengths = [(ended_by, bucket, number) for (ended_by, bucket), number in sorted(tally.lengths.items())]
    return Packed(
        _encode(dict(sorted(tally.minutes.items()))), _encode(dict(sorted(tally.moves.items()))), _encode(lengths)
    )


def minutes_of(text: bytes) -> dict[int, int]:
    """The `minutes` in bytes."""
    return _read_minutes(text)


def moves_of(text: bytes) -> dict[int, tuple[int, int]]:
    """The `moves` in bytes."""
    return _read_moves(text)


def lengths_of(text: bytes) -> dict[tuple[str, int], int]:
    """The `lengths` in bytes."""
    return {(ended_by, bucket): number for ended_by, bucket, number in _read_lengths(text)}


def tallied(changes: Iterable[Changes]) -> Tallies:
    """All these changes, added up."""
    tallies = Tallies()
    for some in changes:
        tallies.take(some)
    return tallies


def merged(tallies: Iterable[Tally]) -> Tally:
    """The sum of tallies."""
    total = empty_tally()
    for tally in tallies:
        total.add(tally)
    return total


def by_value(places: Mapping[Place, Tally], dimension: Dimension) -> Iterator[tuple[int, str, Tally]]:
    """The tallies of one dimension, as (day, value, tally)."""
    for (of, day, value), tally in places.items():
        if of == dimension:
            yield day, value, tally


def kept_minutes(
    tallies: Mapping[tuple[int, str], Tally], since_us: int, until_us: int
) -> dict[tuple[int, str], Tally]:
    """What began in whole minutes from one to another: tallies with `begun` and `minutes` alone, by (day, value).

    `minutes` may be empty on days that are in the span from begin to end: then `begun` tells all.
    """
    tallies_within: dict[tuple[int, str], Tally] = {}
    for (day, value), tally in tallies.items():
        first, end = (since_us - day * DAY_US) // MINUTE_US, (until_us - day * DAY_US) // MINUTE_US
        minutes, begun = tally.minutes, tally.begun
        if first > 0 or end < _MINUTES_A_DAY:
            minutes = {minute: number for minute, number in minutes.items() if first <= minute < end}
            begun = sum(minutes.values())
        if minutes or begun:
            tallies_within[day, value] = Tally(begun=begun, minutes=minutes, moves={}, lengths={})
    return tallies_within
