"""The read side of a store: occurrences, timelines, the quarantine."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from alert_history.domain.occurrence import EventKind
from alert_history.domain.query import Matcher, Query
from alert_history.domain.standing import EndedBy


class StoredAlert(msgspec.Struct, frozen=True):
    """One occurrence as the HTTP API shows it; times are UTC. `id` is opaque.

    `starts_at` is the earliest start that a sender claimed. `status` is `firing` as long as it is open; `state` tells
    the open ones that somebody confirms, `firing`, from those that nobody does any more, `unconfirmed`, and
    `state_reason` why. `ended_by` is how its end is known: resolved (a sender said so), expired (who had to repeat it
    fell silent), inferred (later words imply it), reconciled (a poll showed it). `confirmed_at` is when a sender last
    said that it fires; null if none ever did. `imported_at` is when the import `import_id` brought it in; null for what
    was sent here. Of an imported one `timestamp` is its start.
    `is_archived`: it was read from an archive, the database has it no more.
    """

    id: str
    fingerprint: str
    alertname: str
    namespace: str
    severity: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    expires_at: datetime | None
    timestamp: datetime
    last_received_at: datetime
    repeat_count: int
    generator_url: str
    source: str
    receiver: str
    details: dict[str, Any] | None = None
    scope: str = ""
    state: Literal["firing", "unconfirmed", "resolved"] = "resolved"
    state_reason: str | None = None
    ended_by: EndedBy | None = None
    confirmed_at: datetime | None = None
    imported_at: datetime | None = None
    import_id: str | None = None
    is_archived: bool = False


class StoredEvent(msgspec.Struct, frozen=True):
    """One event of a timeline. `receiver` and `source` are those of the receipt that brought it, if one did.

    `number` counts the changes of state from 1 and is null for notes. `is_published` says whether the receipt was to be
    passed on (`/webhook/proxy`), where there is one still.
    """

    kind: EventKind
    at: datetime
    receipt_id: str | None
    source: str | None
    receiver: str | None
    detail: dict[str, Any] | None
    number: int | None = None
    is_published: bool | None = None


class QuarantinedAlert(msgspec.Struct, frozen=True):
    """An alert that was refused inside an accepted request, or kept with its annotations cut.

    `raw` is its JSON as sent, undecodable bytes replaced.
    """

    id: str
    received_at: datetime
    receipt_id: str
    position: int
    reason: str
    source: str
    receiver: str
    raw: str


class HistoryFilter(msgspec.Struct, frozen=True):
    """Which occurrences: all conditions must hold. `since` ≤ `timestamp` < `until`.

    `came_by` are conditions, with `=` or `!=`, on the `receiver` and the `source`, which are no labels.
    `includes_archive`: what left for an archive, too, where pages and exports of occurrences are asked for.
    """

    query: Query = Query((), ())
    alertname: str | None = None
    status: str | None = None
    severity: str | None = None
    namespace: str | None = None
    fingerprint: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    came_by: tuple[Matcher, ...] = ()
    includes_archive: bool = False


class PageRequest(msgspec.Struct, frozen=True):
    """Which page. `sort` is a column, `-` before it for descending; `cursor` a `next_cursor` of the same sort."""

    limit: int = 50
    offset: int = 0
    cursor: str | None = None
    sort: str = "-timestamp"
    wants_exact_total: bool = False


class HistoryPage(msgspec.Struct, frozen=True):
    """A page. `total` counts all that match; it is a lower bound where `is_total_exact` is false.

    `previous_cursor` leads back: to what is before the first row, for a page in the opposite order. It is None on an
    empty page.

    A search that would take too long stops: all matches received at `searched_until` or later are found by then, and
    `next_cursor` goes on from there, also behind an empty page. It is None where the search did not stop.
    """

    alerts: list[StoredAlert]
    total: int
    is_total_exact: bool
    next_cursor: str | None
    searched_until: datetime | None = None
    previous_cursor: str | None = None


class QuarantineFilter(msgspec.Struct, frozen=True):
    """Which refused alerts: those of a source, and those with a text in their reason, as it is written."""

    source: str | None = None
    reason: str | None = None


ALL_REFUSED = QuarantineFilter()


class QuarantinePage(msgspec.Struct, frozen=True):
    """Newest first; `next_cursor` is None on the last page. `total` is a lower bound if `is_total_exact` is false.

    A filter looks at a bounded number of refused alerts: `next_cursor` goes on from there, also behind an empty page.
    `total` is that of the whole quarantine.
    """

    quarantine: list[QuarantinedAlert]
    total: int
    is_total_exact: bool
    next_cursor: str | None


class History(Protocol):
    """The read side. Every call may raise StorageUnavailable, QueryTimeout or InvalidQuery."""

    async def page(self, wanted: HistoryFilter, page: PageRequest) -> HistoryPage:
        """One page of occurrences; its cost depends on the page and on the bound of the count alone."""
        ...

    async def find(self, occurrence_id: str) -> StoredAlert:
        """One occurrence. Raises NotFound."""
        ...

    async def timeline(self, occurrence_id: str, *, newest: int = 10_000) -> list[StoredEvent]:
        """The newest events of an occurrence, oldest first; empty for an unknown occurrence."""
        ...

    async def quarantine(
        self, *, limit: int, cursor: str | None, wanted: QuarantineFilter = ALL_REFUSED
    ) -> QuarantinePage:
        """A page of refused alerts, newest first."""
        ...

    async def quarantined(self, id_: str) -> QuarantinedAlert:
        """One refused alert. Raises NotFound."""
        ...

    def export(self, wanted: HistoryFilter, *, batch_size: int = 1000) -> AsyncIterator[list[StoredAlert]]:
        """All occurrences that match, oldest first, in batches; memory stays the same however many match."""
        ...
