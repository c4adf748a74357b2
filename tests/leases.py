"""Lets time pass for leases. They end by the database's clock, which no test can set: so a test makes them older."""

from datetime import timedelta

import msgspec

from alert_history.domain.delivery import Leased
from alert_history.domain.microseconds import duration_us
from alert_history.storage import is_sqlite
from tests.conformance import raw

_COLUMNS = (("delivery_queue", "lease_until"), ("classification_claims", '"until"'))
_TURN = {
    True: """UPDATE settings SET value = json_set(value, '$.until',
        strftime('%Y-%m-%dT%H:%M:%fZ', value ->> '$.until', '-' || (? / 1000000.0) || ' seconds'))
        WHERE name = 'reconcile_turn'""",
    False: """UPDATE settings SET value = value || jsonb_build_object(
        'until', (value ->> 'until')::timestamptz - $1::bigint * interval '1 microsecond')
        WHERE name = 'reconcile_turn'""",
}


async def time_passes(url: str, by: timedelta) -> None:
    """All deliveries that are leased, all shapes that are claimed and the turn to ask have been so for longer."""
    microseconds = duration_us(by)
    for table, column in _COLUMNS:
        earlier = f"{column} - ?" if is_sqlite(url) else f"{column} - $1::bigint * interval '1 microsecond'"
        await raw.fetch(url, f"UPDATE {table} SET {column} = {earlier} WHERE {column} IS NOT NULL", microseconds)
    await raw.fetch(url, _TURN[is_sqlite(url)], microseconds)


def aged(leased: Leased, by: timedelta) -> Leased:
    """A lease whose holder has it since before so much time passed."""
    return msgspec.structs.replace(leased, lease_until=leased.lease_until - by)
