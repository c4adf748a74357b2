"""Alerts and receipts as the sources would make them, at times a test can name."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec

from alert_history.domain.alert import (
    Alert,
    AlertGroup,
    Cut,
    Note,
    NoteKind,
    Refused,
    Silence,
    Source,
    Status,
    fingerprint,
)
from alert_history.domain.microseconds import to_us
from alert_history.domain.occurrence import occurrence_id
from alert_history.domain.receipt import Receipt
from alert_history.ids import new_id
from alert_history.ports import HistoryFilter, PageRequest, Store, StoredAlert

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""When the tests' stores were prepared: a Wednesday."""

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
STARTS_AT = NOW - 5 * MINUTE


def alert(
    alertname: str = "DiskFull",
    status: Status = "firing",
    *,
    starts_at: datetime = STARTS_AT,
    ends_at: datetime | None = None,
    expires_at: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Alert:
    """An alert; a resolved one ended a minute before NOW if nothing else is said."""
    all_labels = {"alertname": alertname, "namespace": "shop", "severity": "critical", **(labels or {})}
    if status == "resolved" and ends_at is None:
        ends_at = NOW - MINUTE
    wording = {"summary": "no space left"} if annotations is None else dict(annotations)
    return Alert(fingerprint(all_labels), status, all_labels, wording, starts_at, ends_at, expires_at)


def receipt(
    *alerts: Alert,
    at: datetime = NOW,
    refused: Sequence[Refused] = (),
    notes: Sequence[Note] = (),
    silences: Sequence[Silence] = (),
    cut: Sequence[Cut] = (),
    body: bytes | None = None,
    source: Source = "alertmanager",
) -> Receipt:
    """An accepted request that holds all this."""
    group = AlertGroup(
        source,
        "team-x",
        "{}:{}",
        "http://alertmanager",
        list(alerts),
        list(refused),
        list(notes),
        list(silences),
        cut=list(cut),
    )
    sent = repr(group).encode("utf-8", "surrogatepass") if body is None else body
    return Receipt(new_id(at), at, "/webhook", False, group, sent, sha256(sent).digest())


def note(of: Alert, kind: NoteKind = "silenced", *, starts_at: datetime | None = None, by: str = "am-0") -> Note:
    """A note that the instance `by` made about an alert; about its newest occurrence if no start is given."""
    return Note(of.fingerprint, starts_at, kind, NOW, by, {"silence": "s-1"})


def silence(silence_id: str = "s-1", *, updated_at: datetime = NOW, comment: str = "maintenance") -> Silence:
    """A silence over one alert name."""
    matchers = [[{"name": "alertname", "pattern": "DiskFull", "type": "EQUAL"}]]
    return Silence(silence_id, matchers, NOW, NOW + DAY, updated_at, "ada", comment)


def id_of(of: Alert) -> str:
    """The id of the alert's occurrence."""
    return occurrence_id(of.fingerprint, to_us(of.starts_at))


async def kinds(store: Store, of: Alert) -> list[str]:
    """The kinds of the events of the alert's occurrence, oldest first."""
    return [event.kind for event in await store.history.timeline(id_of(of))]


async def everything(store: Store, wanted: HistoryFilter | None = None) -> list[StoredAlert]:
    """All that matches, oldest first."""
    batches = [batch async for batch in store.history.export(wanted or HistoryFilter())]
    return [alert for batch in batches for alert in batch]


async def all_pages(store: Store, wanted: HistoryFilter, *, sort: str, limit: int = 7) -> list[StoredAlert]:
    """What one sees who follows the cursor to its end."""
    seen: list[StoredAlert] = []
    page = await store.history.page(wanted, PageRequest(limit=limit, sort=sort))
    seen += page.alerts
    while page.next_cursor is not None:
        page = await store.history.page(wanted, PageRequest(limit=limit, sort=sort, cursor=page.next_cursor))
        seen += page.alerts
    return seen


def posted(of: Alert, *, client: str, at: datetime = NOW) -> Receipt:
    """A post of a Prometheus."""
    linked = msgspec.structs.replace(of, generator_url=f"http://{client}:9090/graph?x")
    if of.status == "firing":
        linked = msgspec.structs.replace(linked, expires_at=at + 4 * MINUTE)
    made = receipt(of, at=at)
    group = AlertGroup("prometheus", "", "", "", [linked])
    return msgspec.structs.replace(made, path="/api/v2/alerts", publish=True, group=group, client=client)
