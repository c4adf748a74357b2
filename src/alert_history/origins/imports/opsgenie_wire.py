"""Alerts of Opsgenie as its API and its exports write them: JSON objects, their notes, and their log.

Schema: `BaseAlert`, `Alert`, `AlertNote`, `AlertLog` and `AlertReport` of opsgenie-oas.json 2.0.0, of the repository
opsgenie/opsgenie-python-sdk at 0d20d23 (2 August 2021). Must not know what is made of them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

Time = str | int | float | None
"""RFC 3339, or milliseconds or seconds since 1970."""

_FIRST_MILLISECONDS = 100_000_000_000
"""Numbers from here on are milliseconds since 1970, smaller ones seconds; of a report, smaller ones are durations."""


class BadAlert(Exception):
    """Why an alert can't be kept; the message is the reason."""


class Integration(msgspec.Struct, gc=False):
    """What brought the alert in."""

    name: str | None = None
    type: str | None = None


class Report(msgspec.Struct, rename="camel", gc=False):
    """Milliseconds from the creation to the first acknowledgement and to the close, and who did it."""

    ack_time: int | None = None
    close_time: int | None = None
    acknowledged_by: str | None = None
    closed_by: str | None = None


class Note(msgspec.Struct, rename="camel", gc=False):
    """A note, or an entry of the log, which has its text in `log`."""

    created_at: Time = None
    note: str | None = None
    log: str | None = None
    owner: str | None = None
    offset: str | None = None

    @property
    def text(self) -> str:
        """What it says."""
        return self.note or self.log or ""


class Alert(msgspec.Struct, rename="camel", gc=False):
    """One alert. Lists leave out `description` and `details`; `notes` and `logs` are there where somebody asked."""

    id: str
    created_at: Time = None
    tiny_id: str | None = None
    alias: str | None = None
    message: str | None = None
    status: str | None = None
    acknowledged: bool | None = None
    tags: list[str] | None = None
    count: int | None = None
    last_occurred_at: Time = None
    updated_at: Time = None
    closed_at: Time = None
    source: str | None = None
    owner: str | None = None
    priority: str | None = None
    entity: str | None = None
    description: str | None = None
    details: dict[str, Any] | None = None
    integration: Integration | None = None
    report: Report | None = None
    notes: list[Note] | None = None
    logs: list[Note] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it is over."""
        return (self.status or "").lower() == "closed"

    @property
    def starts_at(self) -> datetime:
        """When it was created. Raises: BadAlert."""
        time = read_time(self.created_at, of="createdAt")
        if time is None:
            raise BadAlert("createdAt is not set")
        return time

    def after(self, milliseconds: int) -> datetime:
        """A time of its report. Raises: BadAlert."""
        if milliseconds >= _FIRST_MILLISECONDS:
            return _since_1970(milliseconds, of="a time of report")
        try:
            return self.starts_at + timedelta(milliseconds=max(milliseconds, 0))
        except OverflowError:
            raise BadAlert("a time of report is out of range") from None


class Paging(msgspec.Struct, gc=False):
    """Where the next page is; absent or empty on the last."""

    next: str | None = None


class Page(msgspec.Struct, gc=False):
    """One page of a list. Its rows are read one by one, so that a bad row is the only one that is refused."""

    data: list[msgspec.Raw] | None = None
    paging: Paging | None = None


class Notes(msgspec.Struct, gc=False):
    """One page of an alert's notes, or of its log."""

    data: list[Note] | None = None
    paging: Paging | None = None


class Single(msgspec.Struct, gc=False):
    """The answer about one alert."""

    data: Alert


def read_alert(value: Any) -> Alert:
    """An alert of any JSON value. Raises: BadAlert."""
    try:
        return msgspec.convert(value, Alert, strict=False)
    except (ValueError, RecursionError) as error:
        raise BadAlert(str(error)) from None


def read_raw(raw: bytes | msgspec.Raw) -> Any:
    """Bytes as a JSON value. Raises: BadAlert."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise BadAlert(f"it is no JSON: {error}") from None


def unwrapped(value: Any) -> Any:
    """What is in an answer of the API, which has it under `data`."""
    return value["data"] if isinstance(value, Mapping) and "data" in value and "id" not in value else value


def read_time(value: Time, *, of: str) -> datetime | None:
    """An aware UTC time; None where it is not set. Raises: BadAlert."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, int | float):
        return _since_1970(value, of=of)
    try:
        time = msgspec.convert(value.strip(), datetime)
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadAlert(f"{of} is no RFC 3339 time and no number of milliseconds: {value[:60]!r}") from None
    raise BadAlert(f"{of} has no time zone: {value[:60]!r}")


def _since_1970(number: float, *, of: str) -> datetime:
    milliseconds = number if number >= _FIRST_MILLISECONDS else number * 1000
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError):
        raise BadAlert(f"{of} is out of range: {number}") from None
