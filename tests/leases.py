"""Lets time pass for leases. They end by the database's clock, which no test can set: so a test makes them older."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from alert_history.domain.delivery import Leased, Settlement
from alert_history.domain.microseconds import duration_us
from alert_history.ports import Outbox
from alert_history.storage import is_sqlite
from tests.conformance import raw

_SQLITE = (
    "UPDATE delivery_queue SET lease_until = lease_until - ? WHERE lease_until IS NOT NULL",
    'UPDATE classification_claims SET "until" = "until" - ?',
    """UPDATE settings SET value = json_set(value, '$.until',
        strftime('%Y-%m-%dT%H:%M:%fZ', value ->> '$.until', printf('%+.3f seconds', ? / -1000000.0)))
        WHERE name = 'reconcile_turn'""",
)
_POSTGRES = """WITH passed AS (SELECT $1::bigint * interval '1 microsecond' AS by), deliveries AS (
    UPDATE delivery_queue SET lease_until = lease_until - by FROM passed WHERE lease_until IS NOT NULL
), claims AS (
    UPDATE classification_claims SET "until" = "until" - by FROM passed
)
UPDATE settings SET value = value || jsonb_build_object('until', (value ->> 'until')::timestamptz - by) FROM passed
WHERE name = 'reconcile_turn'"""


async def time_passes(url: str, by: timedelta) -> None:
    """All deliveries that are leased, all shapes that are claimed and the turn to ask have been so for longer."""
    for statement in _SQLITE if is_sqlite(url) else (_POSTGRES,):
        await raw.fetch(url, statement, duration_us(by))


def aged(leased: Leased, by: timedelta) -> Leased:
    """A lease whose holder has it since before so much time passed."""
    return msgspec.structs.replace(leased, lease_until=leased.lease_until - by)


class StoryTime:
    """How much time has passed for the leases of a database, in a story that makes up its time.

    It keeps a connection to PostgreSQL, because a new one for each step would cost more than the step.
    """

    def __init__(self, url: str, clock: Callable[[], datetime]) -> None:
        self.passed = timedelta()
        self._url = url
        self._clock = clock
        self._began_at = clock()
        self._connection: asyncpg.Connection[Any] | None = None

    async def catch_up(self) -> None:
        """Let the time of the story pass for the leases, too."""
        passed = self._clock() - self._began_at
        if passed != self.passed:
            await self._pass(passed - self.passed)
        self.passed = passed

    async def _pass(self, by: timedelta) -> None:
        if is_sqlite(self._url):
            await time_passes(self._url, by)
            return
        if self._connection is None:
            self._connection = await asyncpg.connect(self._url, server_settings={"synchronous_commit": "off"})
        await self._connection.execute(_POSTGRES, duration_us(by))

    async def close(self) -> None:
        """Close what it keeps."""
        if self._connection is not None:
            await self._connection.close()


class StoryOutbox:
    """The outbox of a store for one process of a story: its leases end by the time of the story."""

    def __init__(self, outbox: Outbox, time: StoryTime) -> None:
        self._outbox = outbox
        self._time = time
        self._since: dict[tuple[str, datetime], timedelta] = {}
        self.reserve = outbox.reserve

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        """See `ports.Outbox.lease`."""
        await self._time.catch_up()
        leased, superseded = await self._outbox.lease(target, now=now, limit=limit, lease_for=lease_for)
        self._since |= {(each.id, each.lease_until): self._time.passed for each in leased}
        return leased, superseded

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        """See `ports.Outbox.settle`. A lease is still the same one when time has passed for it."""
        await self._outbox.settle([(self._now(leased), settlement) for leased, settlement in settlements])

    def _now(self, leased: Leased) -> Leased:
        return aged(leased, self._time.passed - self._since[leased.id, leased.lease_until])
