"""Alerta: its alerts with their histories, asked of its API, or read from its PostgreSQL.

Written against alerta-server 9.1.0 of PyPI: `GET /alerts` with `show-history` and `show-raw-data`, and the tables of
its `sql/schema.sql`. It logs in by an API key that may read alerts. Its MongoDB is not read: ask the API.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec

from alert_history.domain.past_firing import PastFiring, RefusedRow
from alert_history.errors import ConfigurationError, ImportFault
from alert_history.origins.imports.alerta_firings import firings_of
from alert_history.origins.imports.alerta_wire import Row, read_record, read_row
from alert_history.origins.imports.http import HTTP_OPTIONS, open_server
from alert_history.origins.imports.postgres import DATABASE, open_postgres
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin

URL = Option("url", "Its API, as in http://alerta:8080 or https://alerta/api.", kind="url")
KEY = Option("api-key", "An API key of Alerta, which may read alerts.", kind="secret")

_TABLE = "alerts"
_NEEDED = frozenset({"resource", "event", "history", "raw_data"})
_ALERTS_A_PAGE = 200
_SORTED_BY_IDENTITY = ("environment", "resource", "event")
"""So that an alert stays on its page while others change."""


class _Page(msgspec.Struct):
    alerts: list[msgspec.Raw]
    total: int = 0
    pages: int = 0


class _Named(msgspec.Struct):
    id: str = "without an id"


async def read_alerta(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """Each alert that Alerta has, with what its history tells."""
    if request.is_set(URL.name) == request.is_set(DATABASE.name):
        raise ConfigurationError([f"give either the {URL.name} or the {DATABASE.name}, and not both"])
    batches = _ask(request) if request.is_set(URL.name) else _read(request)
    async for batch in batches:
        yield batch


async def _ask(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """Page by page. Where alerts were deleted meanwhile, the rest moved up, so the page before is asked for again."""
    headers = {"Authorization": f"Key {request.text(KEY.name).strip()}"} if request.is_set(KEY.name) else {}
    number, last_total, done = 1, 0, 0.0
    async with open_server(request, headers=headers) as server:
        while True:
            page: _Page = await server.get_json("/alerts", _parameters(number), type_=_Page)
            is_again = number > 1 and page.total < last_total
            is_last = number >= page.pages and not is_again
            done = 1.0 if is_last else max(done, number / max(page.pages, number + 1))
            rows = [bytes(raw).decode(errors="surrogateescape") for raw in page.alerts]
            yield _batch(rows, read_row, request=request, done=done)
            if is_last:
                return
            number += -1 if is_again else 1
            last_total = page.total


def _parameters(number: int) -> dict[str, Any]:
    return {
        "show-history": "true",
        "show-raw-data": "true",
        "sort-by": _SORTED_BY_IDENTITY,
        "page-size": _ALERTS_A_PAGE,
        "page": number,
    }


async def _read(request: ImportRequest) -> AsyncIterator[PastBatch]:
    async with open_postgres(request) as database:
        if not await database.columns(_TABLE) >= _NEEDED:
            raise ImportFault(f"{database.name}: it has no table {_TABLE} of Alerta in its search path")
        total, read = await database.count(_TABLE), 0
        async for records in database.rows(_TABLE):
            read += len(records)
            yield _batch(records, read_record, request=request, done=read / max(read, total))


def _batch(rows: Sequence[str], read: Callable[[str], Row], *, request: ImportRequest, done: float) -> PastBatch:
    firings: list[PastFiring] = []
    refused: list[RefusedRow] = []
    for row in rows:
        try:
            past = firings_of(read(row))
        except (ValueError, RecursionError) as error:
            refused.append(RefusedRow(_place(row), str(error), row.encode(errors="surrogateescape")))
            continue
        firings += [firing for firing in past if request.wants(firing.starts_at)]
    return PastBatch(firings, refused, done=done)


def _place(row: str) -> str:
    try:
        return f"alert {msgspec.json.decode(row, type=_Named).id}"
    except (ValueError, RecursionError):
        return f"alert {_Named().id}"


ORIGIN = PastOrigin(
    "alerta",
    "Alerta",
    "Alerts of Alerta with their histories, acknowledgements and notes, from its API or its PostgreSQL.",
    (URL, KEY, DATABASE, *HTTP_OPTIONS),
    read_alerta,
)
