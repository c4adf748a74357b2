"""Opsgenie's API, asked for its alerts, their details, notes and logs.

Schema: opsgenie-oas.json 2.0.0 (opsgenie/opsgenie-python-sdk at 0d20d23, 2 August 2021), and the page "Alerts Search
Query Help" of its documentation. A list gives no alert beyond the first 20 000, so it is walked in windows: the next
begins at the millisecond at which the last one was cut off.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from alert_history.domain.microseconds import to_us
from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.errors import ConfigurationError, ImportFault
from alert_history.origins.imports.http import NotThere, Server, open_server
from alert_history.origins.imports.opsgenie_firings import firings_of
from alert_history.origins.imports.opsgenie_wire import (
    Alert,
    BadAlert,
    Note,
    Notes,
    Page,
    Paging,
    Single,
    read_alert,
    read_raw,
)
from alert_history.ports.past_origins import ImportRequest, PastBatch

DEFAULT_URL = "https://api.opsgenie.com"

PAGE_SIZE = 100
"""The most that a page holds."""

LAST_ROW = 20_000
"""`offset` and `limit` together may not be more."""

_AT_ONCE = 4
_ALERTS = "/v2/alerts"


async def read_api(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """All alerts that were created in the asked span. Raises: see `ReadPast`."""
    key = request.text("api-key").strip()
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError(["--api-key: it has characters that no key has"])
    given = request if request.is_set("url") else _with_default_url(request)
    async with open_server(given, headers={"Authorization": f"GenieKey {key}"}) as server:
        async for batch in _Walk(server, request).batches():
            yield batch


def _with_default_url(request: ImportRequest) -> ImportRequest:
    return msgspec.structs.replace(request, given={**request.given, "url": (DEFAULT_URL,)})


class _Walk:
    """One walk through all alerts of a span, by the time at which they were created."""

    def __init__(self, server: Server, request: ImportRequest) -> None:
        self._server = server
        self._request = request
        self._end_ms = _milliseconds(request.end or request.now)
        self._first_ms: int | None = None if request.start is None else _milliseconds(request.start)

    async def batches(self) -> AsyncIterator[PastBatch]:
        """A batch for each page, the oldest alerts first."""
        from_ms: int | None = 0 if self._first_ms is None else self._first_ms
        known: set[str] = set()  # the alerts of the window's first millisecond, which the last window gave already
        while from_ms is not None:
            window = _Window(self._server, self._query(from_ms), from_ms=from_ms, known=known)
            async for rows in window.pages():
                yield await self._batch(rows, at_ms=window.last_ms)
            from_ms, known = window.next_ms, window.ids_of_last_ms

    def _query(self, from_ms: int) -> str:
        span = f"createdAt>={from_ms} AND createdAt<{self._end_ms}"
        own = self._request.text("query").strip()
        return f"{span} AND ({own})" if own else span

    async def _batch(self, rows: "list[Alert | RefusedRow]", *, at_ms: int) -> PastBatch:
        firings: list[PastFiring] = []
        refused = [row for row in rows if isinstance(row, RefusedRow)]
        alerts = [row for row in rows if isinstance(row, Alert)]
        for begin in range(0, len(alerts), _AT_ONCE):
            for alert in await self._whole(alerts[begin : begin + _AT_ONCE]):
                try:
                    firings += self._firings(alert)
                except BadAlert as bad:
                    refused.append(_refused(alert, bad))
        return PastBatch(firings, refused, done=self._share(at_ms))

    def _firings(self, alert: Alert) -> list[PastFiring]:
        if not self._request.wants(alert.starts_at):
            return []
        return firings_of(alert, place=f"alert {alert.id}")

    def _share(self, at_ms: int) -> float:
        if self._first_ms is None:
            self._first_ms = at_ms
        return min(max((at_ms - self._first_ms) / max(self._end_ms - self._first_ms, 1), 0.0), 1.0)

    async def _whole(self, alerts: list[Alert]) -> list[Alert]:
        """The alerts with all that a list leaves out. Raises: OriginUnavailable, ImportFault."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._with_details(alert)) for alert in alerts]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _with_details(self, listed: Alert) -> Alert:
        """An alert as its own address has it; as the list has it where it was deleted meanwhile."""
        path = f"{_ALERTS}/{quote(listed.id, safe='')}"
        try:
            alert: Alert = (await self._server.get_json(path, {"identifierType": "id"}, type_=Single)).data
            if not self._request.is_set("without-acts"):
                alert.notes = await self._entries(f"{path}/notes")
                alert.logs = await self._entries(f"{path}/logs")
        except NotThere:
            return listed
        return alert

    async def _entries(self, path: str) -> list[Note]:
        """All notes, or all entries of the log, the oldest first. Raises: OriginUnavailable, ImportFault."""
        entries: list[Note] = []
        after: dict[str, Any] = {}
        seen: set[str] = set()
        while True:
            asked = {"identifierType": "id", "limit": PAGE_SIZE, "order": "asc", **after}
            page: Notes = await self._server.get_json(path, asked, type_=Notes)
            entries += page.data or []
            offset = _next_offset(page.paging)
            if not page.data or not offset or offset in seen:
                return entries
            seen.add(offset)
            after = {"offset": offset, "direction": "next"}


class _Window:
    """The pages of one query, as far as Opsgenie gives them; after them, where the next window begins."""

    def __init__(self, server: Server, query: str, *, from_ms: int, known: set[str]) -> None:
        self._server = server
        self._query = query
        self._from_ms = from_ms
        self._known = known
        self.last_ms = from_ms
        self.next_ms: int | None = None
        self.ids_of_last_ms: set[str] = set()

    async def pages(self) -> AsyncIterator[list[Alert | RefusedRow]]:
        """The rows of each page. Raises: OriginUnavailable, ImportFault."""
        for offset in range(0, LAST_ROW, PAGE_SIZE):
            page: Page = await self._server.get_json(_ALERTS, self._asked(offset), type_=Page)
            rows = page.data or []
            yield [row for row in self._read(rows, offset=offset) if not self._is_known(row)]
            if len(rows) < PAGE_SIZE:
                return
        if self.last_ms == self._from_ms:
            raise ImportFault(f"{self._server.url}{_ALERTS}: more than {LAST_ROW} alerts of one millisecond")
        self.next_ms = self.last_ms

    def _asked(self, offset: int) -> dict[str, Any]:
        return {"query": self._query, "offset": offset, "limit": PAGE_SIZE, "sort": "createdAt", "order": "asc"}

    def _read(self, rows: list[msgspec.Raw], *, offset: int) -> list[Alert | RefusedRow]:
        read: list[Alert | RefusedRow] = []
        for number, raw in enumerate(rows, start=offset + 1):
            try:
                alert = read_alert(read_raw(raw))
                self._note(alert)
                read.append(alert)
            except BadAlert as bad:
                read.append(RefusedRow(f"row {number} of {self._query}", str(bad), bytes(raw)))
        return read

    def _note(self, alert: Alert) -> None:
        """Note up to which time, and with which alerts of that millisecond, this window went. Raises: BadAlert."""
        created_ms = _milliseconds(alert.starts_at)
        if created_ms > self.last_ms:
            self.last_ms, self.ids_of_last_ms = created_ms, set()
        if created_ms == self.last_ms:
            self.ids_of_last_ms.add(alert.id)

    def _is_known(self, row: Alert | RefusedRow) -> bool:
        return isinstance(row, Alert) and row.id in self._known


def _next_offset(paging: Paging | None) -> str:
    """Where the next page begins. Of the address that the server names only this is taken."""
    query = urlsplit((paging.next if paging else None) or "").query
    return parse_qs(query).get("offset", [""])[-1]


def _refused(alert: Alert, bad: BadAlert) -> RefusedRow:
    return RefusedRow(f"alert {alert.id}", str(bad), msgspec.json.encode(alert))


def _milliseconds(at: datetime) -> int:
    return to_us(at) // 1000
