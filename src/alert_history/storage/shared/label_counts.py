"""How many occurrences have which label with which value, in all history.

A name keeps at most `MOST_VALUES` values, the first ones that come; occurrences with another value are counted
together. A value or name that is too long for an index is counted so, too.
"""

from collections.abc import Mapping

from sqlalchemy import BigInteger, Integer, Text, bindparam, func, insert, select, update

from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import label_name_counts, label_value_counts

MOST_VALUES = 10_000
MOST_NAMES = 5_000
LONGEST_NAME, LONGEST_VALUE = 200, 400  # an index of PostgreSQL holds 2.7 kB

_N, _V = label_name_counts.c, label_value_counts.c
_name, _value = bindparam("of_name", type_=Text()), bindparam("of_value", type_=Text())
_number = bindparam("number", type_=BigInteger())
_NAMES = select(_N.name, _N.value_count).where(is_among(_N.name, "names"))
_COUNT_NAMES = select(func.count().label("names")).select_from(label_name_counts)
_KNOWN = select(_V.value).where(_V.name == _name, is_among(_V.value, "values"))
_NEW_NAME = insert(label_name_counts).values(name=_name, occurrences=0, value_count=0, other_occurrences=0)
_COUNT_NAME = (
    update(label_name_counts)
    .where(_N.name == _name)
    .values(
        occurrences=_N.occurrences + _number,
        value_count=_N.value_count + bindparam("new_values", type_=Integer()),
        other_occurrences=_N.other_occurrences + bindparam("others", type_=BigInteger()),
    )
)
_NEW_VALUE = insert(label_value_counts).values(name=_name, value=_value, occurrences=_number)
_COUNT_VALUE = (
    update(label_value_counts).where(_V.name == _name, _V.value == _value).values(occurrences=_V.occurrences + _number)
)


async def add_labels(session: Session, labels: Mapping[str, Mapping[str, int]]) -> None:
    """Add occurrences by name and value of their labels. Only one session may do it at a time."""
    names = sorted(name for name in labels if len(name) <= LONGEST_NAME)
    if not names:
        return
    counts = {row.name: row.value_count for row in await session.fetch(_NAMES, names=names)}
    new = [name for name in names if name not in counts]
    if new:
        [(known,)] = await session.fetch(_COUNT_NAMES)
        new = new[: max(MOST_NAMES - known, 0)]
        await session.execute_many(_NEW_NAME, [{"of_name": name} for name in new])
        counts |= dict.fromkeys(new, 0)
    for name in names:
        if name in counts:
            await _add_values(session, name, labels[name], room=MOST_VALUES - counts[name])


async def _add_values(session: Session, name: str, values: Mapping[str, int], *, room: int) -> None:
    short = sorted(value for value in values if len(value) <= LONGEST_VALUE)
    known = {row.value for row in await session.fetch(_KNOWN, of_name=name, values=short)}
    new = [value for value in short if value not in known][: max(room, 0)]
    if known:
        rows = [{"of_name": name, "of_value": value, "number": values[value]} for value in sorted(known)]
        await session.execute_many(_COUNT_VALUE, rows)
    if new:
        rows = [{"of_name": name, "of_value": value, "number": values[value]} for value in new]
        await session.execute_many(_NEW_VALUE, rows)
    total = sum(values.values())
    others = total - sum(values[value] for value in known) - sum(values[value] for value in new)
    await session.execute(_COUNT_NAME, of_name=name, number=total, new_values=len(new), others=others)
