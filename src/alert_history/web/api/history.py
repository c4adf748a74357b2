"""The read API: history, occurrences, timelines.

Holds parameters and answers; `engine.history` traces an occurrence.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.permission import Permission
from alert_history.domain.query import parse_query
from alert_history.domain.times import parse_time
from alert_history.engine.history import Moved, Timeline, TracedAlert, Tracing
from alert_history.errors import InvalidQuery
from alert_history.ports import Clock, History, HistoryFilter, PageRequest, StoredAlert
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import Limit

_TAG = "History"
_SORTS = (
    "timestamp, starts_at, last_received_at, alertname, namespace, severity, status or repeat_count; "
    "with a `-` before it, descending"
)
_QUERY = (
    'Prometheus matchers and free words: `{severity=~"critical|warning",pod!=""} disk`. '
    "Words are looked for in the values of labels and annotations."
)
_SEARCHED_UNTIL = (
    "The search stopped: it has looked at all that was first received at this time or later, and `next_cursor` goes on "
    "from there, also behind an empty page. Null where it came to its end"
)
_ARCHIVE = (
    "Also what left the database for an archive; such occurrences have `is_archived`. With `cursor` only, not `offset`"
)
_TIME = "RFC 3339, unix seconds, or relative to now: `-24h`"


class SearchParameters(msgspec.Struct, frozen=True):
    """What `/history` takes. All conditions must hold; `since` ≤ `timestamp` < `until`."""

    EMPTY_MEANS_EMPTY: ClassVar = frozenset({"alertname", "severity", "namespace", "fingerprint"})
    """A label that is missing counts as empty, here as in a query."""

    query: Annotated[str, Meta(description=_QUERY)] = ""
    alertname: str | None = None
    status: Annotated[Literal["firing", "resolved"], Meta(description="`firing` includes unconfirmed")] | None = None
    severity: str | None = None
    namespace: str | None = None
    fingerprint: str | None = None
    since: Annotated[str, Meta(description=f"First received at or after: {_TIME}")] | None = None
    until: Annotated[str, Meta(description=f"First received before: {_TIME}")] | None = None
    limit: Limit = 50
    offset: Annotated[int, Meta(ge=0, le=10_000, description="For jumping; `cursor` costs less and misses nothing")] = 0
    cursor: Annotated[str, Meta(description="`next_cursor` of the page before")] | None = None
    sort: Annotated[str, Meta(description=_SORTS)] = "-timestamp"
    archive: Annotated[bool, Meta(description=_ARCHIVE)] = False
    total: Annotated[
        Literal["bounded", "exact"],
        Meta(description="`exact` counts everything that matches, however long that takes"),
    ] = "bounded"


class AlertPage(msgspec.Struct, frozen=True):
    """A page of occurrences. Where `is_total_exact` is false, more than `total` match; `total=exact` counts them.

    A search for words or regexes, newest first, that would take too long stops, and says so in `searched_until`.
    """

    alerts: list[StoredAlert]
    total: int
    is_total_exact: bool
    limit: int
    offset: int
    next_cursor: str | None
    searched_until: Annotated[datetime | None, Meta(description=_SEARCHED_UNTIL)] = None


class OccurrenceParameters(msgspec.Struct, frozen=True):
    """The id of an occurrence."""

    id: Annotated[str, Meta(description="`id` of an alert in `/history`")]


class HistoryApi:
    """The handlers, on one history and what traces its occurrences."""

    def __init__(self, history: History, tracing: Tracing, *, clock: Clock) -> None:
        self._history = history
        self._tracing = tracing
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        search = Operation(
            path="/history",
            summary="Search occurrences",
            handle=self.search,
            answer=AlertPage,
            tag=_TAG,
            needs=Permission.READ,
            keeps_to_reach=True,
            parameters=SearchParameters,
            failures=(400, 503),
            description="One page of occurrences, newest first unless `sort` says otherwise.",
        )
        return [
            search,
            msgspec.structs.replace(search, path="/api/v1/alerts"),
            Operation(
                path="/api/v1/alerts/{id}",
                summary="One occurrence, and why each target was notified or not",
                handle=self.find,
                answer=TracedAlert,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=OccurrenceParameters,
                failures=(404, 503),
                description="With its ledger: received, recorded, enriched, routed, delivered; each step with its time "
                "and reason. Routing is shown as it was decided then; deliveries as they stand now.",
                moved="The id is of a double that was joined to another occurrence; it leads there",
            ),
            Operation(
                path="/api/v1/alerts/{id}/timeline",
                summary="What happened to it",
                handle=self.timeline,
                answer=Timeline,
                tag=_TAG,
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=OccurrenceParameters,
                failures=(404, 503),
                description="Its events, oldest first, each with the receipt that brought it.",
            ),
        ]

    async def search(self, _: Request, asked: SearchParameters) -> AlertPage:
        """`GET /history`."""
        now = self._clock()
        wanted = HistoryFilter(
            query=parse_query(asked.query),
            alertname=asked.alertname,
            status=asked.status,
            severity=asked.severity,
            namespace=asked.namespace,
            fingerprint=asked.fingerprint,
            since=_time(asked.since, now, of="since"),
            until=_time(asked.until, now, of="until"),
            includes_archive=asked.archive,
        )
        page = PageRequest(
            asked.limit, asked.offset, asked.cursor, asked.sort, wants_exact_total=asked.total == "exact"
        )
        answer = await self._history.page(wanted, page)
        return AlertPage(
            answer.alerts,
            answer.total,
            answer.is_total_exact,
            asked.limit,
            asked.offset,
            answer.next_cursor,
            answer.searched_until,
        )

    async def find(self, _: Request, asked: OccurrenceParameters) -> TracedAlert | Response:
        """`GET /api/v1/alerts/{id}`."""
        alert = await self._tracing.trace(asked.id)
        return _redirect(alert.id) if isinstance(alert, Moved) else alert

    async def timeline(self, _: Request, asked: OccurrenceParameters) -> Timeline | Response:
        """`GET /api/v1/alerts/{id}/timeline`."""
        timeline = await self._tracing.timeline(asked.id)
        return _redirect(f"../{timeline.id}/timeline") if isinstance(timeline, Moved) else timeline


def _redirect(path: str) -> Response:
    """For good: what was joined to another occurrence stays joined."""
    return RedirectResponse(path, HTTPStatus.PERMANENT_REDIRECT)


def _time(text: str | None, now: datetime, *, of: str) -> datetime | None:
    """The time of a parameter. Raises InvalidQuery naming it."""
    try:
        return None if text is None else parse_time(text, now)
    except InvalidQuery as error:
        raise InvalidQuery(f"{of}: {error}") from None
