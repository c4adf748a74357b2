"""Which alerts inhibit which. Source: `inhibit` of prometheus/alertmanager.

An alert is muted while another one fires that matches the rule's source and has the same `equal` labels; labels that
both lack are the same. An alert that matches both sides of a rule is not muted by one that does, too; so neither by
itself. A source may itself be muted.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from alert_history.domain.alertmanager.behaviour import NEWEST, Behaviour
from alert_history.domain.alertmanager.configuration import InhibitRule
from alert_history.domain.alertmanager.matcher_sets import MatcherSets

Place = tuple[int, tuple[str, ...]]
"""An inhibit rule, by its place in the list, and the values of its `equal` labels."""


class Source(msgspec.Struct, frozen=True, gc=False):
    """An alert that may inhibit others: until when it fires."""

    fingerprint: str
    ends_at: datetime


class Sides(msgspec.Struct, frozen=True, gc=False):
    """What inhibit rules say of a label set: as whose target and whose source it counts, in order.

    `both` are the rules of which it matches both sides.
    """

    targets: tuple[Place, ...] = ()
    sources: tuple[Place, ...] = ()
    both: frozenset[int] = frozenset()


class Inhibitor(msgspec.Struct, frozen=True, gc=False):
    """An alert that mutes another one, and the rule by which it does."""

    fingerprint: str
    rule: InhibitRule


_NEITHER = Sides()
_CLEANING = timedelta(minutes=15)


class InhibitRules:
    """Inhibit rules, prepared to be asked by label sets. They may be kept: what they remember has a bound."""

    def __init__(self, rules: Sequence[InhibitRule]) -> None:
        """Raises: InvalidQuery where a regex is wrong."""
        self._rules = tuple(rules)
        self._targets = MatcherSets([(rule.targets, place) for place, rule in enumerate(rules)])
        self._sources = MatcherSets([(rule.sources, place) for place, rule in enumerate(rules)])

    def __getitem__(self, place: int) -> InhibitRule:
        """The rule at that place of the list."""
        return self._rules[place]

    def sides(self, labels: Mapping[str, str]) -> Sides:
        """What the rules say of a label set."""
        targets, sources = self._targets.matching(labels), self._sources.matching(labels)
        if not targets and not sources:
            return _NEITHER
        return Sides(
            tuple((rule, self._equal(rule, labels)) for rule in targets),
            tuple((rule, self._equal(rule, labels)) for rule in sources),
            frozenset(targets).intersection(sources),
        )

    def _equal(self, rule: int, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(labels.get(name, "") for name in self._rules[rule].equal)


class Inhibition:
    """Inhibit rules and the alerts that are their sources.

    Asked by `Sides`, which are worth keeping for a label set: to find them costs most.
    """

    def __init__(
        self,
        rules: InhibitRules | Sequence[InhibitRule],
        *,
        behaviour: Behaviour = NEWEST,
        followed_since: datetime | None = None,
    ) -> None:
        """`followed_since`: when Alertmanager started, if from then on each post of a source is put, its end too.

        From 0.30 on the one source that it looks at stays that one when it ends, until another one is posted again;
        so for up to a minute nothing is muted, though others fire. Only with all posts can that be followed.

        Raises: InvalidQuery where a regex is wrong.
        """
        self._rules = rules if isinstance(rules, InhibitRules) else InhibitRules(rules)
        self._cells: dict[Place, _Cell] = {}
        self._looks_at_one = behaviour.looks_at_one_source
        self._followed_since = followed_since if behaviour.looks_at_one_source else None

    @property
    def is_followed(self) -> bool:
        """Whether ended sources are to be put, not removed."""
        return self._followed_since is not None

    def sides(self, labels: Mapping[str, str]) -> Sides:
        """What the rules say of a label set."""
        return self._rules.sides(labels)

    def put(self, source: Source, sides: Sides, *, at: datetime | None = None) -> None:
        """Take an alert that fires, or fires on with another end; of two that end together the later put counts.

        Where posts are followed, `at` is when it was posted.
        """
        for place in sides.sources:
            cell = self._cells.get(place)
            if cell is None:
                cell = self._cells[place] = self._cell()
            cell.put(source, is_two_sided=place[0] in sides.both, at=at)

    def forgets_at(self, at: datetime) -> datetime | None:
        """Where posts are followed: when ended sources are forgotten next, and with them which one is looked at."""
        return None if self._followed_since is None else at + _CLEANING - (at - self._followed_since) % _CLEANING

    def remove(self, fingerprint: str, sides: Sides) -> None:
        """Forget an alert; one that has ended need not be removed, but costs."""
        for place in sides.sources:
            cell = self._cells.get(place)
            if cell is not None and cell.remove(fingerprint):
                del self._cells[place]

    def inhibitor(self, sides: Sides, *, at: datetime) -> Inhibitor | None:
        """The alert that Alertmanager names: of the first rule that mutes, the source that ends last.

        Versions before 0.30 name any of the rule's sources. Later ones look at that one alone: where it matches both
        sides, as the target does, nothing is muted by the rule, whatever other sources there are.
        """
        for place in sides.targets:
            cell = self._cells.get(place)
            if cell is None:
                continue
            is_one_sided = place[0] in sides.both
            source = cell.latest(at, is_one_sided=is_one_sided and not self._looks_at_one)
            if source is not None and not (is_one_sided and cell.is_two_sided(source)):
                return Inhibitor(source.fingerprint, self._rules[place[0]])
        return None

    def inhibitors(self, sides: Sides, *, at: datetime) -> Iterator[Inhibitor]:
        """All alerts that mute by any rule, in order of the rules, then of fingerprints. There may be very many."""
        for place in sides.targets:
            cell = self._cells.get(place)
            if cell is not None:
                for fingerprint in cell.firing(at, is_one_sided=place[0] in sides.both):
                    yield Inhibitor(fingerprint, self._rules[place[0]])

    def _cell(self) -> "_Cell":
        return _Cell() if self._followed_since is None else _FollowedCell(self._followed_since)


class _Cell:
    """The sources of one rule that have the same `equal` labels."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._two_sided: set[str] = set()
        self._latest: dict[bool, Source | None] = {}

    def put(self, source: Source, *, is_two_sided: bool, at: datetime | None) -> None:
        del at
        self._sources.pop(source.fingerprint, None)
        self._sources[source.fingerprint] = source
        if is_two_sided:
            self._two_sided.add(source.fingerprint)
        for is_one_sided, latest in list(self._latest.items()):
            if is_one_sided and is_two_sided:
                continue
            if latest is None or source.ends_at >= latest.ends_at:
                self._latest[is_one_sided] = source
            elif latest.fingerprint == source.fingerprint:
                del self._latest[is_one_sided]

    def remove(self, fingerprint: str) -> bool:
        """Whether nothing is left."""
        self._sources.pop(fingerprint, None)
        self._two_sided.discard(fingerprint)
        self._latest.clear()
        return not self._sources

    def is_two_sided(self, source: Source) -> bool:
        return source.fingerprint in self._two_sided

    def latest(self, at: datetime, *, is_one_sided: bool) -> Source | None:
        """The source that ends last, if it fires still; of equals the one that was put last."""
        if is_one_sided not in self._latest:
            self._latest[is_one_sided] = max(
                (each for each in reversed(self._sources.values()) if not (is_one_sided and self.is_two_sided(each))),
                key=lambda each: each.ends_at,
                default=None,
            )
        source = self._latest[is_one_sided]
        return source if source is not None and source.ends_at > at else None

    def firing(self, at: datetime, *, is_one_sided: bool) -> list[str]:
        return sorted(
            each.fingerprint
            for each in self._sources.values()
            if each.ends_at > at and not (is_one_sided and self.is_two_sided(each))
        )


class _FollowedCell(_Cell):
    """The same as Alertmanager 0.30 and newer keep them: one is chosen when it is posted, and stays when it ends."""

    def __init__(self, started_at: datetime) -> None:
        super().__init__()
        self._started_at = started_at
        self._cleaned_at = started_at
        self._chosen: str | None = None

    def put(self, source: Source, *, is_two_sided: bool, at: datetime | None) -> None:
        if at is not None:
            self._clean(at)
        super().put(source, is_two_sided=is_two_sided, at=at)
        chosen = self._sources.get(self._chosen or "")
        if chosen is None or chosen.ends_at <= source.ends_at:
            self._chosen = source.fingerprint

    def latest(self, at: datetime, *, is_one_sided: bool) -> Source | None:
        self._clean(at)
        source = self._sources.get(self._chosen or "")
        if source is None or source.ends_at <= at or (is_one_sided and self.is_two_sided(source)):
            return None
        return source

    def _clean(self, at: datetime) -> None:
        """Forget ended sources every 15 minutes, and with any of them which one is chosen."""
        last = at - (at - self._started_at) % _CLEANING
        if last > self._cleaned_at:
            self._cleaned_at = last
            for name in [name for name, each in self._sources.items() if each.ends_at <= last]:
                self.remove(name)
                self._chosen = None
