"""The read API: history, occurrences, timelines, quarantine."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from alert_history.domain.classification import shape_of
from alert_history.domain.matching import parse_query
from alert_history.domain.microseconds import from_us
from alert_history.domain.occurrence import split_occurrence_id
from alert_history.domain.times import parse_time
from alert_history.engine.ledger import MOST_DELIVERIES, MOST_EVENTS, Ledger, ledger
from alert_history.errors import InvalidQuery, NotFound
from alert_history.ports import (
    ClassificationHistory,
    Clock,
    DeliveryFilter,
    History,
    HistoryFilter,
    Outbox,
    PageRequest,
    QuarantinedAlert,
    StoredAlert,
    StoredEvent,
)
from alert_history.web.http.operation import Operation

_TAG = "History"
_SORTS = (
    "timestamp, starts_at, last_received_at, alertname, namespace, severity, status or repeat_count; "
    "with a `-` before it, descending"
)
_QUERY = (
    'Prometheus matchers and free words: `{severity=~"critical|warning",pod!=""} disk`. '
    "Words are looked for in the values of labels and annotations."
)
_TIME = "RFC 3339, unix seconds, or relative to now: `-24h`"

Limit = Annotated[int, Meta(ge=1, le=1000)]


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
    total: Annotated[
        Literal["bounded", "exact"],
        Meta(description="`exact` counts everything that matches, however long that takes"),
    ] = "bounded"


class AlertPage(msgspec.Struct, frozen=True):
    """A page of occurrences. Where `is_total_exact` is false, more than `total` match; `total=exact` counts them."""

    alerts: list[StoredAlert]
    total: int
    is_total_exact: bool
    limit: int
    offset: int
    next_cursor: str | None


class OccurrenceParameters(msgspec.Struct, frozen=True):
    """The id of an occurrence."""

    id: Annotated[str, Meta(description="`id` of an alert in `/history`")]


class TracedAlert(StoredAlert, frozen=True, kw_only=True):
    """One occurrence with its ledger: what was received, decided and done, and why somebody was told or not."""

    ledger: Ledger


class Timeline(msgspec.Struct, frozen=True):
    """An occurrence and everything that happened to it, oldest first."""

    alert: StoredAlert
    events: list[StoredEvent]


class QuarantineParameters(msgspec.Struct, frozen=True):
    """Which page of the quarantine."""

    limit: Limit = 50
    cursor: Annotated[UUID, Meta(description="`next_cursor` of the page before")] | None = None


class QuarantineAnswer(msgspec.Struct, frozen=True):
    """A page of what was refused, newest first. `total` is a lower bound where `is_total_exact` is false."""

    quarantine: list[QuarantinedAlert]
    total: int
    is_total_exact: bool
    limit: int
    next_cursor: str | None


class HistoryApi:
    """The handlers, on one history and what else is known of its occurrences."""

    def __init__(
        self, history: History, *, outbox: Outbox, classifications: ClassificationHistory, clock: Clock
    ) -> None:
        self._history = history
        self._outbox = outbox
        self._classifications = classifications
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All routes of this API."""
        search = Operation(
            path="/history",
            summary="Search occurrences",
            handle=self.search,
            answer=AlertPage,
            tag=_TAG,
            parameters=SearchParameters,
            failures=(400, 503),
            description="One page of occurrences, newest first unless `sort` says otherwise.",
        )
        return [
            search,
            msgspec.structs.replace(search, path="/api/v1/alerts"),
            Operation(
                path="/api/v1/alerts/{id}",
                summary="One occurrence, and why whoever was told of it or not",
                handle=self.find,
                answer=TracedAlert,
                tag=_TAG,
                parameters=OccurrenceParameters,
                failures=(404, 503),
                description="With its ledger: received, recorded, enriched, routed, delivered; each step with its time "
                "and reason. Routing is told as it was decided then; deliveries as they stand now.",
                moved="The id is of a double that was joined to another occurrence; it leads there",
            ),
            Operation(
                path="/api/v1/alerts/{id}/timeline",
                summary="What happened to it",
                handle=self.timeline,
                answer=Timeline,
                tag=_TAG,
                parameters=OccurrenceParameters,
                failures=(404, 503),
                description="Its events, oldest first, each with the receipt that brought it.",
            ),
            Operation(
                path="/api/v1/quarantine",
                summary="What was refused or cut, and why",
                handle=self.quarantine,
                answer=QuarantineAnswer,
                tag=_TAG,
                parameters=QuarantineParameters,
                failures=(400, 503),
                description="Alerts refused inside requests that were otherwise accepted, and how those came whose "
                "annotations were cut; newest first.",
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
        )
        page = PageRequest(
            asked.limit, asked.offset, asked.cursor, asked.sort, wants_exact_total=asked.total == "exact"
        )
        found = await self._history.page(wanted, page)
        return AlertPage(
            found.alerts,
            found.total,
            found.is_total_exact,
            asked.limit,
            asked.offset,
            found.next_cursor,
        )

    async def find(self, _: Request, asked: OccurrenceParameters) -> TracedAlert | Response:
        """`GET /api/v1/alerts/{id}`."""
        alert = await self._history.find(asked.id)
        if alert.id != asked.id:  # it turned out to be part of that one
            return RedirectResponse(alert.id, HTTPStatus.PERMANENT_REDIRECT)
        events = await self._history.timeline(asked.id, newest=MOST_EVENTS + 1)
        fingerprint, starts_at = key_of(alert.id)
        wanted = DeliveryFilter(fingerprint=fingerprint, starts_at=starts_at, limit=MOST_DELIVERIES + 1)
        page = await self._outbox.deliveries(wanted)
        said = await self._classifications.history(shape_of(alert.labels), limit=1)
        told = ledger(events, page.deliveries, classified=said[0] if said else None, now=self._clock())
        return TracedAlert(**msgspec.structs.asdict(alert), ledger=told)

    async def timeline(self, _: Request, asked: OccurrenceParameters) -> Timeline | Response:
        """`GET /api/v1/alerts/{id}/timeline`."""
        alert = await self._history.find(asked.id)
        if alert.id != asked.id:  # as above
            return RedirectResponse(f"../{alert.id}/timeline", HTTPStatus.PERMANENT_REDIRECT)
        return Timeline(alert, await self._history.timeline(asked.id))

    async def quarantine(self, _: Request, asked: QuarantineParameters) -> QuarantineAnswer:
        """`GET /api/v1/quarantine`."""
        page = await self._history.quarantine(
            limit=asked.limit, cursor=None if asked.cursor is None else str(asked.cursor)
        )
        return QuarantineAnswer(page.quarantine, page.total, page.is_total_exact, asked.limit, page.next_cursor)


def key_of(occurrence_id: str) -> tuple[str, datetime]:
    """The fingerprint with its scope, and the key, of an occurrence that was found."""
    parts = split_occurrence_id(occurrence_id)
    if parts is None:
        raise NotFound(f"{occurrence_id!r} is no id of an occurrence")
    return parts[0], from_us(parts[1])


def _time(text: str | None, now: datetime, *, of: str) -> datetime | None:
    """The time of a parameter. Raises InvalidQuery naming it."""
    try:
        return None if text is None else parse_time(text, now)
    except InvalidQuery as error:
        raise InvalidQuery(f"{of}: {error}") from None
