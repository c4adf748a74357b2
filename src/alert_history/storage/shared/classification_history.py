"""Earlier classifications of alerts, and how often people agreed with them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, exists, func, literal_column, select

from alert_history.domain.accuracy import right_by_day
from alert_history.domain.classification import Case, Past
from alert_history.domain.severity import Severity
from alert_history.ports import Accuracy, ClassifiedCount, KeptVerdict
from alert_history.storage.shared.classifications import VERDICT_COLUMNS
from alert_history.storage.shared.past import Look, past
from alert_history.storage.shared.rows import verdict_of
from alert_history.storage.shared.session import Database, Session
from alert_history.storage.shared.tables import classifications

_C = classifications.c
_OTHER = classifications.alias("other")
_HISTORY = (
    select(*VERDICT_COLUMNS).where(_C.shape == bindparam("wanted")).order_by(_C.id.desc()).limit(bindparam("most"))
)
_RECENT = (
    select(*VERDICT_COLUMNS)
    .where(~exists().where(_OTHER.c.shape == _C.shape, _OTHER.c.id > _C.id))
    .order_by(_C.id.desc())
    .limit(bindparam("most"))
)
_RECENT_OF_SEVERITY = _RECENT.where(_C.severity == bindparam("wanted"))
_IN_SPAN = (_C.at >= bindparam("since"), _C.at < bindparam("before"))
_COUNTS = (
    select(_C.model, _C.severity, func.count().label("number"))
    .where(*_IN_SPAN)
    .group_by(_C.model, _C.severity)
    .order_by(_C.model, _C.severity)
)
_BEFORE = classifications.alias("before")
_WORD_BEFORE = (
    select(_OTHER.c.id)
    .where(_OTHER.c.shape == _C.shape, _OTHER.c.id < _C.id, _OTHER.c.source != "person")
    .order_by(_OTHER.c.id.desc())
    .limit(literal_column("1"))
    .scalar_subquery()
)
_REVIEWED = (
    select(_C.at, _C.severity, _BEFORE.c.model, _BEFORE.c.severity.label("severity_before"))
    .select_from(classifications.join(_BEFORE, _BEFORE.c.id == _WORD_BEFORE))
    .where(_C.source == "person", *_IN_SPAN)
)


class SharedClassificationHistory:
    """See `ports.ClassificationHistory`. `look` finds earlier occurrences in the history."""

    def __init__(self, database: Database, *, look: Look) -> None:
        self._database = database
        self._look = look

    async def history(self, shape: str, *, limit: int) -> list[KeptVerdict]:
        """See `ports.ClassificationHistory.history`."""
        return await self._database.read(_history, shape, limit)

    async def recent(self, *, limit: int, severity: Severity | None) -> list[KeptVerdict]:
        """See `ports.ClassificationHistory.recent`."""
        return await self._database.read(_recent, limit, severity)

    async def counts(self, *, since: datetime, until: datetime) -> list[ClassifiedCount]:
        """See `ports.ClassificationHistory.counts`."""
        return await self._database.read(_counts, since, until)

    async def accuracy(self, *, since: datetime, until: datetime) -> list[Accuracy]:
        """See `ports.ClassificationHistory.accuracy`."""
        return right_by_day(await self._database.read(_reviews, since, until))

    async def past(self, case: Case) -> Past:
        """See `ports.ClassificationHistory.past`."""
        newest = await self.history(case.shape, limit=1)
        return await past(self._look, case, severity_and_advice=newest[0].severity_and_advice if newest else None)


async def _history(session: Session, shape: str, limit: int) -> list[KeptVerdict]:
    return [verdict_of(row) for row in await session.fetch(_HISTORY, wanted=shape, most=limit)]


async def _recent(session: Session, limit: int, severity: Severity | None) -> list[KeptVerdict]:
    if severity is None:
        return [verdict_of(row) for row in await session.fetch(_RECENT, most=limit)]
    return [verdict_of(row) for row in await session.fetch(_RECENT_OF_SEVERITY, most=limit, wanted=severity)]


async def _counts(session: Session, since: datetime, until: datetime) -> list[ClassifiedCount]:
    return [ClassifiedCount(*row) for row in await session.fetch(_COUNTS, since=since, before=until)]


async def _reviews(session: Session, since: datetime, until: datetime) -> Sequence[tuple[datetime, str, str, str]]:
    return await session.fetch(_REVIEWED, since=since, before=until)
