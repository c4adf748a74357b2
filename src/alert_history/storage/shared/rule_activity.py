"""Reads the activity of rules; the same statement on both databases.

What fires now, the stored tallies and the log of what is not added up yet are read in one statement, and so in one
snapshot: what fired at any time is reckoned backwards from what fires now.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)

from alert_history.domain.activity import Activity
from alert_history.domain.tally import LONGEST_VALUE, by_value, minutes_of, moves_of
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.rollup_log import tallies_of
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import alerts, rollup_log, rollups

_R = rollups.c
_nothing, _no_number = cast(null(), LargeBinary), cast(null(), BigInteger)
_rule = func.substr(alerts.c.alertname, 1, LONGEST_VALUE)

_STORED = select(
    _R.value.label("rule"),
    _R.day.label("day"),
    _R.minutes.label("minutes"),
    _R.moves.label("moves"),
    _nothing.label("entry"),
    _no_number.label("firing"),
).where(
    _R.dimension == literal_column("'alertname'"),
    _R.day >= bindparam("first_day", type_=Integer()),
    is_among(_R.value, "rules"),
)
_WAITING = select(cast(null(), Text), cast(null(), Integer), _nothing, _nothing, rollup_log.c.entry, _no_number).where(
    rollup_log.c.entry.is_not(None)
)
_FIRING = (
    select(_rule, cast(null(), Integer), _nothing, _nothing, _nothing, cast(func.count(), BigInteger))
    .where(alerts.c.status == literal_column("'firing'"), alerts.c.joined_into.is_(None), is_among(_rule, "rules"))
    .group_by(_rule)
)
_ACTIVITIES = union_all(_STORED, _WAITING, _FIRING)


class SharedRuleActivities:
    """See `ports.RuleActivities`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def activities(self, rules: Sequence[str], *, first_day: int) -> Mapping[str, Activity]:
        """See `ports.RuleActivities.activities`."""
        names = [rule[:LONGEST_VALUE] for rule in rules]
        rows = await self._database.read(_fetch, names, first_day)
        of_names = await asyncio.to_thread(_activities, rows, names, first_day)
        return {rule: of_names[name] for rule, name in zip(rules, names, strict=True)}


async def _fetch(session: Session, rules: Sequence[str], first_day: int) -> list[Row]:
    return await session.fetch(_ACTIVITIES, rules=rules, first_day=first_day)


class _Sums:
    """What is known of one rule so far."""

    def __init__(self) -> None:
        self.firing = 0
        self.minutes: dict[int, dict[int, int]] = {}
        self.moves: dict[int, dict[int, tuple[int, int]]] = {}

    def add(self, day: int, minutes: Mapping[int, int], moves: Mapping[int, tuple[int, int]]) -> None:
        """Add what is not added up yet."""
        of_day, moves_of_day = self.minutes.setdefault(day, {}), self.moves.setdefault(day, {})
        for minute, number in minutes.items():
            of_day[minute] = of_day.get(minute, 0) + number
        self.minutes[day] = {minute: number for minute, number in of_day.items() if number > 0}
        for quarter, (more, left_us) in moves.items():
            was = moves_of_day.get(quarter, (0, 0))
            moves_of_day[quarter] = (was[0] + more, was[1] + left_us)

    def activity(self) -> Activity:
        return Activity(self.firing, self.minutes, self.moves)


def _activities(rows: Iterable[Row], rules: Iterable[str], first_day: int) -> dict[str, Activity]:
    sums = {rule: _Sums() for rule in rules}
    entries: list[Row] = []
    for row in rows:
        if row.entry is not None:
            entries.append(row)
        elif row.firing is not None:
            sums[row.rule].firing = row.firing
        else:
            of_rule = sums[row.rule]
            of_rule.minutes[row.day] = minutes_of(row.minutes)
            of_rule.moves[row.day] = moves_of(row.moves)
    for day, rule, tally in by_value(tallies_of(entries).by_place(), "alertname"):
        if day >= first_day and rule in sums:
            sums[rule].add(day, tally.minutes, tally.moves)
    return {rule: of_rule.activity() for rule, of_rule in sums.items()}
