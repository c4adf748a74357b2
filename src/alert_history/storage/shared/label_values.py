"""The values of labels in all segments: so many distinct ones that a regex is tried on values, not on occurrences.

A name with more than `MOST_VALUES` values, or with a long one, has no values here, and its count says so. Values are
not forgotten: a value that no occurrence has any more costs a search nothing but time.
"""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Integer, Text, bindparam, delete, insert, select, update

from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import label_names, label_values

MOST_VALUES = 10_000
MOST_NAMES = 5_000
_LONGEST_NAME, _LONGEST_VALUE = 200, 400  # an index of PostgreSQL holds 2.7 kB
_OTHERS = ""
"""The name of the row that says that there are more names than `MOST_NAMES`."""

_name, _count = bindparam("of_name", type_=Text()), bindparam("count", type_=Integer())
_NAMES = select(label_names.c.name, label_names.c.value_count)
_SOME_NAMES = _NAMES.where(is_among(label_names.c.name, "names"))
_VALUES = select(label_values.c.value).where(label_values.c.name == _name)
_KNOWN = _VALUES.where(is_among(label_values.c.value, "values"))
_ADD_NAME = insert(label_names).values(name=_name, value_count=_count)
_COUNT = update(label_names).where(label_names.c.name == _name).values(value_count=_count)
_ADD_VALUE = insert(label_values).values(name=_name, value=bindparam("value", type_=Text()))
_FORGET = delete(label_values).where(label_values.c.name == _name)


async def keep_values(session: Session, values: Mapping[str, Collection[str]]) -> None:
    """Add the values of a segment; only one session may do it at a time."""
    counts = {row.name: row.value_count for row in await session.fetch(_NAMES)}
    for name, of_name in sorted(values.items()):
        if len(name) > _LONGEST_NAME or counts.get(name, 0) > MOST_VALUES:
            continue
        if name not in counts:
            if len(counts) >= MOST_NAMES:
                name, of_name = _OTHERS, ()  # noqa: PLW2901  # one row stands for all other names
            if name in counts:
                continue
            counts[name] = 0
            await session.execute(_ADD_NAME, of_name=name, count=0)
        await _add(session, name, of_name, count=counts[name])


async def _add(session: Session, name: str, values: Collection[str], *, count: int) -> None:
    known = {row.value for row in await session.fetch(_KNOWN, of_name=name, values=list(values))}
    new = sorted(set(values) - known)
    if count + len(new) > MOST_VALUES or any(len(value) > _LONGEST_VALUE for value in new):
        await session.execute(_COUNT, of_name=name, count=MOST_VALUES + 1)
        await session.execute(_FORGET, of_name=name)
    elif new:
        await session.execute_many(_ADD_VALUE, [{"of_name": name, "value": value} for value in new])
        await session.execute(_COUNT, of_name=name, count=count + len(new))


async def values_of(session: Session, names: Iterable[str]) -> dict[str, list[str] | None]:
    """All values of labels but the empty one; None where they are too many."""
    names = set(names)
    counts = {row.name: row.value_count for row in await session.fetch(_SOME_NAMES, names=sorted({*names, _OTHERS}))}
    values: dict[str, list[str] | None] = {}
    for name in names:
        if len(name) > _LONGEST_NAME or counts.get(name, 0) > MOST_VALUES or (name not in counts and _OTHERS in counts):
            values[name] = None
        else:
            values[name] = [row.value for row in await session.fetch(_VALUES, of_name=name)] if name in counts else []
    return values
