"""Keep (keephq/keep): the events of its alerts, and its audit of what people did, asked of its API.

Written against its source, version 0.54.2 of August 2026 (commit af93f550), whose published `docs/openapi.json` is that
of 0.24.5: `POST /alerts/query`, `GET /alerts/{fingerprint}/history` and `/audit`, and `GET /alerts` where an older Keep
knows no query. It logs in by an API key in the header `X-API-KEY`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from urllib.parse import quote

import msgspec

from alert_history.domain.past_firing import PastAct, PastFiring, RefusedRow
from alert_history.origins.imports.http import HTTP_OPTIONS, URL, NotThere, Server, open_server
from alert_history.origins.imports.keep_firings import Audited, Event, Story, act_of
from alert_history.ports.past_origins import ImportRequest, Option, PastBatch, PastOrigin

KEY = Option("api-key", "An API key of Keep, which may read alerts.", kind="secret")

_ALERTS_A_PAGE = 100
_ALERTS_OF_OLD_KEEP = 50_000
_EVENTS_OF_KEEP = 1_000
_AT_ONCE = 4

_Rows = Sequence[msgspec.Raw]


class _Page(msgspec.Struct):
    results: list[msgspec.Raw]
    count: int = 0


class _Named(msgspec.Struct):
    fingerprint: str


class _OfAlert(msgspec.Struct):
    """What became of one alert, or of some."""

    firings: list[PastFiring] = []
    refused: list[RefusedRow] = []


async def read_keep(request: ImportRequest) -> AsyncIterator[PastBatch]:
    """Each alert that Keep lists, with all events that it keeps of it."""
    headers = {"X-API-KEY": request.text(KEY.name).strip()} if request.is_set(KEY.name) else {}
    async with open_server(request, headers=headers) as server:
        read = 0
        async for page in _pages(server):
            for first in range(0, len(page.results), _AT_ONCE):
                alerts = page.results[first : first + _AT_ONCE]
                past = await asyncio.gather(*(_ask(server, alert) for alert in alerts))
                read += len(alerts)
                done = min(read / max(page.count, read), 1.0)
                yield _batch(past, request=request, done=done)
            if not page.results and page.count > read:
                reason = f"Keep lists {read} of {page.count} alerts; raise its KEEP_LAST_ALERTS_LIMIT"
                yield PastBatch(refused=[RefusedRow("the list of alerts", reason, b"")])


async def _pages(server: Server) -> AsyncIterator[_Page]:
    """Its alerts page by page, in the order of fingerprints, so that none moves while others change."""
    offset = 0
    while True:
        order = [{"sort_by": "fingerprint", "sort_dir": "asc"}]
        query = {"cel": "", "limit": _ALERTS_A_PAGE, "offset": offset, "sort_options": order}
        try:
            body = await server.post("/alerts/query", json=query)
        except NotThere:
            results = await server.get_json("/alerts", {"limit": _ALERTS_OF_OLD_KEEP}, type_=list[msgspec.Raw])
            yield _Page(results, len(results))
            return
        page: _Page = server.read(body, "/alerts/query", type_=_Page)
        yield page
        offset += len(page.results)
        if not page.results or offset >= page.count:
            return


async def _ask(server: Server, alert: msgspec.Raw) -> _OfAlert:
    """What Keep knows of one alert. An alert without events is the only event of itself."""
    try:
        fingerprint = msgspec.json.decode(alert, type=_Named).fingerprint
    except (ValueError, RecursionError) as error:
        return _OfAlert(refused=[RefusedRow("an alert without a fingerprint", str(error), bytes(alert))])
    path = f"/alerts/{quote(fingerprint, safe='')}"
    events, audit = await _rows(server, f"{path}/history"), await _rows(server, f"{path}/audit")
    past = _OfAlert()
    if len(events) >= _EVENTS_OF_KEEP:
        reason = f"Keep tells only the newest {_EVENTS_OF_KEEP} events of an alert"
        past.refused.append(RefusedRow(f"alert {fingerprint}", reason, b""))
    place = f"alert {fingerprint}"
    story = _story(events or [alert], past, place=place)
    past.firings = story.firings(_acts(audit, past, place=place), place=place)
    return past


async def _rows(server: Server, path: str) -> _Rows:
    """The rows of an alert; none where Keep knows none, which it says by 404."""
    try:
        rows: _Rows = await server.get_json(path, type_=list[msgspec.Raw])
    except NotThere:
        return []
    return rows


def _story(events: _Rows, past: _OfAlert, *, place: str) -> Story:
    """The events in the order of time; Keep gives the newest first."""
    story = Story()
    for raw in reversed(events):
        try:
            story.tell(msgspec.json.decode(raw, type=Event))
        except (ValueError, RecursionError) as error:
            past.refused.append(RefusedRow(place, str(error), bytes(raw)))
    return story


def _acts(audit: _Rows, past: _OfAlert, *, place: str) -> list[PastAct]:
    acts = []
    for raw in audit:
        try:
            act = act_of(msgspec.json.decode(raw, type=Audited))
        except (ValueError, RecursionError) as error:
            past.refused.append(RefusedRow(f"{place}, its audit", str(error), bytes(raw)))
            continue
        if act is not None:
            acts.append(act)
    return acts


def _batch(past: Sequence[_OfAlert], *, request: ImportRequest, done: float) -> PastBatch:
    firings = [firing for each in past for firing in each.firings if request.wants(firing.starts_at)]
    return PastBatch(firings, [row for each in past for row in each.refused], done=done)


ORIGIN = PastOrigin(
    "keep",
    "Keep",
    "Alerts of Keep with their events, acknowledgements and comments, from its API.",
    (URL, KEY, *HTTP_OPTIONS),
    read_keep,
)
