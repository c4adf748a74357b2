"""Tallies in the tables: added to, and read back."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Integer, Table, Text, bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.tally import (
    DIMENSIONS,
    OUTCOMES,
    Dimension,
    Place,
    Tallies,
    Tally,
    lengths_of,
    minutes_of,
    moves_of,
    packed,
)
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.session import Row, Session
from alert_history.storage.shared.tables import rollup_again, rollup_again_new, rollups, rollups_new

SUMS = ("begun", "repeats", "ended", "short", "again", "length_us")
"""The columns that are plain sums."""

_EPOCH = date(1970, 1, 1)
_DIMENSION, _DAY = bindparam("of_dimension", type_=Text()), bindparam("on_day", type_=Integer())


class TallyTables:
    """The statements on the tables of the numbers, or on those where a new count is put together."""

    def __init__(self, rollups: Table, again: Table) -> None:
        r, a = rollups.c, again.c
        place = (r.dimension == _DIMENSION, r.day == _DAY)
        self.of_day = select(rollups).where(*place, is_among(r.value, "values"))
        self.insert = insert(rollups).values({column.name: _new(column) for column in r})
        changing = {column.name: _new(column) for column in r if column.name not in {"dimension", "day", "value"}}
        self.update = update(rollups).where(*place, r.value == bindparam("of_value", type_=Text())).values(changing)
        new_again = insert(again).values({column.name: _new(column) for column in a})
        self.add_again = new_again.on_conflict_do_update(
            index_elements=["day", "fingerprint"], set_={"number": a.number + new_again.excluded.number}
        )
        before = bindparam("before", type_=Integer())
        self.forget = [
            *(delete(rollups).where(r.dimension == name, r.day < before) for name in (*DIMENSIONS, *OUTCOMES)),
            delete(again).where(a.day < before),
        ]


def _new(column: Any) -> Any:
    return bindparam(f"new_{column.name}", type_=column.type)


STORED = TallyTables(rollups, rollup_again)
STAGED = TallyTables(rollups_new, rollup_again_new)
"""Where a new count is put together."""


def day_number(day: date) -> int:
    """A day as the tables keep it: days since 1970."""
    return (day - _EPOCH).days


def day_of_number(number: int) -> date:
    """The day that the tables keep as this number."""
    return _EPOCH + timedelta(days=number)


async def add_tallies(session: Session, tallies: Tallies, into: TallyTables) -> Sequence[Place]:
    """Add tallies to the stored ones; which of them changed."""
    places = sorted(tallies.by_place().items(), key=lambda item: item[0])
    for (dimension, day), some in groupby(places, key=lambda item: item[0][:2]):
        await _add_day(session, dimension, day, {place[2]: tally for place, tally in some}, into=into)
    again = [
        {"new_day": day, "new_fingerprint": fingerprint, "new_alertname": alertname, "new_number": number}
        for (day, fingerprint, alertname), number in sorted(tallies.again.items())
    ]
    if again:
        await session.execute_many(into.add_again, again)
    return [place for place, _ in places]


async def _add_day(
    session: Session, dimension: Dimension, day: int, tallies: Mapping[str, Tally], *, into: TallyTables
) -> None:
    rows = await session.fetch(into.of_day, of_dimension=dimension, on_day=day, values=list(tallies))
    stored = {row.value: tally_of(row) for row in rows}
    new, changed = [], []
    for value, tally in tallies.items():
        before = stored.get(value)
        if before is not None:
            before.add(tally)
            changed.append({"of_dimension": dimension, "on_day": day, "of_value": value, **_numbers(before)})
        elif not tally.without_zeros().is_empty:
            new.append({"new_dimension": dimension, "new_day": day, "new_value": value, **_numbers(tally)})
    if new:
        await session.execute_many(into.insert, new)
    if changed:
        await session.execute_many(into.update, changed)


def tally_of(row: Row) -> Tally:
    """The tally in a row of `rollups`; a map that was not read is empty."""
    return Tally(
        row.begun,
        row.repeats,
        row.ended,
        row.short,
        row.again,
        row.length_us,
        {} if row.minutes is None else minutes_of(row.minutes),
        {} if row.moves is None else moves_of(row.moves),
        {} if row.lengths is None else lengths_of(row.lengths),
    )


def _numbers(tally: Tally) -> dict[str, Any]:
    """The numbers of a tally as the parameters of a statement."""
    maps = packed(tally.without_zeros())
    return {
        **{f"new_{name}": getattr(tally, name) for name in SUMS},
        "new_minutes": maps.minutes,
        "new_moves": maps.moves,
        "new_lengths": maps.lengths,
    }
