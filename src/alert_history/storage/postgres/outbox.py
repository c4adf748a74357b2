"""PostgreSQL: the outbox with its leases. One replica at a time leases the deliveries of a target, in one statement.

For each alert the statement leases the newest due delivery and supersedes the older deliveries, due or not. A newer
delivery that quiet hours hold stays. While a delivery is under way, the next one of its alert waits. The advisory lock
on the target makes both true whatever other replicas do. Leases begin and end by `now()`, the clock of the database,
because the clocks of replicas differ; a replica's clock judges only whether a delivery is due. All statements probe by
key, so they cost the same however many deliveries wait or were made.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Text, bindparam, func, select

from alert_history.domain.delivery import Leased, Settlement
from alert_history.domain.notifying import AWAITED
from alert_history.storage.postgres.connection import Connections
from alert_history.storage.postgres.driver_errors import storage_errors
from alert_history.storage.shared.elements import TOO_FAR_AHEAD
from alert_history.storage.shared.json_text import encode_json
from alert_history.storage.shared.rows import leased_of
from alert_history.storage.shared.session import Session

_COLUMNS = (
    "id, fingerprint, starts_at, target, event_key, event, receipt_id, state, created_at, due_at, lease_until, "
    "attempts, log, external_id, settled_at, shape, enrichment"
)

_TRY_TARGET = "SELECT pg_try_advisory_xact_lock(hashtextextended('alert-history target ' || $1, 0))"

_TAKE_BACK = """
WITH taken_back AS (
    UPDATE delivery_queue SET state = 'pending', lease_until = NULL, due_at = $2
    WHERE target = $1 AND state = 'leased' AND (lease_until < now() OR lease_until > now() + $3)
)
SELECT EXISTS (SELECT FROM delivery_queue WHERE target = $1 AND event_key < 0)
"""
"""Takes back what was leased for too long, and says whether the queue holds acts of people: it hardly ever does.

A delivery that is taken back is due by the clock of whoever takes it back, and so leased by the next statement.
"""

_LEASED_ROWS = """
SELECT l.id, l.attempts, l.lease_until, l.created_at, l.event, l.fingerprint, l.starts_at,
    a.status AS alert_status, a.began_at, a.ends_at, a.confirmed_at,
    coalesce(a.labels, '{{}}') AS labels, coalesce(a.annotations, '{{}}') AS annotations,
    coalesce(a.generator_url, '') AS generator_url, coalesce(nullif(r.receiver, ''), a.receiver, '') AS receiver,
    r.group_key, r.external_url, r.details, d.external_id AS known_as, coalesce(d.was_told, false) AS was_told,
    (SELECT c.verdict FROM classifications c WHERE c.shape = l.shape ORDER BY c.id DESC LIMIT 1) AS verdict,
    l.enrichment,
    CASE WHEN l.event IN ('expired', 'inferred', 'reconciled') THEN (
        SELECT e.detail ->> 'reason' FROM events e
        WHERE e.fingerprint = l.fingerprint AND e.starts_at = l.starts_at AND e.key = l.event_key OFFSET 0
    ) END AS reason,
    (SELECT count(*) FROM older) AS superseded{act}
FROM leased l
LEFT JOIN LATERAL (
    SELECT * FROM alerts a WHERE a.fingerprint = l.fingerprint AND a.starts_at = l.starts_at OFFSET 0) a ON true
LEFT JOIN LATERAL (
    SELECT * FROM receipts r WHERE r.id = l.receipt_id AND r.received_at = l.created_at OFFSET 0) r ON true
LEFT JOIN LATERAL (
    SELECT bool_or(d.state = 'delivered') AS was_told,
        (array_agg(d.external_id ORDER BY d.id DESC) FILTER (WHERE d.external_id IS NOT NULL))[1] AS external_id
    FROM deliveries d WHERE d.fingerprint = l.fingerprint AND d.starts_at = l.starts_at AND d.target || '' = l.target
        AND d.created_at > l.starts_at - interval '1 day'  -- leaves out partitions of before; senders' clocks differ
) d ON true
{acts}ORDER BY l.id
"""
_ACT_COLUMNS = """,
    x."by" AS act_by, x.text AS act_text, x.at AS act_at"""
_THE_ACT = """LEFT JOIN LATERAL (
    SELECT * FROM acts x WHERE x.fingerprint = l.fingerprint AND x.starts_at = l.starts_at AND x.id = l.receipt_id
    OFFSET 0) x ON true
"""
"""An act of a person comes without a receipt, so the id of the act stands there."""

_COUNTED = """counted AS (
    INSERT INTO rollup_log (target, outcome, settled_at, number)
    SELECT $1, 'superseded', $2, count(*) FROM older HAVING count(*) > 0
)"""

# The newest delivery of an occurrence goes out, and the older ones are superseded. An older occurrence that the target
# knows goes before a newer one, so that the target is notified of its end, too. An older occurrence that the target
# does not know is superseded whole. A queue is mostly empty, so the planner mostly believes that the queue holds
# nothing and that a scan of it is free. These statements leave no choice: an array of ids finds rows, or a look-up
# under OFFSET 0, which becomes no join; and a concatenated column has no index. So the statements cost the same when a
# million deliveries have just come in.
_LEASE = f"""
WITH due AS (
    SELECT q.fingerprint FROM delivery_queue q
    WHERE q.target = $1 AND q.state = 'pending' AND q.due_at <= $2 AND q.event_key >= 0 AND NOT EXISTS (
        SELECT 1 FROM delivery_queue l
        WHERE l.target = q.target AND l.fingerprint = q.fingerprint AND l.state = 'leased' OFFSET 0)
    ORDER BY q.due_at LIMIT $3
), reached AS MATERIALIZED (
    SELECT w.*, row_number() OVER (
        PARTITION BY w.fingerprint, w.starts_at ORDER BY w.event_key DESC, w.due_at) AS place
    FROM (SELECT DISTINCT fingerprint FROM due) a CROSS JOIN LATERAL (
        SELECT q.id, q.fingerprint, q.starts_at, q.event_key, q.due_at,
            bool_or(q.due_at <= $2) OVER (ORDER BY q.starts_at DESC, q.event_key DESC) AS is_reached,
            q.starts_at = max(q.starts_at) OVER () AS is_newest
        FROM delivery_queue q
        WHERE q.fingerprint = a.fingerprint AND q.target || '' = $1 AND q.state || '' = 'pending'
            AND q.event_key >= 0) w
    WHERE w.is_reached  -- a newer one that is held stays
), kept AS MATERIALIZED (
    SELECT r.id, row_number() OVER (PARTITION BY r.fingerprint ORDER BY r.starts_at) AS turn
    FROM reached r
    WHERE r.place = 1 AND (r.is_newest OR EXISTS (
        SELECT 1 FROM deliveries d
        WHERE d.fingerprint = r.fingerprint AND d.starts_at = r.starts_at AND d.target || '' = $1
            AND d.state || '' = 'delivered' AND d.created_at > r.starts_at - interval '1 day' OFFSET 0))
), waiting AS MATERIALIZED (
    SELECT r.id, k.turn FROM reached r LEFT JOIN kept k ON k.id = r.id
), older AS (
    DELETE FROM delivery_queue q WHERE q.id = ANY(ARRAY(SELECT id FROM waiting WHERE turn IS NULL))
    RETURNING q.*
), superseded AS (
    INSERT INTO deliveries ({_COLUMNS})
    SELECT id, fingerprint, starts_at, target, event_key, event, receipt_id, 'superseded', created_at, due_at, NULL,
        attempts, log, external_id, $2, shape, enrichment FROM older
), {_COUNTED}, leased AS (
    UPDATE delivery_queue q SET state = 'leased', lease_until = now() + $4, attempts = q.attempts + 1,
        event = CASE WHEN q.event = 'resolved' THEN coalesce((  -- an end waits under the name that all releases know
            SELECT e.kind FROM events e
            WHERE e.fingerprint = q.fingerprint AND e.starts_at = q.starts_at AND e.key = q.event_key OFFSET 0
        ), q.event) ELSE q.event END
    WHERE q.id = ANY(ARRAY(SELECT id FROM waiting WHERE turn = 1))
    RETURNING q.*
)
{_LEASED_ROWS.format(acts="", act="")}
"""

# Acts of people go one after another, and each to a target that knows its occurrence. An act goes before later news. It
# waits for earlier news, but not for news that quiet hours hold. While the target does not know the occurrence, the act
# waits for all news; and once there is none any more, the act is superseded.
_LEASE_ACTS = f"""
WITH due AS MATERIALIZED (
    SELECT q.id, q.fingerprint, q.starts_at, q.event_key, q.created_at, EXISTS (
        SELECT FROM deliveries d
        WHERE d.fingerprint = q.fingerprint AND d.starts_at = q.starts_at AND d.target || '' = $1
            AND d.state || '' = 'delivered' AND d.event_key >= 0 AND d.created_at > q.starts_at - interval '1 day'
        OFFSET 0) AS is_known
    FROM delivery_queue q
    WHERE q.event_key < 0 AND q.target = $1 AND q.due_at <= $2 AND q.state || '' = 'pending' AND NOT EXISTS (
        SELECT FROM delivery_queue l
        WHERE l.target = q.target AND l.fingerprint = q.fingerprint AND l.state = 'leased' OFFSET 0)
), free AS MATERIALIZED (
    SELECT u.* FROM due u WHERE NOT EXISTS (
        SELECT FROM delivery_queue b
        WHERE b.fingerprint = u.fingerprint AND b.starts_at = u.starts_at AND b.target || '' = $1 AND CASE
            WHEN b.event_key < 0 THEN b.event_key > u.event_key
            WHEN NOT u.is_known THEN true
            ELSE b.created_at <= u.created_at AND (
                b.attempts > 0 OR b.due_at <= $2 OR b.enrichment IS NOT DISTINCT FROM '{AWAITED}') END
        OFFSET 0)
), next AS MATERIALIZED (
    SELECT DISTINCT ON (f.fingerprint) f.id FROM free f WHERE f.is_known
    ORDER BY f.fingerprint, f.starts_at, f.event_key DESC, f.id
), older AS (
    DELETE FROM delivery_queue q WHERE q.id = ANY(ARRAY(SELECT id FROM free WHERE NOT is_known))
    RETURNING q.*
), superseded AS (
    INSERT INTO deliveries ({_COLUMNS})
    SELECT id, fingerprint, starts_at, target, event_key, event, receipt_id, 'superseded', created_at, due_at, NULL,
        attempts, log, external_id, $2, shape, enrichment FROM older
), {_COUNTED}, leased AS (
    UPDATE delivery_queue q SET state = 'leased', lease_until = now() + $4, attempts = q.attempts + 1
    WHERE q.id = ANY(ARRAY(SELECT id FROM next LIMIT $3))
    RETURNING q.*
)
{_LEASED_ROWS.format(acts=_THE_ACT, act=_ACT_COLUMNS)}
"""

# The bucket of the generic cell rate algorithm, by the clock of the database, which all replicas share. A turn that is
# further ahead than turns are given out is from before the clock was set back or the rate was raised. It is ignored.
_RESERVE = """
INSERT INTO target_turns AS t (target, free_at) VALUES ($1, clock_timestamp() + $2)
ON CONFLICT (target) DO UPDATE SET free_at = $2 + CASE
    WHEN t.free_at > clock_timestamp() + $3 + 2 * $2 THEN clock_timestamp()
    ELSE greatest(t.free_at, clock_timestamp()) END
WHERE t.free_at <= clock_timestamp() + $3 OR t.free_at > clock_timestamp() + $3 + 2 * $2
RETURNING free_at - $2 - clock_timestamp()
"""

_ATTEMPT_LOG = "CASE WHEN jsonb_array_length(q.log) >= 20 THEN q.log - 0 ELSE q.log END || u.attempt::jsonb"

_SETTLE = f"""
WITH u AS (
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
        AS u(id, lease_until, state, attempt, settled_at, external_id)
), done AS (
    DELETE FROM delivery_queue q USING u
    WHERE q.id = ANY($1) AND q.id = u.id AND q.state || '' = 'leased' AND q.lease_until = u.lease_until
    RETURNING q.*, u.state AS new_state, {_ATTEMPT_LOG} AS new_log, u.settled_at AS now,
        u.external_id AS new_external_id
), counted AS (
    INSERT INTO rollup_log (target, outcome, settled_at, number)
    SELECT d.target, d.new_state, date_trunc('minute', d.now), count(*) FROM done d GROUP BY 1, 2, 3
)
INSERT INTO deliveries ({_COLUMNS})
SELECT d.id, d.fingerprint, d.starts_at, d.target, d.event_key, d.event, d.receipt_id, d.new_state, d.created_at,
    d.due_at, NULL, d.attempts, d.new_log, coalesce(d.new_external_id, d.external_id), d.now, d.shape, d.enrichment
FROM done d
"""

_POSTPONE = f"""
UPDATE delivery_queue q SET state = 'pending', lease_until = NULL, due_at = u.due_at, log = {_ATTEMPT_LOG}
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[]) AS u(id, lease_until, due_at, attempt)
WHERE q.id = ANY($1) AND q.id = u.id AND q.state || '' = 'leased' AND q.lease_until = u.lease_until
"""

_HOLD_TARGET = select(
    func.pg_advisory_xact_lock(func.hashtextextended("alert-history target " + bindparam("target", type_=Text()), 0))
)
"""Waits for the lock of a target, where `_TRY_TARGET` gives up."""


class PostgresOutbox:
    """See `ports.Outbox`; also the gate that a replay of the delivery log holds."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def lease(self, target: str, *, now: datetime, limit: int, lease_for: timedelta) -> tuple[list[Leased], int]:
        """See `ports.Outbox.lease`."""
        with storage_errors():
            async with self._connections.deliverer() as connection, connection.transaction():
                if not await connection.fetchval(_TRY_TARGET, target):
                    return [], 0
                has_acts = await connection.fetchval(_TAKE_BACK, target, now, lease_for + TOO_FAR_AHEAD)
                acts = await connection.fetch(_LEASE_ACTS, target, now, limit, lease_for) if has_acts else []
                news = await connection.fetch(_LEASE, target, now, limit - len(acts), lease_for)
        leased = [leased_of(row, target=target) for row in (*acts, *news)]
        return leased, sum(rows[0]["superseded"] for rows in (acts, news) if rows)

    async def reserve(self, target: str, *, every: timedelta, burst: int, within: timedelta) -> timedelta | None:
        """See `ports.Outbox.reserve`."""
        at_once = every * (burst - 1)
        with storage_errors():
            async with self._connections.deliverer() as connection:
                till: timedelta | None = await connection.fetchval(_RESERVE, target, every, within + at_once)
        return None if till is None else max(till - at_once, timedelta())

    async def settle(self, settlements: Sequence[tuple[Leased, Settlement]]) -> None:
        """See `ports.Outbox.settle`."""
        done = [(lease, s) for lease, s in settlements if s.state != "pending"]
        postponed = [(lease, s) for lease, s in settlements if s.state == "pending"]
        with storage_errors():
            async with self._connections.deliverer() as connection, connection.transaction():
                if done:
                    rows = [
                        (*_whose(lease), s.state, _json(s.attempt), s.attempt.at, s.external_id) for lease, s in done
                    ]
                    await connection.execute(_SETTLE, *zip(*rows, strict=True))
                if postponed:
                    waiting = [(*_whose(lease), s.due_at, _json(s.attempt)) for lease, s in postponed]
                    await connection.execute(_POSTPONE, *zip(*waiting, strict=True))

    async def hold(self, session: Session, targets: Sequence[str]) -> None:
        """See `shared.delivery_log.LeaseGate.hold`."""
        for target in targets:
            await session.fetch(_HOLD_TARGET, target=target)


def _whose(lease: Leased) -> tuple[str, datetime]:
    """A delivery and our own lease of it: a lease that another replica took after ours ends later."""
    return lease.id, lease.lease_until


def _json(value: Any) -> str:
    return encode_json(value).decode()
