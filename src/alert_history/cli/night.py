"""`alert-history night`: the hand-over of a night, as text, Markdown or JSON."""

import asyncio
import os
import sys
from datetime import date
from typing import Annotated, Literal, TypeAlias

import msgspec
from cyclopts import Parameter

from alert_history.bootstrap import utc_now
from alert_history.cli.store import require, using_store
from alert_history.config import Settings, load_settings
from alert_history.domain.night import Night
from alert_history.domain.night_text import markdown_of, text_of
from alert_history.engine.night import NightRequest, Nights
from alert_history.errors import InvalidQuery

FormatName: TypeAlias = Literal["text", "markdown", "json"]

_TIME = "RFC 3339, unix seconds, or how long ago: -12h"


def night(
    *,
    date_: Annotated[
        str | None, Parameter(name="--date", help="The date of its evening, 2026-03-04; last night if not given.")
    ] = None,
    tz: Annotated[str, Parameter(help="The time zone of its hours, such as Europe/Berlin.")] = "UTC",
    since: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help=f"Begin there instead: {_TIME}; excludes --date.")
    ] = None,
    until: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, help="End there instead; now if not given.")
    ] = None,
    format_: Annotated[FormatName, Parameter(name="--format", help="How to write it.")] = "text",
) -> None:
    """Print the report. Raises: ConfigurationError, InvalidQuery, StorageUnavailable, QueryTimeout."""
    asked = NightRequest(None if date_ is None else _date(date_), tz, since, until)
    sys.stdout.buffer.write(_written(asyncio.run(_report(load_settings(os.environ), asked)), format_))


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidQuery(f"--date: {text[:40]!r} is no date; write 2026-01-31") from None


async def _report(settings: Settings, asked: NightRequest) -> Night:
    async with using_store(settings) as store:
        await require(store, settings)
        return await Nights(store.night, store.silences, acts=store.acts, clock=utc_now).report(asked)


def _written(report: Night, format_: FormatName) -> bytes:
    if format_ == "json":
        return msgspec.json.format(msgspec.json.encode(report)) + b"\n"
    return (text_of(report) if format_ == "text" else markdown_of(report)).encode()
