"""Forgets what no moment within the history needs any more: late ends, and superseded versions."""

from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Delete,
    Integer,
    Table,
    and_,
    bindparam,
    delete,
    literal_column,
    or_,
    select,
    tuple_,
)

from alert_history.domain.firing_spans import LENGTHS
from alert_history.storage.shared.session import Session
from alert_history.storage.shared.tables import UtcTime, configuration_versions, late_ends, silence_versions

_STEP_ROWS = 1_000
_BEFORE = bindparam("before", type_=UtcTime())

_L, _S, _C = late_ends.c, silence_versions.c, configuration_versions.c
_NEWER_SILENCE = silence_versions.alias("newer_silence")
_NEWER_CONFIGURATION = configuration_versions.alias("newer_configuration")


def _some(table: Table, condition: ColumnElement[bool]) -> Delete:
    """Delete a bounded step of the rows that meet a condition."""
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(condition).limit(literal_column(str(_STEP_ROWS), Integer))
    return delete(table).where(key.in_(some))


_OLD_ENDS = [
    _some(
        late_ends,
        and_(
            _L.length == literal_column(str(length), Integer),
            _L.ends_at < _BEFORE,
            _L.until_at < _BEFORE,
        ),
    )
    for length in LENGTHS
]
_is_superseded = (
    select(_NEWER_SILENCE.c.id)
    .where(
        _NEWER_SILENCE.c.id == _S.id,
        _NEWER_SILENCE.c.updated_at > _S.updated_at,
        _NEWER_SILENCE.c.updated_at <= _BEFORE,
    )
    .exists()
)
_OLD_SILENCES = _some(silence_versions, or_(_S.ends_at < _BEFORE, and_(_S.updated_at < _BEFORE, _is_superseded)))
_is_replaced = (
    select(_NEWER_CONFIGURATION.c.cluster)
    .where(
        _NEWER_CONFIGURATION.c.cluster == _C.cluster,
        _NEWER_CONFIGURATION.c.since > _C.since,
        _NEWER_CONFIGURATION.c.since <= _BEFORE,
    )
    .exists()
)
_OLD_CONFIGURATIONS = _some(configuration_versions, and_(_C.since < _BEFORE, _is_replaced))


async def forget_moments(session: Session, before: datetime) -> int:
    """See `ports.Moments.drop`."""
    removed = 0
    for statement in (*_OLD_ENDS, _OLD_SILENCES, _OLD_CONFIGURATIONS):
        removed += await session.execute(statement, before=before)
    return removed
