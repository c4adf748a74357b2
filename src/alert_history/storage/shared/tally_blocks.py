"""The sums of blocks of days, which follow those of their days in each transaction that changes these.

A block is sealed some days after its last one, in one transaction: then its sums are stored, and it is listed. Whoever
changes a day of a sealed block adds up its changed values anew, in the same transaction. Whoever removes days, or puts
others in their place, opens the blocks: then there are no sums until the block is sealed again. So the sums of a listed
block are those of its days, at any time.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert

from alert_history.domain.day_blocks import LENGTHS, Block, Covering, blocks_around, covering, settled_blocks
from alert_history.domain.tally import DIMENSIONS, OUTCOMES, Dimension, Place
from alert_history.storage.shared.elements import is_among, is_number_among
from alert_history.storage.shared.rollup_log import with_log
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import rollup_blocks, rollup_sealed, rollups
from alert_history.storage.shared.tallies import SUMS

_SHORTEST = LENGTHS[-1]

_B, _R, _S = rollup_blocks.c, rollups.c, rollup_sealed.c
_DIMENSION = bindparam("of_dimension", type_=Text())
_DAYS, _FIRST, _LAST = (bindparam(name, type_=Integer()) for name in ("of_days", "first_day", "last_day"))

_SEALED = select(_S.days, _S.first_day)
_SEALED_AROUND = _SEALED.where(_S.first_day <= _LAST, _S.first_day + _S.days > _FIRST)
_LIST = insert(rollup_sealed).values(days=bindparam("new_days"), first_day=bindparam("new_first_day"))
_FILLED_DAYS = select(_R.day).where(is_among(_R.dimension, "dimensions")).distinct()
_OPEN = [
    delete(table).where(table.c.days == length, table.c.first_day < bindparam("before"))
    for table in (rollup_sealed, rollup_blocks)
    for length in LENGTHS
]
_OPEN_ALL = [delete(table) for table in (rollup_sealed, rollup_blocks)]


def _added_up(source: Table, *inside: Any) -> Select[Any]:
    """The rows of a block, from those of its parts."""
    c = source.c
    sums = (cast(func.sum(c[name]), BigInteger) for name in SUMS)
    block = (_DAYS.label("days"), _FIRST.label("first_day"), c.dimension, c.value)
    return select(*block, *sums).where(c.dimension == _DIMENSION, *inside).group_by(c.dimension, c.value)


def _storing(rows: Select[Any]) -> Any:
    return insert(rollup_blocks).from_select([*rollup_blocks.c.keys()], rows)


_OF_DAYS = _added_up(rollups, _R.day >= _FIRST, _R.day <= _LAST)
_OF_BLOCKS = _added_up(rollup_blocks, _B.days == _SHORTEST, is_number_among(_B.first_day, "parts"))
_SEAL_DAYS, _SEAL_BLOCKS = _storing(_OF_DAYS), _storing(_OF_BLOCKS)
_OF_VALUE = _added_up(rollups, is_number_among(_R.day, "on_days"), _R.value == bindparam("of_value", type_=Text()))
_ADD_ANEW = _storing(_OF_VALUE)
_ADD_ANEW = _ADD_ANEW.on_conflict_do_update(
    index_elements=["days", "first_day", "dimension", "value"],
    set_={name: _ADD_ANEW.excluded[name] for name in SUMS},
)


async def seal_next(session: Session) -> int:
    """Seal a block that is not sealed yet; 0 where there is none. The caller alone changes the numbers meanwhile."""
    sealed = await _sealed(session)
    days = [row.day for row in await session.fetch(_FILLED_DAYS, dimensions=["all", *OUTCOMES])]
    block = next((each for each in settled_blocks(days) if each not in sealed), None)
    if block is None:
        return 0
    span = {"of_days": block.days, "first_day": block.first_day}
    for dimension in (*DIMENSIONS, *OUTCOMES):
        if block.days == _SHORTEST:
            await session.execute(_SEAL_DAYS, of_dimension=dimension, last_day=block.last_day, **span)
        else:
            parts = list(range(block.first_day, block.last_day + 1, _SHORTEST))
            await session.execute(_SEAL_BLOCKS, of_dimension=dimension, parts=parts, **span)
    await session.execute(_LIST, new_days=block.days, new_first_day=block.first_day)
    return 1


async def follow_days(session: Session, places: Iterable[Place]) -> None:
    """Add up anew, in sealed blocks, the values that changed."""
    days = {day for _, day, _ in places}
    if not days:
        return
    rows = await session.fetch(_SEALED_AROUND, first_day=min(days), last_day=max(days))
    around = blocks_around(days, {Block(*row) for row in rows})
    changed = sorted({(block, dimension, value) for dimension, day, value in places for block in around.get(day, ())})
    if changed:
        await session.execute_many(_ADD_ANEW, [_of_value(*each) for each in changed])


def _of_value(block: Block, dimension: Dimension, value: str) -> dict[str, Any]:
    """One value of a block, as the parameters of a statement.

    Its days are named one by one: of a range of days, or of a list of values, SQLite would read all values.
    """
    days = list(range(block.first_day, block.last_day + 1))
    block_names = {"of_days": block.days, "first_day": block.first_day, "on_days": days}
    return {"of_dimension": dimension, "of_value": value, **block_names}


async def open_blocks(session: Session, *, before_day: int | None = None) -> None:
    """Open the blocks that begin before a day, or all."""
    for statement in _OPEN_ALL if before_day is None else _OPEN:
        await session.execute(statement, **({} if before_day is None else {"before": before_day}))


async def _sealed(session: Session) -> frozenset[Block]:
    return frozenset([Block(*row) for row in await session.fetch(_SEALED)])


# --- reading ----------------------------------------------------------------------------------------------------------


def _in_ranges() -> list[Select[Any]]:
    """The sums of a dimension in blocks, and on days outside of them."""
    blocks = [
        select(_B.value, *(_B[name] for name in SUMS)).where(
            _B.days == length, is_number_among(_B.first_day, f"blocks_of_{length}"), _B.dimension == _DIMENSION
        )
        for length in LENGTHS
    ]
    places = [
        is_number_among(_R.day, "between"),
        *(
            (_R.day >= bindparam(f"{name}_first", type_=Integer()))
            & (_R.day < bindparam(f"{name}_end", type_=Integer()))
            for name in ("before", "after")
        ),
    ]
    days = [select(_R.value, *(_R[name] for name in SUMS)).where(_R.dimension == _DIMENSION, each) for each in places]
    return [*blocks, *days]


def _with_sealed() -> Any:
    parts = union_all(*_in_ranges()).subquery()
    no_block = [cast(null(), Integer).label(name) for name in ("days", "first_day")]
    sums = [cast(func.sum(parts.c[name]), BigInteger).label(name) for name in SUMS]
    by_value = select(parts.c.value, *sums, *no_block).group_by(parts.c.value)
    nothing = [cast(null(), column.type) for column in (parts.c.value, *sums)]
    return with_log(by_value, select(*nothing, _S.days, _S.first_day))


_SUMS = _with_sealed()


class SpanSums:
    """Reads the sums of a span, in few rows: of blocks where they are sealed, else of days.

    The list of sealed blocks is remembered. Each answer has the list as it is, so an answer for which a block was
    counted on that is open by now is thrown away, and days alone are read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sealed: frozenset[Block] | None = None

    async def rows(self, dimension: Dimension, first_day: int, last_day: int) -> list[Row]:
        """The value and its sums, in the order of `SUMS`, and the entries of the log, which alone are `is_waiting`.

        All are of one snapshot.
        """
        if self._sealed is None:
            self._sealed = await self._database.read(_sealed)
        made = covering(first_day, last_day, self._sealed)
        rows = await self._database.read(_fetch_sums, dimension, made)
        self._sealed = sealed = frozenset([Block(row.days, row.first_day) for row in rows if row.days is not None])
        if not made.blocks <= sealed:
            rows = await self._database.read(_fetch_sums, dimension, covering(first_day, last_day, ()))
        return [row for row in rows if row.days is None]


async def _fetch_sums(session: Session, dimension: Dimension, made: Covering) -> list[Row]:
    blocks = {
        f"blocks_of_{length}": [block.first_day for block in made.blocks if block.days == length] for length in LENGTHS
    }
    ranges = {
        f"{name}_{end}": getattr(days, "start" if end == "first" else "stop")
        for name, days in (("before", made.before), ("after", made.after))
        for end in ("first", "end")
    }
    return await session.fetch(_SUMS, of_dimension=dimension, between=list(made.between), **blocks, **ranges)
