"""A row of Alerta, as its API gives it, and as its PostgreSQL holds it. Must not know what it means.

Both ways lead to the same values: the API cuts times to the millisecond, so those of the database are cut, too.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from alert_history.domain.alert import fingerprint
from alert_history.origins.imports.times import cut_to_milliseconds, read_past_time
from alert_history.origins.wire import without_empty

PROMETHEUS = "prometheusAlert"
"""The type of what came by the webhook for Alertmanager."""

_RESOLVED = "resolved"
_UNKNOWN = datetime.min.replace(tzinfo=UTC)

_underscored = re.compile("_([a-z])")


class Change(msgspec.Struct, rename="camel"):
    """One entry of a row's history. `type` says what it was: a message, or what a person did."""

    update_time: str
    type: str = ""
    id: str = ""
    event: str = ""
    severity: str | None = None
    status: str | None = None
    text: str | None = None
    user: str | None = None
    at: datetime = _UNKNOWN


class Row(msgspec.Struct, rename="camel"):
    """One alert: the newest firing of its environment, resource and event. `history` is in the order of time."""

    id: str
    event: str
    resource: str
    environment: str | None = None
    severity: str = ""
    status: str = ""
    service: list[str] = []
    group: str | None = None
    value: str | None = None
    text: str | None = None
    tags: list[str] = []
    attributes: dict[str, Any] = {}
    origin: str | None = None
    type: str | None = None
    customer: str | None = None
    duplicate_count: int | None = None
    create_time: str = ""
    last_receive_time: str | None = None
    raw_data: str | None = None
    history: list[Change] = []


class _WireSent(msgspec.Struct, rename="camel"):
    labels: dict[str, str]
    starts_at: str
    ends_at: str | None = None
    status: str = ""
    annotations: dict[str, str] | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")


class Sent(msgspec.Struct):
    """The newest alert that Alertmanager sent of a row. `ends_at` is set where it was over."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    generator_url: str

    @property
    def fingerprint(self) -> str:
        """Alertmanager's."""
        return fingerprint(self.labels)


_decode = msgspec.json.Decoder(Row).decode
_decode_sent = msgspec.json.Decoder(_WireSent).decode


def read_row(raw: str) -> Row:
    """A row of the API. Raises: ValueError."""
    return _timed(_decode(raw))


def read_record(record: str) -> Row:
    """A row of the table `alerts`, as JSON. Raises: ValueError."""
    columns = msgspec.json.decode(record)
    changes = [_camel(change) for change in columns.pop("history", None) or ()]
    columns = {name: value for name, value in columns.items() if value is not None}
    return _timed(msgspec.convert({**_camel(columns), "history": changes[::-1]}, Row))


def sent_of(row: Row) -> Sent | None:
    """What Alertmanager sent at last; None where the row came another way, or does not have it any more."""
    if row.type != PROMETHEUS or not row.raw_data:
        return None
    try:
        wire = _decode_sent(row.raw_data)
        starts_at, ends_at = read_past_time(wire.starts_at), read_past_time(wire.ends_at)
    except (ValueError, RecursionError):
        return None
    if starts_at is None or not wire.labels:
        return None
    is_over = wire.status == _RESOLVED and ends_at is not None and ends_at >= starts_at
    return Sent(
        without_empty(wire.labels),
        wire.annotations or {},
        starts_at,
        ends_at if is_over else None,
        wire.generator_url,
    )


def read_alerta_time(text: str | None) -> datetime | None:
    """A time of Alerta. Raises: ValueError."""
    time = read_past_time(text)
    return None if time is None else cut_to_milliseconds(time)


def _timed(row: Row) -> Row:
    """The row with its history in the order of time."""
    for change in row.history:
        at = read_alerta_time(change.update_time)
        if at is None:
            raise ValueError("an entry of its history has no time")
        change.at = at
    row.history.sort(key=lambda change: change.at)
    return row


def _camel(columns: dict[str, Any]) -> dict[str, Any]:
    """The names of columns as the API has them."""
    return {_underscored.sub(lambda match: match[1].upper(), name): value for name, value in columns.items()}
