"""The report: how many alerts, which most, which flapped. Holds parameters; `engine.report` counts."""

from datetime import timedelta
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.engine.report import Report, Reporting
from alert_history.ports import Clock, HistoryFilter
from alert_history.web.api.span import FAILURES, TAG, TIME, Compare, Query, Until, Zone, asked_of
from alert_history.web.http.operation import Operation

_DAY = timedelta(days=1)
_SINCE = f"First received at or after: {TIME}. Without it: 24 hours before `until`"
_FLAP = "A label set flaps if it has at least so many changes, starts and ends, within an hour"


class ReportParameters(msgspec.Struct, frozen=True):
    """What a report takes. `tz` changes nothing here; all statistics take it."""

    EMPTY_MEANS_EMPTY: ClassVar = frozenset({"alertname", "namespace"})
    """A label that is missing counts as empty, as in `/history`."""

    since: Annotated[str, Meta(description=_SINCE)] | None = None
    until: Until | None = None
    namespace: str | None = None
    alertname: str | None = None
    top: Annotated[int, Meta(ge=1, le=1000, description="The most entries of each list")] = 10
    min_flap: Annotated[int, Meta(ge=2, le=1000, description=_FLAP)] = 5
    query: Query = ""
    tz: Zone = "UTC"
    compare: Compare | None = None


class ReportApi:
    """The handler."""

    def __init__(self, reporting: Reporting, *, clock: Clock) -> None:
        self._reporting = reporting
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/report",
                summary="How many alerts there were, which came most, and which flapped",
                handle=self.report,
                answer=Report,
                tag=TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=ReportParameters,
                failures=FAILURES,
                description="Of the last 24 hours, unless a span is given. A span that would take too long to read is "
                "cut: `period` and `covers` say to what.",
            )
        ]

    async def report(self, _: Request, asked: ReportParameters) -> Report:
        """`GET /report`."""
        wanted = HistoryFilter(alertname=asked.alertname, namespace=asked.namespace)
        return await self._reporting.report(
            asked_of(asked, self._clock(), wanted=wanted, default_span=_DAY),
            top=asked.top,
            min_flap=asked.min_flap,
            is_compared=asked.compare is not None,
        )
