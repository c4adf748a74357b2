"""A row of a file that is imported: its columns, and the firing that it says.

The columns are those of our own export and those of an Alertmanager's alert, under both of their names; one page
documents them: `docs/how-to/import-files.md`. What names an alert or a time is read strictly; what only describes it is
made to fit. Must not know the format of a file.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from alert_history.domain.past_firing import PastFiring
from alert_history.domain.standing import EndedBy
from alert_history.origins.wire import without_empty

LONGEST_COUNT = 2**63 - 1


_SHOWN_CHARACTERS = 60
_scope = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}", re.ASCII)  # a scope's name, with that of a Grafana behind it


class RowFault(Exception):
    """Why one row can't be kept. The message is the reason that people read."""


class AlertStatus(msgspec.Struct, gc=False):
    """The status of an alert in an answer of Alertmanager's API: it fires, muted or not."""

    state: str = ""


class Receiver(msgspec.Struct, gc=False):
    """A receiver in an answer of Alertmanager's API."""

    name: str


class Row(msgspec.Struct, gc=False):
    """One row, with the columns that are used. A column that is absent, empty or null is the same.

    Times may have any zone; a time without a zone is UTC. `alertname`, `severity`, `namespace` and `instance` are
    labels, where `labels` has none of that name.
    """

    labels: dict[str, str] = {}
    annotations: dict[str, str] | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    status: str | AlertStatus = ""
    alertname: str = ""
    severity: str = ""
    namespace: str = ""
    instance: str = ""
    last_received_at: datetime | None = None
    confirmed_at: datetime | None = None
    repeat_count: Annotated[int, msgspec.Meta(ge=0, le=LONGEST_COUNT)] = 0
    generator_url: str = ""
    source: str = ""
    receiver: str = ""
    details: dict[str, Any] | None = None
    scope: str = ""
    ended_by: EndedBy | Literal[""] | None = None
    starts_at_wire: datetime | None = msgspec.field(default=None, name="startsAt")
    ends_at_wire: datetime | None = msgspec.field(default=None, name="endsAt")
    updated_at_wire: datetime | None = msgspec.field(default=None, name="updatedAt")
    generator_url_wire: str = msgspec.field(default="", name="generatorURL")
    receivers: list[Receiver] | None = None


def firing_of(row: Row, *, place: str, now: datetime) -> PastFiring:
    """The firing that a row says. Raises: RowFault."""
    starts_at = utc(row.starts_at or row.starts_at_wire)
    if starts_at is None:
        raise RowFault("it has no starts_at")
    if row.scope and not _scope.fullmatch(row.scope):
        raise RowFault("its scope is no name of letters, digits, dots, hyphens and underscores")
    ends_at = _end_of(row, now=now)
    return PastFiring(
        labels=_labels_of(row),
        starts_at=starts_at,
        ends_at=ends_at,
        last_seen_at=_last_seen(row) if ends_at is None else utc(row.confirmed_at),
        ended_by=row.ended_by or "resolved",
        annotations=row.annotations or {},
        generator_url=row.generator_url or row.generator_url_wire,
        receiver=row.receiver or (row.receivers[0].name if row.receivers else ""),
        repeats=row.repeat_count,
        source=row.source,
        details=row.details,
        scope=row.scope,
        place=place,
    )


def _last_seen(row: Row) -> datetime | None:
    return utc(row.confirmed_at or row.last_received_at or row.updated_at_wire)


def utc(time: datetime | None) -> datetime | None:
    """The time in UTC; None for the year 1, which is how Go writes a time that is not set. Raises: RowFault."""
    if time is None or time.year == 1:
        return None
    if time.tzinfo is UTC:
        return time
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise RowFault("a time is beyond the year 9999") from None


def _end_of(row: Row, *, now: datetime) -> datetime | None:
    """When it ended; None where it fires still.

    With the status `firing`, and with that of Alertmanager's API, an end is when it ends unless it is sent again.
    Without a status, an end that is ahead is that, too.
    """
    status = row.status.lower() if isinstance(row.status, str) else "firing"
    if status == "firing":
        return None
    ends_at = utc(row.ends_at or row.ends_at_wire)
    if status == "resolved":
        if ends_at is None:
            raise RowFault("it is resolved, and has no ends_at")
        return ends_at
    if status:
        raise RowFault(f"its status is {shown(status)}, neither firing nor resolved")
    return ends_at if ends_at is not None and ends_at <= now else None


def _labels_of(row: Row) -> dict[str, str]:
    """Raises: RowFault where it has no label."""
    labels = row.labels
    if row.alertname or row.severity or row.namespace or row.instance:
        lacking = {name: value for name, value in _named_labels(row) if name not in labels}
        labels = {**labels, **lacking} if lacking else labels
    if "" in labels.values():
        labels = without_empty(labels)
    if not labels:
        raise RowFault("it has no labels")
    return labels


def _named_labels(row: Row) -> tuple[tuple[str, str], ...]:
    return (
        ("alertname", row.alertname),
        ("severity", row.severity),
        ("namespace", row.namespace),
        ("instance", row.instance),
    )


def shown(text: str) -> str:
    """A text of a row, as a reason may show it: quoted, short, printable."""
    return ascii(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")
