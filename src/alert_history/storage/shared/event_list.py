"""The newest events of a row of occurrences, as one value of the row."""

from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, literal_column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from alert_history.domain.occurrence import EventKind
from alert_history.storage.shared.elements import is_among
from alert_history.storage.shared.tables import Json, events

_Event = tuple[EventKind, int, dict[str, Any] | None]


class EventList(FunctionElement[list[_Event]]):
    """The events of a subquery with `kind`, `at` and `detail` as one JSON array, times in microseconds."""

    inherit_cache = True
    name = "event_list"
    type = Json(list[_Event])


@compiles(EventList, "postgresql")
def _array_of_events(element: EventList, compiler: SQLCompiler, **kw: Any) -> str:
    kind, at, detail = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_agg(json_build_array({kind}, (extract(epoch FROM {at}) * 1000000)::bigint, {detail}))"


@compiles(EventList, "sqlite")
def _json_of_events(element: EventList, compiler: SQLCompiler, **kw: Any) -> str:
    kind, at, detail = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"json_group_array(json_array({kind}, {at}, json({detail})))"


IS_OF_KINDS = is_among(events.c.kind, "kinds")
"""Events of the kinds in the parameter of that name."""


def newest_events(
    is_event_of: ColumnElement[bool], *, most: int, is_wanted: ColumnElement[bool] = IS_OF_KINDS
) -> ScalarSelect[Any]:
    """The `most` newest events of an occurrence that are wanted, newest first; empty: None.

    `is_event_of` tells the events of a row of `alerts`.
    """
    newest = (
        select(events.c.kind, events.c.at, events.c.detail)
        .where(is_event_of, is_wanted)
        .order_by(events.c.at.desc(), events.c.key.desc())
        .limit(literal_column(str(most)))
        .subquery("newest")
    )
    return select(EventList(newest.c.kind, newest.c.at, newest.c.detail)).scalar_subquery()
