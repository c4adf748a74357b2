"""Notifications over HTTP: what was sent and what was not, with its reason."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request

from alert_history.domain.permission import Permission
from alert_history.domain.query import parse_query
from alert_history.domain.times import parse_time
from alert_history.engine.notifications import Notifications, Wanted
from alert_history.engine.notified_entries import Notification
from alert_history.errors import InvalidQuery
from alert_history.ports import Clock
from alert_history.web.http.operation import Operation
from alert_history.web.http.parameters import Limit

_TIME = "RFC 3339, a date, unix seconds, or relative to now: `-24h`"

Outcome = Literal["delivered", "pending", "held", "leased", "superseded", "withheld", "dead", "not_told"]


class NotificationsParameters(msgspec.Struct, frozen=True):
    """Which entries, newest first. All conditions must hold."""

    query: Annotated[str, Meta(description='Of which alerts: `{alertname="DiskFull"} words`')] = ""
    fingerprint: str | None = None
    target: Annotated[str, Meta(description="Also finds what concerns all targets")] | None = None
    outcome: (
        Annotated[
            Outcome, Meta(description="`not_told` was not sent; `pending` includes `held`, `superseded` `withheld`")
        ]
        | None
    ) = None
    since: Annotated[str, Meta(description=f"Queued, or received and not sent, at or after: {_TIME}")] | None = None
    until: Annotated[str, Meta(description=f"Queued, or received and not sent, before: {_TIME}")] | None = None
    limit: Limit = 50
    cursor: Annotated[str, Meta(description="`next_cursor` of the page before")] | None = None


class NotificationsAnswer(msgspec.Struct, frozen=True):
    """A page of what was sent and what was not.

    A page that would take too long stops: it has found all down to `searched_until`, and `next_cursor` goes on from
    there, also behind an empty page.
    """

    notifications: list[Notification]
    limit: int
    next_cursor: str | None
    searched_until: datetime | None


class NotificationsApi:
    """The handler, on what reads the pages."""

    def __init__(self, notifications: Notifications, *, clock: Clock) -> None:
        self._notifications = notifications
        self._clock = clock

    def operations(self) -> list[Operation]:
        """All operations of this API."""
        return [
            Operation(
                path="/api/v1/notifications",
                summary="What was sent and what was not, and why",
                handle=self.page,
                answer=NotificationsAnswer,
                tag="Publishing",
                needs=Permission.READ,
                keeps_to_reach=True,
                parameters=NotificationsParameters,
                failures=(400, 503),
                description="Every delivery with its attempts, and every target that a firing was not sent to, with "
                "the reason; newest first. A delivery stands where it was first queued, also after a replay; what was "
                "not sent stands where the alert was first received.",
            ),
        ]

    async def page(self, _: Request, asked: NotificationsParameters) -> NotificationsAnswer:
        """`GET /api/v1/notifications`."""
        page = await self._notifications.page(wanted_of(asked, self._clock()))
        return NotificationsAnswer(page.notifications, asked.limit, page.next_cursor, page.searched_until)


def wanted_of(asked: NotificationsParameters, now: datetime) -> Wanted:
    """What the parameters ask for. Raises InvalidQuery."""
    return Wanted(
        query=parse_query(asked.query),
        fingerprint=asked.fingerprint,
        target=asked.target,
        outcome=asked.outcome,
        since=time_of(asked.since, now, of="since"),
        until=time_of(asked.until, now, of="until"),
        limit=asked.limit,
        cursor=asked.cursor,
    )


def time_of(text: str | None, now: datetime, *, of: str) -> datetime | None:
    """The time that a parameter names. Raises InvalidQuery, which names the parameter."""
    try:
        return None if text is None else parse_time(text, now)
    except InvalidQuery as error:
        raise InvalidQuery(f"{of}: {error}") from None
