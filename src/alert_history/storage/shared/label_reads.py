"""Reads how many occurrences have which label with which value.

What is counted and what waits to be added up are read in one statement, and so in one snapshot: each is counted once.
Of a label only the most frequent values are read, and those that wait. Which values wait is known after the first look,
so there are mostly two; more, where new values come meanwhile.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Integer, Text, bindparam, cast, null, select

from alert_history.ports.label_counts import LabelName, LabelValue, ValuesFound
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.label_counts import LONGEST_NAME, LONGEST_VALUE, MOST_NAMES, MOST_VALUES
from alert_history.storage.shared.reads import check_text
from alert_history.storage.shared.rollup_log import waiting_labels, with_log
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import label_name_counts, label_value_counts

_LOOKS = 5
"""After so many looks an answer does without what is stored of values that came since the last one."""

_HIGHEST = "\U0010ffff"
_SURROGATES = range(0xD800, 0xE000)

_N, _V = label_name_counts.c, label_value_counts.c
_name = bindparam("of_name", type_=Text())
_NAMES = with_log(select(label_name_counts))
_NO_VALUE = (cast(null(), Text).label("value"), cast(null(), BigInteger).label("of_value"))
_LABEL = select(*label_name_counts.c, *_NO_VALUE).where(_N.name == _name)
_NO_LABEL = [cast(null(), column.type).label(column.name) for column in label_name_counts.c]
_MOST = (
    select(_V.value, _V.occurrences.label("of_value"))
    .where(
        _V.name == _name,
        _V.value >= bindparam("first_value", type_=Text()),
        _V.value < bindparam("behind_values", type_=Text()),
    )
    .order_by(_V.occurrences.desc(), _V.value)
    .limit(bindparam("most", type_=Integer()))
    .subquery()
)
_SOME = select(*_NO_LABEL, _V.value, _V.occurrences.label("of_value")).where(
    _V.name == _name, is_among(_V.value, "some_values")
)
_VALUES = with_log(_LABEL, select(*_NO_LABEL, *_MOST.c), _SOME)


class SharedLabelCounts:
    """See `ports.LabelCounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def names(self) -> Sequence[LabelName]:
        """See `ports.LabelCounts.names`."""
        rows = await self._database.read(_fetch, _NAMES, {})
        return await asyncio.to_thread(_names, rows)

    async def values(self, name: str, *, prefix: str, limit: int) -> ValuesFound:
        """See `ports.LabelCounts.values`."""
        check_text(name, of="name")
        check_text(prefix, of="prefix")
        span = {"of_name": name, "first_value": prefix, "behind_values": _behind_all(prefix), "most": limit + 1}
        asked: set[str] = set()
        look = 0
        while True:
            look += 1
            rows = await self._database.read(_fetch, _VALUES, {**span, "some_values": sorted(asked)})
            waiting = await asyncio.to_thread(_waiting_values, rows, name)
            fresh = {value for value in waiting if value.startswith(prefix)}
            if fresh <= asked or look == _LOOKS:
                return _found(rows, waiting, name, prefix=prefix, limit=limit)
            asked |= fresh


async def _fetch(session: Session, statement: Any, parameters: Mapping[str, Any]) -> list[Row]:
    return await session.fetch(statement, **parameters)


def _names(rows: Sequence[Row]) -> list[LabelName]:
    labels = {row.name: _label_of(row) for row in rows if not row.is_waiting}
    for name, waiting in waiting_labels(row for row in rows if row.is_waiting).items():
        label = labels.get(name)
        if label is not None:
            labels[name] = _with(label, sum(waiting.values()))
        elif len(name) <= LONGEST_NAME and len(labels) < MOST_NAMES:
            labels[name] = _added(LabelName(name), waiting, new=_short(waiting)[:MOST_VALUES])
    return sorted(labels.values(), key=lambda label: (-label.occurrences, label.name))


def _waiting_values(rows: Sequence[Row], name: str) -> dict[str, int]:
    return waiting_labels(row for row in rows if row.is_waiting).get(name, {})


def _found(rows: Sequence[Row], waiting: Mapping[str, int], name: str, *, prefix: str, limit: int) -> ValuesFound:
    """The answer of rows in which is whatever is stored of the values that wait."""
    label = next((_label_of(row) for row in rows if row.name is not None), LabelName(name))
    counts: dict[str, int] = {row.value: row.of_value for row in rows if row.value is not None}
    fresh = {value: number for value, number in waiting.items() if value.startswith(prefix) and value not in counts}
    room = max(MOST_VALUES - label.value_count, 0) if len(name) <= LONGEST_NAME else 0
    new = _short(fresh)[:room]
    label = _added(_with(label, sum(waiting.values()) - sum(fresh.values())), fresh, new=new)
    for value in (*new, *(value for value in waiting if value in counts)):
        counts[value] = counts.get(value, 0) + waiting[value]
    values = [LabelValue(value, number) for value, number in counts.items() if number > 0]
    values.sort(key=lambda value: (-value.occurrences, value.value))
    return ValuesFound(label, values[:limit], is_complete=len(values) <= limit)


def _short(values: Mapping[str, int]) -> list[str]:
    """The values that are kept by name, if there is room; in the order in which they are."""
    return sorted(value for value in values if len(value) <= LONGEST_VALUE)


def _label_of(row: Row) -> LabelName:
    return LabelName(row.name, row.occurrences, row.value_count, row.other_occurrences)


def _with(label: LabelName, occurrences: int) -> LabelName:
    """The label with so many more occurrences, of values that it has."""
    return msgspec.structs.replace(label, occurrences=label.occurrences + occurrences)


def _added(label: LabelName, values: Mapping[str, int], *, new: Sequence[str]) -> LabelName:
    """The label with more values, of which some are kept by name."""
    total = sum(values.values())
    return LabelName(
        label.name,
        label.occurrences + total,
        label.value_count + len(new),
        label.other_occurrences + total - sum(values[value] for value in new),
    )


def _behind_all(prefix: str) -> str:
    """The text before which all lie that begin with the prefix, in the order of code points."""
    stem = prefix.rstrip(_HIGHEST)
    if not stem:
        return _HIGHEST * (LONGEST_VALUE + 1)
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
