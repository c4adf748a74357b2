"""Reads how many occurrences have which label with which value.

What is counted and what waits to be added up are read in one statement, and so in one snapshot: each is counted once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Text, and_, bindparam, select

from alert_history.ports.label_counts import LabelName, LabelValue, ValuesFound
from alert_history.storage.shared.label_counts import LONGEST_NAME, LONGEST_VALUE, MOST_NAMES, MOST_VALUES
from alert_history.storage.shared.reads import check_text
from alert_history.storage.shared.rollup_log import waiting_labels, with_log
from alert_history.storage.shared.session import Database, Row, Session
from alert_history.storage.shared.tables import label_name_counts, label_value_counts

_HIGHEST = "\U0010ffff"
_SURROGATES = range(0xD800, 0xE000)

_N, _V = label_name_counts.c, label_value_counts.c
_first, _behind = bindparam("first_value", type_=Text()), bindparam("behind_values", type_=Text())
_OF_NAME = and_(_V.name == _N.name, _V.value >= _first, _V.value < _behind)
_NAMES = with_log(select(label_name_counts))
_VALUES = with_log(
    select(_V.value, _V.occurrences.label("of_value"), *label_name_counts.c)
    .select_from(label_name_counts.outerjoin(label_value_counts, _OF_NAME))
    .where(_N.name == bindparam("of_name", type_=Text()))
)


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
        span = {"of_name": name, "first_value": prefix, "behind_values": _behind_all(prefix)}
        rows = await self._database.read(_fetch, _VALUES, span)
        return await asyncio.to_thread(_values, rows, name, prefix=prefix, limit=limit)


async def _fetch(session: Session, statement: Any, parameters: Mapping[str, str]) -> list[Row]:
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


def _values(rows: Sequence[Row], name: str, *, prefix: str, limit: int) -> ValuesFound:
    stored = [row for row in rows if not row.is_waiting]
    label = _label_of(stored[0]) if stored else LabelName(name)
    counts: dict[str, int] = {row.value: row.of_value for row in stored if row.value is not None}
    waiting = waiting_labels(row for row in rows if row.is_waiting).get(name, {})
    known = {value: number for value, number in waiting.items() if value in counts}
    fresh = {value: number for value, number in waiting.items() if value not in counts and value.startswith(prefix)}
    new = _short(fresh)[: max(MOST_VALUES - label.value_count, 0)] if len(name) <= LONGEST_NAME else []
    label = _added(_with(label, sum(waiting.values()) - sum(fresh.values())), fresh, new=new)
    for value in (*known, *new):
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
